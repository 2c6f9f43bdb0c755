"""A daemon thread with an asyncio event loop in it, to which other threads hand coroutines.

anyio's portal does the same and more, at three times the price of a hop from one thread to the other. Nothing here
knows of clients.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections import deque
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import anyio
from attrs import define, field

from .errors import ConfigurationError

# What only a started event loop needs is imported where it is used: whoever stays async need not wait for it.
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future


@define(eq=False)
class Errand:
    """A coroutine function that one thread hands to another, with the context variables of the first.

    Attributes:
        main: The function; it must catch its own errors.
        finished: Called when it has ended, in whatever way, or is not taken; perhaps more than once.
    """

    main: Callable[[], Coroutine[Any, Any, None]]
    finished: Callable[[], None]
    context: contextvars.Context = field(init=False, factory=contextvars.copy_context)
    task: asyncio.Task[None] | None = field(init=False, default=None)


class EventLoop:
    """An event loop that `start` starts and `stop` ends; in between, `spawn` runs coroutines on it."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._lock = threading.RLock()  # Python may collect a generator in here, which is closed by way of `spawn`
        self._coming: Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._is_stopping = False
        # Of what is in these, asyncio itself keeps weak references only.
        self._under_way: set[Errand] = set()
        self._farewell: asyncio.Task[None] | None = None
        self._arrivals: deque[Errand] = deque()

    @property
    def is_started(self) -> bool:
        """Whether coroutines can be handed to it."""
        return self._loop is not None

    def start(self) -> None:
        """Start the thread, unless Ctrl-C has kept somebody from hearing that it was, and wait for its event loop.

        Raises:
            ConfigurationError: It does not come to run.
        """
        import asyncio  # noqa: PLC0415
        from concurrent.futures import Future  # noqa: PLC0415

        started: Future[None] = Future()

        async def serve() -> None:
            self._stopping = asyncio.Event()
            # Known before the caller hears of it: Ctrl-C may keep the caller from hearing.
            self._loop = asyncio.get_running_loop()
            started.set_result(None)
            await self._stopping.wait()

        try:
            if self._coming is None or not self._is_alive:
                self._coming = started
                self.thread = threading.Thread(
                    target=self._live, args=(serve, started), name="mailchannels", daemon=True
                )
                self.thread.start()
            self._coming.result()
        except (OSError, RuntimeError) as error:
            self._coming = None  # its thread may take a moment to be gone
            raise ConfigurationError(f"no event loop can be started: {error}") from None

    def spawn(self, errand: Errand) -> bool:
        """Run an errand of another thread's; say whether it is taken, which it is not where the event loop stops."""
        with self._lock:
            is_taken = not self._is_stopping
            if is_taken:
                self._arrivals.append(errand)
        if is_taken:
            self._wake(self._receive)
        else:
            errand.finished()
        return is_taken

    def cancel(self, errand: Errand) -> None:
        """Cancel an errand, from any thread, also where Ctrl-C has kept `spawn` from its end."""
        if not self._wake(partial(self._cancel, errand)):
            errand.finished()

    def stop(self, farewell: Callable[[], Coroutine[Any, Any, None]], patience: float | None = None) -> None:
        """Run a last coroutine function, cancel all others and end the thread.

        Args:
            farewell: The last one.
            patience: Seconds to wait for the end at most; None waits as long as it takes. Nobody waits where it is the
                thread itself that asks, as when Python collects a client there.
        """
        is_somebody_elses = threading.current_thread() is not self.thread
        if self._coming is not None and self._is_alive and is_somebody_elses:
            with contextlib.suppress(Exception):  # then there is nothing to stop
                self._coming.result(patience)
        loop, stopping = self._loop, self._stopping
        if loop is None or stopping is None or not self._is_alive:
            return

        async def leave() -> None:
            try:
                with contextlib.suppress(Exception):  # what cannot be closed any more is gone anyway
                    await farewell()
            finally:
                stopping.set()

        def create() -> None:
            self._receive()  # nobody comes after it
            self._farewell = loop.create_task(leave())

        with self._lock:
            if not self._is_stopping:
                self._wake(create)  # first: after Ctrl-C in between somebody else must do it again
            self._is_stopping = True
        if self.thread is not None and is_somebody_elses:
            self.thread.join(patience)

    def _live(self, serve: Callable[[], Coroutine[Any, Any, None]], started: Future[None]) -> None:
        """Run the event loop, and when it has ended, by whatever cause, let go whoever still waits."""
        if started is not self._coming:
            return  # Ctrl-C struck as this thread began, and another has begun in its place
        _here.is_of_an_event_loop = True
        try:
            self._run_loop(serve, started)
        finally:
            # Otherwise it has not begun, and may be started again, or has been.
            if self._loop is not None and started is self._coming:
                with self._lock:
                    self._is_stopping = True
                    left = [*self._under_way, *self._arrivals]
                for errand in left:
                    errand.finished()

    def _run_loop(self, serve: Callable[[], Coroutine[Any, Any, None]], started: Future[None]) -> None:
        try:
            # As it ends, it cancels what is left and waits for it.
            anyio.run(serve, backend_options={"loop_factory": self._new_loop})
        except BaseException as error:  # raised to the caller, who waits for it
            if started.done():
                raise
            started.set_exception(error)

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio  # noqa: PLC0415

        if sys.platform != "win32" and find_spec("uvloop") is not None:  # the extra `speed`
            from .forkable import ForkableLoop  # noqa: PLC0415

            return ForkableLoop()
        # By its class: the policy that a program has set is for its own event loops.
        return asyncio.SelectorEventLoop() if sys.platform != "win32" else asyncio.new_event_loop()

    @property
    def _is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    @property
    def _started(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None  # noqa: S101  # `start` came before
        return self._loop

    def _wake(self, function: Callable[[], None]) -> bool:
        """Have a function called on the event loop, from any thread; say no where it has closed."""
        try:
            self._started.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True

    def _receive(self) -> None:
        """Begin what was handed over."""
        while self._arrivals:
            errand = self._arrivals.popleft()
            errand.task = self._started.create_task(self._run(errand), context=errand.context)
            self._under_way.add(errand)

    async def _run(self, errand: Errand) -> None:
        """Do an errand, and say at its end that it has ended: its task would tell only after another round."""
        try:
            await errand.main()
        finally:
            self._under_way.discard(errand)
            errand.finished()

    def _cancel(self, errand: Errand) -> None:
        if errand.task is not None:
            # In the next round it has begun, and only then it says that it has ended.
            self._started.call_soon(errand.task.cancel)
            return
        with contextlib.suppress(ValueError):  # it was not yet there
            self._arrivals.remove(errand)
        errand.finished()


_here: Final = threading.local()


def is_of_an_event_loop() -> bool:
    """Whether the calling thread is one of those here, which must not wait for another of them."""
    return getattr(_here, "is_of_an_event_loop", False)
