"""The commands of the group `lists`: three verbs, whoever's safelist or blocklist it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from cyclopts import App, Group, Parameter
from cyclopts.validators import mutually_exclusive

from ..errors import InvalidInput
from ..models import ListEntry, ListName
from .confirmation import Yes, is_agreed
from .exits import FAILED
from .listing import Format, listing
from .options import Access, ask
from .output import say

if TYPE_CHECKING:
    from .. import AsyncMailChannels

__all__ = ["app"]

T = TypeVar("T")

List = Annotated[Literal["safelist", "blocklist"], Parameter(name="LIST", help="Which of the two lists.")]
Item = Annotated[
    str,
    Parameter(name="ITEM", help="A domain, an email address or an IP address, at most 320 characters."),
]


_OWNER: Final = Group("Owner", validator=mutually_exclusive)


@Parameter(name="*")
@dataclass(frozen=True)
class Owner:
    """Whose list it is: the account's, unless a domain or a recipient is named."""

    domain: Annotated[
        str | None, Parameter(group=_OWNER, metavar="NAME", help="The list of this domain; default: the account's.")
    ] = None
    user: Annotated[
        str | None, Parameter(group=_OWNER, metavar="EMAIL", help="The list of this recipient; default: the account's.")
    ] = None

    def __str__(self) -> str:
        name = self.user if self.domain is None else self.domain
        return "the account" if name is None else name


@dataclass(frozen=True)
class _Lists:
    """The lists of one owner."""

    add: Callable[[ListName, str], Awaitable[ListEntry]]
    fetch: Callable[[ListName], Awaitable[list[ListEntry]]]
    delete: Callable[[ListName, str], Awaitable[None]]


_COLUMNS: Final = ("item", "type", "action")
_ACCOUNT: Final = Owner()
_DEFAULT: Final = Access()

app: App = App(
    name="lists",
    help="Add, list and delete entries of safelists and blocklists: the account's, a domain's with --domain, a "
    "recipient's with --user.",
)


@app.command
def add(list_: List, item: Item, /, *, owner: Owner = _ACCOUNT, access: Access = _DEFAULT) -> None:
    """Put an entry on a list."""
    entry = _ask(access, owner, lambda lists: lists.add(list_, item))
    say(f"added {entry.item} ({entry.type}) to the {list_} of {owner}")


@app.command(name="list")
def list_entries(
    list_: List, /, *, owner: Owner = _ACCOUNT, format_: Format = "table", access: Access = _DEFAULT
) -> None:
    """Print a whole list, an entry a line: item, type (domain, email_address or ip_address), action (the list)."""
    entries = _ask(access, owner, lambda lists: lists.fetch(list_))
    with listing(format_, _COLUMNS, _cells) as write:
        for entry in entries:
            write(entry)


@app.command
def delete(list_: List, item: Item, /, *, owner: Owner = _ACCOUNT, yes: Yes = False, access: Access = _DEFAULT) -> int:
    """Take an entry off a list."""
    if not is_agreed(f"Delete {item} from the {list_} of {owner}?", yes=yes):
        return FAILED
    _ask(access, owner, lambda lists: lists.delete(list_, item))
    say(f"deleted {item} from the {list_} of {owner}")
    return 0


def _lists_of(owner: Owner, client: AsyncMailChannels) -> _Lists:
    if owner.domain is not None:
        domains = client.domains
        return _Lists(
            partial(domains.add_list_entry, owner.domain),
            partial(domains.list_entries, owner.domain),
            partial(domains.delete_list_entry, owner.domain),
        )
    if owner.user is not None:
        users = client.users
        return _Lists(
            partial(users.add_list_entry, owner.user),
            partial(users.list_entries, owner.user),
            partial(users.delete_list_entry, owner.user),
        )
    return _Lists(client.lists.add_list_entry, client.lists.list_entries, client.lists.delete_list_entry)


def _ask(access: Access, owner: Owner, call: Callable[[_Lists], Awaitable[T]]) -> T:
    try:
        return ask(access, lambda client: call(_lists_of(owner, client)))
    except InvalidInput as error:
        option = {"domain": "--domain", "email": "--user"}.get(error.argument, error.argument)
        raise InvalidInput(option, error.reason) from None


def _cells(entry: ListEntry) -> dict[str, str]:
    return {"item": entry.item, "type": entry.type, "action": entry.action}
