"""How a blocking client calls an async one, which lives on an event loop in a thread of its own.

A call is a coroutine that runs there while the calling thread waits, and what has to run in the calling thread is
passed back to it: an iterable that a caller hands in may be a database cursor, which no other thread may touch, or may
call the same client again. The loop belongs to a process: a forked child opens its own, with connections of its own.

Nothing here knows of the API.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from collections.abc import Set as AbstractSet
from contextlib import suppress
from contextvars import ContextVar
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar

import anyio
from attrs import define, field

from .errors import ConfigurationError
from .event_loop import EventLoop

P = ParamSpec("P")
T = TypeVar("T")
ClientT_co = TypeVar("ClientT_co", bound="Closable", covariant=True)

CHUNK: Final = 1_000
"""Inputs taken from a caller's iterable at a time: passing a call between threads costs more than an input does."""

# On Windows Ctrl-C interrupts no wait without an end.
POLL: Final = 0.1 if sys.platform == "win32" else None

LONGEST_FAREWELL: Final = 2.0
"""Seconds that leaving the interpreter waits for an open client's connections to close."""


class Closable(Protocol):
    """An async client, as far as this room knows it."""

    async def aclose(self) -> None:
        """Close it."""


@define(eq=False)
class _Running(Generic[ClientT_co]):
    """What one process has: a client and, after the first call, the event loop that it runs on."""

    client: ClientT_co
    event_loop: EventLoop = field(factory=EventLoop)

    def stop(self, patience: float | None = None) -> None:
        """Close the client and end the thread."""
        self.event_loop.stop(self.client.aclose, patience)


class EventLoopThread(Generic[ClientT_co]):
    """Runs the calls of one blocking client.

    Args:
        open_client: Makes the async client that does the work; called again in a forked child.
    """

    def __init__(self, open_client: Callable[[], ClientT_co]) -> None:
        self._open_client = open_client
        self._lock = threading.Lock()
        self._closed = False
        self._warned = False
        self._running: _Running[ClientT_co] | None = _Running(open_client())
        self._finalizer = weakref.finalize(self, _Running.stop, self._running, LONGEST_FAREWELL)
        _threads.add(self)

    @property
    def client(self) -> ClientT_co:
        """The async client of this process."""
        return self._of_this_process().client

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function and give what it returns or raises.

        Ctrl-C cancels it and waits until it has stopped.
        """
        self._warn_inside_an_event_loop(stacklevel=4)
        caller = _Caller()
        start = caller.lending(function, *args, **kwargs)
        del args, kwargs  # a traceback that shows variables must not show a key
        return self._call(caller, start)

    def prepared(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
        """Put a call off, so that whoever makes it need not keep arguments that are secret."""
        self._warn_inside_an_event_loop(stacklevel=4)
        caller = _Caller()
        start = caller.lending(function, *args, **kwargs)
        return lambda: self._call(caller, start)

    def iterate(
        self, function: Callable[P, AsyncGenerator[T, None]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        """Go through an async generator, one step of it for each step of the caller's."""
        self._warn_inside_an_event_loop(stacklevel=3)
        caller = _Caller()
        lent = [caller.lend(value) for value in args]
        steps = function(*lent, **{name: caller.lend(value) for name, value in kwargs.items()})
        try:
            while (step := self._call(caller, lambda: anext(steps, _END))) is not _END:
                yield step  # type: ignore[misc]
        finally:
            self._abandon(caller, steps)

    def lend(self, value: T) -> T:
        """Make an iterable readable by later calls, each in the thread that makes it; anything else stays as it is."""
        lent: T = _lent(value, _waiting.get)
        return lent

    def close(self) -> None:
        """Close the client and end the thread; calls under way in other threads are cancelled."""
        with self._lock:
            self._closed = True
            running = self._running
        self._finalizer.detach()
        if running is not None:
            running.stop()

    def _call(self, caller: _Caller, start: Callable[[], Awaitable[T]]) -> T:
        event_loop = self._started()
        outcome: list[tuple[T | None, BaseException | None]] = []
        has_ended = False

        async def run() -> None:
            nonlocal has_ended
            _waiting.set(caller)
            try:
                outcome.append((await start(), None))
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  # raised to the caller; loose, it would end the loop
                outcome.append((None, error))
            # At once: the end of a task is told only after another round of the event loop.
            has_ended = True
            caller.finish()

        def end() -> None:
            if not has_ended:
                caller.finish()

        cancel: Callable[[], None] | None = None
        try:
            cancel = event_loop.spawn(run, end)
            caller.serve()
        except BaseException:
            # Left alone, the coroutine would go on, and a write that the user has stopped would happen after all.
            if cancel is not None:
                cancel()
                caller.wait()
            raise
        if not outcome:
            raise ConfigurationError("the client was closed while this call was under way")
        value, error = outcome.pop()
        if error is not None:
            try:
                raise error
            finally:
                del error
        return value  # type: ignore[return-value]

    def _abandon(self, caller: _Caller, steps: AsyncGenerator[Any, None]) -> None:
        """Close an async generator that may have been left early, from wherever Python happens to collect it."""
        running = self._running
        if self._closed or running is None or not running.event_loop.is_started:
            return

        async def close() -> None:
            with suppress(Exception):  # nobody is there any more to be told
                await steps.aclose()

        try:
            running.event_loop.spawn(close, caller.finish)
        except ConfigurationError:  # the loop is stopping, and everything in it
            return
        if threading.current_thread() is not running.event_loop.thread:
            caller.wait()

    def _started(self) -> EventLoop:
        if self._closed:
            raise ConfigurationError("this client is closed; create another one")
        event_loop = self._of_this_process().event_loop
        if threading.current_thread() is event_loop.thread:
            raise ConfigurationError("a blocking client cannot be called from its own event loop")
        if not event_loop.is_started:
            with self._lock:
                if self._closed:
                    raise ConfigurationError("this client is closed; create another one")
                if not event_loop.is_started:
                    event_loop.start()
        return event_loop

    def _of_this_process(self) -> _Running[ClientT_co]:
        if self._running is None:
            with self._lock:
                if self._running is None:
                    self._running = _Running(self._open_client())
                    self._finalizer = weakref.finalize(self, _Running.stop, self._running, LONGEST_FAREWELL)
        return self._running

    def _warn_inside_an_event_loop(self, stacklevel: int) -> None:
        own = self._running.event_loop.thread if self._running is not None else None
        if not self._warned and threading.current_thread() is not own and _is_event_loop_running():
            self._warned = True
            warnings.warn(
                "a blocking MailChannels client is used inside a running event loop, which stands still meanwhile;"
                " use the async client there",
                RuntimeWarning,
                stacklevel=stacklevel,
            )

    def _leave_to_parent(self) -> None:
        """In a forked child: forget the parent's loop and sockets without touching them, and start anew when needed."""
        self._lock = threading.Lock()
        self._finalizer.detach()
        if self._running is not None:
            # Collecting them would close connections and complain about an event loop that runs elsewhere.
            _left_to_parent.append(self._running)
            self._running = None


