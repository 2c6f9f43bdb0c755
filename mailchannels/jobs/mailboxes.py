"""Rows that are mailboxes, and the job that creates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from .. import checks
from ..hybridbox import BulkMailboxItem, NewMailbox
from ..hybridbox.creation import checked
from .cells import model_from_line
from .kinds import Kind
from .run import Run

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping

    from ..hybridbox import AsyncHybridBox
    from ..models import BulkResult
    from .report import ErrorFile
    from .source import Source
    from .summary import Summary

__all__ = ["MAILBOXES", "checked", "create", "hold"]

COLUMNS: Final = ("local_part", "first_name", "last_name")


def _from_cells(cells: Mapping[str, str]) -> NewMailbox:
    return NewMailbox(*(cells[column] for column in COLUMNS))


def _to_cells(line: str, new: NewMailbox | None) -> dict[str, str]:
    return {"local_part": line.strip()} if new is None else attrs.asdict(new)


MAILBOXES: Final[Kind[NewMailbox]] = Kind(
    plural="mailboxes",
    columns=COLUMNS,
    keys=COLUMNS,
    required=COLUMNS,
    header=f"a header with the columns {', '.join(COLUMNS)}, its cells separated by commas",
    from_cells=_from_cells,
    from_line=lambda line: model_from_line(line, NewMailbox, "mailbox"),
    to_cells=_to_cells,
    name=lambda new: new.local_part,
    may_be_sent_again=False,
)
"""Rows that are mailboxes."""


def hold(account_id: str, domain: str) -> None:
    """Hold that an account and a domain can be right, before anything is read or sent.

    Args:
        account_id: The account's identifier, a UUID.
        domain: The domain's name, or its UUID.

    Raises:
        InvalidInput: One of them cannot.

    Example:
        >>> hold("123e4567-e89b-12d3-a456-426614174000", "example.com")
    """
    checks.account("--account", account_id)
    checks.domain_or_uuid("--domain", domain)


async def create(
    client: AsyncHybridBox,
    source: Source[NewMailbox],
    *,
    domain: str,
    batch_size: int = 100,
    concurrency: int = 4,
    on_progress: Callable[[Summary], object],
    errors: ErrorFile | None = None,
) -> Summary:
    """Create a mailbox for every row of an input.

    Args:
        client: The client to send through; it stays open.
        source: The input.
        domain: The domain's name, or its UUID.
        batch_size: Mailboxes in one request at most, from 1. Default 100.
        concurrency: Requests under way at most, 1 to 100. Default 4.
        on_progress: Called with the state so far, first before anything is sent and then after each answer.
        errors: Receives the rows that did not succeed.

    Returns:
        What came of it. An interrupt (Ctrl-C) ends the job early: answers under way have 5 seconds to arrive, a
        second interrupt does not wait for them, and one while the rest of a file is counted leaves it unread.

    Raises:
        ConfigurationError: The client cannot send anything, and nothing was sent.
        MailChannelsError: The call was refused as a whole before anything was sent.

    Example:
        >>> summary = await create(client, source, domain="example.com", on_progress=print)

    Calls `POST /v1/public/accounts/{account_id}/mailboxes/bulk` of HybridBox.
    """

    def start(mailboxes: AsyncIterable[NewMailbox]) -> AsyncIterator[BulkResult[BulkMailboxItem]]:
        return client.mailboxes.iter_bulk_create(
            mailboxes, domain=domain, batch_size=batch_size, concurrency=concurrency
        )

    return await Run[NewMailbox, BulkMailboxItem](client, source, on_progress, errors=errors).go(start)
