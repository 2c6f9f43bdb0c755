"""Any iterable, in batches, through a bounded window of requests, to results: in flat memory and with nothing lost.

A reader fills batches from the input and hands each to a worker; at most `concurrency` workers are under way, and
whoever reads the results holds them back. What a batch is made of and how its answer is read is the business of an
`Operation`; this room knows outcomes, not requests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio

from .background import Background, Results
from .columns import Batch
from .errors import (
    APIError,
    BadRequest,
    ConfigurationError,
    ConnectError,
    Forbidden,
    MailChannelsError,
    PayloadTooLarge,
    Unauthorized,
    UnprocessableEntity,
)
from .inputs import AnyIterable, in_pieces, is_lasting
from .intake import Intake
from .models.bulk import BulkItem
from .models.items import Items
from .operation import Operation
from .verdicts import UNMENTIONED, Verdict, bare, different, is_passing, not_sent, verdict_on_all

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
        self._intake = Intake(operation)

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
                if self._intake.batch:
                    await self._hand_over(workers.start_soon, send)
            await self._emit(send)
        if failure is not None:
            raise failure

    async def _go_through(
        self, inputs: AnyIterable[InputT], start: Callable[..., Any], send: MemoryObjectSendStream[Items[ItemT]]
    ) -> None:
        given: list[InputT] = []
        room = self._operation.batch_size
        may_wait = is_lasting(inputs)
        async with aclosing(in_pieces(inputs)) as pieces:
            try:
                async for piece in pieces:
                    rest = iter(piece) if may_wait else map(self._kept, piece)
                    while True:
                        given.extend(islice(rest, room - len(given)))  # CPython keeps what came before an error
                        if len(given) < room:
                            break
                        taken, given = given, []
                        await self._fill(taken, start, send)
                        room = self._operation.batch_size - len(self._intake.batch)
            except Exception:
                # What was read before the input broke off counts.
                self._intake.take(given)
                raise
            self._intake.take(given)

    def _kept(self, given: InputT) -> InputT:
        return given if isinstance(given, str) else self._operation.keep(given)

    async def _fill(
        self, given: list[InputT], start: Callable[..., Any], send: MemoryObjectSendStream[Items[ItemT]]
    ) -> None:
        """Take inputs, and hand over the batch once it is full."""
        self._intake.take(given)
        size = self._operation.batch_size
        # Repeats fill no batch, but they must not pile up behind one either.
        if len(self._intake.batch) == size or (self._intake.batch and self._intake.behind >= MOST_REPEATS):
            await self._hand_over(start, send)
        elif self._intake.made >= size:
            await self._emit(send)
        if self._intake.behind >= MOST_REPEATS:
            await self._catch_up()

    async def _hand_over(self, start: Callable[..., Any], send: MemoryObjectSendStream[Items[ItemT]]) -> None:
        await self._window.acquire()
        start(self._work, self._intake.batch_to_send(), send)

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
            await self._answer(group, not_sent(self.stopped_by), send)
            return Batch()
        group.clear_verdicts()
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
        verdicts = [verdict or UNMENTIONED for verdict in group.verdicts]
        passing: list[int] = []
        if any(map(is_passing, different(verdicts))) and not last and self._may_retry():
            passing = [place for place, verdict in enumerate(verdicts) if is_passing(verdict)]
            settled = [place for place, verdict in enumerate(verdicts) if not is_passing(verdict)]
            self._intake.settle(group.part(settled), [verdicts[place] for place in settled])
        else:
            self._intake.settle(group, verdicts)
        await self._emit(send)
        return group.part(passing)

    async def _answer(
        self, group: Batch[SubjectT], verdict: Verdict, send: MemoryObjectSendStream[Items[ItemT]]
    ) -> None:
        self._intake.settle(group, [verdict] * len(group))
        await self._emit(send)

    async def _emit(self, send: MemoryObjectSendStream[Items[ItemT]]) -> None:
        items = self._intake.collected()
        if items:
            await send.send(items)
