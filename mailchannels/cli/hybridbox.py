"""The commands of the group `hybridbox`."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ..errors import ConfigurationError
from ..hybridbox import AsyncHybridBox
from ..jobs import mailboxes
from ..jobs.source import open_source
from .options import Bulk, above_zero, embedded_simulator, key_in
from .output import warn
from .progress import ProgressStyle as ProgressStyle  # noqa: PLC0414  # an inherited option's type is looked up here
from .run import dry_run, error_file, perform, tell_ignored, tell_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..jobs import Summary
    from .progress import ProgressDisplay

__all__ = ["app"]

app: App = App(
    name="hybridbox",
    help="Create mailboxes on HybridBox.",
    help_epilogue="The token comes from $HYBRIDBOX_TOKEN, or from the file that --token-file names.",
)


@Parameter(name="*")
@dataclass(frozen=True)
class MailboxAccess:
    """How HybridBox is reached."""

    token_file: Annotated[
        str | None, Parameter(metavar="PATH", help="File whose first line is the token; default: $HYBRIDBOX_TOKEN.")
    ] = None
    base_url: Annotated[
        str | None,
        Parameter(metavar="URL", help="Address of the API; default: $HYBRIDBOX_BASE_URL, else the public one."),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class MailboxBulk(Bulk):
    """How a bulk creation runs: more slowly, as HybridBox documents no limits."""

    concurrency: Annotated[
        int, Parameter(validator=Number(gte=1, lte=100), metavar="N", help="Requests under way at most, 1 to 100.")
    ] = 4
    rate: Annotated[float, Parameter(validator=above_zero, metavar="N", help="Requests per second, above 0.")] = 10.0
    simulator: Annotated[
        bool, Parameter(negative="", show_default=False, help="Run against a simulator on this machine.")
    ] = False
    batch_size: Annotated[
        int, Parameter(validator=Number(gte=1), metavar="N", help="Mailboxes in one request at most, from 1.")
    ] = 100


_ACCESS: Final = MailboxAccess()
_BULK: Final = MailboxBulk()


@app.command
def create(
    file: Annotated[
        str, Parameter(name="FILE", allow_leading_hyphen=True, help="Path of the mailboxes; - is standard input.")
    ],
    /,
    *,
    domain: Annotated[str, Parameter(metavar="NAME", help="Name or UUID of the domain that all of them are in.")],
    account: Annotated[str, Parameter(metavar="ID", help="UUID of the account.")],
    bulk: MailboxBulk = _BULK,
    access: MailboxAccess = _ACCESS,
) -> int:
    """Create the mailboxes of FILE: CSV with the columns local_part, first_name and last_name, or JSON Lines.

    A mailbox is billed: where an answer is lost, the domain's mailboxes are listed and only those that are missing are
    asked for again. What stays unknown is to be looked up before it is given as FILE again.
    """
    mailboxes.hold(account, domain)
    tell_terminal(file)
    with open_source(file, mailboxes.MAILBOXES) as source:
        if bulk.dry_run:
            return dry_run(source, bulk, mailboxes.checked, bulk.batch_size)

        async def job(arguments: dict[str, Any], progress: ProgressDisplay) -> Summary:
            # The client first: where the token is missing, no file is to be touched.
            async with AsyncHybridBox(**arguments, rate_limit=bulk.rate) as client:
                with ExitStack() as files:
                    errors = error_file(source, bulk, files)
                    with tell_ignored(source), progress:
                        return await mailboxes.create(
                            client,
                            source,
                            domain=domain,
                            batch_size=bulk.batch_size,
                            concurrency=bulk.concurrency,
                            on_progress=progress,
                            errors=errors,
                        )

        return perform(bulk, _connection(account, access, simulator=bulk.simulator), job, out=sys.stdout)


@contextmanager
def _connection(account: str, access: MailboxAccess, *, simulator: bool) -> Iterator[dict[str, Any]]:
    """Give the arguments of a client that reaches HybridBox, or a simulator that runs meanwhile."""
    if not simulator:
        token = None if access.token_file is None else key_in(access.token_file, "--token-file")
        yield {"account_id": account, "token": token, "base_url": access.base_url}
        return
    if access != MailboxAccess():
        raise ConfigurationError(
            "--simulator: has a token and an address of its own; leave out --base-url and --token-file"
        )
    with embedded_simulator() as running:
        running.state.hybridbox.add_account(account.lower(), running.hybridbox_token)
        warn(f"simulator at {running.base_url}, with this account: nothing leaves this machine")
        yield {"account_id": account, "token": running.hybridbox_token, "base_url": running.base_url}
