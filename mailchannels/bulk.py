"""Any iterable, in batches, through a bounded window of requests, to results: in flat memory and with nothing lost.

A reader fills batches from the input and hands each to a worker; at most `concurrency` workers are under way, and
whoever reads the results holds them back. What a batch is made of and how its answer is read is the business of an
`Operation`; this room knows outcomes, not requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio

from .background import Background, Results
from .errors import (
    APIError,
    BadRequest,
    ConfigurationError,
    ConnectError,
    Forbidden,
    InvalidInput,
    MailChannelsError,
    PayloadTooLarge,
    RequestError,
    Unauthorized,
    UnprocessableEntity,
)
from .inputs import AnyIterable, in_pieces
from .models.bulk import RETRYABLE_CODES, BulkItem, Outcome
from .repeats import Entry, Repeats, Verdict

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

T = TypeVar("T")
InputT = TypeVar("InputT")
SubjectT = TypeVar("SubjectT")
ItemT = TypeVar("ItemT", bound=BulkItem)

ENOUGH_TO_JUDGE: Final = 100
"""A batch of at least so many that are all refused one by one says that the fault is not with them."""

MOST_REPEATS: Final = 10_000
"""Repeats that may wait for names under way; then the reader waits for them too."""

LOST_AT_A_GATEWAY: Final = frozenset({502, 504})

_FAILED: Final = Outcome.FAILED  # looked up in its enum it takes much longer, on Python 3.11 ten times as long


class Operation(ABC, Generic[InputT, SubjectT, ItemT]):
    """What one kind of bulk call sends, and how its answers are read.

    Attributes:
        batch_size: Inputs in one request at most.
        key: What the key of an input is called where two inputs disagree.
    """

    batch_size: int
    key: str = "domain"

    @abstractmethod
    def entry(self, index: int, given: InputT) -> Entry[SubjectT]:
        """Check one input and make an entry of it; an `InvalidInput` becomes that item's error."""

    @abstractmethod
    def subject(self, given: InputT) -> SubjectT:
        """Say what an item about a refused input is about."""

    @abstractmethod
    async def ask(self, entries: list[Entry[SubjectT]]) -> None:
        """Make one request and note on the entries what its answer says of them; some it may not mention."""

    @abstractmethod
    def item(self, index: int, subject: SubjectT, verdict: Verdict, attempts: int = 0) -> ItemT:
        """Make the item of a result, for an input that was sent in so many requests."""


