"""What is peculiar to the domains module on the wire: sections, names, settings, aliases, pages and handing over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import respx
from contract import BY_NAME
from contract.case import KEY, body_of, gathered, sent
from contract.domains import FULL, STORED

from mailchannels import (
    AsyncDomains,
    AsyncMailChannels,
    Conflict,
    Domain,
    DomainPage,
    DomainSettings,
    Forbidden,
    ProvisionedDomain,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.fixture
def domains(once: AsyncMailChannels) -> AsyncDomains:
    """The domains module of a client that repeats nothing."""
    return once.domains


# --- requests


@pytest.mark.asyncio
async def test_none_is_never_sent(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=STORED)

    await domains.provision(Domain("example.com", subscription_handle="basic"))

    assert sent(api) == ["/domains"]
    assert body_of(api) == {"domain": "example.com", "subscriptionHandle": "basic"}


@pytest.mark.asyncio
async def test_none_is_never_sent_in_a_batch(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json={})

    await domains.bulk_provision(["example.com"], subscription_handle="basic")

    assert sent(api) == ["/domains/batch?subscriptionHandle=basic"]
    assert body_of(api) == {"domains": [{"domain": "example.com"}]}


@pytest.mark.asyncio
async def test_only_the_settings_that_are_set_are_sent(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=STORED)

    await domains.provision(Domain("example.com", "basic", settings=DomainSettings(abuse_policy_override=False)))

    assert body_of(api)["settings"] == {"abusePolicyOverride": False}


@pytest.mark.asyncio
async def test_empty_lists_are_sent_so_that_they_empty_what_is_stored(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=STORED)

    await domains.provision(Domain("example.com", "basic", admins=[], downstream_addresses=[], aliases=[]))

    assert body_of(api) == {
        "domain": "example.com", "subscriptionHandle": "basic", "admins": [], "downstreamAddresses": [], "aliases": [],
    }  # fmt: skip


@pytest.mark.asyncio
async def test_empty_lists_are_sent_in_a_batch_under_both_keys(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json={})
    emptied = Domain("example.com", admins=[], downstream_addresses=[], aliases=[])

    await domains.bulk_provision([emptied], subscription_handle="basic")

    (item,) = body_of(api)["domains"]
    assert item == {
        "domain": "example.com", "admins": [], "downstreamAddresses": [], "downstreamAddress": [], "aliases": [],
    }  # fmt: skip


@pytest.mark.asyncio
async def test_no_downstream_addresses_are_an_empty_list_of_records(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(201, json={"records": None})

    stored = await domains.set_downstream_address("example.com", [])

    assert body_of(api) == {"records": []}
    assert stored == []


@pytest.mark.asyncio
async def test_what_was_provisioned_can_be_provisioned_again(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(201, json=STORED)
    stored = await domains.provision(FULL)

    await domains.provision(stored)

    assert body_of(api) == STORED


@pytest.mark.asyncio
async def test_a_domain_of_the_caller_is_left_as_it_is(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=STORED)
    given = Domain("Bücher.Example.", "basic")

    await domains.provision(given)

    assert body_of(api)["domain"] == "xn--bcher-kva.example"
    assert given == Domain("Bücher.Example.", "basic")


@pytest.mark.parametrize(
    ("name", "call", "target"),
    [
        ("delete", lambda domains: domains.delete("Bücher.Example."), "/domains/xn--bcher-kva.example"),
        (
            "list_entries",
            lambda domains: domains.list_entries("BÜCHER.example", "blocklist"),
            "/domains/xn--bcher-kva.example/lists/blocklist",
        ),
        (
            "create_login_link",
            lambda domains: domains.create_login_link("bücher.example"),
            "/domains/xn--bcher-kva.example/login-link",
        ),
        (
            "list_downstream_addresses",
            lambda domains: domains.list_downstream_addresses("bücher。example"),
            "/domains/xn--bcher-kva.example/downstream-address",
        ),
        (
            "create_alias",
            lambda domains: domains.create_alias("bücher.example", "BÜCHER.Example."),
            "/domains/xn--bcher-kva.example/alias/xn--bcher-kva.example",
        ),
        (
            "delete_alias",
            lambda domains: domains.delete_alias("Bücher.example", "BÜCHER.example"),
            "/domains/xn--bcher-kva.example/alias/xn--bcher-kva.example",
        ),
        (
            "update_settings",
            lambda domains: domains.update_settings("bücher.example", admins=[]),
            "/domains/xn--bcher-kva.example/settings",
        ),
    ],
)
@pytest.mark.asyncio
async def test_an_international_name_stands_in_the_path_as_a_labels(
    name: str,
    call: Callable[[AsyncDomains], Awaitable[object]],
    target: str,
    domains: AsyncDomains,
    api: respx.Route,
) -> None:
    api.return_value = BY_NAME[f"domains.{name}"].answered()

    await call(domains)

    assert sent(api) == [target]


@pytest.mark.asyncio
async def test_a_subscription_handle_reaches_the_query_to_the_letter(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json={})

    await domains.bulk_provision(["example.com"], subscription_handle="a&b=c d+é")

    assert sent(api) == ["/domains/batch?subscriptionHandle=a%26b%3Dc%20d%2B%C3%A9"]


# --- values


@pytest.mark.parametrize(("status", "created"), [(200, False), (201, True)])
@pytest.mark.asyncio
async def test_the_status_tells_a_new_domain_from_an_existing_one(
    status: int, created: bool, domains: AsyncDomains, api: respx.Route
) -> None:
    api.return_value = httpx.Response(status, json=STORED)

    assert (await domains.provision(FULL)).created is created


@pytest.mark.asyncio
async def test_null_sections_are_none(domains: AsyncDomains, api: respx.Route) -> None:
    nothing = {"settings": None, "admins": None, "downstreamAddresses": None, "aliases": None}
    api.return_value = httpx.Response(200, json={"domain": "example.com", "subscriptionHandle": None, **nothing})

    stored = await domains.provision(FULL)

    assert stored == ProvisionedDomain("example.com", created=False)


@pytest.mark.asyncio
async def test_missing_sections_are_none(domains: AsyncDomains, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json={"domain": "example.com"})

    assert await domains.provision(FULL) == ProvisionedDomain("example.com", created=False)


@pytest.mark.asyncio
async def test_null_settings_are_none_one_by_one(domains: AsyncDomains, api: respx.Route) -> None:
    settings = {"abusePolicy": None, "abusePolicyOverride": None, "spamHeaderName": None, "spamHeaderValue": None}
    api.return_value = httpx.Response(200, json={"domain": "example.com", "settings": settings})

    assert (await domains.provision(FULL)).settings == DomainSettings()


@pytest.mark.asyncio
async def test_what_the_api_adds_one_day_is_no_error(domains: AsyncDomains, api: respx.Route) -> None:
    answer = {"domain": "example.com", "settings": {"abusePolicy": "shred", "new": 1}, "new": {"deep": []}}
    api.return_value = httpx.Response(200, json=answer)

    settings = (await domains.provision(FULL)).settings

    assert settings is not None
    assert str(settings.abuse_policy) == "shred"


# --- listing


def listing(stored: list[str]) -> Callable[[httpx.Request], httpx.Response]:
    """A server that holds these domains and pages through those of them that a query names."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}
        asked = query.get("domains")
        found = stored if asked is None else [name for name in asked.split(",") if name in stored]
        start, count = int(query.get("offset", 0)), int(query.get("limit", 10))
        page = [{"domain": name} for name in found[start : start + count]]
        return httpx.Response(200, json={"domains": page, "total": len(found)})

    return answer


