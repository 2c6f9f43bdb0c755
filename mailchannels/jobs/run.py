"""A job over the network: rows from a source through a bulk call, and every row accounted for.

It knows no terminal, and leaves to `feed` how rows get to the bulk call, to `bulk` how they get to the API, and to
`ledger` where it is kept what came of them.
"""

from __future__ import annotations

import contextlib
import re
import signal
import threading
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import anyio

from ..errors import APIError, ConfigurationError, InvalidInput, MailChannelsError
from ..models import BulkLoginLinkItem, BulkProvisionItem, BulkResult, Outcome
from ..models.bulk import BulkItem
from .database import JournalError
from .feed import Feed
from .journal import NEW, SUCCEEDED, THERE
from .ledger import Account, Ledger, Settled
from .summary import SETTINGS_NOT_APPLIED, Problem, Summary, shown, tell_nobody

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskStatus
    from anyio.streams.memory import MemoryObjectReceiveStream

    from ..aio.client import AsyncClient
    from .journal import Journal
    from .report import ErrorFile, LinkFile
    from .rows import Row
    from .source import Source

__all__ = ["Run"]

T = TypeVar("T")
ItemT = TypeVar("ItemT", bound=BulkItem)

GRACE: Final = 5.0
"""Seconds that answers have to arrive in after an interrupt."""

_WAITING: Final = 4  # answers that may wait for the disk, before those behind them wait too
_TICK: Final = 1.0  # seconds between two looks at a job that nobody answers
_CREATED: Final = 201
_WAS_THERE: Final = 200
_earlier_position: Final = re.compile(r"(?<=stands in the input before, )at index ([0-9]+)")


