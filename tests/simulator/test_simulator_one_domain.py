"""What is done with one domain: login links, lists, downstream addresses, its API key; and who may do it."""

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import Matches, bulk, client_of, provision

MAIL_SERVER = {"priority": 10, "weight": 5, "port": 25, "target": "mx.example.com."}

CALLS: list[tuple[str, str, object]] = [
    ("DELETE", "", None),
    ("GET", "/login-link", None),
    ("GET", "/lists/safelist", None),
    ("POST", "/lists/safelist", {"item": "friend.com"}),
    ("DELETE", "/lists/safelist?item=friend.com", None),
    ("GET", "/downstream-address", None),
    ("PUT", "/downstream-address", {"records": []}),
    ("PUT", "/api-key", {"apiKey": "next-key"}),
    ("PUT", "/settings", {"abusePolicy": "flag"}),
    ("POST", "/alias/new.com", None),
    ("DELETE", "/alias/alias.com", None),
]
each_call = pytest.mark.parametrize(("method", "below", "body"), CALLS, ids=str)


@pytest.fixture
def client(client: httpx.Client, simulator: Simulator) -> httpx.Client:
    """A client whose account has `example.com` with the alias `alias.com`, beside a domain of another customer."""
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["theirs"])
    with client_of(simulator, "other-key") as other:
        provision(other, "foreign.com", "theirs")
    provision(client, "example.com", aliases=["alias.com"])
    return client


# Who may do it


@each_call
def test_a_domain_that_does_not_exist_is_not_found(
    client: httpx.Client, method: str, below: str, body: object, matches_specification: Matches
) -> None:
    response = client.request(method, f"/domains/unknown.com{below}", json=body)

    assert (response.status_code, response.json()["code"]) == (404, 404)
    matches_specification(response)


@each_call
def test_an_invalid_name_is_refused_by_each_call(
    client: httpx.Client, method: str, below: str, body: object, matches_specification: Matches
) -> None:
    response = client.request(method, f"/domains/xn--a.com{below}", json=body)

    assert (response.status_code, response.json()["code"]) == (400, 400)
    matches_specification(response)


@each_call
def test_a_domain_of_another_customer_is_refused(
    client: httpx.Client, method: str, below: str, body: object, matches_specification: Matches
) -> None:
    response = client.request(method, f"/domains/foreign.com{below}", json=body)

    assert response.status_code == (401 if below == "/login-link" else 403)
    matches_specification(response)


@each_call
def test_an_alias_is_refused(
    client: httpx.Client, method: str, below: str, body: object, matches_specification: Matches
) -> None:
    response = client.request(method, f"/domains/alias.com{below}", json=body)

    assert response.status_code == 403
    matches_specification(response)


@each_call
def test_a_domain_of_another_key_is_refused(
    client: httpx.Client, method: str, below: str, body: object, matches_specification: Matches
) -> None:
    assert client.put("/domains/example.com/api-key", json={"apiKey": "second-key"}).status_code == 204

    response = client.request(method, f"/domains/example.com{below}", json=body)

    assert response.status_code == 403
    matches_specification(response)


# Login links


def test_each_login_link_is_a_new_one(client: httpx.Client, matches_specification: Matches) -> None:
    first = client.get("/domains/example.com/login-link")
    second = client.get("/domains/example.com/login-link")

    assert first.json()["loginLink"].startswith("https://")
    assert first.json() != second.json()
    matches_specification(first)


