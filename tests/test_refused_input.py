"""What cannot be right of a domain or a client is refused before anything is sent; the rest arrives where it should."""

from __future__ import annotations

import asyncio
import math
import warnings
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import pytest_asyncio
import respx
from conftest import HERE
from hypothesis import example, given, settings
from refusal import BAD_NAMES, NEW_LIST, Arrived, Call, Slot, any_text, arrived, refused, request_of, through

from mailchannels import (
    AsyncDomains,
    AsyncMailChannels,
    AsyncMailChannelsClient,
    ConfigurationError,
    Domain,
    DomainSettings,
    DownstreamAddress,
    InvalidInput,
    MailChannels,
    MailChannelsClient,
    Outcome,
    Pacer,
)
from mailchannels.names import canonical_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def domains(environment: pytest.MonkeyPatch) -> AsyncIterator[AsyncDomains]:
    """The domains module of a client for which every request is a failure."""
    with respx.mock:
        async with AsyncMailChannelsClient("key", base_url=HERE, rate_limit=None) as client:
            yield AsyncDomains(client)


# --- names


TAKES_A_NAME: Final[dict[str, tuple[str, Call]]] = {
    "provision": ("domain", lambda domains, name: domains.provision(Domain(name, "basic"))),
    "list": ("domains[1]", lambda domains, name: domains.list(domains=["a.example", name])),
    "iter_list": ("domains[0]", lambda domains, name: through(domains.iter_list(domains=[name]))),
    "delete": ("domain", lambda domains, name: domains.delete(name)),
    "add_list_entry": ("domain", lambda domains, name: domains.add_list_entry(name, "safelist", "a@b.example")),
    "list_entries": ("domain", lambda domains, name: domains.list_entries(name, "safelist")),
    "delete_list_entry": ("domain", lambda domains, name: domains.delete_list_entry(name, "safelist", "a@b.example")),
    "create_login_link": ("domain", lambda domains, name: domains.create_login_link(name)),
    "set_downstream_address": ("domain", lambda domains, name: domains.set_downstream_address(name, [])),
    "list_downstream_addresses": ("domain", lambda domains, name: domains.list_downstream_addresses(name)),
    "iter_list_downstream_addresses": (
        "domain",
        lambda domains, name: through(domains.iter_list_downstream_addresses(name)),
    ),
    "update_api_key": ("domain", lambda domains, name: domains.update_api_key(name, "new-key")),
    "create_alias": ("domain", lambda domains, name: domains.create_alias(name, "a.example")),
    "create_alias to": ("alias", lambda domains, name: domains.create_alias("a.example", name)),
    "delete_alias": ("domain", lambda domains, name: domains.delete_alias(name, "a.example")),
    "delete_alias to": ("alias", lambda domains, name: domains.delete_alias("a.example", name)),
    "update_settings": ("domain", lambda domains, name: domains.update_settings(name, admins=[])),
    "update_settings aliases": (
        "aliases[1]",
        lambda domains, name: domains.update_settings("a.example", aliases=["b.example", name]),
    ),
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
@pytest.mark.parametrize("method", TAKES_A_NAME)
@pytest.mark.asyncio
async def test_a_bad_name_is_refused_by_every_method(method: str, name: object, domains: AsyncDomains) -> None:
    argument, call = TAKES_A_NAME[method]

    await refused(call(domains, name), argument)


@pytest.mark.parametrize("name", [name for name in BAD_NAMES.values() if not isinstance(name, list)])
@pytest.mark.asyncio
async def test_a_bad_name_in_a_batch_is_an_item_and_takes_no_request(name: Any, domains: AsyncDomains) -> None:
    provisioned = await domains.bulk_provision([Domain(name)], subscription_handle="basic")
    linked = await domains.bulk_create_login_links([name])

    for item in (*provisioned.errors, *linked.errors):
        assert (item.index, item.outcome, type(item.error)) == (0, Outcome.FAILED, InvalidInput)
    assert (len(provisioned.errors), len(linked.errors)) == (1, 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        (f"{'a' * 64}.example", "too long"),
        (f"{'a.' * 123}example.x", "too long"),
        ("a/b", "'a/b' is not a domain name"),
        (5, "must be text, not int"),
        (True, "must be text, not bool"),
    ],
)
@pytest.mark.asyncio
async def test_a_refused_name_says_why(name: Any, said: str, domains: AsyncDomains) -> None:
    assert said in (await refused(domains.delete(name), "domain")).lower()


@pytest.mark.asyncio
async def test_a_refused_name_is_not_quoted_without_end(domains: AsyncDomains) -> None:
    assert len(await refused(domains.delete("/" * 100_000), "domain")) < 1_000


# --- everything else that is passed to a method


