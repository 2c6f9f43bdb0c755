"""Provisioning, listing and deleting domains, one by one and in batches."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import Matches, bulk, client_of, provision

SETTINGS = {
    "abusePolicy": "flag",
    "abusePolicyOverride": True,
    "spamHeaderName": "X-Spam",
    "spamHeaderValue": "yes",
}
MAIL_SERVER = {"priority": 10, "weight": 5, "port": 25, "target": "mx.example.com."}
OTHER_SERVER = {"priority": 20, "weight": 5, "port": 2525, "target": "mx2.example.com."}
SECTIONS: dict[str, Any] = {
    "settings": SETTINGS,
    "admins": ["admin@example.com"],
    "aliases": ["alias.example.net"],
    "downstreamAddresses": [MAIL_SERVER],
}


@pytest.fixture
def other(simulator: Simulator) -> Iterator[httpx.Client]:
    """A client of another customer, who owns `foreign.com` with the alias `alias.foreign.com`."""
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["theirs"])
    with client_of(simulator, "other-key") as client:
        assert provision(client, "foreign.com", "theirs", aliases=["alias.foreign.com"]).status_code == 201
        yield client


def names(response: httpx.Response) -> list[str]:
    return [domain["domain"] for domain in response.json()["domains"]]


# One domain


def test_a_new_domain_is_created_as_it_was_sent(client: httpx.Client, matches_specification: Matches) -> None:
    response = provision(client, "example.com", **SECTIONS)

    assert response.status_code == 201
    assert response.json() == {"domain": "example.com", "subscriptionHandle": "demo", **SECTIONS}
    matches_specification(response)


def test_lists_that_were_never_set_come_back_as_null(client: httpx.Client, matches_specification: Matches) -> None:
    response = provision(client, "example.com")

    body = response.json()
    assert (body["admins"], body["aliases"], body["downstreamAddresses"]) == (None, None, None)
    assert "settings" not in body
    matches_specification(response)


def test_an_existing_domain_answers_200_and_keeps_what_it_has(
    client: httpx.Client, matches_specification: Matches
) -> None:
    provision(client, "example.com", **SECTIONS)

    response = provision(client, "example.com", admins=["new@example.com"])

    assert response.status_code == 200
    assert response.json()["admins"] == ["admin@example.com"]
    matches_specification(response)


def test_overwrite_sets_what_was_sent_empties_what_is_empty_and_carries_the_rest_forward(client: httpx.Client) -> None:
    provision(client, "example.com", **SECTIONS)

    response = client.post(
        "/domains",
        params={"overwrite": "true"},
        json={"domain": "example.com", "subscriptionHandle": "demo", "admins": ["new@example.com"], "aliases": []},
    )

    assert response.status_code == 200
    assert response.json() == {
        "domain": "example.com",
        "subscriptionHandle": "demo",
        **SECTIONS,
        "admins": ["new@example.com"],
        "aliases": [],
    }


@pytest.mark.parametrize(
    "spelling", ["bücher.example", "BÜCHER.example.", "XN--BCHER-KVA.example", "bu\u0308cher.example"]
)
def test_every_spelling_of_a_name_is_the_same_domain(client: httpx.Client, simulator: Simulator, spelling: str) -> None:
    provision(client, "xn--bcher-kva.example")

    response = provision(client, spelling)

    assert (response.status_code, response.json()["domain"]) == (200, "xn--bcher-kva.example")
    assert simulator.state.domain_count() == 1


@pytest.mark.parametrize(
    "name", ["", ".", "a..com", "-a.com", "a-.com", "a_b.com", "a b.com", "ab--cd.com", "xn--a.com", "a" * 64, "☃.com"]
)
def test_an_invalid_name_is_refused(client: httpx.Client, name: str, matches_specification: Matches) -> None:
    response = provision(client, name)

    assert (response.status_code, response.json()["code"]) == (400, 400)
    matches_specification(response)


def test_a_name_may_be_253_characters_long_and_no_longer(client: httpx.Client) -> None:
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])

    assert provision(client, longest).status_code == 201
    assert provision(client, longest + "d").status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": 1},
        {"subscriptionHandle": 1},
        {"subscriptionHandle": None},
        {"settings": []},
        {"settings": {"abusePolicy": "explode"}},
        {"settings": {"abusePolicyOverride": "yes"}},
        {"settings": {"spamHeaderName": ""}},
        {"admins": "admin@example.com"},
        {"aliases": [1]},
        {"downstreamAddresses": {}},
        {"downstreamAddresses": ["mx.example.com"]},
        {"downstreamAddresses": [{**MAIL_SERVER, "priority": -1}]},
        {"downstreamAddresses": [{**MAIL_SERVER, "port": "25"}]},
        {"downstreamAddresses": [{**MAIL_SERVER, "weight": True}]},
        {"downstreamAddresses": [{**MAIL_SERVER, "target": "a" * 256}]},
    ],
)
def test_wrong_types_are_refused_alone_and_in_a_batch(
    client: httpx.Client, simulator: Simulator, wrong: dict[str, object]
) -> None:
    item = {"domain": "example.com", **wrong}

    assert client.post("/domains", json={"subscriptionHandle": "demo", **item}).status_code == 400
    if "subscriptionHandle" not in wrong:
        assert bulk(client, "good.com", item).status_code == 400
    assert simulator.state.domain_count() == 0


def test_a_setting_may_be_null(client: httpx.Client, matches_specification: Matches) -> None:
    response = provision(client, "example.com", settings={"abusePolicy": None, "spamHeaderName": None})

    assert response.json()["settings"] == {"abusePolicy": None, "spamHeaderName": None}
    matches_specification(response)


def test_keys_that_the_api_does_not_know_are_dropped(client: httpx.Client) -> None:
    response = provision(
        client, "example.com", settings={**SETTINGS, "x": 1}, downstreamAddresses=[{**MAIL_SERVER, "x": 1}]
    )

    assert response.json()["settings"] == SETTINGS
    assert response.json()["downstreamAddresses"] == [MAIL_SERVER]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"null", b"\xff"])
@pytest.mark.parametrize("path", ["/domains", "/domains/batch?subscriptionHandle=demo", "/domains/batch/login-link"])
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, path: str, content: bytes) -> None:
    assert client.post(path, content=content).status_code == 400


def test_a_subscription_that_is_not_your_own_is_refused(
    client: httpx.Client, other: httpx.Client, matches_specification: Matches
) -> None:
    response = provision(client, "example.com", "theirs")

    assert (response.status_code, response.json()["code"]) == (403, 403)
    matches_specification(response)


def test_a_full_subscription_takes_no_new_domain_but_known_ones(client: httpx.Client, simulator: Simulator) -> None:
    provision(client, "first.com")
    simulator.state.set_domain_limit("demo", 1)

    assert provision(client, "second.com").status_code == 403
    assert provision(client, "first.com").status_code == 200


def test_a_domain_of_another_customer_is_a_conflict(
    client: httpx.Client, other: httpx.Client, matches_specification: Matches
) -> None:
    response = provision(client, "foreign.com")

    assert (response.status_code, response.json()["code"]) == (409, 409)
    matches_specification(response)


def test_a_name_in_use_as_an_alias_is_a_conflict(client: httpx.Client, other: httpx.Client) -> None:
    assert provision(client, "alias.foreign.com").status_code == 409


def test_aliases_that_are_taken_leave_the_section_as_it_was(client: httpx.Client, other: httpx.Client) -> None:
    response = provision(client, "example.com", aliases=["mine.example", "alias.foreign.com"])

    assert (response.status_code, response.json()["aliases"]) == (201, None)
    assert provision(client, "mine.example").status_code == 201


def test_an_alias_that_was_dropped_is_free_again(client: httpx.Client) -> None:
    provision(client, "example.com", aliases=["old.example"])

    bulk(client, {"domain": "example.com", "aliases": ["new.example"]}, overwrite="true")

    assert provision(client, "old.example").status_code == 201
    assert provision(client, "new.example").status_code == 409


def test_an_asked_for_failure_answers_500_once(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    simulator.state.fail_next("example.com")

    response = provision(client, "example.com")

    assert (response.status_code, response.json()["code"]) == (500, 500)
    assert provision(client, "example.com").status_code == 201
    matches_specification(response)


def test_a_failure_may_be_asked_for_several_times(client: httpx.Client, simulator: Simulator) -> None:
    simulator.state.fail_next("example.com", times=2)

    assert [provision(client, "example.com").status_code for _ in range(3)] == [500, 500, 201]


def test_aliases_that_are_sent_again_stay(client: httpx.Client, simulator: Simulator) -> None:
    provision(client, "example.com", **SECTIONS)

    assert client.put("/domains/example.com/settings", json={"aliases": SECTIONS["aliases"]}).status_code == 200

    assert provision(client, "alias.example.net").status_code == 409
    domain = simulator.state.domain("example.com")
    assert domain is not None
    assert (domain.aliases, domain.admins) == (SECTIONS["aliases"], SECTIONS["admins"])


# Batches


def test_a_batch_says_in_a_comment_which_domains_were_there(
    client: httpx.Client, matches_specification: Matches
) -> None:
    provision(client, "old.com")

    response = bulk(client, "new.com", "old.com", "NEW.com")

    assert response.status_code == 200
    found = [(item["domain"]["domain"], item["code"], item["comment"]) for item in response.json()["successes"]]
    assert found == [
        ("new.com", 201, "created"),
        ("old.com", 201, "already provisioned"),
        ("new.com", 201, "already provisioned"),
    ]
    assert response.json()["errors"] == []
    matches_specification(response)


def test_a_batch_reports_each_item_that_failed(
    client: httpx.Client, other: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    simulator.state.fail_next("broken.com")

    response = bulk(client, "good.com", "foreign.com", "broken.com", "xn--a.com")

    body = response.json()
    assert [item["domain"]["domain"] for item in body["successes"]] == ["good.com"]
    failed = {item["domain"]["domain"]: item["code"] for item in body["errors"]}
    assert failed == {"foreign.com": 409, "broken.com": 500, "xn--a.com": 400}
    matches_specification(response)


def test_one_invalid_name_fails_the_whole_batch(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    response = bulk(client, "good.com", "bad name.com")

    assert response.status_code == 400
    assert simulator.state.domain_count() == 0
    matches_specification(response)


def test_a_batch_that_exceeds_the_quota_provisions_nothing(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    simulator.state.set_domain_limit("demo", 2)

    response = bulk(client, "one.com", "two.com", "three.com")

    assert response.status_code == 403
    assert simulator.state.domain_count() == 0
    matches_specification(response)


def test_names_given_twice_or_owned_already_do_not_count_towards_the_quota(
    client: httpx.Client, simulator: Simulator
) -> None:
    simulator.state.set_domain_limit("demo", 2)
    provision(client, "one.com")

    assert bulk(client, "one.com", "two.com", "TWO.com").status_code == 200
    assert simulator.state.subscription("demo").count == 2


def test_a_batch_against_a_subscription_that_is_not_your_own_provisions_nothing(
    client: httpx.Client, other: httpx.Client, simulator: Simulator
) -> None:
    assert bulk(client, "good.com", handle="theirs").status_code == 403
    assert simulator.state.domain("good.com") is None


def test_a_batch_needs_a_subscription_handle(client: httpx.Client) -> None:
    assert client.post("/domains/batch", json={"domains": []}).status_code == 400


def test_a_batch_may_have_a_thousand_items_and_no_more(client: httpx.Client) -> None:
    many = [f"domain-{number}.com" for number in range(1001)]

    assert bulk(client, *many).status_code == 400
    assert len(bulk(client, *many[:1000]).json()["successes"]) == 1000


def test_a_batch_sets_the_sections_of_its_items(client: httpx.Client) -> None:
    response = bulk(client, {"domain": "example.com", **SECTIONS})

    (item,) = response.json()["successes"]
    assert item["domain"] == {"domain": "example.com", "subscriptionHandle": "demo", **SECTIONS}


def test_a_batch_names_the_section_that_could_not_be_set(client: httpx.Client) -> None:
    response = bulk(client, {"domain": "example.com", "admins": ["nobody"], "aliases": ["not a name"]})

    (item,) = response.json()["successes"]
    assert (item["domain"]["admins"], item["domain"]["aliases"]) == (None, None)
    assert "admins" in item["comment"]
    assert "aliases" in item["comment"]


@pytest.mark.parametrize(
    ("read", "singular", "plural"),
    [("both", True, True), ("downstreamAddress", True, False), ("downstreamAddresses", False, True)],
)
def test_the_downstream_addresses_of_a_bulk_item_are_read_from_the_keys_asked_for(
    read: str, singular: bool, plural: bool
) -> None:
    with Simulator(bulk_downstream_key=read) as simulator, client_of(simulator) as client:  # type: ignore[arg-type]
        bulk(
            client,
            {"domain": "singular.com", "downstreamAddress": [MAIL_SERVER]},
            {"domain": "plural.com", "downstreamAddresses": [MAIL_SERVER]},
        )
        stored = {
            domain["domain"]: domain["downstreamAddresses"] for domain in client.get("/domains").json()["domains"]
        }

    assert stored == {
        "singular.com": [MAIL_SERVER] if singular else None,
        "plural.com": [MAIL_SERVER] if plural else None,
    }


# Listing and deleting


def test_listing_pages_in_order_of_creation(client: httpx.Client, matches_specification: Matches) -> None:
    bulk(client, *(f"domain-{number}.com" for number in range(12)))

    first, rest = client.get("/domains"), client.get("/domains", params={"limit": 5, "offset": 10})

    assert names(first) == [f"domain-{number}.com" for number in range(10)]
    assert names(rest) == ["domain-10.com", "domain-11.com"]
    assert first.json()["total"] == rest.json()["total"] == 12
    matches_specification(first)


def test_listing_follows_what_is_created_and_deleted_between_pages(client: httpx.Client) -> None:
    bulk(client, "a.com", "b.com", "c.com")
    client.get("/domains")

    client.delete("/domains/b.com")
    provision(client, "d.com")
    provision(client, "b.com")

    assert names(client.get("/domains")) == ["a.com", "c.com", "d.com", "b.com"]


@pytest.mark.parametrize("separator", [",", "&domains="])
def test_listing_can_be_narrowed_to_names(client: httpx.Client, separator: str) -> None:
    created = [f"domain-{number}.com" for number in range(40)]
    bulk(client, *created)
    asked = [*reversed(created[:20]), "DOMAIN-1.com", "unknown.com"]

    response = client.get(f"/domains?limit=100&domains={separator.join(asked)}")

    assert names(response) == created[:20]
    assert response.json()["total"] == 20


def test_listing_no_names_at_all_finds_nothing(client: httpx.Client) -> None:
    provision(client, "a.com")

    assert client.get("/domains?domains=").json() == {"domains": [], "total": 0}


@pytest.mark.parametrize(
    "query", ["limit=5001", "limit=-1", "limit=ten", "limit=", "offset=-1", "offset=1.5", "offset=2147483648"]
)
def test_a_bad_page_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"/domains?{query}").status_code == 400


def test_listing_refuses_an_invalid_name(client: httpx.Client, matches_specification: Matches) -> None:
    response = client.get("/domains?domains=xn--a.com")

    assert response.status_code == 400
    matches_specification(response)


def test_listing_shows_nothing_of_other_customers(client: httpx.Client, other: httpx.Client) -> None:
    provision(client, "mine.com")

    assert names(client.get("/domains")) == ["mine.com"]
    assert names(client.get("/domains?domains=foreign.com,mine.com")) == ["mine.com"]


def test_a_flag_must_be_true_or_false(client: httpx.Client) -> None:
    body = {"domain": "example.com", "subscriptionHandle": "demo"}

    assert client.post("/domains?overwrite=maybe", json=body).status_code == 400


def test_a_deleted_domain_is_gone_and_frees_its_place_and_its_aliases(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    provision(client, "example.com", aliases=["alias.com"])

    response = client.delete("/domains/example.com")

    assert response.status_code == 204
    assert client.delete("/domains/example.com").status_code == 404
    assert simulator.state.subscription().count == 0
    assert provision(client, "alias.com").status_code == 201
    matches_specification(response)