class Stream(Generic[InputT, SubjectT, ItemT]):
    """One run of a bulk call.

    Attributes:
        stopped_by: What made it stop sending before its input ended; None as long as nothing has.
    """

    def __init__(
        self,
        operation: Operation[InputT, SubjectT, ItemT],
        *,
        concurrency: int,
        max_retries: int,
        may_retry: Callable[[], bool],
        pause: Callable[[int], Awaitable[None]],
    ) -> None:
        self._operation = operation
        self._window = anyio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._max_retries = max_retries
        self._may_retry = may_retry
        self._pause = pause
        self.stopped_by: MailChannelsError | None = None
        self._halving = anyio.Lock()
        self._settled: list[ItemT] = []
        self._behind = 0  # repeats that wait for the outcome of a name under way
        self._repeats = Repeats[SubjectT](operation.key)

    def results(self, inputs: AnyIterable[InputT]) -> Results[ItemT]:
        """Run the call and give the items of each answered request as they come."""
        send, receive = anyio.create_memory_object_stream[list[ItemT]](0)
        return Results(Background(lambda: self._read(inputs, send)), send, receive, lambda: self.stopped_by)

    async def _read(self, inputs: AnyIterable[InputT], send: MemoryObjectSendStream[list[ItemT]]) -> None:
        failure: Exception | None = None
        with send:
            async with aclosing(in_pieces(inputs)) as pieces, anyio.create_task_group() as workers:
                batch: list[Entry[SubjectT]] = []
                index = 0
                size = self._operation.batch_size
                try:
                    async for piece in pieces:
                        for given in piece:
                            is_new = self._take(index, given, batch)
                            index += 1
                            if is_new and len(batch) < size:
                                continue
                            # Repeats fill no batch, but they must not pile up behind one either.
                            if len(batch) == size or (batch and self._behind >= MOST_REPEATS):
                                await self._hand_over(batch, workers.start_soon, send)
                                batch = []
                            elif len(self._settled) >= size:
                                await self._emit(send)
                            if self._behind >= MOST_REPEATS:
                                await self._catch_up()
                except Exception as error:  # noqa: BLE001  # the input's own: raised once everything sent is answered
                    failure = error
                if batch:
                    await self._hand_over(batch, workers.start_soon, send)
            await self._emit(send)
        if failure is not None:
            raise failure

    def _take(self, index: int, given: InputT, batch: list[Entry[SubjectT]]) -> bool:
        """Take one input, and say whether it is in the batch: what is refused or comes again is not."""
        try:
            entry = self._operation.entry(index, given)
            earlier = self._repeats.earlier(entry)
        except InvalidInput as error:
            subject = self._operation.subject(given)
            self._settled.append(self._operation.item(index, subject, _refused(bare(error))))
            return False
        if earlier is None:
            if self.stopped_by is None:
                batch.append(entry)
                return True
            self._settle([entry], _not_sent(self.stopped_by))
        elif isinstance(earlier, Verdict):
            self._settled.append(self._operation.item(index, entry.subject, earlier))
        else:
            if earlier.repeats is None:
                earlier.repeats = []
            earlier.repeats.append((index, entry.subject))
            self._behind += 1
        return False

    async def _hand_over(
        self,
        batch: list[Entry[SubjectT]],
        start: Callable[..., Any],
        send: MemoryObjectSendStream[list[ItemT]],
    ) -> None:
        await self._window.acquire()
        start(self._work, batch, send)

    async def _catch_up(self) -> None:
        """Wait until everything under way is answered."""
        for _ in range(self._concurrency):
            await self._window.acquire()
        for _ in range(self._concurrency):
            self._window.release()

    async def _work(self, batch: list[Entry[SubjectT]], send: MemoryObjectSendStream[list[ItemT]]) -> None:
        try:
            refusal = await self._settle_all(batch, 1, send)
            if refusal is not None:
                # One at a time: where everything is refused, the first batch to find out stops the others.
                async with self._halving:
                    await self._isolate(batch, refusal, send)
        finally:
            self._window.release()

    async def _settle_all(
        self, group: list[Entry[SubjectT]], attempt: int, send: MemoryObjectSendStream[list[ItemT]]
    ) -> APIError | None:
        """Ask until every entry is settled, or give the refusal of them all."""
        while group:
            try:
                group = await self._ask(group, send, last=attempt > self._max_retries)
            except (BadRequest, PayloadTooLarge, UnprocessableEntity) as error:
                return bare(error)
            if group:
                await self._pause(attempt)
                attempt += 1
        return None

    async def _isolate(
        self, batch: list[Entry[SubjectT]], refusal: APIError, send: MemoryObjectSendStream[list[ItemT]]
    ) -> None:
        """One bad entry makes the API refuse them all: halve, until the bad ones stand alone."""
        groups = [(batch, refusal)]
        gone_through = False
        while groups:
            group, refusal = groups.pop()
            if len(group) == 1:
                await self._answer(group, verdict_on_all(refusal), send)
                continue
            middle = len(group) // 2
            for half in (group[:middle], group[middle:]):
                refused = await self._settle_all(half, 1, send)
                if refused is None:
                    gone_through = True
                else:
                    groups.append((half, refused))
        if not gone_through and len(batch) == max(self._operation.batch_size, ENOUGH_TO_JUDGE):
            # All of them were in order here, and each was refused alone.
            self.stopped_by = self.stopped_by or refusal

    async def _ask(
        self, group: list[Entry[SubjectT]], send: MemoryObjectSendStream[list[ItemT]], *, last: bool
    ) -> list[Entry[SubjectT]]:
        """Make one request, settle what it settles, and give the entries that deserve another."""
        if self.stopped_by is not None:
            await self._answer(group, _not_sent(self.stopped_by), send)
            return []
        try:
            await self._operation.ask(group)
        except (BadRequest, PayloadTooLarge, UnprocessableEntity):
            raise
        except MailChannelsError as error:
            hopeless = isinstance(error, ConnectError) and not error.retryable
            if hopeless or isinstance(error, (Unauthorized, Forbidden, ConfigurationError)):
                self.stopped_by = error
            await self._answer(group, verdict_on_all(bare(error)), send)
            return []
        settled: list[Entry[SubjectT]] = []
        passing: list[Entry[SubjectT]] = []
        for entry in group:
            verdict = entry.verdict
            if verdict is not None and verdict.outcome is _FAILED and verdict.code in RETRYABLE_CODES:
                passing.append(entry)
            else:
                settled.append(entry)
        if passing and (last or not self._may_retry()):
            settled, passing = group, []
        self._settle(settled)
        await self._emit(send)
        for entry in passing:
            entry.verdict = None
        return passing

    async def _answer(
        self, group: list[Entry[SubjectT]], verdict: Verdict, send: MemoryObjectSendStream[list[ItemT]]
    ) -> None:
        self._settle(group, verdict)
        await self._emit(send)

    def _settle(self, settled: list[Entry[SubjectT]], on_all: Verdict | None = None) -> None:
        """Make the items of entries and of their repeats, and remember what came of these instead of the entries."""
        item, items, remember = self._operation.item, self._settled, self._repeats.settle
        for entry in settled:
            verdict = on_all or entry.verdict or UNMENTIONED
            remember(entry, verdict)
            items.append(item(entry.index, entry.subject, verdict, entry.attempts))
            if entry.repeats:
                items += [item(index, repeat, verdict) for index, repeat in entry.repeats]
                self._behind -= len(entry.repeats)

    async def _emit(self, send: MemoryObjectSendStream[list[ItemT]]) -> None:
        items, self._settled = self._settled, []
        if items:
            await send.send(items)


def count_attempt(entries: list[Entry[Any]]) -> None:
    """Count that a request with these entries is sent."""
    for entry in entries:
        entry.attempts += 1


UNMENTIONED: Final = Verdict(Outcome.UNKNOWN, comment="the answer does not mention it")


def _refused(error: InvalidInput) -> Verdict:
    return Verdict(Outcome.FAILED, comment=str(error), error=error)


def _not_sent(reason: MailChannelsError) -> Verdict:
    return Verdict(Outcome.NOT_SENT, comment=f"not sent, because the job stopped: {reason}", error=reason)


ErrorT = TypeVar("ErrorT", bound=MailChannelsError)


def bare(error: ErrorT) -> ErrorT:
    """Take from an error, which results keep, the frames of the request that it came from, and so the whole batch."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def verdict_on_all(error: MailChannelsError) -> Verdict:
    """Judge every entry of a request that failed as a whole."""
    if isinstance(error, APIError):
        lost = error.maybe_applied or error.status in LOST_AT_A_GATEWAY
        return Verdict(Outcome.UNKNOWN if lost else Outcome.FAILED, error.status, error.message, error)
    if isinstance(error, ConfigurationError) or (isinstance(error, RequestError) and not error.maybe_applied):
        return Verdict(Outcome.NOT_SENT, comment=str(error), error=error)
    return Verdict(Outcome.UNKNOWN, comment=str(error), error=error)
