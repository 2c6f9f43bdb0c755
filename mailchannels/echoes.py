"""Answers to a batch that say what was asked for, as nearly all do: they are compared instead of read.

To read a thousand domains and look at each takes longer than to write down what the answer must be, its keys in the
order of its first success. What differs is told apart one by one. Nothing here knows of requests, or of what becomes of
a domain.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from . import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .wire import Json, Sent

_DECODER: Final = JSONDecoder()  # orjson reads nothing but whole documents

TEXT: Final = (str, type(None))
"""What a comment and a subscription may be."""

_SERVERS: Final = ("downstreamAddresses", "downstreamAddress")
"""Sent under both keys, mail servers come back under either, or both."""

_BEFORE: Final = re.compile(rb'[ \t\r\n]*\{(?:"errors":(?:\[\]|null),)?"successes":(?=\[)')
_AFTER: Final = re.compile(rb'(?:,"errors":(?:\[\]|null))?\}[ \t\r\n]*')
_FIRST: Final = 2**16
"""Bytes within which the first success must end; most take some hundreds."""


class Echo(NamedTuple):
    """What an answer says of all domains alike, beside what was asked for."""

    code: int
    comment: str | None
    subscription_handle: str | None


def echo_of_all(body: bytes, sent: Sent) -> Echo | None:
    """Read an answer that says of all domains, one after the other, what was asked for; None where it does not."""
    before = _BEFORE.match(body)
    if before is None:
        return None
    start = before.end()
    try:
        success, _ = _DECODER.raw_decode(body[start + 1 : start + _FIRST].decode(errors="replace"))
        domain = success["domain"]
        echo = Echo(success["code"], success.get("comment"), domain.get("subscriptionHandle"))
        if type(echo.code) is not int or type(echo.comment) not in TEXT or type(echo.subscription_handle) not in TEXT:
            return None
        expected = orjson.dumps(_copies(success, {"domain": _like(domain, sent)}))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    is_all = body.startswith(expected, start) and _AFTER.fullmatch(body, start + len(expected))
    return echo if is_all else None


def is_echo(told: Json, sent: bytes) -> bool:
    """Whether a domain of an answer says what `wire.batch_items` sent, or its name alone where nothing else was."""
    if not sent:
        return len(told) - [*told.values()].count(None) == 1 + (told.get("subscriptionHandle") is not None)
    # What is not set may be told as null, and the subscription, which stands in the query, be told as well.
    sort = orjson.OPT_SORT_KEYS
    return orjson.dumps(told, option=sort) == sent or orjson.dumps(_set_of(told), option=sort) == sent


def spell_both(told: Json) -> None:
    """Take what an answer tells of mail servers under both of the keys it may come by."""
    servers = next((told[key] for key in _SERVERS if told.get(key) is not None), None)
    if servers is not None:
        told |= dict.fromkeys(_SERVERS, servers)


def _set_of(told: Json) -> Json:
    settings = told.get("settings")
    return wire.without_null({**told, "subscriptionHandle": None, "settings": settings and wire.without_null(settings)})


def _like(domain: Json, sent: Sent) -> Sequence[Json]:
    """Write what was sent as an answer tells of it whose first domain is this one.

    Raises:
        KeyError: Its first domain lacks something that was sent.
    """
    servers = next(filter(None, map(domain.get, _SERVERS)), None)
    sections = {
        ("settings",): _in_order(sent.settings, domain.get("settings")),
        _SERVERS: _in_order(sent.servers, servers and servers[0]),
        ("admins",): sent.admins,
        ("aliases",): sent.aliases,
    }
    columns: dict[str, Sequence[Json]] = {"domain": sent.names}
    for keys, column in sections.items():
        told = [key for key in keys if key in domain]
        if not told and column.count(None) < len(column):
            raise KeyError(keys[0])
        columns |= dict.fromkeys(told, column)
    return _copies(domain, columns)


def _copies(first: Json, columns: Mapping[str, Sequence[Json]]) -> Sequence[Json]:
    """Give documents like the first, with values of their own for some of its keys."""
    copies = [first.copy() for _ in next(iter(columns.values()))]
    for key, column in columns.items():
        for copy, value in zip(copies, column, strict=True):
            copy[key] = value
    return copies


def _in_order(sections: Sequence[Json], like: Json | None) -> Sequence[Json]:
    """Give sections with the keys of each, or of each in it, in the order of one that an answer tells of."""
    if like is None:
        return sections
    others = {}
    for section in {*sections} - {None}:
        document = orjson.loads(orjson.dumps(section))
        others[section] = orjson.Fragment(orjson.dumps(_with_keys(document, like)))
    return [*map(others.get, sections)]


def _with_keys(document: Json, like: Json) -> Json:
    if isinstance(document, list):
        return [_with_keys(each, like) for each in document]
    if not document.keys() <= like.keys():
        raise KeyError(*document.keys() - like.keys())
    return {key: document.get(key) for key in like}
