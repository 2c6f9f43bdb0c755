"""Any iterable, in batches, through a bounded window of requests, to results: in flat memory and with nothing lost.

A reader fills batches from the input and hands each to a worker; at most `concurrency` workers are under way, and
whoever reads the results holds them back. What a batch is made of and how its answer is read is the business of an
`Operation`; this room knows outcomes, not requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio

from .background import Background, Results
from .columns import Batch, Verdict
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
from .inputs import AnyIterable, in_pieces, is_lasting
from .models.bulk import RETRYABLE_CODES, BulkItem, Outcome
from .models.items import Items
from .repeats import Repeats

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from .models.items import Unmade

T = TypeVar("T")
InputT = TypeVar("InputT")
SubjectT = TypeVar("SubjectT")
ItemT = TypeVar("ItemT", bound=BulkItem)

ENOUGH_TO_JUDGE: Final = 100
"""A batch of at least so many that are all refused one by one says that the fault is not with them."""

MOST_REPEATS: Final = 10_000
"""Repeats that may wait for names under way; then the reader waits for them too."""

LOST_AT_A_GATEWAY: Final = frozenset({502, 504})

# Looked up in their enum they take much longer, on Python 3.11 ten times as long.
_FAILED: Final = Outcome.FAILED
_SUCCEEDED: Final = Outcome.SUCCEEDED


class Operation(ABC, Generic[InputT, SubjectT, ItemT]):
    """What one kind of bulk call sends, and how its answers are read.

    Attributes:
        batch_size: Inputs in one request at most.
        key: What the key of an input is called where two inputs disagree.
    """

    batch_size: int
    key: str = "domain"

    def keep(self, given: InputT) -> InputT:
        """Give an input as it is now, whatever becomes of the object; text and what is frozen stays as it is."""
        return given

    @abstractmethod
    def prepare(self, given: list[InputT]) -> Batch[SubjectT]:
        """Check inputs and give their keys, subjects and fragments.

        Raises:
            InvalidInput: One of them cannot be right; of an input alone, it becomes that item's error.
        """

    @abstractmethod
    def subject(self, given: InputT) -> SubjectT:
        """Say what an item about a refused input is about."""

    @abstractmethod
    async def ask(self, batch: Batch[SubjectT]) -> None:
        """Make one request and note on the batch what its answer says; of some inputs it may say nothing."""

    @staticmethod
    @abstractmethod
    def item(index: int, subject: SubjectT, verdict: Verdict, attempts: int = 0) -> ItemT:
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
        self._repeats = Repeats(operation.key)
        self._taken = 0
        self._batch: Batch[SubjectT] = Batch()
        self._waiting: dict[str, list[tuple[int, SubjectT]]] = {}  # repeats of names that are under way
        self._behind = 0  # how many these are
        self._made: list[ItemT] = []
        self._unmade: list[Unmade[ItemT]] = []

    def results(self, inputs: AnyIterable[InputT]) -> Results[Items[ItemT]]:
        """Run the call and give the items of each answered request as they come."""
        send, receive = anyio.create_memory_object_stream[Items[ItemT]](0)
        return Results(Background(lambda: self._read(inputs, send)), send, receive, lambda: self.stopped_by)

    async def _read(self, inputs: AnyIterable[InputT], send: MemoryObjectSendStream[Items[ItemT]]) -> None:
        failure: Exception | None = None
        with send:
            async with anyio.create_task_group() as workers:
                try:
                    await self._go_through(inputs, workers.start_soon, send)
                except Exception as error:  # noqa: BLE001  # the input's own: raised once everything sent is answered
                    failure = error
                if self._batch:
                    await self._hand_over(workers.start_soon, send)
            await self._emit(send)
        if failure is not None:
            raise failure

    async def _go_through(
        self, inputs: AnyIterable[InputT], start: Callable[..., Any], send: MemoryObjectSendStream[Items[ItemT]]
    ) -> None:
        given: list[InputT] = []
        room = self._operation.batch_size
        may_wait, keep = is_lasting(inputs), self._operation.keep
        async with aclosing(in_pieces(inputs)) as pieces:
            try:
                async for piece in pieces:
                    for one in piece:
                        given.append(one if may_wait or isinstance(one, str) else keep(one))
                        if len(given) == room:
                            taken, given = given, []
                            await self._fill(taken, start, send)
                            room = self._operation.batch_size - len(self._batch)
            finally:
                # Also what was read before the input broke off.
                self._take(given)

    async def _fill(
        self, given: list[InputT], start: Callable[..., Any], send: MemoryObjectSendStream[Items[ItemT]]
    ) -> None:
        """Take inputs, and hand over the batch once it is full."""
        self._take(given)
        size = self._operation.batch_size
        # Repeats fill no batch, but they must not pile up behind one either.
        if len(self._batch) == size or (self._batch and self._behind >= MOST_REPEATS):
            await self._hand_over(start, send)
        elif len(self._made) >= size:
            await self._emit(send)
        if self._behind >= MOST_REPEATS:
            await self._catch_up()

    def _take(self, given: list[InputT]) -> None:
        if not given:
            return
        first = self._taken
        self._taken += len(given)
        try:
            prepared = self._operation.prepare(given)
        except InvalidInput:
            for index, one in enumerate(given, first):
                self._take_alone(index, one)
        else:
            prepared.indexes = [*range(first, self._taken)]
            self._admit(prepared)

    def _take_alone(self, index: int, given: InputT) -> None:
        try:
            prepared = self._operation.prepare([given])
        except InvalidInput as error:
            self._refuse(index, self._operation.subject(given), error)
        else:
            prepared.indexes = [index]
            self._admit(prepared)

    def _admit(self, prepared: Batch[SubjectT]) -> None:
        """Let into the batch whose keys are new."""
        if self._repeats.are_new(prepared.keys):
            self._repeats.remember(prepared)
            self._batch.take_in(prepared)
        elif len(prepared) == 1:
            self._take_repeat(prepared.indexes[0], prepared.keys[0], prepared.subjects[0], prepared.fragments[0])
        else:
            for place in range(len(prepared)):
                self._admit(prepared.part([place]))

    def _take_repeat(self, index: int, key: str, subject: SubjectT, fragment: bytes) -> None:
        try:
            verdict = self._repeats.earlier(key, fragment)
        except InvalidInput as error:
            self._refuse(index, subject, error)
            return
        if verdict is None:
            self._waiting.setdefault(key, []).append((index, subject))
            self._behind += 1
        else:
            self._made.append(self._operation.item(index, subject, verdict))

    def _refuse(self, index: int, subject: SubjectT, error: InvalidInput) -> None:
        self._made.append(self._operation.item(index, subject, _refused(bare(error))))

    async def _hand_over(self, start: Callable[..., Any], send: MemoryObjectSendStream[Items[ItemT]]) -> None:
        await self._window.acquire()
        start(self._work, self._batch, send)
        self._batch = Batch()

    async def _catch_up(self) -> None:
        """Wait until everything under way is answered."""
        for _ in range(self._concurrency):
            await self._window.acquire()
        for _ in range(self._concurrency):
            self._window.release()

    async def _work(self, batch: Batch[SubjectT], send: MemoryObjectSendStream[Items[ItemT]]) -> None:
        try:
            refused = await self._settle_all(batch, send)
            if refused is not None:
                # One at a time: where everything is refused, the first batch to find out stops the others.
                async with self._halving:
                    await self._isolate(*refused, send)
        finally:
            self._window.release()

    async def _settle_all(
        self, group: Batch[SubjectT], send: MemoryObjectSendStream[Items[ItemT]]
    ) -> tuple[Batch[SubjectT], APIError] | None:
        """Ask until everything is settled, or give those that were refused together, and why."""
        attempt = 1
        while group:
            try:
                group = await self._ask(group, send, last=attempt > self._max_retries)
            except (BadRequest, PayloadTooLarge, UnprocessableEntity) as error:
                return group, bare(error)
            if group:
                await self._pause(attempt)
                attempt += 1
        return None

    async def _isolate(
        self, batch: Batch[SubjectT], refusal: APIError, send: MemoryObjectSendStream[Items[ItemT]]
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
            for half in (group.part(range(middle)), group.part(range(middle, len(group)))):
                refused = await self._settle_all(half, send)
                gone_through = gone_through or refused is None or len(refused[0]) < len(half)
                if refused is not None:
                    groups.append(refused)
        if not gone_through and len(batch) == max(self._operation.batch_size, ENOUGH_TO_JUDGE):
            # All of them were in order here, and each was refused alone.
            self.stopped_by = self.stopped_by or refusal

    async def _ask(
        self, group: Batch[SubjectT], send: MemoryObjectSendStream[Items[ItemT]], *, last: bool
    ) -> Batch[SubjectT]:
        """Make one request, settle what it settles, and give those that deserve another."""
        if self.stopped_by is not None:
            await self._answer(group, _not_sent(self.stopped_by), send)
            return Batch()
        group.forget()
        try:
            await self._operation.ask(group)
        except (BadRequest, PayloadTooLarge, UnprocessableEntity):
            raise
        except MailChannelsError as error:
            hopeless = isinstance(error, ConnectError) and not error.retryable
            if hopeless or isinstance(error, (Unauthorized, Forbidden, ConfigurationError)):
                self.stopped_by = error
            await self._answer(group, verdict_on_all(bare(error)), send)
            return Batch()
        passing = [
            place
            for place, verdict in enumerate(group.verdicts)
            if verdict and verdict.outcome is _FAILED and verdict.code in RETRYABLE_CODES
        ]
        if not passing or last or not self._may_retry():
            passing, settled = [], group
        else:
            gone = {*passing}
            settled = group.part(place for place in range(len(group)) if place not in gone)
        self._settle(settled, [verdict or UNMENTIONED for verdict in settled.verdicts])
        await self._emit(send)
        return group.part(passing)

    async def _answer(
        self, group: Batch[SubjectT], verdict: Verdict, send: MemoryObjectSendStream[Items[ItemT]]
    ) -> None:
        self._settle(group, [verdict] * len(group))
        await self._emit(send)

    def _settle(self, group: Batch[SubjectT], verdicts: list[Verdict]) -> None:
        """Remember what came of inputs, and have the items of these and of their repeats made."""
        self._repeats.settle(group.keys, verdicts)
        make = partial(_items, self._operation.item, group.indexes, group.subjects, verdicts, group.attempts)
        if all([verdict.outcome is _SUCCEEDED for verdict in verdicts]):  # noqa: C419  # a list takes half the time
            self._unmade.append((len(verdicts), make))
        else:
            self._made += make()
        if self._waiting:
            item = self._operation.item
            for key, verdict in zip(group.keys, verdicts, strict=True):
                repeats = self._waiting.pop(key, ())
                self._made += [item(index, subject, verdict) for index, subject in repeats]
                self._behind -= len(repeats)

    async def _emit(self, send: MemoryObjectSendStream[Items[ItemT]]) -> None:
        items = Items(self._made, self._unmade)
        self._made, self._unmade = [], []
        if items:
            await send.send(items)


def count_attempt(batch: Batch[Any]) -> None:
    """Count that a request with all of these is sent."""
    batch.attempts += 1


def _items(
    item: Callable[[int, SubjectT, Verdict, int], ItemT],
    indexes: list[int],
    subjects: list[SubjectT],
    verdicts: list[Verdict],
    attempts: int,
) -> list[ItemT]:
    return [*map(item, indexes, subjects, verdicts, repeat(attempts))]


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
