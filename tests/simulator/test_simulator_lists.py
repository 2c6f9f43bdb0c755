"""Safelists and blocklists: the same three calls for customers, domains and recipients."""

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import Matches, client_of, provision

HOLDERS = ["", "/domains/example.com", "/users/someone%40example.com"]
each_holder = pytest.mark.parametrize("above", HOLDERS)


@pytest.fixture
def client(client: httpx.Client) -> httpx.Client:
    """A client whose account has `example.com` with the recipient `someone@example.com`."""
    provision(client, "example.com")
    put_user(client, "someone@example.com")
    return client


def put_user(client: httpx.Client, address: str) -> None:
    query = {"email_address": address, "admin": "false"}
    assert client.put("/users", params=query).status_code == 201


@each_holder
def test_entries_are_added_listed_and_deleted(client: httpx.Client, above: str, matches_specification: Matches) -> None:
    path = f"{above}/lists/safelist"

    added = [client.post(path, json={"item": item}) for item in ("192.0.2.1", "A@Example.NET", "Bücher.example")]
    listed = client.get(path)
    deleted = client.delete(path, params={"item": "BÜCHER.example"})

    entries = [
        {"action": "safelist", "item": "192.0.2.1", "item_type": "ip_address"},
        {"action": "safelist", "item": "A@example.net", "item_type": "email_address"},
        {"action": "safelist", "item": "xn--bcher-kva.example", "item_type": "domain"},
    ]
    assert [(response.status_code, response.json()) for response in added] == [(201, entry) for entry in entries]
    assert (listed.status_code, listed.json()) == (200, entries)
    assert deleted.status_code == 204
    assert client.get(path).json() == entries[:2]
    for response in (*added, listed, deleted):
        matches_specification(response)


@each_holder
def test_each_holder_has_lists_of_its_own(client: httpx.Client, above: str) -> None:
    client.post(f"{above}/lists/blocklist", json={"item": "foe.com"})

    filled = [other for other in HOLDERS if client.get(f"{other}/lists/blocklist").json() is not None]

    assert filled == [above]
    assert client.get(f"{above}/lists/safelist").json() is None


@each_holder
@pytest.mark.parametrize("body", [{"item": "no such thing"}, {"item": 1}, {}, []])
def test_an_item_that_is_no_address_and_no_domain_is_refused(
    client: httpx.Client, above: str, body: object, matches_specification: Matches
) -> None:
    response = client.post(f"{above}/lists/safelist", json=body)

    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert client.get(f"{above}/lists/safelist").json() is None
    matches_specification(response)


@each_holder
@pytest.mark.parametrize("item", ["unknown.com", "no such thing"])
def test_deleting_what_is_not_there_succeeds(
    client: httpx.Client, above: str, item: str, matches_specification: Matches
) -> None:
    client.post(f"{above}/lists/safelist", json={"item": "friend.com"})

    response = client.delete(f"{above}/lists/safelist", params={"item": item})

    assert response.status_code == 204
    assert len(client.get(f"{above}/lists/safelist").json()) == 1
    matches_specification(response)


def test_the_lists_of_an_account_are_the_same_for_all_its_keys_and_for_no_other_customer(
    client: httpx.Client, simulator: Simulator
) -> None:
    demo = simulator.state.owner_of("demo-key")
    simulator.state.add_key(demo, "second-key")
    simulator.state.add_customer("other", keys=["other-key"])

    client.post("/lists/safelist", json={"item": "friend.com"})

    with client_of(simulator, "second-key") as second, client_of(simulator, "other-key") as other:
        assert len(second.get("/lists/safelist").json()) == 1
        assert other.get("/lists/safelist").json() is None


@pytest.fixture
def out_of_reach(client: httpx.Client, simulator: Simulator) -> None:
    """Recipients in a domain of another customer, in an alias, and in a domain of another key."""
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["theirs"])
    with client_of(simulator, "other-key") as other:
        provision(other, "foreign.com", "theirs")
        put_user(other, "someone@foreign.com")
    provision(client, "aliased.com", aliases=["alias.com"])
    provision(client, "locked.com")
    put_user(client, "someone@locked.com")
    client.put("/domains/locked.com/api-key", json={"apiKey": "second-key"})


@pytest.mark.usefixtures("out_of_reach")
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("nobody@example.com", 404),
        ("nobody@unknown.com", 404),
        ("not an address", 404),
        ("someone@foreign.com", 403),
        ("someone@alias.com", 403),
        ("someone@locked.com", 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_recipient_out_of_reach_is_refused(
    client: httpx.Client, address: str, status: int, method: str, matches_specification: Matches
) -> None:
    query = {"item": "a.com"} if method == "DELETE" else None
    body = {"item": "a.com"} if method == "POST" else None

    response = client.request(method, f"/users/{address}/lists/safelist", params=query, json=body)

    assert (response.status_code, response.json()["code"]) == (status, status)
    matches_specification(response)
