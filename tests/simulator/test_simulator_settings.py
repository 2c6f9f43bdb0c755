"""Aliases and settings of one domain."""

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import Matches, client_of, provision

MAIL_SERVER = {"priority": 10, "weight": 5, "port": 25, "target": "mx.example.com."}


@pytest.fixture
def client(client: httpx.Client, simulator: Simulator) -> httpx.Client:
    """A client whose account has `example.com`, beside another customer's `foreign.com` alias `alias.foreign.com`."""
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["theirs"])
    with client_of(simulator, "other-key") as other:
        provision(other, "foreign.com", "theirs", aliases=["alias.foreign.com"])
    provision(client, "example.com", aliases=["old.com"])
    return client


# Aliases


def test_an_alias_is_added_to_the_others(client: httpx.Client, matches_specification: Matches) -> None:
    response = client.post("/domains/example.com/alias/B%C3%BCcher.example.")

    body = response.json()
    assert (response.status_code, body["alias"]) == (200, "xn--bcher-kva.example")
    assert (body["domain"]["domain"], body["domain"]["aliases"]) == (
        "example.com",
        ["old.com", "xn--bcher-kva.example"],
    )
    assert provision(client, "xn--bcher-kva.example").status_code == 409
    matches_specification(response)


@pytest.mark.parametrize("alias", ["old.com", "OLD.com", "alias.foreign.com", "foreign.com", "mine.com", "example.com"])
def test_an_alias_that_is_in_use_is_a_conflict(
    client: httpx.Client, alias: str, matches_specification: Matches
) -> None:
    provision(client, "mine.com")

    response = client.post(f"/domains/example.com/alias/{alias}")

    assert (response.status_code, response.json()["code"]) == (409, 409)
    assert provision(client, "example.com").json()["aliases"] == ["old.com"]
    matches_specification(response)


@pytest.mark.parametrize("alias", ["not%20a%20name", "xn--a.com", "a" * 64])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_alias_that_is_no_name_is_refused(
    client: httpx.Client, method: str, alias: str, matches_specification: Matches
) -> None:
    response = client.request(method, f"/domains/example.com/alias/{alias}")

    assert (response.status_code, response.json()["code"]) == (400, 400)
    matches_specification(response)


def test_a_deleted_alias_is_free_again(client: httpx.Client, matches_specification: Matches) -> None:
    response = client.delete("/domains/example.com/alias/OLD.com")

    assert (response.status_code, response.content) == (204, b"")
    assert provision(client, "example.com").json()["aliases"] == []
    assert provision(client, "old.com").status_code == 201
    matches_specification(response)


@pytest.mark.parametrize("alias", ["never.com", "alias.foreign.com", "example.com"])
def test_deleting_what_is_no_alias_of_the_domain_is_not_found(
    client: httpx.Client, simulator: Simulator, alias: str, matches_specification: Matches
) -> None:
    response = client.delete(f"/domains/example.com/alias/{alias}")

    foreign = simulator.state.domain("foreign.com")
    assert (response.status_code, response.json()["code"]) == (404, 404)
    assert foreign is not None
    assert foreign.aliases == ["alias.foreign.com"]
    matches_specification(response)


# Settings


def test_settings_are_set_one_by_one_and_null_sets_back(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    client.put("/domains/example.com/settings", json={"abusePolicy": "flag", "spamHeaderName": "X-Spam"})

    response = client.put("/domains/example.com/settings", json={"abusePolicy": None, "abusePolicyOverride": True})

    domain = simulator.state.domain("example.com")
    assert (response.status_code, response.content) == (200, b"")
    assert domain is not None
    assert domain.settings == {"abusePolicy": None, "abusePolicyOverride": True, "spamHeaderName": "X-Spam"}
    assert domain.aliases == ["old.com"]
    matches_specification(response)


def test_the_other_sections_can_be_set_with_them(client: httpx.Client, matches_specification: Matches) -> None:
    sections = {"admins": ["admin@example.com"], "aliases": ["new.com"], "downstreamAddresses": [MAIL_SERVER]}

    response = client.put("/domains/example.com/settings", json={"spamHeaderValue": "yes", **sections})

    (stored,) = client.get("/domains").json()["domains"]
    assert response.status_code == 200
    assert stored == {
        "domain": "example.com",
        "subscriptionHandle": "demo",
        "settings": {"spamHeaderValue": "yes"},
        **sections,
    }
    assert provision(client, "old.com").status_code == 201
    matches_specification(response)


@pytest.mark.parametrize(
    "wrong",
    [
        {"abusePolicy": "explode"},
        {"spamHeaderName": ""},
        {"admins": ["nobody"]},
        {"aliases": ["not a name"]},
        {"aliases": ["alias.foreign.com"]},
        {"downstreamAddresses": [{}]},
        {"downstreamAddresses": "mx.example.com"},
    ],
)
def test_one_bad_section_is_refused_and_nothing_is_set(
    client: httpx.Client, wrong: dict[str, object], matches_specification: Matches
) -> None:
    before = client.get("/domains").json()
    good = {"spamHeaderValue": "yes", "admins": ["a@example.com"], "aliases": [], "downstreamAddresses": []}

    response = client.put("/domains/example.com/settings", json={**good, **wrong})

    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert client.get("/domains").json() == before
    matches_specification(response)
