"""What the tests of refused input share: bad names, any text at all, and how a request is taken apart again.

It knows no endpoint; the tables of the test files do.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httpx
import pytest
from conftest import HERE
from hypothesis import strategies as st
from specification import ROOT

from mailchannels import (
    APIError,
    AsyncMailChannels,
    BulkLoginLinkResult,
    BulkProvisionResult,
    InvalidInput,
)

Call = Any
"""What takes the module, and a bad value, and gives the awaitable; the values are of the wrong types on purpose."""


async def through(results: AsyncIterable[object]) -> list[object]:
    return [result async for result in results]


async def refused(call: Awaitable[object], argument: str) -> str:
    """Hold that a call is refused for this argument, and give what it says."""
    with pytest.raises(InvalidInput) as caught:
        await call
    assert caught.value.argument == argument
    return str(caught.value)


NEW_LIST: Final = {"whitelist": "safelist", "blacklist": "blocklist"}
BAD_NAMES: Final = {
    "empty": "",
    "dot": ".",
    "two dots": "..",
    "empty label": "a..example",
    "leading dot": ".example",
    "two dots at the end": "a.example..",
    "slash": "a/b",
    "backslash": "a\\b",
    "parent": "../users",
    "encoded parent": "%2e%2e",
    "space": "a b",
    "space around": " a.example ",
    "query": "a.example?x=1",
    "fragment": "a.example#y",
    "user": "a@b.example",
    "port": "a.example:25",
    "line feed": "a.example\n",
    "null": "a\x00.example",
    "escape": "\x1b[2J",
    "delete": "a\x7f.example",
    "underscore": "a_b.example",
    "leading hyphen": "-a.example",
    "trailing hyphen": "a-.example",
    "reserved": "ab--c.example",
    "broken A-label": "xn--a.example",
    "empty A-label": "xn--.example",
    "A-label of an upper-case letter": "xn--bcher-Kva8445foa.example",
    "forbidden by RFC 5891": "a\u200d.example",
    "emoji": "💩.example",
    "surrogate": "\ud800.example",
    "long label": f"{'a' * 64}.example",
    "long IDN label": f"{'ü' * 60}.example",
    "long name": f"{'a.' * 123}example.x",
    "number": 5,
    "none": None,
    "bytes": b"a.example",
    "list": ["a.example"],
}


class Arrived(NamedTuple):
    """A request as a server splits it: segments, query and body, decoded."""

    segments: list[str]
    query: Sequence[tuple[str, str]] = ()
    body: object = None


class Slot(NamedTuple):
    """A place for text in a call, and the request that must come of it."""

    call: Callable[[AsyncMailChannels, Any], Awaitable[object]]
    arrived: Callable[[str], Arrived]


any_text = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=30),
    st.lists(
        st.sampled_from(["..", ".", "/", "\\", "?", "#", "&", "=", "+", ",", "%", "%2e", "%2F", "@", ":", ";", " ",
                         "a", "b-", "xn--", "é", "ß", "。", "\ud800", "\0", "\r\n", "\u202e", "users", "example"]),
        max_size=8,
    ).map("".join),
    st.builds("{}@{}".format, st.text(st.characters(exclude_categories=[]), max_size=10), st.just("example.com")),
    st.from_regex(r"[a-z0-9éß-]{1,10}(\.[a-z0-9ü-]{1,10}){0,3}\.?", fullmatch=True),
)  # fmt: skip


async def request_of(slot: Slot, text: str) -> httpx.Request | None:
    """The one request that a call makes, or None where it is refused."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(400)

    result: object = None
    refused = False
    async with AsyncMailChannels("key", base_url=HERE, rate_limit=None, transport=httpx.MockTransport(answer)) as api:
        try:
            with contextlib.suppress(APIError):
                result = await slot.call(api, text)
        except InvalidInput:
            refused = True
    if isinstance(result, (BulkProvisionResult, BulkLoginLinkResult)):
        refused = isinstance(result.errors[0].error, InvalidInput)
    assert len(seen) == (0 if refused else 1)
    return seen[0] if seen else None


def arrived(request: httpx.Request) -> Arrived:
    path, _, query = request.url.raw_path.decode("ascii").removeprefix(ROOT + "/").partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return Arrived(
        [unquote(segment, errors="strict") for segment in path.split("/")],
        tuple((unquote(name), unquote(value, errors="strict")) for name, _, value in pairs),
        json.loads(request.content) if request.content else None,
    )