class _Caller:
    """A thread that waits for a call to finish and meanwhile does what the call asks of it."""

    def __init__(self) -> None:
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def lend(self, value: Any) -> Any:
        """Make an iterable readable from the event loop, in this thread; anything else stays as it is."""
        return _lent(value, lambda: self)

    def lending(
        self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Callable[[], Awaitable[T]]:
        """Put a call off whose arguments are lent."""
        lent: Any = [self.lend(value) for value in args]
        lent_by_name: Any = {name: self.lend(value) for name, value in kwargs.items()}
        return lambda: function(*lent, **lent_by_name)

    async def run_here(self, function: Callable[[], T]) -> T:
        """From the event loop: run a function in the waiting thread."""
        import asyncio  # noqa: PLC0415  # it runs already

        event_loop, done = asyncio.get_running_loop(), asyncio.Event()
        outcome: list[T] = []

        def job() -> None:
            outcome.append(function())
            with suppress(RuntimeError):  # the client was closed meanwhile, and its loop with it
                event_loop.call_soon_threadsafe(done.set)

        self._inbox.put(job)
        await done.wait()
        return outcome[0]

    def finish(self) -> None:
        """From the event loop: let the waiting thread go."""
        self._inbox.put(None)

    def serve(self) -> None:
        """Wait until the call has finished, and do what it asks meanwhile."""
        while (job := self._next()) is not None:
            job()

    def wait(self) -> None:
        """Wait until the call has finished, and do nothing else any more."""
        while self._next() is not None:
            pass

    def _next(self) -> Callable[[], None] | None:
        while True:
            try:
                return self._inbox.get(timeout=POLL)
            except Empty:
                continue


class LentIterator(AsyncIterator[Any]):
    """A caller's iterable, read in the caller's thread; an error of its own comes after all that it gave before.

    Many inputs are passed on together, unless it is one object that is filled again and again.
    """

    def __init__(self, iterable: Iterable[Any], caller: Callable[[], _Caller]) -> None:
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
            await self._caller().run_here(self._pull)
            self._chunk.reverse()
        if self._chunk:
            return self._chunk.pop()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

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


def _lent(value: Any, caller: Callable[[], _Caller]) -> Any:
    # A collection lies in memory and can be read anywhere; anything else may run code of the caller's.
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Sequence, AbstractSet, Mapping)):
        return LentIterator(value, caller)
    return value


_END: Final = object()
_waiting: ContextVar[_Caller] = ContextVar("mailchannels_waiting_caller")
_threads: weakref.WeakSet[EventLoopThread[Any]] = weakref.WeakSet()
_left_to_parent: list[_Running[Any]] = []


def _is_event_loop_running() -> bool:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return True
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _leave_all_to_parent() -> None:
    for thread in _threads:
        thread._leave_to_parent()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows forks no process
    os.register_at_fork(after_in_child=_leave_all_to_parent)
