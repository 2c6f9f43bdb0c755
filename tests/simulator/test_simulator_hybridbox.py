"""The HybridBox side: mailboxes one by one and in bulk, pages, aliases, and who may reach them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mailchannels.simulator import Simulator

ACCOUNT = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
MAILBOX_KEYS = {
    "id": str,
    "domain_id": str,
    "domain_name": str,
    "local_part": str,
    "primary_email": str,
    "first_name": str,
    "last_name": str,
    "status": str,
    "quota": dict,
    "aliases": list,
    "workspace_id": type(None),
    "workspace_name": type(None),
    "created_at": str,
    "updated_at": str,
}


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    with client_of(simulator) as client:
        yield client


def client_of(simulator: Simulator, account: str = ACCOUNT, token: str = "demo-token") -> httpx.Client:
    base_url = f"{simulator.base_url}/v1/public/accounts/{account}"
    return httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, trust_env=False)


def item(local_part: str, first_name: str = "Ada", last_name: str = "Lovelace") -> dict[str, str]:
    return {"local_part": local_part, "first_name": first_name, "last_name": last_name}


def bulk(client: httpx.Client, *local_parts: str, domain: str = "example.com") -> Any:
    body = {"domain": domain, "items": [item(local_part) for local_part in local_parts]}
    response = client.post("/mailboxes/bulk", json=body)
    assert response.status_code == 200
    return response.json()


def create(client: httpx.Client, local_part: str, domain: str = "example.com", **names: str) -> httpx.Response:
    return client.post("/mailboxes", json={"domain": domain, **item(local_part, **names)})


def emails(response: httpx.Response) -> list[str]:
    return [mailbox["primary_email"] for mailbox in response.json()["items"]]


# Who may do it


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Bearer", "demo-token", "Basic demo-token", ""])
def test_a_wrong_token_is_refused(client: httpx.Client, authorization: str) -> None:
    response = client.get("/mailboxes", headers={"Authorization": authorization})

    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


def test_the_key_of_the_other_api_is_no_token(simulator: Simulator) -> None:
    with client_of(simulator, token=simulator.api_key) as client:
        assert client.get("/mailboxes", headers={"X-API-Key": simulator.api_key}).status_code == 401


@pytest.mark.parametrize("account", ["00000000-0000-4000-8000-000000000009", "demo"])
def test_an_unknown_account_is_not_found(simulator: Simulator, account: str) -> None:
    with client_of(simulator, account) as client:
        response = client.get("/mailboxes")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_accounts_do_not_see_each_other(simulator: Simulator, client: httpx.Client) -> None:
    simulator.state.hybridbox.add_account(OTHER, "other-token")
    bulk(client, "ada")

    with client_of(simulator, OTHER, "other-token") as other:
        assert other.get("/mailboxes").json()["total"] == 0
        assert other.get("/mailboxes?domain=example.com").json()["total"] == 0
        assert other.get("/mailboxes/ada@example.com").status_code == 404
        assert create(other, "eve").status_code == 403
    with client_of(simulator, OTHER) as wrong:
        assert wrong.get("/mailboxes").status_code == 403


# Creating


def test_a_bulk_request_creates_each_item_at_its_position(client: httpx.Client) -> None:
    answer = bulk(client, "ada", "Grace")

    assert answer["failed"] == []
    assert [created["index"] for created in answer["created"]] == [0, 1]
    first, second = (created["mailbox"] for created in answer["created"])
    assert {key: type(value) for key, value in first.items()} == MAILBOX_KEYS
    assert {type(value) for value in first["quota"].values()} == {int}
    assert (first["primary_email"], second["primary_email"]) == ("ada@example.com", "grace@example.com")
    assert first["domain_id"] == second["domain_id"]
    assert first["id"] != second["id"]


def test_each_item_fails_for_itself(client: httpx.Client, simulator: Simulator) -> None:
    bulk(client, "old")
    simulator.state.hybridbox.failures["doomed"] = "quota_exceeded"

    answer = bulk(client, "new", "old", "two words", "NEW", "doomed", "last")

    assert [created["index"] for created in answer["created"]] == [0, 5]
    assert {failed["index"]: failed["code"] for failed in answer["failed"]} == {
        1: "already_exists",
        2: "invalid_local_part",
        3: "already_exists",
        4: "quota_exceeded",
    }
    assert all(failed["message"] for failed in answer["failed"])
    assert simulator.state.hybridbox.mailbox_count() == 3


def test_a_failure_that_is_no_longer_asked_for_is_over(client: httpx.Client, simulator: Simulator) -> None:
    simulator.state.hybridbox.failures["doomed"] = "quota_exceeded"
    assert create(client, "doomed").json()["code"] == "quota_exceeded"

    del simulator.state.hybridbox.failures["doomed"]

    assert create(client, "doomed").status_code == 201


@pytest.mark.parametrize("local_part", ["", ".", "a..b", ".a", "a.", "a@b", "a b", "é", "a" * 65])
def test_a_local_part_must_be_one(client: httpx.Client, local_part: str) -> None:
    (failed,) = bulk(client, local_part)["failed"]

    assert (failed["index"], failed["code"]) == (0, "invalid_local_part")
    response = create(client, local_part)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_local_part")


def test_a_single_mailbox_is_created_once(client: httpx.Client, simulator: Simulator) -> None:
    created, again = create(client, "ada"), create(client, "Ada")

    assert (created.status_code, created.json()["primary_email"]) == (201, "ada@example.com")
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")
    assert simulator.state.hybridbox.mailbox_count() == 1


def test_a_domain_is_named_by_its_name_or_its_id(client: httpx.Client) -> None:
    domain_id = create(client, "ada", "Bücher.example").json()["domain_id"]

    assert create(client, "grace", domain_id).json()["primary_email"] == "grace@xn--bcher-kva.example"
    assert create(client, "ada", "xn--bcher-kva.example").status_code == 409


@pytest.mark.parametrize(
    ("domain", "status", "code"),
    [("not a name", 422, "invalid_domain"), ("00000000-0000-4000-8000-000000000009", 404, "domain_not_found")],
)
def test_a_domain_that_cannot_be_is_refused(client: httpx.Client, domain: str, status: int, code: str) -> None:
    response = client.post("/mailboxes/bulk", json={"domain": domain, "items": [item("ada")]})

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert create(client, "ada", domain).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"domain": "example.com"},
        {"domain": "example.com", "items": []},
        {"domain": "example.com", "items": ["ada"]},
        {"domain": "example.com", "items": [item("ada"), {"local_part": "grace"}]},
        {"domain": "example.com", "items": [{**item("ada"), "first_name": None}]},
        {"domain": 1, "items": [item("ada")]},
    ],
)
def test_a_misspelt_bulk_request_is_refused_and_creates_nothing(
    client: httpx.Client, simulator: Simulator, body: object
) -> None:
    response = client.post("/mailboxes/bulk", json=body)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_request")
    assert simulator.state.hybridbox.mailbox_count() == 0


@pytest.mark.parametrize("name", ["", " ", "x" * 256])
def test_people_have_names(client: httpx.Client, name: str) -> None:
    response = create(client, "ada", last_name=name)

    assert (response.status_code, response.json()["code"]) == (422, "invalid_name")


# Reading


def test_mailboxes_come_in_pages_in_order_of_creation(client: httpx.Client) -> None:
    bulk(client, *(f"user-{number}" for number in range(30)))

    first, second, third = (client.get("/mailboxes", params={"page": page}) for page in (1, 2, 3))
    last = client.get("/mailboxes?page=4&page_size=9")

    assert emails(first) == [f"user-{number}@example.com" for number in range(25)]
    assert {key: value for key, value in first.json().items() if key != "items"} == {
        "page": 1,
        "page_size": 25,
        "total": 30,
    }
    assert emails(second) == [f"user-{number}@example.com" for number in range(25, 30)]
    assert (emails(third), third.json()["total"]) == ([], 30)
    assert emails(last) == [f"user-{number}@example.com" for number in range(27, 30)]


@pytest.mark.parametrize("query", ["page=0", "page=x", "page_size=0", "page_size=1001"])
def test_a_bad_page_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/mailboxes?{query}").status_code == 400


def test_mailboxes_are_found_by_domain_workspace_and_text(client: httpx.Client, simulator: Simulator) -> None:
    bulk(client, "ada", "grace")
    domain_id = create(client, "ada", "example.net", first_name="Countess").json()["domain_id"]
    stored = simulator.state.hybridbox.mailbox("grace@example.com")
    assert stored is not None
    stored.workspace_id = OTHER

    def found(**query: str) -> list[str]:
        return emails(client.get("/mailboxes", params=query))

    assert found(domain="EXAMPLE.com") == ["ada@example.com", "grace@example.com"]
    assert found(domain=domain_id) == ["ada@example.net"]
    assert found(domain="unknown.com") == found(domain="not a name") == []
    assert found(search="ADA@") == ["ada@example.com", "ada@example.net"]
    assert found(search="countess") == ["ada@example.net"]
    assert found(domain="example.com", search="ada@") == ["ada@example.com"]
    assert found(workspace_id=OTHER) == ["grace@example.com"]
    assert len(found(domain="", search="", workspace_id="")) == 3


def test_a_mailbox_is_got_by_its_id_or_address(client: httpx.Client) -> None:
    created = create(client, "ada+news").json()

    assert client.get(f"/mailboxes/{created['id']}").json() == created
    assert client.get("/mailboxes/Ada%2Bnews%40example.com").json() == created


@pytest.mark.parametrize(
    ("method", "below", "body"), [("GET", "", None), ("PATCH", "", {}), ("POST", "/aliases", {"alias": "a"})]
)
def test_an_unknown_mailbox_is_not_found(client: httpx.Client, method: str, below: str, body: object) -> None:
    response = client.request(method, f"/mailboxes/nobody@example.com{below}", json=body)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


# Changing


def test_names_are_changed_and_null_leaves_them(client: httpx.Client) -> None:
    created = create(client, "ada").json()

    changed = client.patch("/mailboxes/ada@example.com", json={"first_name": "Augusta", "last_name": None})

    kept = {key: value for key, value in created.items() if key not in {"first_name", "updated_at"}}
    assert changed.status_code == 200
    assert changed.json() == {**kept, "first_name": "Augusta", "updated_at": changed.json()["updated_at"]}
    assert client.get("/mailboxes/ada@example.com").json() == changed.json()


@pytest.mark.parametrize(("body", "status"), [({"first_name": ""}, 422), ({"last_name": 1}, 400), ([], 400)])
def test_a_bad_name_changes_nothing(client: httpx.Client, body: object, status: int) -> None:
    created = create(client, "ada").json()

    assert client.patch("/mailboxes/ada@example.com", json=body).status_code == status
    assert client.get("/mailboxes/ada@example.com").json() == created


def test_an_alias_takes_its_address(client: httpx.Client) -> None:
    create(client, "ada")

    added = client.post("/mailboxes/ada@example.com/aliases", json={"alias": "Countess"})
    catch_all = client.post(
        "/mailboxes/ada@example.com/aliases", json={"alias": "all@example.com", "is_catch_all": True}
    )

    aliases = [{"alias": "Countess", "is_catch_all": False}, {"alias": "all@example.com", "is_catch_all": True}]
    assert [(response.status_code, response.json()) for response in (added, catch_all)] == [
        (201, alias) for alias in aliases
    ]
    assert client.get("/mailboxes/ada@example.com").json()["aliases"] == aliases
    assert create(client, "countess").status_code == 409


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"alias": "ada"}, 409, "already_exists"),
        ({"alias": "grace@example.com"}, 409, "already_exists"),
        ({"alias": "two words"}, 422, "invalid_local_part"),
        ({"alias": "ada@example.net"}, 422, "invalid_alias"),
        ({"alias": 1}, 400, "invalid_request"),
        ({"alias": "new", "is_catch_all": "yes"}, 400, "invalid_request"),
    ],
)
def test_a_bad_alias_is_refused(client: httpx.Client, body: object, status: int, code: str) -> None:
    bulk(client, "ada", "grace")

    response = client.post("/mailboxes/ada@example.com/aliases", json=body)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert client.get("/mailboxes/ada@example.com").json()["aliases"] == []


def test_what_succeeded_is_counted_apart_from_what_was_seen(client: httpx.Client, simulator: Simulator) -> None:
    create(client, "ada")
    create(client, "ada")
    client.get("/mailboxes/ada@example.com")

    account = "/v1/public/accounts/{account_id}"
    assert simulator.seen == {("POST", f"{account}/mailboxes"): 2, ("GET", f"{account}/mailboxes/{{mailbox}}"): 1}
    assert simulator.applied == {("POST", f"{account}/mailboxes"): 1, ("GET", f"{account}/mailboxes/{{mailbox}}"): 1}