def names_of(length: int, *, count: int) -> list[str]:
    """Different names of one length."""
    return [f"{i:03}{'.'.join(['x' * 49] * 5)}"[: length - 8] + ".example" for i in range(count)]


NAMES: Final = names_of(50, count=200)  # 10,199 characters with their commas: three requests


@pytest.mark.asyncio
async def test_an_empty_list_of_names_takes_no_request(domains: AsyncDomains, api: respx.Route) -> None:
    assert await domains.list(domains=[]) == DomainPage([], 0)
    assert not api.called


@pytest.mark.asyncio
async def test_going_through_an_empty_list_of_names_takes_no_request(domains: AsyncDomains, api: respx.Route) -> None:
    assert await gathered(domains.iter_list(domains=[])) == []
    assert not api.called


@pytest.mark.asyncio
async def test_a_name_asked_for_twice_is_sent_once_and_as_a_labels(domains: AsyncDomains, api: respx.Route) -> None:
    api.side_effect = listing([])

    await domains.list(domains=["bücher.example", "a.example", "BÜCHER.example."])

    assert sent(api) == ["/domains?domains=xn--bcher-kva.example,a.example"]


@pytest.mark.parametrize("count", [1, 75, 76, 77, 78, 200])
@pytest.mark.asyncio
async def test_no_address_grows_beyond_four_thousand_characters(
    count: int, domains: AsyncDomains, api: respx.Route
) -> None:
    names = names_of(50, count=count)
    api.side_effect = listing(names)

    await domains.list(domains=names, limit=5000, offset=0)

    lengths = [len(str(call.request.url)) for call in api.calls]
    assert max(lengths) <= 4000
    assert min(lengths[:-1], default=4000) > 3900  # none is cut short without need