REFUSED: Final[list[tuple[str, Call, str, str]]] = [
    ("limit 0", lambda domains: domains.list(limit=0), "limit", "from 1 to 5000"),
    ("limit 5,001", lambda domains: domains.list(limit=5_001), "limit", "from 1 to 5000"),
    ("limit -1", lambda domains: domains.list(limit=-1), "limit", "from 1 to 5000"),
    ("limit True", lambda domains: domains.list(limit=True), "limit", "whole number, not bool"),
    ("limit 1.0", lambda domains: domains.list(limit=1.0), "limit", "whole number, not float"),
    ("limit text", lambda domains: domains.list(limit="10"), "limit", "whole number, not str"),
    ("offset -1", lambda domains: domains.list(offset=-1), "offset", "at least 0"),
    ("offset True", lambda domains: domains.list(offset=True), "offset", "whole number, not bool"),
    ("limit without names", lambda domains: domains.list(domains=[], limit=0), "limit", "from 1 to 5000"),
    ("names as one text", lambda domains: domains.list(domains="a.example"), "domains", "list of names"),
    ("names as a number", lambda domains: domains.list(domains=5), "domains", "int"),
    ("page_size 0", lambda domains: through(domains.iter_list(page_size=0)), "page_size", "from 1 to 5000"),
    ("page_size 5,001", lambda domains: through(domains.iter_list(page_size=5_001)), "page_size", "from 1 to 5000"),
    (
        "iter names as one text",
        lambda domains: through(domains.iter_list(domains="a.example")),
        "domains",
        "list of names",
    ),
    ("unknown list", lambda domains: domains.list_entries("a.example", "greylist"), "list_name", "'safelist'"),
    ("list in capitals", lambda domains: domains.list_entries("a.example", "Safelist"), "list_name", "'safelist'"),
    ("no list", lambda domains: domains.list_entries("a.example", None), "list_name", "'safelist'"),
    ("list of lists", lambda domains: domains.list_entries("a.example", ["safelist"]), "list_name", "'safelist'"),
    ("list as path", lambda domains: domains.list_entries("a.example", "../x"), "list_name", "'safelist'"),
    ("add: unknown list", lambda domains: domains.add_list_entry("a.example", "x", "b"), "list_name", "'safelist'"),
    (
        "delete: unknown list",
        lambda domains: domains.delete_list_entry("a.example", "x", "b"),
        "list_name",
        "'safelist'",
    ),
    ("empty item", lambda domains: domains.add_list_entry("a.example", "safelist", ""), "item", "is empty"),
    ("blank item", lambda domains: domains.add_list_entry("a.example", "safelist", " "), "item", "is empty"),
    ("item None", lambda domains: domains.add_list_entry("a.example", "safelist", None), "item", "not NoneType"),
    ("item list", lambda domains: domains.add_list_entry("a.example", "safelist", ["b"]), "item", "not list"),
    ("item with CR", lambda domains: domains.add_list_entry("a.example", "safelist", "b\r"), "item", "control"),
    ("delete: empty item", lambda domains: domains.delete_list_entry("a.example", "safelist", ""), "item", "is empty"),
    ("delete: NUL item", lambda domains: domains.delete_list_entry("a.example", "safelist", "\0"), "item", "control"),
    ("add: surrogate", lambda domains: domains.add_list_entry("a.example", "safelist", "\ud800"), "item", ""),
    ("delete: surrogate", lambda domains: domains.delete_list_entry("a.example", "safelist", "\ud800"), "item", ""),
    ("delete: no end", lambda domains: domains.delete_list_entry("a.example", "safelist", "a" * 70_000), "item", ""),
    ("empty key", lambda domains: domains.update_api_key("a.example", ""), "key", "is empty"),
    ("key None", lambda domains: domains.update_api_key("a.example", None), "key", "not NoneType"),
    ("key with LF", lambda domains: domains.update_api_key("a.example", "new\n"), "key", "control"),
    ("key with a space", lambda domains: domains.update_api_key("a.example", "key "), "key", "white space"),
    ("key after a space", lambda domains: domains.update_api_key("a.example", " k"), "key", "white space"),
    ("key with an accent", lambda domains: domains.update_api_key("a.example", "ké y"), "key", "non-ASCII"),
    ("key with surrogate", lambda domains: domains.update_api_key("a.example", "\ud800"), "key", ""),
    ("downstream limit 0", lambda domains: domains.list_downstream_addresses("a.example", limit=0), "limit", "least 1"),
    (
        "downstream offset -1",
        lambda domains: domains.list_downstream_addresses("a.example", offset=-1),
        "offset",
        "at least 0",
    ),
    (
        "downstream page_size 0",
        lambda domains: through(domains.iter_list_downstream_addresses("a.example", page_size=0)),
        "page_size",
        "at least 1",
    ),
    ("provision without a domain", lambda domains: domains.provision(None), "domain", "not NoneType"),
    ("provision a name", lambda domains: domains.provision("a.example"), "domain", "must be a Domain"),
    (
        "provision without a subscription",
        lambda domains: domains.provision(Domain("a.example")),
        "domain.subscription_handle",
        "is missing",
    ),
    (
        "associate_key as text",
        lambda domains: domains.provision(Domain("a.example", "basic"), associate_key="no"),
        "associate_key",
        "True or False",
    ),
    (
        "overwrite as a number",
        lambda domains: domains.provision(Domain("a.example", "basic"), overwrite=1),
        "overwrite",
        "True or False",
    ),
    (
        "bulk overwrite as text",
        lambda domains: domains.bulk_provision(["a.example"], subscription_handle="basic", overwrite="no"),
        "overwrite",
        "True or False",
    ),
    (
        "bulk without a subscription",
        lambda domains: domains.bulk_provision(["a.example"], subscription_handle=""),
        "subscription_handle",
        "is empty",
    ),
    (
        "bulk subscription None",
        lambda domains: domains.bulk_provision(["a.example"], subscription_handle=None),
        "subscription_handle",
        "not NoneType",
    ),
    (
        "bulk subscription with LF",
        lambda domains: domains.bulk_provision(["a.example"], subscription_handle="basic\n"),
        "subscription_handle",
        "control",
    ),
    (
        "bulk subscription with surrogate",
        lambda domains: domains.bulk_provision(["a.example"], subscription_handle="\ud800"),
        "subscription_handle",
        "",
    ),
    (
        "bulk concurrency 0",
        lambda domains: domains.bulk_provision(["a.example"], subscription_handle="basic", concurrency=0),
        "concurrency",
        "at least 1",
    ),
    (
        "iter_bulk concurrency True",
        lambda domains: through(
            domains.iter_bulk_provision(["a.example"], subscription_handle="basic", concurrency=True)
        ),
        "concurrency",
        "whole number, not bool",
    ),
    (
        "bulk of one text",
        lambda domains: domains.bulk_provision("a.example", subscription_handle="basic"),
        "domains",
        "",
    ),
    (
        "bulk of a number",
        lambda domains: domains.bulk_provision(5, subscription_handle="basic"),
        "domains",
        "int",
    ),
    ("links concurrency 0", lambda domains: domains.bulk_create_login_links([], concurrency=0), "concurrency", "1"),
    (
        "iter links concurrency -1",
        lambda domains: through(domains.iter_bulk_create_login_links([], concurrency=-1)),
        "concurrency",
        "at least 1",
    ),
    ("alias of 256", lambda domains: domains.create_alias("a.example", "a" * 256), "alias", "at most 255"),
    ("delete: alias of 256", lambda domains: domains.delete_alias("a.example", "a" * 256), "alias", "at most 255"),
    ("update nothing", lambda domains: domains.update_settings("a.example"), "settings", "nothing is to be changed"),
    (
        "update settings as a dict",
        lambda domains: domains.update_settings("a.example", {"abuse_policy": "flag"}),
        "settings",
        "not dict",
    ),
    (
        "reset an unknown setting",
        lambda domains: domains.update_settings("a.example", reset=["policy"]),
        "reset[0]",
        "use one of abuse_policy, abuse_policy_override, spam_header_name, spam_header_value",
    ),
    (
        "reset in the spelling of the wire",
        lambda domains: domains.update_settings("a.example", reset=["abuse_policy", "abusePolicy"]),
        "reset[1]",
        "'abusePolicy' is no setting",
    ),
    (
        "reset a section",
        lambda domains: domains.update_settings("a.example", reset=["admins"]),
        "reset[0]",
        "'admins' is no setting",
    ),
    (
        "give and reset a setting",
        lambda domains: domains.update_settings("a.example", DomainSettings("flag"), reset=["abuse_policy"]),
        "reset[0]",
        "abuse_policy is both given and reset",
    ),
    (
        "give False and reset it",
        lambda domains: domains.update_settings(
            "a.example", DomainSettings(abuse_policy_override=False), reset=["abuse_policy_override"]
        ),
        "reset[0]",
        "abuse_policy_override is both given and reset",
    ),
    (
        "reset as one text",
        lambda domains: domains.update_settings("a.example", reset="abuse_policy"),
        "reset",
        "must be a list",
    ),
    ("reset None", lambda domains: domains.update_settings("a.example", reset=None), "reset", "must be a list"),
    ("reset a number", lambda domains: domains.update_settings("a.example", reset=[5]), "reset[0]", "not int"),
    ("links of one text", lambda domains: domains.bulk_create_login_links("a.example"), "domains", ""),
]


