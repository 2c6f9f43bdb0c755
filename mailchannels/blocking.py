"""How a blocking client calls an async one.

A call that only makes requests runs in the calling thread, over sockets that block. What has tasks - bulk calls, jobs,
iterators - runs on an event loop in a thread of its own, while the calling thread waits; and so does every call of a
client whose requests go through a proxy or a transport that was given. All of this belongs to a process: a forked child
opens its own, with connections of its own. Nothing here knows of the API.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar

import anyio
from attrs import define, field

from .caller import Caller, lent, waiting
from .errors import ConfigurationError
from .event_loop import Errand, EventLoop, is_of_an_event_loop
from .inline import put_off, run_inline
from .secrecy import in_confidence

P = ParamSpec("P")
T = TypeVar("T")
ClientT_co = TypeVar("ClientT_co", bound="Closable", covariant=True)

LONGEST_FAREWELL: Final = 2.0
"""Seconds that leaving the interpreter waits for an open client's connections to close."""


class Closable(Protocol):
    """An async client, as far as this room knows it."""

    def _blocking_carrier(self) -> object | None:
        """Give what carries calls without an event loop; None where all of them need one."""
        ...

    def _hang_up(self) -> None:
        """Close the connections of such calls."""
        ...

    async def aclose(self) -> None:
        """Close it."""


@define(eq=False)
class _Running(Generic[ClientT_co]):
    """What one process has: a client and, after the first call, the event loop that it runs on."""

    client: ClientT_co
    event_loop: EventLoop = field(factory=EventLoop)

    def stop(self, patience: float | None = None) -> None:
        """Close the client and end the thread."""
        self.client._hang_up()  # noqa: SLF001  # what only this room needs of a client
        self.event_loop.stop(self.client.aclose, patience)