def test_a_batch_of_login_links_answers_for_each_domain(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    provision(client, "broken.com")
    simulator.state.fail_next("broken.com")
    asked = ["Example.com", "foreign.com", "alias.com", "unknown.com", "not a name", "broken.com"]

    response = client.post("/domains/batch/login-link", json={"domains": [{"domain": name} for name in asked]})

    (success,) = response.json()["successes"]
    assert (success["domain"], success["code"]) == ("example.com", 200)
    assert success["loginLink"] == simulator.state.login_links[-1][1]
    failed = {item["domain"]: item["code"] for item in response.json()["errors"]}
    assert failed == {"foreign.com": 401, "alias.com": 403, "unknown.com": 404, "not a name": 400, "broken.com": 500}
    matches_specification(response)


@pytest.mark.parametrize(
    "domains", [[], [{"domain": "example.com"}] * 1001, [{}], ["example.com"], {"domain": "example.com"}, None]
)
def test_a_batch_of_login_links_has_one_to_a_thousand_items(
    client: httpx.Client, domains: object, matches_specification: Matches
) -> None:
    response = client.post("/domains/batch/login-link", json={"domains": domains})

    assert response.status_code == 400
    matches_specification(response)


# Lists


@pytest.mark.parametrize(
    ("item", "stored", "kind"),
    [
        ("192.0.2.1", "192.0.2.1", "ip_address"),
        ("2001:DB8::1", "2001:db8::1", "ip_address"),
        ("Friend+tag@Example.NET", "Friend+tag@example.net", "email_address"),
        ("bücher.example", "xn--bcher-kva.example", "domain"),
    ],
)
def test_an_entry_is_added_listed_and_deleted(
    client: httpx.Client, item: str, stored: str, kind: str, matches_specification: Matches
) -> None:
    entry = {"action": "safelist", "item": stored, "item_type": kind}

    added = client.post("/domains/example.com/lists/safelist", json={"item": item})
    listed = client.get("/domains/example.com/lists/safelist")
    deleted = client.delete("/domains/example.com/lists/safelist", params={"item": item})

    assert (added.status_code, added.json()) == (201, entry)
    assert (listed.status_code, listed.json()) == (200, [entry])
    assert deleted.status_code == 204
    assert client.get("/domains/example.com/lists/safelist").json() == []
    for response in (added, listed, deleted):
        matches_specification(response)


def test_a_list_without_any_entry_ever_is_null(client: httpx.Client, matches_specification: Matches) -> None:
    response = client.get("/domains/example.com/lists/blocklist")

    assert (response.status_code, response.json()) == (200, None)
    matches_specification(response)


@pytest.mark.parametrize(("old", "new"), [("whitelist", "safelist"), ("blacklist", "blocklist")])
def test_the_deprecated_names_of_lists_still_work(client: httpx.Client, old: str, new: str) -> None:
    response = client.post(f"/domains/example.com/lists/{old}", json={"item": "friend.com"})

    assert response.json()["action"] == new
    assert client.get(f"/domains/example.com/lists/{new}").json() == [response.json()]


@pytest.mark.parametrize("item", ["nonsense", "two words.com", "@example.com", "a@b@c.com", "", 1, None])
def test_an_item_that_is_no_address_and_no_domain_is_refused(
    client: httpx.Client, item: object, matches_specification: Matches
) -> None:
    response = client.post("/domains/example.com/lists/safelist", json={"item": item})

    assert response.status_code == 400
    assert client.get("/domains/example.com/lists/safelist").json() is None
    matches_specification(response)


def test_another_list_is_refused(client: httpx.Client) -> None:
    assert client.get("/domains/example.com/lists/greylist").status_code == 400


def test_deleting_needs_an_item(client: httpx.Client) -> None:
    assert client.delete("/domains/example.com/lists/safelist").status_code == 400


# Downstream addresses


def test_downstream_addresses_are_replaced_and_emptied(client: httpx.Client, matches_specification: Matches) -> None:
    path = "/domains/example.com/downstream-address"
    before = client.get(path)

    stored = client.put(path, json={"records": [MAIL_SERVER]})
    listed = client.get(path)
    emptied = client.put(path, json={"records": []})

    assert before.json() == {"records": None}
    assert (stored.status_code, stored.json()) == (201, {"records": [MAIL_SERVER]})
    assert listed.json() == {"records": [MAIL_SERVER]}
    assert (emptied.status_code, emptied.json()) == (201, {"records": []})
    assert client.get(path).json() == {"records": []}
    for response in (before, stored, listed, emptied):
        matches_specification(response)


def test_downstream_addresses_come_in_pages_of_ten(client: httpx.Client) -> None:
    records = [{**MAIL_SERVER, "priority": number} for number in range(12)]
    bulk(client, {"domain": "many.com", "downstreamAddresses": records})

    first = client.get("/domains/many.com/downstream-address")
    second = client.get("/domains/many.com/downstream-address", params={"limit": 5, "offset": 10})

    assert (first.json()["records"], second.json()["records"]) == (records[:10], records[10:])


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "offset=-1"])
def test_a_bad_page_of_downstream_addresses_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/domains/example.com/downstream-address?{query}").status_code == 400


