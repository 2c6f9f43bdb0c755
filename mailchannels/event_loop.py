"""A daemon thread with an asyncio event loop in it, to which other threads hand coroutines.

anyio's portal does the same and more, at three times the price of a hop from one thread to the other, which every
blocking call pays. Nothing here knows of clients.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import anyio

from .errors import ConfigurationError

# What only a started event loop needs is imported where it is used: whoever stays async need not wait for it.
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future


class EventLoop:
    """An event loop that `start` starts and `stop` ends; in between, `spawn` runs coroutines on it."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._is_stopping = False
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps tasks by weak references only

    @property
    def is_started(self) -> bool:
        """Whether coroutines can be handed to it."""
        return self._loop is not None

    def start(self) -> None:
        """Start the thread, and wait until its event loop runs.

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

        self.thread = threading.Thread(target=_run, args=(serve, started), name="mailchannels", daemon=True)
        try:
            self.thread.start()
            started.result()
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(f"no event loop can be started: {error}") from None

    def spawn(
        self, main: Callable[[], Coroutine[Any, Any, None]], finished: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """Run a coroutine function from another thread.

        Args:
            main: The function; it must catch its own errors.
            finished: Called on the event loop when it has ended, also where it was cancelled before it began.

        Returns:
            A function that cancels it, from any thread.

        Raises:
            ConfigurationError: The event loop is stopping.
        """
        loop = self._loop
        tasks: list[asyncio.Task[None]] = []
        assert loop is not None  # noqa: S101  # `start` came before

        def create() -> None:
            task = loop.create_task(main())
            tasks.append(task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if finished is not None:
                task.add_done_callback(lambda _: finished())

        def stop() -> None:
            tasks[0].cancel()

        def cancel() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed, and the task with it
                loop.call_soon_threadsafe(stop)

        with self._lock:
            if self._is_stopping:
                raise ConfigurationError("this client is closed; create another one")
            loop.call_soon_threadsafe(create)
        return cancel

    def stop(self, farewell: Callable[[], Coroutine[Any, Any, None]], patience: float | None = None) -> None:
        """Run a last coroutine function, cancel all others and end the thread.

        Args:
            farewell: The last one.
            patience: Seconds to wait for the end at most; None waits as long as it takes. Nobody waits where it is the
                thread itself that asks, as when Python collects a client there.
        """
        loop, stopping = self._loop, self._stopping
        if loop is None or stopping is None or self.thread is None or not self.thread.is_alive():
            return

        async def leave() -> None:
            try:
                with contextlib.suppress(Exception):  # what cannot be closed any more is gone anyway
                    await farewell()
            finally:
                stopping.set()

        def create() -> None:
            task = loop.create_task(leave())
            self._tasks.add(task)

        with self._lock:
            is_first, self._is_stopping = not self._is_stopping, True
            if is_first:
                loop.call_soon_threadsafe(create)
        if threading.current_thread() is not self.thread:
            self.thread.join(patience)


def _run(serve: Callable[[], Coroutine[Any, Any, None]], started: Future[None]) -> None:
    try:
        # As it ends, it cancels what is left and waits for it.
        anyio.run(serve, backend_options={"use_uvloop": _is_uvloop_installed()})
    except BaseException as error:  # raised to the caller, who waits for it
        if started.done():
            raise
        started.set_exception(error)


def _is_uvloop_installed() -> bool:
    """Say whether the extra `speed` is there; on Windows it brings no uvloop."""
    return sys.platform != "win32" and find_spec("uvloop") is not None
