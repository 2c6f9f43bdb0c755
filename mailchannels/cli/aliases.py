"""The commands of the group `domains alias`: other names of a domain."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import App, Parameter

from ..jobs.lookup import canonical
from .confirmation import Yes, is_agreed
from .exits import FAILED
from .options import Access, Name, ask
from .output import say

__all__ = ["app"]

Alias = Annotated[str, Parameter(name="ALIAS", help="The other name, at most 255 characters.")]

_DEFAULT: Final = Access()

app: App = App(
    name="alias",
    help="Add and delete aliases: names whose mail is treated as the domain's own. `domains get` shows them.",
)


@app.command
def add(name: Name, alias: Alias, /, *, access: Access = _DEFAULT) -> None:
    """Give a domain another name, which is neither a domain nor an alias yet."""
    added = ask(access, lambda client: client.domains.create_alias(name, alias))
    say(f"added the alias {added.alias} to {name}")


@app.command
def delete(name: Name, alias: Alias, /, *, yes: Yes = False, access: Access = _DEFAULT) -> int:
    """Take an alias from a domain."""
    canonical(name)
    if not is_agreed(f"Delete the alias {alias} of {name}?", yes=yes):
        return FAILED
    ask(access, lambda client: client.domains.delete_alias(name, alias))
    say(f"deleted the alias {alias} of {name}")
    return 0