@pytest.mark.asyncio
async def test_many_names_are_asked_for_in_several_requests(domains: AsyncDomains, api: respx.Route) -> None:
    api.side_effect = listing(NAMES)

    await domains.list(domains=NAMES, limit=5000)

    parts = [parse_qs(urlsplit(target).query)["domains"][0] for target in sent(api)]
    assert [len(part) <= 4000 for part in parts] == [True] * 3
    assert ",".join(parts).split(",") == NAMES


@pytest.mark.parametrize(
    ("limit", "offset"),
    [(None, None), (5, None), (None, 75), (100, 0), (10, 74), (120, 60), (5000, 0), (10, 195), (10, 200), (10, 500)],
)
@pytest.mark.asyncio
async def test_limit_and_offset_count_across_the_parts_of_a_query(
    limit: int | None, offset: int | None, domains: AsyncDomains, api: respx.Route
) -> None:
    api.side_effect = listing(NAMES)

    page = await domains.list(domains=NAMES, limit=limit, offset=offset)

    start, count = offset or 0, limit or 10
    assert [domain.domain for domain in page.domains] == NAMES[start : start + count]
    assert page.total == len(NAMES)


@pytest.mark.asyncio
async def test_going_through_many_names_gives_each_once(domains: AsyncDomains, api: respx.Route) -> None:
    api.side_effect = listing(NAMES[::2])

    found = await gathered(domains.iter_list(domains=NAMES, page_size=7))

    assert [domain.domain for domain in found] == NAMES[::2]


@pytest.mark.asyncio
async def test_a_listing_is_read_page_by_page_to_its_total(domains: AsyncDomains, api: respx.Route) -> None:
    api.side_effect = listing([f"{i}.example" for i in range(7)])

    found = await gathered(domains.iter_list(page_size=3))

    assert [domain.domain for domain in found] == [f"{i}.example" for i in range(7)]
    assert sent(api) == [f"/domains?limit=3&offset={offset}" for offset in (0, 3, 6)]


@pytest.mark.asyncio
async def test_a_listing_that_ends_with_a_full_page_takes_no_further_request(
    domains: AsyncDomains, api: respx.Route
) -> None:
    api.side_effect = listing(["a.example", "b.example"])

    await gathered(domains.iter_list(page_size=2))

    assert len(api.calls) == 1


@pytest.mark.asyncio
async def test_a_domain_that_shifts_onto_the_next_page_is_given_once(domains: AsyncDomains, api: respx.Route) -> None:
    pages = [["a.example", "b.example"], ["b.example", "c.example"], ["d.example"]]
    api.side_effect = [
        httpx.Response(200, json={"domains": [{"domain": name} for name in page], "total": 5}) for page in pages
    ]

    found = await gathered(domains.iter_list(page_size=2))

    assert [domain.domain for domain in found] == ["a.example", "b.example", "c.example", "d.example"]


