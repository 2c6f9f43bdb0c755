"""The handlers of safelists and blocklists: three verbs, for whatever holds lists.

Customers, domains and recipients do; a further holder is one more line in `_HOLDERS`.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from starlette.responses import Response

from . import users
from .calls import Call, Routes, no_content, reply
from .checks import Refused, list_entry, list_name
from .records import Customer, Lists, list_entry_as_json


class ListHolder(Protocol):
    """What safelist and blocklist entries belong to; None until the first one."""

    lists: Lists | None


Finder = Callable[[Call], ListHolder]


def entries(find: Finder, call: Call) -> Response:
    """Answer `GET .../lists/{listname}`."""
    holder, action = find(call), list_name(call.path["listname"])
    found = (holder.lists or {}).get(action)
    return reply(
        200, None if found is None else [list_entry_as_json(action, item, kind) for item, kind in found.items()]
    )


def add(find: Finder, call: Call) -> Response:
    """Answer `POST .../lists/{listname}`."""
    holder, action = find(call), list_name(call.path["listname"])
    item, kind = list_entry(call.json().get("item"))
    if holder.lists is None:
        holder.lists = {}
    holder.lists.setdefault(action, {})[item] = kind
    return reply(201, list_entry_as_json(action, item, kind))


def delete(find: Finder, call: Call) -> Response:
    """Answer `DELETE .../lists/{listname}`; what is on no list, or never could be, is as good as deleted."""
    holder, action = find(call), list_name(call.path["listname"])
    text = call.text("item")
    try:
        item, _ = list_entry(text)
    except Refused:
        return no_content()
    if holder.lists is not None:
        holder.lists.get(action, {}).pop(item, None)
    return no_content()


def _customer(call: Call) -> Customer:
    return call.customer


_HOLDERS: tuple[tuple[str, Finder], ...] = (
    ("/lists/{listname}", _customer),
    ("/domains/{domain}/lists/{listname}", Call.domain),
    ("/users/{email}/lists/{listname}", users.recipient),
)

ROUTES: Routes = tuple(
    (method, path, partial(verb, find))
    for path, find in _HOLDERS
    for method, verb in (("GET", entries), ("POST", add), ("DELETE", delete))
)
