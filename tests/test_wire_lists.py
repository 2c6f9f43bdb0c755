"""What is peculiar to safelists and blocklists on the wire, whoever's they are: spellings of items and of lists."""

from __future__ import annotations

import linecache
from collections.abc import Awaitable, Callable
from typing import Final

import httpx
import pytest
import respx
from contract import BY_NAME
from contract.case import body_of, sent
from contract.lists import BY_VERB, OWNERS, VERBS, Owner, Verb

from mailchannels import AsyncMailChannels, ListEntry, ListName

each_owner = pytest.mark.parametrize("owner", OWNERS, ids=[owner.module for owner in OWNERS])
each_verb = pytest.mark.parametrize("verb", VERBS, ids=[verb.name for verb in VERBS])

ITEMS: Final = {
    "a+b@example.com": "a%2Bb%40example.com",
    "a&b=c": "a%26b%3Dc",
    "a,b": "a%2Cb",
    "a b": "a%20b",
    "a#b": "a%23b",
    "a?b/c": "a%3Fb%2Fc",
    "100%25": "100%2525",
    "bücher.example": "b%C3%BCcher.example",
    "2001:db8::1": "2001%3Adb8%3A%3A1",
}


@each_owner
@pytest.mark.parametrize(("item", "encoded"), ITEMS.items())
@pytest.mark.asyncio
async def test_an_item_reaches_the_query_to_the_letter(
    item: str, encoded: str, owner: Owner, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(204)

    await owner.of(once, "delete_list_entry")("safelist", item)

    assert sent(api) == [f"{owner.path}/lists/safelist?item={encoded}"]


@each_owner
@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.asyncio
async def test_an_item_reaches_the_body_to_the_letter(
    item: str, owner: Owner, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = BY_VERB["add_list_entry"].answer

    await owner.of(once, "add_list_entry")("safelist", item)

    assert body_of(api) == {"item": item}


@each_owner
@each_verb
@pytest.mark.parametrize("list_name", ["safelist", "blocklist"])
@pytest.mark.asyncio
async def test_a_list_is_reached_by_its_name(
    list_name: ListName, owner: Owner, verb: Verb, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = BY_NAME[f"{owner.module}.{verb.name}"].answered()

    await owner.of(once, verb.name)(*verb.named(list_name))

    assert sent(api)[0].partition("?")[0] == f"{owner.path}/lists/{list_name}"


@each_owner
@pytest.mark.asyncio
async def test_a_kind_of_item_that_the_api_adds_one_day_is_no_error(
    owner: Owner, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(
        200, json=[{"action": "greylist", "item": "AS64496", "item_type": "network", "new": 1}]
    )

    assert await owner.of(once, "list_entries")("safelist") == [ListEntry("greylist", "AS64496", "network")]


# --- deprecated names


NEW_NAMES: Final[dict[ListName, str]] = {"whitelist": "safelist", "blacklist": "blocklist"}


@each_owner
@each_verb
@pytest.mark.parametrize("old", NEW_NAMES)
@pytest.mark.asyncio
async def test_a_deprecated_list_is_sent_under_its_new_name_with_a_warning(
    old: ListName, owner: Owner, verb: Verb, once: AsyncMailChannels, api: respx.Route
) -> None:
    new = NEW_NAMES[old]
    api.return_value = BY_NAME[f"{owner.module}.{verb.name}"].answered()

    with pytest.warns(DeprecationWarning, match=f"'{old}' is deprecated .* '{new}'") as warned:
        await owner.of(once, verb.name)(*verb.named(old))

    assert sent(api)[0].partition("?")[0] == f"{owner.path}/lists/{new}"
    assert len(warned) == 1


Call = Callable[[AsyncMailChannels], Awaitable[object]]

OLD_NAMES: Final[dict[str, Call]] = {
    "lists.add_list_entry": lambda client: client.lists.add_list_entry("whitelist", "a"),
    "lists.list_entries": lambda client: client.lists.list_entries("whitelist"),
    "lists.delete_list_entry": lambda client: client.lists.delete_list_entry("whitelist", "a"),
    "domains.add_list_entry": lambda client: client.domains.add_list_entry("example.com", "whitelist", "a"),
    "domains.list_entries": lambda client: client.domains.list_entries("example.com", "whitelist"),
    "domains.delete_list_entry": lambda client: client.domains.delete_list_entry("example.com", "whitelist", "a"),
    "users.add_list_entry": lambda client: client.users.add_list_entry("jane@example.com", "whitelist", "a"),
    "users.list_entries": lambda client: client.users.list_entries("jane@example.com", "whitelist"),
    "users.delete_list_entry": lambda client: client.users.delete_list_entry("jane@example.com", "whitelist", "a"),
    "users.create": lambda client: client.users.create("jane@example.com", list_entries={"whitelist": ["a"]}),
}


@pytest.mark.parametrize("name", OLD_NAMES)
@pytest.mark.asyncio
async def test_the_warning_points_at_the_line_that_awaits_the_call(
    name: str, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = BY_NAME[name].answered()
    call = OLD_NAMES[name]

    with pytest.warns(DeprecationWarning, match="whitelist") as warned:
        await call(once)

    lines = [linecache.getline(warning.filename, warning.lineno).strip() for warning in warned]
    assert ([warning.filename for warning in warned], lines) == ([__file__], ["await call(once)"])