@pytest.mark.parametrize(("call", "argument", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
@pytest.mark.asyncio
async def test_a_bad_argument_is_refused_by_name_and_limit(
    call: Call, argument: str, said: str, domains: AsyncDomains
) -> None:
    assert said in await refused(call(domains), argument)


@pytest.mark.asyncio
async def test_settings_that_change_nothing_are_refused(domains: AsyncDomains) -> None:
    assert "nothing is to be changed" in await refused(
        domains.update_settings("a.example", DomainSettings()), "settings"
    )


@pytest.mark.parametrize("key", ["s3cret\n", "s3cret ", " s3cret", "s3crét s3cret"])
@pytest.mark.asyncio
async def test_a_refused_key_is_not_quoted(key: str, domains: AsyncDomains) -> None:
    assert "s3cr" not in await refused(domains.update_api_key("a.example", key), "key")


TAKES_A_TIMEOUT: Final[dict[str, Call]] = {
    "call": lambda domains, timeout: domains.delete("a.example", timeout=timeout),
    "listing": lambda domains, timeout: through(domains.iter_list(timeout=timeout)),
    "bulk": lambda domains, timeout: domains.bulk_provision(["a.example"], subscription_handle="x", timeout=timeout),
    "iter bulk": lambda domains, timeout: through(
        domains.iter_bulk_provision(["a.example"], subscription_handle="x", timeout=timeout)
    ),
    "links": lambda domains, timeout: domains.bulk_create_login_links(["a.example"], timeout=timeout),
    "iter links": lambda domains, timeout: through(
        domains.iter_bulk_create_login_links(["a.example"], timeout=timeout)
    ),
}


@pytest.mark.parametrize("timeout", ["x", math.nan, -1, 0, True, math.inf])
@pytest.mark.parametrize("call", TAKES_A_TIMEOUT.values(), ids=TAKES_A_TIMEOUT)
@pytest.mark.asyncio
async def test_a_timeout_that_is_none_is_refused_by_every_call(
    call: Call, timeout: object, domains: AsyncDomains
) -> None:
    assert f"{timeout!r} is not allowed" in await refused(call(domains, timeout), "timeout")


# --- what a domain carries


def address(**changes: object) -> Any:
    fields: dict[str, Any] = {"priority": 0, "weight": 0, "port": 25, "target": "mx.example."}
    return DownstreamAddress(**fields | changes)


BAD_RECORDS: Final[dict[str, tuple[Any, str, str]]] = {
    "11 of them": ([address()] * 11, "", "11 entries; at most 10"),
    "port 0": ([address(), address(port=0)], "[1].port", "from 1 to 65535"),
    "port 65,536": ([address(port=65_536)], "[0].port", "from 1 to 65535"),
    "port as text": ([address(port="25")], "[0].port", "whole number, not str"),
    "port True": ([address(port=True)], "[0].port", "whole number, not bool"),
    "negative priority": ([address(priority=-1)], "[0].priority", "is -1; it must be"),
    "priority None": ([address(priority=None)], "[0].priority", "whole number, not NoneType"),
    "priority without end": ([address(priority=2**70)], "[0].priority", ""),
    "negative weight": ([address(weight=-1)], "[0].weight", "is -1; it must be"),
    "weight 0.5": ([address(weight=0.5)], "[0].weight", "whole number, not float"),
    "target without its dot": ([address(target="mx.example")], "[0].target", "must end in a dot"),
    "target of 256 characters": ([address(target="a." * 128)], "[0].target", "at most 255"),
    "empty target": ([address(target="")], "[0].target", "is empty"),
    "target None": ([address(target=None)], "[0].target", "not NoneType"),
    "target with a space": ([address(target="mx example.")], "[0].target", "not a domain name"),
    "target with LF": ([address(target="mx.example\n.")], "[0].target", "control"),
    "one address": (address(), "", "must be a list"),
    "text": ("mx.example.", "", "must be a list"),
    "dicts": ([{"priority": 0, "weight": 0, "port": 25, "target": "mx.example."}], "[0]", "not dict"),
}
BAD_SETTINGS: Final[dict[str, tuple[Any, str, str]]] = {
    "unknown policy": (DomainSettings("shred"), ".abuse_policy", "'quarantine'"),  # type: ignore[arg-type]
    "policy as a list": (DomainSettings(["block"]), ".abuse_policy", "'quarantine'"),  # type: ignore[arg-type]
    "override as text": (
        DomainSettings(abuse_policy_override="yes"),  # type: ignore[arg-type]
        ".abuse_policy_override",
        "True or False",
    ),
    "empty header name": (DomainSettings(spam_header_name=""), ".spam_header_name", "is empty"),
    "header with LF": (DomainSettings(spam_header_value="a\nBcc: b"), ".spam_header_value", "control"),
    "header as a number": (
        DomainSettings(spam_header_value=5),  # type: ignore[arg-type]
        ".spam_header_value",
        "not int",
    ),
    "header with surrogate": (DomainSettings(spam_header_value="\ud800"), ".spam_header_value", ""),
    "dict": ({"abuse_policy": "block"}, "", "not dict"),
}
BAD_SECTIONS: Final[dict[str, tuple[dict[str, Any], str, str]]] = {
    **{
        f"downstream_addresses: {what}": ({"downstream_addresses": value}, f"downstream_addresses{where}", said)
        for what, (value, where, said) in BAD_RECORDS.items()
    },
    **{
        f"settings: {what}": ({"settings": value}, f"settings{where}", said)
        for what, (value, where, said) in BAD_SETTINGS.items()
    },
    "admins as text": ({"admins": "a@b.example"}, "admins", "must be a list"),
    "admin without an @": ({"admins": ["a.example"]}, "admins[0]", "no email address"),
    "admin without a name": ({"admins": ["@a.example"]}, "admins[0]", "no email address"),
    "admin of a bad domain": ({"admins": ["a@b..example"]}, "admins[0]", "not a domain name"),
    "admin with a space": ({"admins": ["a b@c.example"]}, "admins[0]", "no email address"),
    "admin empty": ({"admins": ["a@b.example", ""]}, "admins[1]", "is empty"),
    "admin None": ({"admins": [None]}, "admins[0]", "not NoneType"),
    "admin with surrogate": ({"admins": ["\ud800@b.example"]}, "admins[0]", ""),
    "aliases as text": ({"aliases": "a.example"}, "aliases", "must be a list"),
    "alias of 256 characters": ({"aliases": ["a" * 256]}, "aliases[0]", "256 characters long; at most 255"),
    "alias empty": ({"aliases": [""]}, "aliases[0]", "is empty"),
    "alias None": ({"aliases": [None]}, "aliases[0]", "not NoneType"),
    "alias with surrogate": ({"aliases": ["\ud800"]}, "aliases[0]", ""),
    "empty subscription": ({"subscription_handle": ""}, "subscription_handle", "is empty"),
    "subscription with LF": ({"subscription_handle": "a\n"}, "subscription_handle", "control"),
    "subscription as a number": ({"subscription_handle": 5}, "subscription_handle", "not int"),
}


@pytest.mark.parametrize(("records", "where", "said"), BAD_RECORDS.values(), ids=BAD_RECORDS)
@pytest.mark.asyncio
async def test_bad_downstream_addresses_are_refused(records: Any, where: str, said: str, domains: AsyncDomains) -> None:
    assert said in await refused(domains.set_downstream_address("a.example", records), f"records{where}")


@pytest.mark.parametrize(("section", "argument", "said"), BAD_SECTIONS.values(), ids=BAD_SECTIONS)
@pytest.mark.asyncio
async def test_a_bad_section_of_a_domain_is_refused(
    section: dict[str, Any], argument: str, said: str, domains: AsyncDomains
) -> None:
    domain = Domain(**{"domain": "a.example", "subscription_handle": "basic"} | section)

    assert said in await refused(domains.provision(domain), argument)


@pytest.mark.parametrize(("section", "argument", "said"), BAD_SECTIONS.values(), ids=BAD_SECTIONS)
@pytest.mark.asyncio
async def test_a_bad_section_in_a_batch_is_an_item_and_takes_no_request(
    section: dict[str, Any], argument: str, said: str, domains: AsyncDomains
) -> None:
    result = await domains.bulk_provision([Domain("a.example", **section)], subscription_handle="basic")

    (item,) = result.errors
    assert isinstance(item.error, InvalidInput)
    assert (item.outcome, item.error.argument) == (Outcome.FAILED, argument)
    assert said in (item.comment or "")


@pytest.mark.parametrize(
    ("section", "argument", "said"),
    [pytest.param(*row, id=what) for what, row in BAD_SECTIONS.items() if "subscription_handle" not in row[0]],
)
@pytest.mark.asyncio
async def test_a_bad_section_of_an_update_is_refused(
    section: dict[str, Any], argument: str, said: str, domains: AsyncDomains
) -> None:
    assert said in await refused(domains.update_settings("a.example", **section), argument)


@pytest.mark.asyncio
async def test_another_subscription_in_a_batch_is_refused(domains: AsyncDomains) -> None:
    result = await domains.bulk_provision([Domain("a.example", "other")], subscription_handle="basic")

    assert [type(item.error) for item in result.errors] == [InvalidInput]


@pytest.mark.parametrize(
    "domain",
    [
        Domain("a.example", "basic", aliases=[".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])]),
        Domain("a.example", "basic", downstream_addresses=[address(port=1), address(port=65_535)] * 5),
        Domain("a.example", "basic", downstream_addresses=[address(target=f"{'a' * 49}." * 5)]),
        Domain(f"{'a' * 63}.example", "basic"),
        Domain(f"{'a.' * 123}example", "basic"),
    ],
)
@pytest.mark.asyncio
async def test_what_just_keeps_a_limit_is_sent(domain: Domain) -> None:
    requests = []
    transport = httpx.MockTransport(
        lambda request: requests.append(request) or httpx.Response(200, json={"domain": "a"})  # type: ignore[func-returns-value]
    )

    async with AsyncMailChannels("key", transport=transport) as client:
        await client.domains.provision(domain)

    assert len(requests) == 1


# --- clients


BAD_KEYS: Final = {
    "empty": "",
    "blank": " ",
    "line feed": "s3cret\n",
    "carriage return": "s3cret\r\nX-Other: 1",
    "null": "s3cret\x00",
    "tab": "s3\tcret",
    "delete": "s3cret\x7f",
    "not ASCII": "s3crét",
    "bytes": b"s3cret",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
@pytest.mark.parametrize("cls", [AsyncMailChannels, AsyncMailChannelsClient, MailChannels, MailChannelsClient])
def test_a_bad_key_is_refused_and_not_quoted(cls: type, key: Any, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^api_key: ") as caught:
        cls(key)

    assert "s3c" not in str(caught.value)


@pytest.mark.parametrize("cls", [AsyncMailChannels, AsyncMailChannelsClient, MailChannels, MailChannelsClient])
def test_a_missing_key_is_refused_and_says_where_to_put_it(cls: type, environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^api_key: is missing; .* \$MAILCHANNELS_API_KEY"):
        cls()


@pytest.mark.parametrize("key", [key for key in BAD_KEYS.values() if isinstance(key, str) and "\0" not in key])
def test_a_bad_key_in_the_environment_is_refused_and_not_quoted(key: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILCHANNELS_API_KEY", key)

    with pytest.raises(ConfigurationError, match=r"^\$MAILCHANNELS_API_KEY: ") as caught:
        AsyncMailChannels()

    assert "s3c" not in str(caught.value)


BAD_SETTINGS_OF_A_CLIENT: Final[list[tuple[str, Any, str]]] = [
    ("base_url", "http://api.example", "plain http"),
    ("base_url", "http://192.0.2.1", "plain http"),
    ("base_url", "http://localhost.example", "plain http"),
    ("base_url", "http://127.0.0.1.example", "plain http"),
    ("base_url", "http://0.0.0.0", "plain http"),
    ("base_url", "https://a..example", "is no address"),
    ("base_url", f"https://{'a' * 64}.example", "is no address"),
    ("base_url", "https://.example", "is no address"),
    ("base_url", "https://user:pw@api.example", "user name"),
    ("base_url", "https://user@api.example", "user name"),
    ("base_url", "https://@api.example", "user name"),
    ("base_url", "https://api.example/?a=1", "query"),
    ("base_url", "https://api.example/#a", "fragment"),
    ("base_url", "https://api.example/?", "query"),
    ("base_url", "https://api.example/#", "fragment"),
    ("base_url", "", "no address"),
    ("base_url", "api.example", "no address"),
    ("base_url", "//api.example", "no address"),
    ("base_url", "ftp://api.example", "no address"),
    ("base_url", "https://", "no address"),
    ("base_url", "https://api.example:99999", "no address"),
    ("base_url", "https://api.example:port", "no address"),
    ("base_url", "https://[::1", "no address"),
    ("base_url", "https://api .example", "no address"),
    ("base_url", "https://api.example\n", "no address"),
    ("base_url", 5, "no address"),
    ("timeout", 0, "above 0"),
    ("timeout", -1.0, "above 0"),
    ("timeout", float("nan"), "above 0"),
    ("timeout", float("inf"), "above 0"),
    ("timeout", None, "above 0"),
    ("timeout", "30", "above 0"),
    ("timeout", True, "above 0"),
    ("queue_timeout", -0.1, "or None"),
    ("queue_timeout", float("nan"), "or None"),
    ("queue_timeout", "0", "or None"),
    ("max_connections", 0, "from 1"),
    ("max_connections", 1.0, "from 1"),
    ("max_connections", True, "from 1"),
    ("max_retries", -1, "from 0"),
    ("max_retries", 0.5, "from 0"),
    ("max_retries", None, "from 0"),
    ("rate_limit", 0, "above 0"),
    ("rate_limit", -1, "above 0"),
    ("rate_limit", float("nan"), "above 0"),
    ("rate_limit", float("inf"), "above 0"),
    ("rate_limit", True, "above 0"),
    ("rate_limit", "95", "above 0"),
    ("transport", httpx.HTTPTransport, "AsyncBaseTransport"),
    ("transport", "proxy", "AsyncBaseTransport"),
]


@pytest.mark.parametrize(("setting", "value", "said"), BAD_SETTINGS_OF_A_CLIENT)
@pytest.mark.parametrize("cls", [AsyncMailChannels, MailChannels])
def test_a_bad_setting_of_a_client_is_refused_by_name(
    cls: type, setting: str, value: Any, said: str, environment: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{setting}: .*{said}"):
        cls("key", **{setting: value})


def test_a_password_in_a_base_url_is_not_quoted(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncMailChannels("key", base_url="https://user:s3cret@api.example")

    assert "s3cret" not in str(caught.value)


def test_a_pacer_refuses_a_rate_of_nothing() -> None:
    with pytest.raises(ConfigurationError, match="rate_limit: 0 "):
        Pacer(0)


def test_a_bad_base_url_in_the_environment_is_refused_by_its_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILCHANNELS_BASE_URL", "http://api.example")

    with pytest.raises(ConfigurationError, match=r"^\$MAILCHANNELS_BASE_URL: plain http"):
        AsyncMailChannels("key")


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8787", "http://127.0.0.1", "http://127.8.9.1:1", "http://[::1]:8787", "https://api.example/v/"],
)
def test_https_anywhere_and_plain_http_to_loopback_are_taken(url: str, environment: pytest.MonkeyPatch) -> None:
    assert AsyncMailChannels("key", base_url=url).base_url == url.rstrip("/")


def test_the_vendor_is_the_default(environment: pytest.MonkeyPatch) -> None:
    assert AsyncMailChannels("key").base_url == "https://api.mailchannels.net"


def _key_and_url_of_a_request(*arguments: str, **settings: str) -> tuple[str, str]:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    async def call() -> None:
        async with AsyncMailChannels(*arguments, **settings, transport=httpx.MockTransport(answer)) as client:  # type: ignore[arg-type]
            await client.domains.delete("a.example")

    asyncio.run(call())
    (request,) = seen
    return request.headers["X-API-Key"], str(request.url)


def test_the_environment_names_key_and_server(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILCHANNELS_API_KEY", "key-of-the-environment")
    environment.setenv("MAILCHANNELS_BASE_URL", "http://localhost:9/")

    assert _key_and_url_of_a_request() == (
        "key-of-the-environment",
        "http://localhost:9/inbound/v1/domains/a.example",
    )


def test_arguments_come_before_the_environment(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILCHANNELS_API_KEY", "key-of-the-environment")
    environment.setenv("MAILCHANNELS_BASE_URL", "http://localhost:9")

    assert _key_and_url_of_a_request("key", base_url="https://api.example") == (
        "key",
        "https://api.example/inbound/v1/domains/a.example",
    )


# --- any text at all


DEMO: Final = ["domains", "example.com"]
SAFELIST: Final = [*DEMO, "lists", "safelist"]
MX: Final = {"priority": 0, "weight": 0, "port": 25}


def _provisioned(**section: object) -> Arrived:
    return Arrived(["domains"], body={"domain": "example.com", "subscriptionHandle": "basic", **section})


SETTINGS: Final = {
    "abuse_policy": "abusePolicy",
    "abuse_policy_override": "abusePolicyOverride",
    "spam_header_name": "spamHeaderName",
    "spam_header_value": "spamHeaderValue",
}
SLOTS: Final = {
    "provision domain": Slot(
        lambda client, text: client.domains.provision(Domain(text, "basic")),
        lambda text: _provisioned(domain=canonical_name(text)),
    ),
    "provision subscription_handle": Slot(
        lambda client, text: client.domains.provision(Domain("example.com", text)),
        lambda text: _provisioned(subscriptionHandle=text),
    ),
    "provision abuse_policy": Slot(
        lambda client, text: client.domains.provision(Domain("example.com", "basic", DomainSettings(text))),
        lambda text: _provisioned(settings={"abusePolicy": text}),
    ),
    "provision spam_header_name": Slot(
        lambda client, text: client.domains.provision(
            Domain("example.com", "basic", DomainSettings(spam_header_name=text))
        ),
        lambda text: _provisioned(settings={"spamHeaderName": text}),
    ),
    "provision spam_header_value": Slot(
        lambda client, text: client.domains.provision(
            Domain("example.com", "basic", DomainSettings(spam_header_value=text))
        ),
        lambda text: _provisioned(settings={"spamHeaderValue": text}),
    ),
    "provision admins": Slot(
        lambda client, text: client.domains.provision(Domain("example.com", "basic", admins=[text])),
        lambda text: _provisioned(admins=[text]),
    ),
    "provision aliases": Slot(
        lambda client, text: client.domains.provision(Domain("example.com", "basic", aliases=[text])),
        lambda text: _provisioned(aliases=[canonical_name(text)]),
    ),
    "bulk_provision domains": Slot(
        lambda client, text: client.domains.bulk_provision([text], subscription_handle="basic"),
        lambda text: Arrived(
            ["domains", "batch"], (("subscriptionHandle", "basic"),), {"domains": [{"domain": canonical_name(text)}]}
        ),
    ),
    "bulk_provision subscription_handle": Slot(
        lambda client, text: client.domains.bulk_provision(["example.com"], subscription_handle=text),
        lambda text: Arrived(
            ["domains", "batch"], (("subscriptionHandle", text),), {"domains": [{"domain": "example.com"}]}
        ),
    ),
    "bulk_create_login_links domains": Slot(
        lambda client, text: client.domains.bulk_create_login_links([text]),
        lambda text: Arrived(["domains", "batch", "login-link"], body={"domains": [{"domain": canonical_name(text)}]}),
    ),
    "list domains": Slot(
        lambda client, text: client.domains.list(domains=[text]),
        lambda text: Arrived(["domains"], (("domains", canonical_name(text)),)),
    ),
    "delete domain": Slot(
        lambda client, text: client.domains.delete(text),
        lambda text: Arrived(["domains", canonical_name(text)]),
    ),
    "add_list_entry domain": Slot(
        lambda client, text: client.domains.add_list_entry(text, "safelist", "item"),
        lambda text: Arrived(["domains", canonical_name(text), "lists", "safelist"], body={"item": "item"}),
    ),
    "add_list_entry item": Slot(
        lambda client, text: client.domains.add_list_entry("example.com", "safelist", text),
        lambda text: Arrived(SAFELIST, body={"item": text}),
    ),
    "list_entries domain": Slot(
        lambda client, text: client.domains.list_entries(text, "safelist"),
        lambda text: Arrived(["domains", canonical_name(text), "lists", "safelist"]),
    ),
    "list_entries list_name": Slot(
        lambda client, text: client.domains.list_entries("example.com", text),
        lambda text: Arrived([*DEMO, "lists", NEW_LIST.get(text, text)]),
    ),
    "delete_list_entry domain": Slot(
        lambda client, text: client.domains.delete_list_entry(text, "safelist", "item"),
        lambda text: Arrived(["domains", canonical_name(text), "lists", "safelist"], (("item", "item"),)),
    ),
    "delete_list_entry item": Slot(
        lambda client, text: client.domains.delete_list_entry("example.com", "safelist", text),
        lambda text: Arrived(SAFELIST, (("item", text),)),
    ),
    "create_login_link domain": Slot(
        lambda client, text: client.domains.create_login_link(text),
        lambda text: Arrived(["domains", canonical_name(text), "login-link"]),
    ),
    "set_downstream_address domain": Slot(
        lambda client, text: client.domains.set_downstream_address(text, []),
        lambda text: Arrived(["domains", canonical_name(text), "downstream-address"], body={"records": []}),
    ),
    "set_downstream_address target": Slot(
        lambda client, text: client.domains.set_downstream_address("example.com", [address(target=text)]),
        lambda text: Arrived([*DEMO, "downstream-address"], body={"records": [{**MX, "target": text}]}),
    ),
    "list_downstream_addresses domain": Slot(
        lambda client, text: client.domains.list_downstream_addresses(text),
        lambda text: Arrived(["domains", canonical_name(text), "downstream-address"]),
    ),
    "update_api_key domain": Slot(
        lambda client, text: client.domains.update_api_key(text, "new-key"),
        lambda text: Arrived(["domains", canonical_name(text), "api-key"], body={"apiKey": "new-key"}),
    ),
    "update_api_key key": Slot(
        lambda client, text: client.domains.update_api_key("example.com", text),
        lambda text: Arrived([*DEMO, "api-key"], body={"apiKey": text}),
    ),
    "create_alias domain": Slot(
        lambda client, text: client.domains.create_alias(text, "a.example"),
        lambda text: Arrived(["domains", canonical_name(text), "alias", "a.example"]),
    ),
    "create_alias alias": Slot(
        lambda client, text: client.domains.create_alias("example.com", text),
        lambda text: Arrived([*DEMO, "alias", canonical_name(text)]),
    ),
    "delete_alias domain": Slot(
        lambda client, text: client.domains.delete_alias(text, "a.example"),
        lambda text: Arrived(["domains", canonical_name(text), "alias", "a.example"]),
    ),
    "delete_alias alias": Slot(
        lambda client, text: client.domains.delete_alias("example.com", text),
        lambda text: Arrived([*DEMO, "alias", canonical_name(text)]),
    ),
    "update_settings domain": Slot(
        lambda client, text: client.domains.update_settings(text, admins=[]),
        lambda text: Arrived(["domains", canonical_name(text), "settings"], body={"admins": []}),
    ),
    "update_settings abuse_policy": Slot(
        lambda client, text: client.domains.update_settings("example.com", DomainSettings(text)),
        lambda text: Arrived([*DEMO, "settings"], body={"abusePolicy": text}),
    ),
    "update_settings spam_header_name": Slot(
        lambda client, text: client.domains.update_settings("example.com", DomainSettings(spam_header_name=text)),
        lambda text: Arrived([*DEMO, "settings"], body={"spamHeaderName": text}),
    ),
    "update_settings spam_header_value": Slot(
        lambda client, text: client.domains.update_settings("example.com", DomainSettings(spam_header_value=text)),
        lambda text: Arrived([*DEMO, "settings"], body={"spamHeaderValue": text}),
    ),
    "update_settings admins": Slot(
        lambda client, text: client.domains.update_settings("example.com", admins=[text]),
        lambda text: Arrived([*DEMO, "settings"], body={"admins": [text]}),
    ),
    "update_settings aliases": Slot(
        lambda client, text: client.domains.update_settings("example.com", aliases=[text]),
        lambda text: Arrived([*DEMO, "settings"], body={"aliases": [canonical_name(text)]}),
    ),
    "update_settings target": Slot(
        lambda client, text: client.domains.update_settings("example.com", downstream_addresses=[address(target=text)]),
        lambda text: Arrived([*DEMO, "settings"], body={"downstreamAddresses": [{**MX, "target": text}]}),
    ),
    "update_settings reset": Slot(
        lambda client, text: client.domains.update_settings("example.com", reset=[text]),
        lambda text: Arrived([*DEMO, "settings"], body={SETTINGS[text]: None}),
    ),
}


@pytest.mark.parametrize("slot", SLOTS.values(), ids=SLOTS)
@given(text=any_text)
@example(text="..")
@example(text="../users")
@example(text="a.example?x=1#y")
@example(text="safelist")
@example(text="abuse_policy")
@example(text="root@example.com")
@example(text="mx.example.")
@settings(max_examples=60, deadline=None)
def test_any_text_is_refused_or_arrives_as_that_one_value(slot: Slot, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        request = asyncio.run(request_of(slot, text))

    if request is not None:
        assert arrived(request) == slot.arrived(text)
        assert request.url.host == "127.0.0.1"
