"""The commands of the group `domains` that concern domains as a whole, and the groups below it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ..errors import ConfigurationError, MailChannelsError, Unauthorized
from ..jobs.cells import COLUMNS, domain_to_cells
from ..jobs.lookup import canonical
from . import aliases, downstream
from .bulk import login_links, provision
from .confirmation import Yes, is_agreed
from .exits import FAILED, ONLY_RETRYABLE, exit_code
from .listing import Format, listing
from .options import Access, ask
from .output import error_text, say, warn
from .settings import api_key, print_domains, settings

if TYPE_CHECKING:
    from .. import AsyncMailChannels

__all__ = ["app"]

_SHOWN: Final = ("domain", "subscription_handle", "abuse_policy", "downstream_addresses")
_DEFAULT: Final = Access()
_MOST_LISTED: Final = 5_000

app: App = App(name="domains", help="Provision, list, look up, change and delete domains.")
app.command(provision)
app.command(login_links)
app.command(settings)
app.command(downstream.app)
app.command(aliases.app)
app.command(api_key)


@app.command(name="list")
def list_(
    *,
    limit: Annotated[
        int | None,
        Parameter(
            validator=Number(gte=1, lte=_MOST_LISTED), metavar="N", help="Domains at most, 1 to 5,000; default: all."
        ),
    ] = None,
    offset: Annotated[
        int | None, Parameter(validator=Number(gte=0), metavar="N", help="Domains to skip; default: 0.")
    ] = None,
    format_: Format = "table",
    access: Access = _DEFAULT,
) -> None:
    """List domains, one a line, name first.

    The columns of a table: name, subscription, abuse policy, downstream addresses.
    csv and json have everything, and `domains provision` reads both: give the file of json the suffix .jsonl.
    """
    ask(access, partial(_list, format_, limit, offset))


@app.command
def get(*names: Annotated[str, Parameter(name="NAME")], access: Access = _DEFAULT) -> int:
    """Print domains as JSON, one object a line; exit code 1 where one is not there."""
    _hold_names(names)
    return print_domains(names, access)


@app.command
def delete(*names: Annotated[str, Parameter(name="NAME")], yes: Yes = False, access: Access = _DEFAULT) -> int:
    """Delete domains with everything that belongs to them."""
    _hold_names(names)
    if not is_agreed(f"Delete {', '.join(names)} with everything that belongs to them?", yes=yes):
        return FAILED
    return ask(access, partial(_delete, names))


def _hold_names(names: tuple[str, ...]) -> None:
    if not names:
        raise ConfigurationError("NAME: is missing; give one or more names of domains")
    for name in names:
        canonical(name)


async def _list(format_: Format, limit: int | None, offset: int | None, client: AsyncMailChannels) -> None:
    with listing(format_, COLUMNS, domain_to_cells, shown=_SHOWN) as write:
        if limit is not None:
            for domain in (await client.domains.list(limit=limit, offset=offset)).domains:
                write(domain)
            return
        position, more = offset or 0, True
        before: set[str] = set()
        while more:
            page = await client.domains.list(limit=_MOST_LISTED, offset=position)
            for domain in page.domains:
                if domain.domain not in before:  # one that was added meanwhile shifts the others
                    write(domain)
            before = {domain.domain for domain in page.domains}
            position += len(page.domains)
            more = bool(page.domains) and position < page.total


async def _delete(names: tuple[str, ...], client: AsyncMailChannels) -> int:
    codes: set[int] = set()
    for name in names:
        try:
            await client.domains.delete(name)
        except Unauthorized:  # the key: every other name would fare the same
            raise
        except MailChannelsError as error:
            doubt = "may have been deleted" if getattr(error, "maybe_applied", False) else "was not deleted"
            warn(f"{name} {doubt}: {error_text(error)}")
            codes.add(exit_code(error))
        else:
            say(f"deleted {name}")
    if not codes:
        return 0
    return ONLY_RETRYABLE if codes == {ONLY_RETRYABLE} else FAILED