@pytest.mark.asyncio
async def test_a_listing_that_runs_dry_before_its_total_ends(domains: AsyncDomains, api: respx.Route) -> None:
    api.side_effect = [
        httpx.Response(200, json={"domains": [{"domain": "a.example"}], "total": 5}),
        httpx.Response(200, json={"domains": [], "total": 5}),
    ]

    assert await gathered(domains.iter_list(page_size=1)) == [Domain("a.example")]


@pytest.mark.asyncio
async def test_leaving_a_listing_early_asks_for_no_further_page(domains: AsyncDomains, api: respx.Route) -> None:
    api.side_effect = listing([f"{i}.example" for i in range(7)])
    results = domains.iter_list(page_size=3)

    await anext(results)
    await results.aclose()

    assert len(api.calls) == 1


@pytest.mark.parametrize(("stored", "offsets"), [(0, [0]), (1, [0]), (2, [0, 2]), (5, [0, 2, 4])])
@pytest.mark.asyncio
async def test_downstream_addresses_are_read_until_a_short_page(
    stored: int, offsets: list[int], domains: AsyncDomains, api: respx.Route
) -> None:
    addresses = [{"priority": i, "weight": 0, "port": 25, "target": "mx.example.net."} for i in range(stored)]
    api.side_effect = lambda request: httpx.Response(
        200, json={"records": addresses[int(request.url.params["offset"]) :][: int(request.url.params["limit"])]}
    )

    found = await gathered(domains.iter_list_downstream_addresses("example.com", page_size=2))

    assert [address.priority for address in found] == [*range(stored)]
    assert sent(api) == [f"/domains/example.com/downstream-address?limit=2&offset={offset}" for offset in offsets]


# --- repeats


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.Response(500), httpx.Response(504)])
@pytest.mark.asyncio
async def test_a_403_on_the_repeat_of_a_new_api_key_may_have_been_applied(
    lost: httpx.Response | Exception, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [lost, httpx.Response(403, json={"message": "another key's"})]

    with pytest.raises(Forbidden, match="may have been applied") as caught:
        await repeating.domains.update_api_key("example.com", "the-new-key")

    assert caught.value.maybe_applied is True


@pytest.mark.asyncio
async def test_a_403_at_once_has_not_been_applied(repeating: AsyncMailChannels, api: respx.Route) -> None:
    api.return_value = httpx.Response(403)

    with pytest.raises(Forbidden) as caught:
        await repeating.domains.update_api_key("example.com", "the-new-key")

    assert caught.value.maybe_applied is False


# --- settings


ADDRESS: Final = {"priority": 10, "weight": 20, "port": 25, "target": "mx.example.net."}
UPDATES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "one setting": ({"settings": DomainSettings("block")}, {"abusePolicy": "block"}),
    "every setting": (
        {"settings": FULL.settings},
        {"abusePolicy": "flag", "abusePolicyOverride": True, "spamHeaderName": "X-Spam", "spamHeaderValue": "yes"},
    ),
    "a setting that is False": (
        {"settings": DomainSettings(abuse_policy_override=False)},
        {"abusePolicyOverride": False},
    ),
    "admins": ({"admins": ["root@example.com"]}, {"admins": ["root@example.com"]}),
    "no admins": ({"admins": []}, {"admins": []}),
    "addresses": ({"downstream_addresses": FULL.downstream_addresses}, {"downstreamAddresses": [ADDRESS]}),
    "no addresses": ({"downstream_addresses": []}, {"downstreamAddresses": []}),
    "aliases": ({"aliases": ["Bücher.Example."]}, {"aliases": ["xn--bcher-kva.example"]}),
    "no aliases": ({"aliases": []}, {"aliases": []}),
    "one reset": ({"reset": ["abuse_policy"]}, {"abusePolicy": None}),
    "every reset": (
        {"reset": ["abuse_policy", "abuse_policy_override", "spam_header_name", "spam_header_value"]},
        {"abusePolicy": None, "abusePolicyOverride": None, "spamHeaderName": None, "spamHeaderValue": None},
    ),
    "a reset named twice": ({"reset": ["abuse_policy"] * 2}, {"abusePolicy": None}),
    "a reset beside another setting": (
        {"settings": DomainSettings("flag"), "reset": ("spam_header_name",)},
        {"abusePolicy": "flag", "spamHeaderName": None},
    ),
    "tuples": ({"admins": ("root@example.com",), "aliases": ()}, {"admins": ["root@example.com"], "aliases": []}),
}