class Run(Generic[T, ItemT]):
    """One run of a job, from the first row that nobody has answered for.

    Args:
        client: The client to send through; it stays open.
        source: The input.
        on_progress: Called with the state so far, first before anything is sent and then after each answer.
        journal: What is known from earlier runs, and where it is kept; None where nothing is.
        errors: Receives the rows that did not succeed, and those whose settings were not applied.
        links: Receives the login links.
        look_up: Asked about rows that an earlier run may have applied; gives those that it did.
    """

    def __init__(
        self,
        client: AsyncClient,
        source: Source[T],
        on_progress: Callable[[Summary], object],
        *,
        journal: Journal | None = None,
        errors: ErrorFile | None = None,
        links: LinkFile | None = None,
        look_up: Callable[[list[Row[T]]], Awaitable[list[Row[T]]]] | None = None,
    ) -> None:
        self._client = client
        self._before = client.statistics
        self._full_rate = client.present_rate or 0.0
        self._on_progress = on_progress
        self._summary = Summary(source.kind.plural, source.total)
        self._may_be_sent_again = source.kind.may_be_sent_again
        self._journal = journal
        self._feed = Feed(source, self._settle_unfed, self._stop, journal, look_up)
        self._ledger = Ledger(self._summary, source.columns, self._stop, journal=journal, errors=errors, links=links)
        self._answers = anyio.CancelScope()
        self._has_answers = self._is_answered = False
        self._stopped_by: MailChannelsError | None = None

    async def go(self, start: Callable[[AsyncIterable[T]], AsyncIterator[BulkResult[ItemT]]]) -> Summary:
        """Run the job by way of a bulk call.

        Args:
            start: Makes the call over what is fed to it.

        Returns:
            What came of it. An interrupt (Ctrl-C or SIGTERM) ends the job early: answers under way have 5 seconds to
            arrive, a second interrupt does not wait for them, and one while the rest of a file is counted leaves it
            unread.

        Raises:
            ConfigurationError: The client cannot send anything, and nothing was sent.
            InvalidInput: The input is not that of the journal; nothing was sent.
            MailChannelsError: The call was refused as a whole before anything was sent.
            BrokenPipeError: Whoever reads the links stopped reading.
        """
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._heed_interrupts)
                self._ledger.recall()
                self._show()  # from here on an interrupt is heeded
                tasks.start_soon(self._show_now_and_then)
                await self._feed.recognise()
                # The result streams are generators, whatever their type promises.
                await self._answer(cast("AsyncGenerator[BulkResult[ItemT], None]", start(self._feed)))
                self._is_answered = True
                await self._account_for_the_rest()
                tasks.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001  # raised without the task groups around it
            raise _only(error) from None
        self._summary.finish()
        self._show()
        return self._summary

    async def _answer(self, results: AsyncGenerator[BulkResult[ItemT], None]) -> None:
        send, receive = anyio.create_memory_object_stream[Settled](_WAITING)
        failure: Exception | None = None
        async with anyio.create_task_group() as settling:
            settling.start_soon(self._settle_all, receive)
            with send, self._answers:
                try:
                    async with contextlib.aclosing(results):
                        async for result in results:
                            settled = self._judged(result)
                            # Their rows have left the feed: whatever is cancelled, they must arrive.
                            with anyio.CancelScope(shield=True):
                                await send.send(settled)
                except anyio.BrokenResourceError:
                    pass  # settling failed, and its error is what counts
                except Exception as error:  # noqa: BLE001  # raised once all that came before is settled
                    failure = error
        if failure is not None:
            raise failure

    async def _settle_all(self, receive: MemoryObjectReceiveStream[Settled]) -> None:
        """Settle what is answered; all that has come meanwhile goes to the disk together."""
        with receive:
            async for settled in receive:
                with contextlib.suppress(anyio.WouldBlock, anyio.EndOfStream):
                    while True:
                        settled.add(receive.receive_nowait())
                await self._ledger.settle(settled)
                self._show()

    async def _heed_interrupts(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Stop feeding at the first Ctrl-C or SIGTERM, and whatever takes its time after that at the next ones."""
        if threading.current_thread() is not threading.main_thread():
            task_status.started()
            return
        try:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as interrupts:
                task_status.started()
                async for number in interrupts:
                    self._summary.terminated = number == signal.SIGTERM
                    if self._is_answered:
                        self._feed.leave()
                        self._summary.unread = True
                    elif self._summary.interrupted:
                        self._answers.cancel()
                    else:
                        self._feed.end()
                        self._answers.deadline = anyio.current_time() + GRACE
                    self._summary.interrupted = True
                    self._show()
        except NotImplementedError:  # Windows: an interrupt ends the run at once
            task_status.started()

    def _show(self) -> None:
        now, before, summary = self._client.statistics, self._before, self._summary
        summary.requests = now.requests - before.requests
        summary.retries = now.retries - before.retries
        summary.rate_limited = now.rate_limited - before.rate_limited
        summary.seconds_paced = now.seconds_paced - before.seconds_paced
        summary.seconds_backed_off = now.seconds_backed_off - before.seconds_backed_off
        rate = self._client.present_rate
        if rate is not None:
            self._full_rate = max(self._full_rate, rate)
            summary.slowed_to = rate if rate < self._full_rate else None
            if summary.slowed_to is not None:
                summary.slowest = min(summary.slowest or rate, rate)
        try:
            self._on_progress(summary)
        except BaseException:
            # It ends the run, and is raised as it is, which it could not be beside another of its kind.
            self._on_progress = tell_nobody
            raise

    async def _show_now_and_then(self) -> None:
        while True:
            await anyio.sleep(_TICK)
            self._show()

    def _judged(self, result: BulkResult[ItemT]) -> Settled:
        """Say what the items of an answer mean for their rows, which leave the feed."""
        for item in result.errors:
            if isinstance(item.error, ConfigurationError) and not self._has_answers:
                raise item.error
        self._has_answers = True
        settled = Settled()
        answered, accounts = self._feed.answered, settled.accounts
        for item in result.successes:
            row = answered(item.index)
            if isinstance(item, BulkProvisionItem):
                state = _state(row, item)
                if item.settings_applied:
                    settled.succeed(row, state)
                else:
                    accounts.append(_half_applied(row, item, state))
            elif isinstance(item, BulkLoginLinkItem):
                accounts.append(Account(row, link=item.login_link))
            else:
                settled.succeed(row, SUCCEEDED)
        accounts += [self._problem(answered(item.index), item) for item in result.errors]
        if result.stopped_by is not None:
            self._stop(shown(str(result.stopped_by), result.stopped_by))
            self._stopped_by = result.stopped_by
        return settled

    def _problem(self, row: Row[T], item: ItemT) -> Account:
        error = item.error
        reason = shown(item.comment or (str(error) if error is not None else ""), error)
        is_invalid = isinstance(error, InvalidInput)
        if is_invalid:
            reason = _earlier_position.sub(lambda match: f"at line {self._feed.line(int(match[1]))}", reason)
        # What an earlier run sent may have been applied, whatever this one did not send.
        is_unknown = row.in_doubt and item.outcome is Outcome.NOT_SENT
        return Account.of_problem(
            row,
            Outcome.UNKNOWN if is_unknown else item.outcome,
            _SENT_BEFORE + reason if is_unknown else reason,
            code=item.code,
            retryable=item.retryable,
            invalid=is_invalid,
            attempts=item.attempts,
        )

    async def _settle_unfed(self, rows: list[Row[T]]) -> None:
        """Settle rows that nobody can read, and those that an earlier run turns out to have applied."""
        if not rows:
            return
        settled = Settled()
        for row in rows:
            if row.error is None:
                settled.succeed(row, SUCCEEDED)
            else:
                settled.accounts.append(
                    Account.of_problem(row, Outcome.FAILED, str(row.error), retryable=False, invalid=True)
                )
        await self._ledger.settle(settled)
        self._show()

    def _stop(self, reason: str) -> None:
        self._summary.stopped = self._summary.stopped or reason
        self._feed.end()
        if self._journal is not None and self._journal.failure is not None:
            # What is waiting for its turn must not be sent: nobody would remember it.
            self._answers.cancel()

    async def _account_for_the_rest(self) -> None:
        why = "the job was interrupted" if self._summary.interrupted else f"the job stopped: {self._summary.stopped}"
        accounts = [
            Account.of_problem(
                row,
                Outcome.UNKNOWN,
                "the job ended before its answer came",
                retryable=self._may_be_sent_again,
                attempts=1,
            )
            for row in self._feed.unanswered()
        ]
        async for row in self._feed.unfed():
            outcome = Outcome.UNKNOWN if row.in_doubt else Outcome.NOT_SENT
            reason = f"not sent, because {why}"
            accounts.append(Account.of_problem(row, outcome, _SENT_BEFORE + reason if row.in_doubt else reason))
            if len(accounts) >= _TOGETHER:
                await self._ledger.settle(Settled(accounts=accounts))
                self._show()
                accounts = []
        await self._ledger.settle(Settled(accounts=accounts))
        if self._journal is not None and isinstance(self._stopped_by, APIError):
            with contextlib.suppress(JournalError):
                await self._journal.send_again(self._stopped_by.status)
        self._summary.unread = not self._feed.is_read


_TOGETHER: Final = 1_000
_SENT_BEFORE: Final = "an earlier run may have sent it; in this one "


def _state(row: Row[Any], item: BulkProvisionItem) -> int:
    """Say whether the domain is new, as far as that can be known: a lost answer may have been its creation."""
    if item.code == _CREATED and item.attempts:
        return NEW
    is_first = row.attempts + item.attempts == 1 and not row.in_doubt
    return THERE if item.code == _WAS_THERE and is_first else SUCCEEDED


def _half_applied(row: Row[Any], item: BulkProvisionItem, state: int) -> Account:
    problem = Problem(
        row.line,
        row.name,
        SETTINGS_NOT_APPLIED,
        item.code,
        reason="the answer does not show the settings that were asked for; where the domain existed before,"
        " --overwrite replaces them",
        attempts=row.attempts + item.attempts,
    )
    return Account(row, state, problem)


def _only(error: Exception) -> Exception:
    """Take a lone exception out of the group that a task group wraps it in."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
