"""From a source to a bulk call: rows on their way, each remembered until its answer comes.

Rows wait here only between being fed and being answered, so memory does not grow with the input. A journal, where
there is one, is told before rows are fed, and says which of them need not be. What an answer means is not known here.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from ..errors import InvalidInput
from ..inputs import InPieces
from .database import JournalError
from .journal import OPEN
from .rows import FILE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from .journal import Journal, Known
    from .rows import Row
    from .source import Source

__all__ = ["Feed"]

T = TypeVar("T")

_BLOCK: Final = 1_000
_AHEAD: Final = 8_000  # rows that a file promises at a time: a promise waits for the disk


class Feed(InPieces[T]):
    """The rows of a source, in the order and numbering in which a bulk call gets them.

    Args:
        source: Where the rows come from.
        on_settled: Called after each block with the rows of it that are not fed, as nobody can read them or as
            `look_up` gave them.
        on_failure: Called with the reason when the source cannot be read further, or the journal not be written.
        journal: What is known of the rows; None where nothing is.
        look_up: Asked about rows that an earlier run may have applied; gives those that it did.

    Attributes:
        is_read: Whether there is nothing left to read.
    """

    def __init__(
        self,
        source: Source[T],
        on_settled: Callable[[list[Row[T]]], Awaitable[None]],
        on_failure: Callable[[str], None],
        journal: Journal | None = None,
        look_up: Callable[[list[Row[T]]], Awaitable[list[Row[T]]]] | None = None,
    ) -> None:
        self.is_read: bool = False
        self._source = source
        self._is_stream = source.is_stream
        self._on_settled = on_settled
        self._on_failure = on_failure
        self._journal = journal
        self._look_up = look_up
        self._earlier = 0 if journal is None else journal.promised
        # A file is known as a whole before its first row is fed; of all else, what is fed is added up.
        self._digest = None if journal is None or journal.has_content else hashlib.sha256()
        self._position = 0
        self._block: deque[Row[T]] = deque()
        self._unsorted: list[Row[T]] = []
        self._reading = anyio.CancelScope()
        self._is_ending = False
        self._is_left = False
        self._pending: dict[int, Row[T]] = {}
        self._fed = 0
        # Lines and positions mostly count on together: only where they do not is anything kept.
        self._gap = 0  # of no row: lines count from 1
        self._gap_positions = array("q")
        self._gaps = array("q")

    async def pieces(self) -> AsyncGenerator[Iterable[T], None]:
        """Feed rows until the source or the feed ends."""
        while not self._is_ending and await self._has_more():
            yield self._values()

    def _values(self) -> Iterator[T]:
        block, pending = self._block, self._pending
        take = block.popleft
        while block and not self._is_ending:
            row = take()
            if (value := row.value) is not None:  # pragma: no branch  # what nobody can read was settled before
                fed = self._fed
                pending[fed] = row
                if row.line - fed != self._gap:
                    self._gap = row.line - fed
                    self._gap_positions.append(fed)
                    self._gaps.append(self._gap)
                self._fed = fed + 1
                yield value

    async def recognise(self) -> None:
        """Go through the rows that an earlier run was fed, and hold that they are the same.

        Raises:
            InvalidInput: They are not.
            JournalError: The journal cannot be read or written.
        """
        if self._digest is None or self._journal is None or not self._earlier:
            return
        while self._position < self._earlier:
            await self._read(self._earlier - self._position)
            if self.is_read:
                break
        if self._position < self._earlier or self._digest.hexdigest() != self._journal.digest:
            raise InvalidInput(
                FILE, f"its first {self._earlier:,} rows are not those that the journal's job was fed; give them again"
            )

    def end(self) -> None:
        """Feed no further row."""
        self._is_ending = True
        if self._is_stream:
            self._reading.cancel()

    def leave(self) -> None:
        """Read no further, not even to account for what is left."""
        self._is_left = True

    def line(self, index: int) -> int:
        """Give the line of the row that was fed at this position, answered or not."""
        return index + self._gaps[bisect_right(self._gap_positions, index) - 1]

    def answered(self, index: int) -> Row[T]:
        """Give the row that was fed at this position, and forget it."""
        return self._pending.pop(index)

    def unanswered(self) -> Iterator[Row[T]]:
        """Give the rows that were fed and not answered."""
        yield from self._pending.values()

    async def unfed(self) -> AsyncIterator[Row[T]]:
        """Give the rows that were not fed; of a stream, or once it is left, only those that were read."""
        self._is_ending = True
        if rows := self._source.left_over():
            await self._admit(rows)
        while self._block or self._unsorted or (not self._is_stream and not self._is_left and not self.is_read):
            if not self._block and not await self._has_more():
                continue
            row = self._block.popleft()
            if row.value is not None:  # pragma: no branch  # what nobody can read was settled before
                yield row

    async def _has_more(self) -> bool:
        if self._unsorted:
            await self._sort_out()
        while not self._block and not self.is_read and not (self._is_ending and self._is_stream):
            try:
                await self._read(_BLOCK)
            except OSError as error:
                self.is_read = True
                self._on_failure(f"FILE could not be read further: {error.strerror or error}")
            if self._unsorted:
                await self._sort_out()
        return bool(self._block)

    async def _read(self, count: int) -> None:
        """Read the next rows, without keeping the answers of others waiting meanwhile."""
        # A read from a terminal or pipe may never end and can be left alone; rows of a file must not get lost.
        with anyio.CancelScope(shield=not self._is_stream) as self._reading:
            rows = await self._source.take(min(count, _BLOCK))
            with anyio.CancelScope(shield=True):
                await self._admit(rows)

    async def _admit(self, rows: list[Row[T]]) -> None:
        """Let in the rows that are still to be sent, once the journal knows that they may be."""
        self.is_read = not rows
        first = self._position
        self._position += len(rows)
        for position, row in enumerate(rows, first):
            row.position = position
        if self._journal is None or self._journal.failure is not None:
            self._unsorted.extend(rows)
            return
        if self._digest is not None:
            for row in rows:
                self._digest.update(row.content.encode("utf-8", "surrogateescape") + b"\n")
        try:
            self._unsorted.extend(self._left(rows, await self._journal.known(first, len(rows))))
            if self._position > self._journal.promised and not self._is_ending:
                if self._digest is None:
                    await self._journal.promise(first + _AHEAD)
                else:
                    await self._journal.promise(self._position, self._digest.hexdigest())
        except JournalError as error:
            self._on_failure(str(error))
            # Without the journal nobody knows which rows are settled.
            self._is_left = self._is_left or not self._unsorted

    def _left(self, rows: list[Row[T]], known: Known) -> list[Row[T]]:
        """Leave out what was settled in earlier runs."""
        if rows and rows[0].position >= self._earlier and not any(known.states):
            return rows
        left = []
        for row, state in zip(rows, known.states, strict=True):
            if state == OPEN:
                row.in_doubt = row.position < self._earlier
                left.append(row)
            elif row.position in known.again:
                row.attempts, row.in_doubt = known.again[row.position]
                left.append(row)
        return left

    async def _sort_out(self) -> None:
        """Of what was read, feed what is still to be sent; the rest is settled."""
        settled: list[Row[T]] = []
        doubtful: list[Row[T]] = []
        for row in self._unsorted:
            if row.value is None:
                settled.append(row)
            elif row.in_doubt:
                doubtful.append(row)
        if doubtful and self._look_up is not None and not self._is_ending:
            settled += await self._look_up(doubtful)
        if settled:
            gone = {row.position for row in settled}
            self._unsorted = [row for row in self._unsorted if row.position not in gone]
        self._block.extend(self._unsorted)
        self._unsorted = []
        with anyio.CancelScope(shield=True):
            await self._on_settled(settled)
