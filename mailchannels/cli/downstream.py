"""The commands of the group `domains downstream`: where a domain's filtered mail is delivered to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from ..errors import ConfigurationError
from ..jobs.cells import record_from_cell, record_to_cell
from ..jobs.lookup import canonical
from .confirmation import Yes, is_agreed
from .exits import FAILED
from .listing import Format, listing
from .options import Access, Name, ask
from .output import say

if TYPE_CHECKING:
    from .. import AsyncMailChannels
    from ..models import DownstreamAddress

__all__ = ["app"]

_COLUMNS: Final = ("priority", "weight", "port", "target")
_DEFAULT: Final = Access()

app: App = App(name="downstream", help="List and set the mail servers that a domain's filtered mail is delivered to.")


@app.command(name="list")
def list_(name: Name, /, *, format_: Format = "table", access: Access = _DEFAULT) -> None:
    """List all mail servers of a domain, one a line: priority, weight, port, target."""
    ask(access, partial(_list, name, format_))


@app.command(name="set", usage="Usage: mailchannels domains downstream set [OPTIONS] NAME [RECORD...]")
def set_(
    name: Name,
    /,
    *records: Annotated[
        str,
        Parameter(
            name="RECORD",
            help="Mail server as 'priority weight port target', such as '10 10 25 mx1.hosting.example.'; at most 10. "
            "Priority and weight from 0, port 1 to 65535; the target ends in a dot, 255 characters at most.",
        ),
    ],
    none: Annotated[
        bool, Parameter(negative="", show_default=False, help="Delete all mail servers; asked about first.")
    ] = False,
    yes: Yes = False,
    access: Access = _DEFAULT,
) -> int:
    """Replace the mail servers of a domain by those that are given, and print what is stored now.

    The one with the lowest priority is used; those of the same priority share the mail by their weight.
    """
    canonical(name)
    if bool(records) is none:
        raise ConfigurationError("RECORD: give one or more, or --none to delete all mail servers; not both")
    addresses = [record_from_cell(f"RECORD[{position}]", record) for position, record in enumerate(records)]
    if none and not is_agreed(f"Delete all mail servers of {name}?", yes=yes):
        return FAILED
    stored = ask(access, lambda client: client.domains.set_downstream_address(name, addresses))
    for address in stored:
        say(f"stored {record_to_cell(address)}")
    if not stored:
        say(f"deleted all mail servers of {name}")
    return 0


async def _list(name: str, format_: Format, client: AsyncMailChannels) -> None:
    with listing(format_, _COLUMNS, _cells) as write:
        async for address in client.domains.iter_list_downstream_addresses(name):
            write(address)


def _cells(address: DownstreamAddress) -> dict[str, str]:
    return {column: str(getattr(address, column)) for column in _COLUMNS}
