"""Bulk creation of mailboxes: a mailbox is billed, so a creation whose answer was lost is never sent again blindly.

The domain's mailboxes are listed instead, and only what is not among them is sent. How batches are cut and halved is
the business of `bulk`.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from attrs import define, evolve

from .. import checks, wire
from ..columns import Batch
from ..errors import (
    APIError,
    InvalidInput,
    MailChannelsError,
    RequestError,
    ServerError,
    UnexpectedResponse,
)
from ..models.bulk import Outcome
from ..names import canonical_or_folded
from ..operation import Operation
from ..repeats import Lately
from ..verdicts import UNMENTIONED, Verdict, bare, verdict_on_all
from .models import BulkMailboxItem, Mailbox, MailboxPage, NewMailbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from ..transport import Query, Transport

log: Final = logging.getLogger("mailchannels")

PAGE: Final = 100
"""Mailboxes asked for at a time; how many the API would give at most is not documented."""


@define
class _Created:
    index: int
    mailbox: Mailbox


@define
class _Refused:
    index: int
    code: str
    message: str | None = None


@define
class _Answer:
    created: list[_Created] | None = None
    failed: list[_Refused] | None = None


@define
class Creation(Operation[NewMailbox, NewMailbox, BulkMailboxItem]):
    """Create mailboxes in one domain."""

    transport: Transport
    domain: str
    batch_size: int
    timeout: float | None
    key = "local_part"

    def prepare(self, given: list[NewMailbox]) -> Batch[NewMailbox]:
        """Check mailboxes and give them under their local parts in lower case."""
        for new in given:
            if not isinstance(new, NewMailbox):
                raise InvalidInput("items", f"must be NewMailbox, not {type(new).__name__}")
        local_parts, fragments = zip(*map(checked, given), strict=True)
        return Batch([*local_parts], [*given], [*fragments])

    def subject(self, given: NewMailbox) -> NewMailbox:
        """Give a refused input as it is."""
        return given

    async def ask(self, batch: Batch[NewMailbox]) -> None:
        """Create a batch; where the answer is lost, look what there is and create the rest."""
        found: dict[str, Verdict] = {}
        lost: MailChannelsError | None = None
        left = batch
        attempts: dict[str, int] = {}
        attempt = 0
        while True:
            attempt += 1
            try:
                found |= await self._create(left, is_repeat=lost is not None)
                break
            except MailChannelsError as error:
                if lost is None and not _is_lost(error):
                    raise
                lost = lost or bare(error)
                if not _is_lost(error):
                    break
            there = await self._there_already({*left.keys})
            if there is None:
                break
            found |= there
            attempts.update(zip(left.keys, left.attempts, strict=True))
            left = left.part(place for place, key in enumerate(left.keys) if key not in found)
            if not left or attempt > self.transport.max_retries or not self.transport.budget.spend():
                break
            await self.transport.pause(attempt)
        # Not even the list says that a creation whose answer was lost will not be carried out yet.
        rest = UNMENTIONED if lost is None else evolve(verdict_on_all(lost), outcome=Outcome.UNKNOWN)
        attempts.update(zip(left.keys, left.attempts, strict=True))
        batch.attempts = [attempts[key] for key in batch.keys]
        batch.verdicts = [found.get(key, rest) for key in batch.keys]

    @staticmethod
    def item(index: int, subject: NewMailbox, verdict: Verdict, attempts: int = 0) -> BulkMailboxItem:
        """Make the item of a result."""
        return BulkMailboxItem(
            index=index,
            new=subject,
            mailbox=verdict.value if isinstance(verdict.value, Mailbox) else None,
            code=verdict.value if isinstance(verdict.value, str) else verdict.code,
            comment=verdict.comment,
            outcome=verdict.outcome,
            error=verdict.error,
            attempts=attempts,
        )

    async def _create(self, batch: Batch[NewMailbox], *, is_repeat: bool) -> dict[str, Verdict]:
        answer = await self.transport.send(
            "POST",
            "/mailboxes/bulk",
            body=b'{"domain":%b,"items":[%b]}' % (wire.dump(self.domain), b",".join(batch.fragments)),
            returns=_Answer,
            repeatable=False,
            timeout=self.timeout,
            patient=True,
            on_attempt=batch.count_attempt,
        )
        found: dict[str, Verdict] = {}
        for created in answer.created or ():
            if self._is_asked(created.index, batch, found):
                found[batch.keys[created.index]] = Verdict(Outcome.SUCCEEDED, value=created.mailbox)
        refused: set[str] = set()
        for failed in answer.failed or ():
            if self._is_asked(failed.index, batch, found):
                key = batch.keys[failed.index]
                refused.add(key)
                text = f"{failed.code}: {failed.message}" if failed.message else failed.code
                error = MailChannelsError(f"{key}: {text}")
                found[key] = Verdict(Outcome.FAILED, None, failed.message, error, value=failed.code)
        if is_repeat and refused:
            # What the lost request was still creating when the mailboxes were listed is refused as a duplicate now.
            there = await self._there_already(refused)
            if there is None:
                return {key: verdict for key, verdict in found.items() if verdict.outcome is Outcome.SUCCEEDED}
            found |= there
        return found

    def _is_asked(self, index: int, batch: Batch[NewMailbox], found: dict[str, Verdict]) -> bool:
        if 0 <= index < len(batch) and batch.keys[index] not in found:
            return True
        log.warning("an answer of the API tells of item %d a second time, or of one that was not sent", index)
        return False

    async def _there_already(self, wanted: set[str]) -> dict[str, Verdict] | None:
        """Look which mailboxes exist after an answer was lost; None where that cannot be found out either."""
        found: dict[str, Verdict] = {}
        query = {"domain": self.domain}
        try:
            async with aclosing(listed(self.transport, query, PAGE, self.timeout, patient=True)) as mailboxes:
                async for mailbox in mailboxes:
                    name, _, domain = mailbox.primary_email.rpartition("@")
                    key = name.lower()
                    if key in wanted and self.domain in {canonical_or_folded(domain), mailbox.domain_id.lower()}:
                        comment = "found by listing, after the answer to its creation was lost"
                        found[key] = Verdict(Outcome.SUCCEEDED, None, comment, value=mailbox)
                        if len(found) == len(wanted):
                            break
        except MailChannelsError:
            return None
        return found


def checked(new: NewMailbox) -> tuple[str, bytes]:
    """Hold that a mailbox can be created; gives its local part in lower case, and the item that is sent for it."""
    local_part = checks.local_part("local_part", new.local_part)
    document = {
        "local_part": new.local_part,
        "first_name": checks.text("first_name", new.first_name),
        "last_name": checks.text("last_name", new.last_name),
    }
    return local_part, wire.fragment(document)


async def listed(
    transport: Transport, query: Mapping[str, Query], page_size: int, timeout: float | None, *, patient: bool = False
) -> AsyncGenerator[Mailbox, None]:
    """Go through all the pages of a listing; what shifts onto a second page is given once."""
    page, seen = 1, 0
    lately = Lately()
    while True:
        found = await transport.send(
            "GET",
            "/mailboxes",
            query={**query, "page": page, "page_size": page_size},
            returns=MailboxPage,
            timeout=timeout,
            patient=patient,
        )
        for mailbox in found.items:
            if lately.is_new(mailbox.id):
                yield mailbox
        seen += len(found.items)
        if not found.items or seen >= found.total:
            return
        page += 1


def _is_lost(error: MailChannelsError) -> bool:
    """Whether a request may have been applied although its answer does not say so."""
    if isinstance(error, RequestError | APIError):
        return error.maybe_applied or isinstance(error, ServerError)
    return isinstance(error, UnexpectedResponse)