@pytest.mark.parametrize(("arguments", "body"), UPDATES.values(), ids=UPDATES)
@pytest.mark.asyncio
async def test_an_update_says_what_changes_and_nothing_else(
    arguments: dict[str, Any], body: dict[str, Any], domains: AsyncDomains, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200)

    await domains.update_settings("example.com", **arguments)

    assert body_of(api) == body


# --- aliases


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.Response(500), httpx.Response(504)])
@pytest.mark.asyncio
async def test_a_409_on_the_repeat_of_a_new_alias_may_have_been_applied(
    lost: httpx.Response | Exception, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [lost, httpx.Response(409, json={"message": "alias already exists"})]

    with pytest.raises(Conflict, match="may have been applied") as caught:
        await repeating.domains.create_alias("example.com", "alias.example")

    assert caught.value.maybe_applied is True
    assert len(api.calls) == 2


@pytest.mark.parametrize("earlier", [[], [httpx.Response(503)], [httpx.ConnectError("refused")]])
@pytest.mark.asyncio
async def test_a_409_where_no_answer_was_lost_has_not_been_applied(
    earlier: list[httpx.Response | Exception], repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [*earlier, httpx.Response(409)]

    with pytest.raises(Conflict) as caught:
        await repeating.domains.create_alias("example.com", "alias.example")

    assert caught.value.maybe_applied is False


@pytest.mark.asyncio
async def test_domains_that_shift_by_more_than_a_page_are_given_once(domains: AsyncDomains, api: respx.Route) -> None:
    stored = [f"{i}.example" for i in range(6)]
    api.side_effect = listing(stored)
    results = domains.iter_list(page_size=2)
    found = [(await anext(results)).domain, (await anext(results)).domain]

    stored[:0] = [f"new-{i}.example" for i in range(5)]
    found += [domain.domain for domain in await gathered(results)]

    assert found == ["0.example", "1.example", *(f"new-{i}.example" for i in (2, 3, 4)), *stored[7:]]


@pytest.mark.parametrize(
    "content",
    [b'{"error":"quota","limit":5}', b'["quota"]', b'"quota"', b'{"message":null,"errors":[],"reason":"quota"}'],
)
@pytest.mark.asyncio
async def test_an_error_in_json_of_another_form_keeps_an_excerpt(
    content: bytes, domains: AsyncDomains, api: respx.Route
) -> None:
    api.return_value = httpx.Response(403, content=content)

    with pytest.raises(Forbidden) as caught:
        await domains.delete("example.com")

    assert caught.value.body == content.decode()


@pytest.mark.parametrize("content", [b'{"message":"no","errors":[]}', b'{"errors":["no"]}', b"{}", b"null"])
@pytest.mark.asyncio
async def test_an_error_whose_body_is_understood_keeps_no_excerpt(
    content: bytes, domains: AsyncDomains, api: respx.Route
) -> None:
    api.return_value = httpx.Response(403, content=content)

    with pytest.raises(Forbidden) as caught:
        await domains.delete("example.com")

    assert caught.value.body is None


@pytest.mark.asyncio
async def test_an_excerpt_of_json_is_no_longer_than_one_of_html_and_shows_no_key(
    domains: AsyncDomains, api: respx.Route
) -> None:
    api.return_value = httpx.Response(403, json={"error": f"{KEY} {'x' * 5000}"})

    with pytest.raises(Forbidden) as caught:
        await domains.delete("example.com")

    assert len(caught.value.body or "") == 2048
    assert KEY not in str(caught.value.body)
