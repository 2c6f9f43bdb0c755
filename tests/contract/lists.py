"""The nine operations on safelists and blocklists: three verbs for each of three owners, as one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import httpx

from mailchannels import AsyncMailChannels, ListEntry, ListName

from .case import Case

ENTRY: Final = {"action": "safelist", "item": "a@example.net", "item_type": "email_address"}
LISTED: Final = ListEntry(action="safelist", item="a@example.net", type="email_address")


class Owner(NamedTuple):
    """Whose lists: the module, the beginning of the path, the first arguments, and what only a lookup of it answers."""

    module: str
    template: str
    path: str
    arguments: tuple[str, ...]
    failures: dict[str, tuple[int, ...]]

    def of(self, client: AsyncMailChannels, verb: str) -> Callable[..., Awaitable[Any]]:
        """The verb's method, without its first arguments."""
        method = getattr(getattr(client, self.module), verb)
        return lambda *arguments: method(*self.arguments, *arguments)


OWNERS: Final = [
    Owner(
        "lists",
        "",
        "",
        (),
        {"add_list_entry": (400, 500), "list_entries": (500,), "delete_list_entry": (500,)},
    ),
    Owner(
        "domains",
        "/domains/{domain}",
        "/domains/example.com",
        ("example.com",),
        dict.fromkeys(["add_list_entry", "list_entries", "delete_list_entry"], (400, 403, 404, 500)),
    ),
    Owner(
        "users",
        "/users/{email}",
        "/users/jane%40example.com",
        ("jane@example.com",),
        {
            "add_list_entry": (400, 403, 404, 500),
            "list_entries": (403, 404, 500),
            "delete_list_entry": (403, 404, 500),
        },
    ),
]


class Verb(NamedTuple):
    """What is done to a list: the method, its arguments after the owner's, and the exchange."""

    name: str
    method: str
    arguments: tuple[str, ...]
    target: str
    body: object
    answer: httpx.Response
    value: object

    def named(self, list_name: ListName) -> tuple[str, ...]:
        """The same arguments for another list."""
        return (list_name, *self.arguments[1:])


VERBS: Final = [
    Verb(
        "add_list_entry",
        "POST",
        ("safelist", "a@example.net"),
        "/lists/safelist",
        {"item": "a@example.net"},
        httpx.Response(201, json=ENTRY),
        LISTED,
    ),
    Verb(
        "list_entries",
        "GET",
        ("blocklist",),
        "/lists/blocklist",
        None,
        httpx.Response(200, json=[ENTRY]),
        [LISTED],
    ),
    Verb(
        "delete_list_entry",
        "DELETE",
        ("safelist", "a@example.net"),
        "/lists/safelist?item=a%40example.net",
        None,
        httpx.Response(204),
        None,
    ),
]
BY_VERB: Final = {verb.name: verb for verb in VERBS}


def _case(owner: Owner, verb: Verb) -> Case:
    return Case(
        name=f"{owner.module}.{verb.name}",
        call=lambda client: owner.of(client, verb.name)(*verb.arguments),
        operation=f"{verb.method} {owner.template}/lists/{{listname}}",
        target=owner.path + verb.target,
        body=verb.body,
        answer=verb.answer,
        value=verb.value,
        failures=owner.failures[verb.name],
    )


CASES: Final = [_case(owner, verb) for owner in OWNERS for verb in VERBS]
