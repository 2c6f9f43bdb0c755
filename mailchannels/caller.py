"""The thread that makes a blocking call: it waits, and meanwhile does what only it may do.

An iterable that a caller hands in may be a database cursor, which no other thread may touch, or may call the same
client again; so it is read in the thread that waits. Nothing here knows of clients or of how a call is passed on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from contextvars import ContextVar
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

import anyio
import anyio.lowlevel

from .inputs import ReadAhead

P = ParamSpec("P")
T = TypeVar("T")

CHUNK: Final = 1_000
"""Inputs taken from a caller's iterable at a time: passing a call between threads costs more than an input does."""

# On Windows Ctrl-C interrupts no wait without an end.
POLL: Final = 0.1 if sys.platform == "win32" else None


class Caller:
    """A thread that waits for a call to finish and meanwhile does what the call asks of it."""

    def __init__(self) -> None:
        # One for all steps of an iterator: between two of them, what reads ahead may ask for more.
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # Beside the inbox, because Ctrl-C may strike as the last of it has just been taken.
        self._has_ended = False
        # Beside the inbox too, and for the same reason.
        self._askers: set[Callable[[], None]] = set()
        self._has_left = False

    def begin(self) -> None:
        """Prepare for another call."""
        self._has_ended = False

    def lending(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """Put a call off whose iterables are read in this thread."""
        mine: Any = [lent(value, self._get) for value in args]
        mine_by_name: Any = {name: lent(value, self._get) for name, value in kwargs.items()}
        return lambda: function(*mine, **mine_by_name)  # shown by a traceback, it does not show a key

    def _get(self) -> Caller:
        return self

    async def run_here(self, function: Callable[[], T]) -> T:
        """From the event loop: run a function in the waiting thread.

        Raises:
            asyncio.CancelledError: The thread has left.
        """
        import asyncio  # noqa: PLC0415  # it runs already

        event_loop, done = asyncio.get_running_loop(), asyncio.Event()
        wanted, outcome = [function], list[T]()
        del function

        def release() -> None:
            with suppress(RuntimeError):  # the client was closed meanwhile, and its loop with it
                event_loop.call_soon_threadsafe(done.set)

        def job() -> None:
            for each in [*wanted]:  # there is none where nobody wants it any more
                outcome.append(each())
            release()

        self._askers.add(release)  # before the look at `_has_left`: whoever leaves does these in the other order
        try:
            if not self._has_left:
                self._inbox.put(job)
                await done.wait()
        finally:
            self._askers.discard(release)
            # Left in the inbox for good, the job would hold what it reads, and by that the inbox: a file or a cursor
            # would stay open until Python comes to collect them.
            wanted.clear()
        if not outcome:
            raise asyncio.CancelledError("whoever waited for this call has left")
        return outcome[0]

    def finish(self) -> None:
        """Let the waiting thread go."""
        self._has_ended = True
        self._inbox.put(None)

    def serve(self) -> None:
        """Wait until the call has finished, and do what it asks meanwhile."""
        while (job := self._next()) is not None:
            job()

    def leave(self) -> None:
        """Do nothing any more, and keep nobody waiting who has asked for it; to leave again does nothing."""
        self._has_left = True
        for release in [*self._askers]:
            release()

    def wait(self) -> None:
        """Wait until the call has finished, and do nothing else meanwhile."""
        while not self._has_ended:
            self._next()

    def _next(self) -> Callable[[], None] | None:
        while True:
            try:
                return self._inbox.get(timeout=POLL)
            except Empty:
                continue


class LentIterator(ReadAhead[Any]):
    """A caller's iterable, read in the caller's thread; an error of its own comes after all that it gave before.

    Many inputs are passed on together, unless it is one object that is filled again and again.
    """

    def __init__(self, iterable: Iterable[Any], caller: Callable[[], Caller]) -> None:
        self._iterable = iterable
        self._iterator: Any = None
        self._caller = caller
        self._chunk: list[Any] = []
        self._size = 1
        self._last: Any = None
        self._error: Exception | None = None
        self._ended = False

    async def __anext__(self) -> Any:
        if not self._chunk and not self._ended:
            await anyio.lowlevel.checkpoint_if_cancelled()
            # Whoever is cancelled meanwhile gets all the same what is being read: it would be lost.
            with anyio.CancelScope(shield=True):
                await self._caller().run_here(self._pull)
            self._chunk.reverse()
        if self._chunk:
            return self._chunk.pop()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    def ahead(self) -> list[Any]:
        """Give what has been read and not been given yet, and do not give it again."""
        ahead, self._chunk = self._chunk[::-1], []
        return ahead

    def _pull(self) -> None:
        try:
            if self._iterator is None:
                self._iterator = iter(self._iterable)
            for item in islice(self._iterator, self._size):
                self._chunk.append(item)  # what came before an error must not be lost with it
        except Exception as error:  # noqa: BLE001
            self._error = error
        self._ended = len(self._chunk) < self._size
        if self._size == 1 and not self._ended:
            (item,) = self._chunk
            if isinstance(item, str) or (self._last is not None and item is not self._last):
                self._size = CHUNK
            self._last = item


def lent(value: Any, caller: Callable[[], Caller]) -> Any:
    """Make an iterable readable from the event loop, by the thread that waits then; anything else stays as it is."""
    # A collection lies in memory and can be read anywhere; anything else may run code of the caller's.
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Sequence, AbstractSet, Mapping)):
        return LentIterator(value, caller)
    return value


waiting: Final[ContextVar[Caller]] = ContextVar("mailchannels_waiting_caller")
"""Of a call on the event loop, the thread that waits for it."""