class Calls(Generic[ClientT_co]):
    """Runs the calls of one blocking client.

    Args:
        open_client: Makes the async client that does the work; called again in a forked child.
    """

    def __init__(self, open_client: Callable[[], ClientT_co]) -> None:
        self._open_client = in_confidence(open_client)  # in a forked child it is called without those who wrote it
        self._lock = threading.RLock()  # the handler of a signal may close the client while it starts
        self._closed = False
        self._warned = False
        self._running: _Running[ClientT_co] | None = _Running(self._open_client())
        self._finalizer = weakref.finalize(self, _Running.stop, self._running, LONGEST_FAREWELL)
        _all_calls.add(self)

    @property
    def client(self) -> ClientT_co:
        """The async client of this process."""
        return self._of_this_process().client

    def make(self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function that does nothing but make requests, and give what it returns or raises."""
        make = self.prepared(function, *args, **kwargs)
        del args, kwargs  # a traceback that shows variables must not show a key
        return make(frames_above=1)

    def prepared(
        self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Callable[..., T]:
        """Put such a call off, so that whoever makes it need not keep arguments that are secret."""
        caller = Caller()
        inline, elsewhere = put_off(function, *args, **kwargs), caller.lending(function, *args, **kwargs)

        def make(frames_above: int = 0) -> T:
            self._warn_inside_an_event_loop(stacklevel=4 + frames_above)  # which may be an error
            carrier = self._usable().client._blocking_carrier()  # noqa: SLF001  # what only this room needs of a client
            return self._call(caller, elsewhere) if carrier is None else run_inline(inline, carrier)

        return make

    def make_on_event_loop(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function that may have tasks, and give what it returns or raises.

        Ctrl-C cancels it and waits until it has stopped.
        """
        self._warn_inside_an_event_loop(stacklevel=4)
        caller = Caller()
        start = caller.lending(function, *args, **kwargs)
        del args, kwargs  # a traceback that shows variables must not show a key
        return self._call(caller, start)

    def iterate(
        self, function: Callable[P, AsyncGenerator[T, None]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        """Go through an async generator, one step of it for each step of the caller's."""
        self._warn_inside_an_event_loop(stacklevel=3)
        running = self._of_this_process()
        caller = Caller()
        steps = caller.lending(function, *args, **kwargs)()
        try:
            while (step := self._call(caller, lambda: anext(steps, _END))) is not _END:
                yield step  # type: ignore[misc]
                if self._running is not running:
                    raise ConfigurationError(
                        "this iterator belongs to the process that this one was forked from; begin another one here"
                    )
        finally:
            caller.leave()
            self._abandon(steps, running)

    def lend(self, value: T) -> T:
        """Make an iterable readable by later calls, each in the thread that makes it; anything else stays as it is."""
        readable: T = lent(value, waiting.get)
        return readable

    def close(self) -> None:
        """Close the client and end the thread; calls under way in other threads are cancelled."""
        with self._lock:
            self._closed = True
            running = self._running
        self._finalizer.detach()
        if running is not None:
            running.stop()

    def _call(self, caller: Caller, start: Callable[[], Awaitable[T]]) -> T:
        event_loop = self._started()
        outcome: list[tuple[T | None, BaseException | None]] = []

        async def run() -> None:
            waiting.set(caller)
            try:
                outcome.append((await start(), None))
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  # raised to the caller; loose, it would end the loop
                outcome.append((None, error))

        caller.begin()
        errand = Errand(run, caller.finish)
        try:
            is_taken = event_loop.spawn(errand)
            caller.serve()
        except BaseException:
            # Left alone, the coroutine would go on, and a write that the user has stopped would happen after all.
            event_loop.cancel(errand)
            caller.leave()
            caller.wait()
            raise
        if not is_taken:
            raise ConfigurationError("this client is closed; create another one")
        if not outcome:
            raise ConfigurationError("the client was closed while this call was under way")
        value, error = outcome.pop()
        if error is not None:
            try:
                raise error
            finally:
                del error
        return value  # type: ignore[return-value]

    def _abandon(self, steps: AsyncGenerator[Any, None], running: _Running[ClientT_co]) -> None:
        """Close an async generator that may have been left early, from wherever Python happens to collect it."""
        if self._running is not running:
            _left_to_parent.append(steps)  # what it would wait for goes on there, and not here
            return
        if self._closed or not running.event_loop.is_started:
            return

        caller = Caller()

        async def close() -> None:
            with suppress(Exception):  # nobody is there any more to be told
                await steps.aclose()

        running.event_loop.spawn(Errand(close, caller.finish))
        if not is_of_an_event_loop():  # two of them, each collecting what is the other's, would wait for each other
            caller.wait()

    def _usable(self) -> _Running[ClientT_co]:
        if self._closed:
            raise ConfigurationError("this client is closed; create another one")
        running = self._of_this_process()
        if threading.current_thread() is running.event_loop.thread:
            raise ConfigurationError("a blocking client cannot be called from its own event loop")
        return running

    def _started(self) -> EventLoop:
        event_loop = self._usable().event_loop
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
        self._lock = threading.RLock()
        self._finalizer.detach()
        if self._running is not None:
            # Collecting them would close connections and complain about an event loop that runs elsewhere.
            _left_to_parent.append(self._running)
            self._running = None


_END: Final = object()
_all_calls: weakref.WeakSet[Calls[Any]] = weakref.WeakSet()
_left_to_parent: list[object] = []


def _is_event_loop_running() -> bool:
    for module, function in (("trio.lowlevel", "in_trio_run"), ("asyncio.events", "_get_running_loop")):
        # While another thread imports a module it lacks its names; and then nothing can run on it in this one.
        is_running: Callable[[], object] | None = getattr(sys.modules.get(module), function, None)
        if is_running is not None and is_running():
            return True
    return False


def _leave_all_to_parent() -> None:
    for calls in _all_calls:
        calls._leave_to_parent()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows forks no process
    os.register_at_fork(after_in_child=_leave_all_to_parent)
