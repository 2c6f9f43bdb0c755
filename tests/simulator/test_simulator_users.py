"""Creating recipients, within the limit on protected addresses."""

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import Matches, client_of, provision


@pytest.fixture
def client(client: httpx.Client) -> httpx.Client:
    """A client whose account has `example.com` with the alias `alias.com`."""
    provision(client, "example.com", aliases=["alias.com"])
    return client


def create(client: httpx.Client, address: str, body: object = None, **query: str) -> httpx.Response:
    return client.put("/users", params={"email_address": address, "admin": "false", **query}, json=body)


@pytest.mark.parametrize(("admin", "role"), [("true", "domain_admin"), ("false", "user")])
def test_a_new_recipient_is_created(
    client: httpx.Client, admin: str, role: str, matches_specification: Matches
) -> None:
    response = create(client, "Someone@EXAMPLE.com", admin=admin)

    recipient = {"email_address": "Someone@example.com", "roles": [role], "filter": True}
    assert (response.status_code, response.json()) == (201, {"recipient": recipient, "list_entries": None})
    matches_specification(response)


def test_a_new_recipient_has_the_list_entries_it_came_with(
    client: httpx.Client, matches_specification: Matches
) -> None:
    lists = {"safelist": ["friend.com", "192.0.2.1"], "blocklist": ["foe@foe.com"]}

    response = create(client, "someone@example.com", {"list_entries": lists})

    entries = [
        {"action": "safelist", "item": "friend.com", "item_type": "domain"},
        {"action": "safelist", "item": "192.0.2.1", "item_type": "ip_address"},
        {"action": "blocklist", "item": "foe@foe.com", "item_type": "email_address"},
    ]
    assert response.json()["list_entries"] == entries
    assert client.get("/users/someone@example.com/lists/safelist").json() == entries[:2]
    assert client.get("/users/someone@example.com/lists/blocklist").json() == entries[2:]
    matches_specification(response)


@pytest.mark.parametrize("body", [{}, {"list_entries": None}, {"list_entries": {}}], ids=str)
def test_a_new_recipient_may_come_without_list_entries(client: httpx.Client, body: object) -> None:
    response = create(client, "someone@example.com", body)

    assert (response.status_code, response.json()["list_entries"]) == (201, None)
    assert client.get("/users/someone@example.com/lists/safelist").json() is None


def test_an_existing_recipient_answers_200_without_a_body_and_keeps_its_lists(
    client: httpx.Client, matches_specification: Matches
) -> None:
    create(client, "someone@example.com", {"list_entries": {"safelist": ["friend.com"]}})

    response = create(client, "someone@EXAMPLE.com", {"list_entries": {"safelist": ["foe.com"]}})

    assert (response.status_code, response.content) == (200, b"")
    kept = client.get("/users/someone@example.com/lists/safelist").json()
    assert [entry["item"] for entry in kept] == ["friend.com"]
    matches_specification(response)


@pytest.mark.parametrize("address", ["nobody", "@example.com", "a b@example.com", "a@not a name", "a@xn--a.com"])
def test_an_invalid_address_is_refused(client: httpx.Client, address: str, matches_specification: Matches) -> None:
    response = create(client, address)

    assert (response.status_code, response.json()["code"]) == (400, 400)
    matches_specification(response)


def test_an_unescaped_plus_is_a_space(client: httpx.Client) -> None:
    assert client.put("/users?admin=false&email_address=a+b@example.com").status_code == 400
    created = client.put("/users?admin=false&email_address=a%2Bb%40example.com")
    assert created.json()["recipient"]["email_address"] == "a+b@example.com"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", None),
        ("admin=maybe", None),
        ("admin=false&filter=perhaps", None),
        ("admin=false", []),
        ("admin=false", {"list_entries": []}),
        ("admin=false", {"list_entries": {"safelist": "friend.com"}}),
        ("admin=false", {"list_entries": {"blocklist": ["no such thing"]}}),
    ],
)
def test_what_cannot_be_read_is_refused_and_creates_nobody(
    client: httpx.Client, query: str, body: object, matches_specification: Matches
) -> None:
    response = client.put(f"/users?email_address=someone%40example.com&{query}", json=body)

    assert response.status_code == 400
    assert create(client, "someone@example.com").status_code == 201
    matches_specification(response)


@pytest.mark.parametrize("host", ["unknown.com", "foreign.com", "alias.com", "locked.com"])
def test_a_recipient_of_a_domain_out_of_reach_is_refused(
    client: httpx.Client, simulator: Simulator, host: str, matches_specification: Matches
) -> None:
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["theirs"])
    with client_of(simulator, "other-key") as other:
        provision(other, "foreign.com", "theirs")
    provision(client, "locked.com")
    client.put("/domains/locked.com/api-key", json={"apiKey": "second-key"})

    response = create(client, f"someone@{host}")

    assert (response.status_code, response.json()["code"]) == (403, 403)
    matches_specification(response)


def test_a_full_limit_on_protected_addresses_is_computed_around_or_refused(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    simulator.state.set_address_limit("demo", 1)
    unfiltered = create(client, "first@example.com", filter="false")
    protected = create(client, "second@example.com", filter="true")

    refused = create(client, "third@example.com", filter="true")
    computed = create(client, "third@example.com")
    again = create(client, "second@example.com", filter="true")

    assert [each.json()["recipient"]["filter"] for each in (unfiltered, protected, computed)] == [False, True, False]
    assert (refused.status_code, refused.json()["code"]) == (403, 403)
    assert again.status_code == 200
    for response in (unfiltered, protected, refused, computed, again):
        matches_specification(response)


def test_recipients_go_with_their_domain_and_free_their_places(client: httpx.Client, simulator: Simulator) -> None:
    simulator.state.set_address_limit("demo", 1)
    create(client, "first@example.com", filter="true")

    client.delete("/domains/example.com")
    provision(client, "example.com")

    assert client.get("/users/first@example.com/lists/safelist").status_code == 404
    assert create(client, "second@example.com", filter="true").status_code == 201
