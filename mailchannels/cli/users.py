"""The commands of the group `users`; a recipient's safelist and blocklist are in the group `lists`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from .options import Access, ask
from .output import say, warn

if TYPE_CHECKING:
    from ..models import ListName

__all__ = ["app"]

_DEFAULT: Final = Access()
_FILTERED: Final = {True: "filtered", False: "not filtered", None: "the API does not say whether filtered"}

app: App = App(
    name="users", help="Create recipients. Their safelists and blocklists: `mailchannels lists ... --user EMAIL`."
)


@app.command
def create(
    email: Annotated[str, Parameter(name="EMAIL", help="The recipient's email address.")],
    /,
    *,
    admin: Annotated[
        bool, Parameter(negative="", show_default=False, help="The recipient administers the domain; default: no.")
    ] = False,
    filter_: Annotated[
        Literal["true", "false", "compute"] | None,
        Parameter(
            name="--filter",
            help="Whether the recipient's mail is filtered: true fails where the limit on protected addresses has no "
            "room, compute filters where it has; default: the API's choice.",
        ),
    ] = None,
    safelist: Annotated[
        list[str] | None,
        Parameter(
            negative="", metavar="ITEM", help="Domain, email address or IP address to let pass; can be repeated."
        ),
    ] = None,
    blocklist: Annotated[
        list[str] | None,
        Parameter(negative="", metavar="ITEM", help="Domain, email address or IP address to block; can be repeated."),
    ] = None,
    access: Access = _DEFAULT,
) -> None:
    """Create a recipient; one that exists stays as it is, its lists included."""
    given: dict[ListName, list[str] | None] = {"safelist": safelist, "blocklist": blocklist}
    entries: dict[ListName, list[str]] = {name: items for name, items in given.items() if items}
    user = ask(
        access,
        lambda client: client.users.create(email, admin=admin, filter=filter_, list_entries=entries or None),
    )
    if not user.created:
        # Where an answer was lost, the repeat that got one finds what the first attempt created.
        say(f"{user.email} is there already and was not changed by the last request")
        if entries:
            warn("no entry was added to the lists; use `mailchannels lists add ... --user EMAIL`")
        return
    say(f"created {user.email} ({', '.join(user.roles or ())}; {_FILTERED[user.filter]})")
    for entry in user.list_entries or ():
        say(f"added {entry.item} ({entry.type}) to the {entry.action} of {user.email}")
