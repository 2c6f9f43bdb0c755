"""The commands of domains that run a job over a file: `domains provision` and `domains login-links`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from .. import AsyncMailChannels
from ..errors import InvalidInput
from ..jobs import AsyncBulkJob
from ..jobs.kinds import DOMAINS
from ..jobs.plan import PER_REQUEST, checked_domain
from ..jobs.report import LinkFile
from ..jobs.source import open_source
from .options import Access, DomainBulk, Input, connection, has_api_key
from .output import warn
from .run import dry_run, perform, tell_ignored, tell_terminal

if TYPE_CHECKING:
    from ..jobs import Plan, Summary
    from .progress import ProgressDisplay

__all__ = ["login_links", "provision"]

_ACCESS: Final = Access()
_BULK: Final = DomainBulk()
_CANNOT_FILL: Final = "starts empty, and FILE cannot be read twice to fill it; give it a path"


def provision(
    file: Input,
    /,
    *,
    subscription: Annotated[
        str, Parameter(metavar="HANDLE", help="Handle of the subscription that the domains count towards.")
    ],
    associate_key: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Associate the API key in use with each domain; default: no."),
    ] = False,
    overwrite: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Replace the settings of domains that exist; default: keep them."
        ),
    ] = False,
    bulk: DomainBulk = _BULK,
    access: Access = _ACCESS,
) -> int:
    """Provision the domains of FILE: CSV with a column `domain`, one name a line, JSON Lines, or - for standard input.

    Other columns of CSV:
    subscription_handle, admins, aliases, downstream_addresses,
    abuse_policy (block, flag or quarantine), abuse_policy_override (true or false),
    spam_header_name, spam_header_value.

    A list separates its members by ; and [] empties it. An empty cell is left out.
    A downstream address is written 'priority weight port target'.
    """
    return _do(
        file,
        bulk,
        access,
        subscription_handle=subscription,
        associate_key=associate_key or None,
        overwrite=overwrite or None,
    )


def login_links(
    file: Input,
    /,
    *,
    output: Annotated[
        str,
        Parameter(
            metavar="PATH",
            allow_leading_hyphen=True,
            help="New CSV file for the links, readable by its owner alone; - is standard output.",
        ),
    ],
    bulk: DomainBulk = _BULK,
    access: Access = _ACCESS,
) -> int:
    """Create a login link for each domain of FILE, which is read as for `provision`; only the names count.

    Whoever has a link is logged in as the domain's administrator.
    The domains must be there; with --simulator they are provisioned first.
    """
    if bulk.simulator and not bulk.dry_run and (file == "-" or (Path(file).exists() and not Path(file).is_file())):
        raise InvalidInput("--simulator", _CANNOT_FILL)
    if bulk.dry_run:
        with LinkFile(output):  # refused where a run would be, and gone again at once
            pass
    return _do(file, bulk, access, output=output)


def _do(file: str, bulk: DomainBulk, access: Access, **options: Any) -> int:
    """Run a job, or only plan it, and print what comes of it."""
    tell_terminal(file)
    if bulk.dry_run and not bulk.simulator and not has_api_key(access):
        warn("no API key is given, so the subscription is not asked what it has room for")
        with open_source(file, DOMAINS) as source:
            return dry_run(source, bulk, checked_domain(options.get("subscription_handle")), PER_REQUEST)
    output = options.get("output")

    async def job(arguments: dict[str, Any], progress: ProgressDisplay) -> Plan | Summary:
        # The client first: where the key is missing, no file is to be touched.
        async with (
            AsyncMailChannels(**arguments, rate_limit=bulk.rate) as client,
            AsyncBulkJob(
                client,
                file,
                **options,
                concurrency=bulk.concurrency,
                journal=bulk.journal,
                errors=bulk.errors,
                on_progress=progress,
            ) as job,
        ):
            if bulk.simulator and output is not None and not bulk.dry_run:
                await _fill(client, file)
            with tell_ignored(job), progress:
                return await (job.plan() if bulk.dry_run else job.run())

    # Where standard output receives the links, it receives nothing else.
    out = sys.stderr if output == "-" and not bulk.dry_run else sys.stdout
    connected = connection(access, simulator=bulk.simulator)
    return perform(bulk, connected, job, out=out, journal=bulk.journal)


async def _fill(client: AsyncMailChannels, file: str) -> None:
    """Provision the domains of a file on a simulator, which starts empty."""
    with open_source(file, DOMAINS) as source:
        names = (DOMAINS.name(row.value) for row in source if row.value is not None)
        async for _ in client.domains.iter_bulk_provision(names, subscription_handle="demo"):
            pass
