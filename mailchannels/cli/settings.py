"""The commands that change one domain: `domains settings` and `domains api-key`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from ..jobs.cells import record_from_cell
from ..jobs.lookup import canonical, find
from ..models import AbusePolicy, DomainSettings
from .confirmation import Yes, is_agreed
from .exits import FAILED
from .listing import json_line
from .options import Access, Name, ask, key_in
from .output import say, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .. import AsyncMailChannels

__all__ = ["api_key", "print_domains", "settings"]

_DEFAULT: Final = Access()


def settings(
    name: Name,
    /,
    *,
    abuse_policy: Annotated[AbusePolicy | None, Parameter(help="What happens to spam.")] = None,
    abuse_policy_override: Annotated[
        bool | None, Parameter(help="Whether the policy wins over the recipients' own.")
    ] = None,
    spam_header_name: Annotated[
        str | None, Parameter(metavar="TEXT", help="Header that marks spam under the policy `flag`.")
    ] = None,
    spam_header_value: Annotated[str | None, Parameter(metavar="TEXT", help="Value of that header.")] = None,
    admins: Annotated[
        list[str] | None,
        Parameter(
            negative="--no-admins",
            metavar="EMAIL",
            help="Administrator, in place of the present ones; can be repeated. --no-admins removes all.",
        ),
    ] = None,
    aliases: Annotated[
        list[str] | None,
        Parameter(
            negative="--no-aliases",
            metavar="NAME",
            help="Alias, in place of the present ones, at most 255 characters; can be repeated. --no-aliases removes "
            "all.",
        ),
    ] = None,
    downstream: Annotated[
        list[str] | None,
        Parameter(
            negative="--no-downstream",
            metavar="RECORD",
            help="Mail server, in place of the present ones, as 'priority weight port target'; can be repeated up to "
            "10 times. --no-downstream removes all.",
        ),
    ] = None,
    reset: Annotated[
        list[Literal["abuse-policy", "abuse-policy-override", "spam-header-name", "spam-header-value"]] | None,
        Parameter(negative="", help="Setting to unset, so that the API's own default holds again; can be repeated."),
    ] = None,
    yes: Yes = False,
    access: Access = _DEFAULT,
) -> int:
    """Change the settings of a domain; what is not named stays as it is.

    Without anything to change, print the domain as JSON, as `domains get` does.
    Removing all administrators, aliases or mail servers is asked about first.
    """
    canonical(name)
    given = DomainSettings(abuse_policy, abuse_policy_override, spam_header_name, spam_header_value)
    change = None if given == DomainSettings() else given
    sections = {"administrators": admins, "aliases": aliases, "downstream addresses": downstream}
    if change is None and not reset and all(section is None for section in sections.values()):
        return print_domains([name], access)
    records = None if downstream is None else [record_from_cell("--downstream", cell) for cell in downstream]
    emptied = " and all ".join(section for section, members in sections.items() if members == [])
    if emptied and not is_agreed(f"Remove all {emptied} of {name}?", yes=yes):
        return FAILED
    ask(
        access,
        lambda client: client.domains.update_settings(
            name,
            change,
            admins=admins,
            downstream_addresses=records,
            aliases=aliases,
            reset=[setting.replace("-", "_") for setting in reset or ()],
        ),
    )
    say(f"changed {name}")
    return 0


def api_key(
    name: Name,
    /,
    *,
    new_key_file: Annotated[
        str,
        Parameter(
            metavar="PATH",
            allow_leading_hyphen=True,
            help="File whose first line is the new API key; - is standard input.",
        ),
    ],
    access: Access = _DEFAULT,
) -> None:
    """Hand a domain over to another API key, which alone manages it from then on.

    A domain that belongs to a key is out of reach of the others; the key in use may lock itself out.
    """
    canonical(name)
    key = key_in(new_key_file, "--new-key-file", may_be_stdin=True)
    ask(access, lambda client: client.domains.update_api_key(name, key))
    say(f"handed {name} over to the new key")


def print_domains(names: Sequence[str], access: Access) -> int:
    """Print domains as JSON, one object a line, and say which are not there."""
    return ask(access, partial(_print, names))


async def _print(names: Sequence[str], client: AsyncMailChannels) -> int:
    found, missing = await find(client, names)
    for domain in found:
        say(json_line(domain))
    for name in missing:
        warn(f"{name} is not there")
    return FAILED if missing else 0