@pytest.mark.parametrize(
    "records",
    [None, {}, [MAIL_SERVER] * 11, [{}], [{**MAIL_SERVER, "target": "a" * 256}], [{**MAIL_SERVER, "weight": -1}]],
)
def test_bad_downstream_addresses_are_refused_and_change_nothing(
    client: httpx.Client, simulator: Simulator, records: object, matches_specification: Matches
) -> None:
    client.put("/domains/example.com/downstream-address", json={"records": [MAIL_SERVER]})

    response = client.put("/domains/example.com/downstream-address", json={"records": records})

    domain = simulator.state.domain("example.com")
    assert response.status_code == 400
    assert domain is not None
    assert domain.downstream_addresses == [MAIL_SERVER]
    matches_specification(response)


def test_ten_downstream_addresses_with_the_longest_target_are_taken(client: httpx.Client) -> None:
    records = [{**MAIL_SERVER, "target": "a" * 255}] * 10

    assert client.put("/domains/example.com/downstream-address", json={"records": records}).status_code == 201


# API keys


def test_a_new_key_takes_the_domain_over(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    client.get("/domains")

    response = client.put("/domains/example.com/api-key", json={"apiKey": "second-key"})

    assert response.status_code == 204
    assert client.get("/domains").json()["total"] == 0
    assert client.get("/domains/example.com/login-link").status_code == 403
    with client_of(simulator, "second-key") as second:
        assert second.get("/domains").json()["total"] == 1
        assert second.get("/domains/example.com/login-link").status_code == 200
    matches_specification(response)


def test_a_domain_moves_between_keys_without_losing_its_place(client: httpx.Client, simulator: Simulator) -> None:
    bulk(client, "second.com", "third.com")
    client.put("/domains/example.com/api-key", json={"apiKey": "second-key"})
    client.get("/domains")

    with client_of(simulator, "second-key") as second:
        assert second.put("/domains/example.com/api-key", json={"apiKey": "demo-key"}).status_code == 204
        listed = [domain["domain"] for domain in second.get("/domains").json()["domains"]]

    assert listed == ["second.com", "third.com"]
    listed = [domain["domain"] for domain in client.get("/domains").json()["domains"]]
    assert listed == ["example.com", "second.com", "third.com"]


def test_listings_of_other_keys_take_no_notice_of_a_domain_that_is_associated_with_one(
    client: httpx.Client, simulator: Simulator
) -> None:
    with client_of(simulator, "second-key") as second, client_of(simulator, "third-key") as third:
        for key in ("second-key", "third-key"):
            simulator.state.add_key(simulator.state.owner_of("demo-key"), key)

        def totals() -> list[int]:
            return [each.get("/domains").json()["total"] for each in (client, second, third)]

        assert totals() == [1, 1, 1]
        bulk(client, "mine.com", **{"associate-key": "true"})
        assert totals() == [2, 1, 1]
        client.put("/domains/mine.com/api-key", json={"apiKey": "second-key"})
        assert totals() == [1, 2, 1]
        second.delete("/domains/mine.com")
        assert totals() == [1, 1, 1]


@pytest.mark.parametrize(("key", "status"), [("", 400), (None, 400), ("a\nb", 400), (1, 400), ("other-key", 403)])
def test_a_key_that_cannot_be_used_is_refused(client: httpx.Client, key: object, status: int) -> None:
    response = client.put("/domains/example.com/api-key", json={"apiKey": key})

    assert response.status_code == status
    assert client.get("/domains/example.com/login-link").status_code == 200


def test_an_associated_domain_is_out_of_reach_for_the_other_keys(client: httpx.Client, simulator: Simulator) -> None:
    client.put("/domains/example.com/api-key", json={"apiKey": "second-key"})

    bulk(client, "mine.com", **{"associate-key": "true"})

    with client_of(simulator, "second-key") as second:
        assert [domain["domain"] for domain in second.get("/domains").json()["domains"]] == ["example.com"]
        assert provision(second, "mine.com").status_code == 403
        (error,) = bulk(second, "mine.com").json()["errors"]
        assert error["code"] == 409
