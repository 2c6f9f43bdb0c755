"""What is peculiar to the users module on the wire: what a recipient is created with, and what is told of one."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
import respx
from contract.case import body_of, sent
from contract.lists import LISTED
from contract.users import MADE, RECIPIENT

from mailchannels import AsyncMailChannels, AsyncUsers, Filter, User

PLAIN: Final = "/users?email_address=jane%40example.com&admin=false"


@pytest.fixture
def users(once: AsyncMailChannels) -> AsyncUsers:
    """The users module of a client that repeats nothing."""
    return once.users


# --- requests


@pytest.mark.asyncio
async def test_a_recipient_without_list_entries_takes_no_body(users: AsyncUsers, api: respx.Route) -> None:
    api.return_value = httpx.Response(201, json=MADE)

    await users.create("jane@example.com")

    request = api.calls.last.request
    assert sent(api) == [PLAIN]
    assert (request.content, "content-type" in request.headers) == (b"", False)


@pytest.mark.parametrize(("admin", "written"), [(True, "true"), (False, "false")])
@pytest.mark.asyncio
async def test_whether_a_recipient_administers_the_domain_is_always_said(
    admin: bool, written: str, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(201, json=MADE)

    await users.create("jane@example.com", admin=admin)

    assert sent(api) == [f"/users?email_address=jane%40example.com&admin={written}"]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, ""),
        (True, "&filter=true"),
        (False, "&filter=false"),
        ("true", "&filter=true"),
        ("false", "&filter=false"),
        ("compute", "&filter=compute"),
    ],
)
@pytest.mark.asyncio
async def test_a_filter_is_sent_in_the_words_of_the_api(
    given: Filter | None, written: str, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(201, json=MADE)

    await users.create("jane@example.com", filter=given)

    assert sent(api) == [PLAIN + written]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"safelist": ["a.example"]}, {"safelist": ["a.example"]}),
        ({"blocklist": ("b.example", "c.example")}, {"blocklist": ["b.example", "c.example"]}),
        ({"safelist": ["a.example"], "blocklist": []}, {"safelist": ["a.example"], "blocklist": []}),
    ],
)
@pytest.mark.asyncio
async def test_a_recipient_begins_with_the_entries_that_are_given(
    given: Any, written: object, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(201, json=MADE)

    await users.create("jane@example.com", list_entries=given)

    assert body_of(api) == {"list_entries": written}


@pytest.mark.asyncio
async def test_entries_under_an_old_name_join_those_under_the_new_one(users: AsyncUsers, api: respx.Route) -> None:
    api.return_value = httpx.Response(201, json=MADE)

    with pytest.warns(DeprecationWarning, match="'whitelist' is deprecated .* 'safelist'"):
        await users.create("jane@example.com", list_entries={"safelist": ["a.example"], "whitelist": ["b.example"]})

    assert body_of(api) == {"list_entries": {"safelist": ["a.example", "b.example"]}}


EMAILS: Final = {
    "jane+spam@example.com": "jane%2Bspam%40example.com",
    "a/b@example.com": "a%2Fb%40example.com",
    "../lists@example.com": "..%2Flists%40example.com",
    "a?b#c@example.com": "a%3Fb%23c%40example.com",
    "a&b=c@example.com": "a%26b%3Dc%40example.com",
    "100%25@example.com": "100%2525%40example.com",
    "o'brien@example.com": "o%27brien%40example.com",
    "jané@example.com": "jan%C3%A9%40example.com",
}


@pytest.mark.parametrize(("email", "encoded"), EMAILS.items())
@pytest.mark.asyncio
async def test_an_address_stays_one_segment_of_the_path(
    email: str, encoded: str, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, json=[])

    await users.list_entries(email, "safelist")

    assert sent(api) == [f"/users/{encoded}/lists/safelist"]


@pytest.mark.parametrize(("email", "encoded"), EMAILS.items())
@pytest.mark.asyncio
async def test_an_address_reaches_the_query_to_the_letter(
    email: str, encoded: str, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200)

    await users.create(email)

    assert sent(api) == [f"/users?email_address={encoded}&admin=false"]


# --- values

BEFORE: Final = User("jane@example.com", roles=None, filter=None, list_entries=None, created=False)


@pytest.mark.parametrize("content", [b"", b"{}"])
@pytest.mark.asyncio
async def test_a_recipient_that_existed_was_not_created_and_nothing_is_told_of_it(
    content: bytes, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, content=content)

    user = await users.create("jane@example.com", admin=True, filter=True, list_entries={"safelist": ["a.example"]})

    assert user == BEFORE


@pytest.mark.parametrize(
    ("recipient", "roles", "filtered"),
    [
        (RECIPIENT, ["user"], True),
        (RECIPIENT | {"filter": None}, ["user"], None),
        (RECIPIENT | {"filter": False}, ["user"], False),
        (RECIPIENT | {"roles": None}, [], True),
        (RECIPIENT | {"roles": ["user", "wizard"], "new": 1}, ["user", "wizard"], True),
        ({"email_address": "jane@example.com", "roles": []}, [], None),
    ],
)
@pytest.mark.asyncio
async def test_a_new_recipient_is_told_of(
    recipient: object, roles: list[str], filtered: bool | None, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(201, json={"recipient": recipient, "list_entries": MADE["list_entries"]})

    user = await users.create("jane@example.com")

    assert user == User("jane@example.com", roles, filtered, [LISTED], created=True)


@pytest.mark.parametrize("answer", [{}, {"recipient": None, "list_entries": None}])
@pytest.mark.asyncio
async def test_a_new_recipient_of_whom_nothing_is_told_is_still_new(
    answer: object, users: AsyncUsers, api: respx.Route
) -> None:
    api.return_value = httpx.Response(201, json=answer)

    user = await users.create("jane@example.com")

    assert (user.email, user.created, user.list_entries) == ("jane@example.com", True, [])


@pytest.mark.asyncio
async def test_the_address_is_told_as_the_api_stores_it(users: AsyncUsers, api: respx.Route) -> None:
    api.return_value = httpx.Response(201, json={"recipient": RECIPIENT})

    assert (await users.create("Jane@Example.com")).email == "jane@example.com"


# --- repeats


@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.Response(500), httpx.Response(504)])
@pytest.mark.asyncio
async def test_a_recipient_found_by_the_repeat_counts_as_not_created(
    lost: httpx.Response | Exception, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [lost, httpx.Response(200)]

    assert await repeating.users.create("jane@example.com") == BEFORE
    assert sent(api) == [PLAIN] * 2
