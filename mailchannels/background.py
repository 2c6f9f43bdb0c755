"""A task beside the caller's, on whichever event loop runs, and the iterator that hands out what it makes.

A generator that yields inside a task group breaks its cancel scopes when it is stepped from different tasks; here the
task group lives in a task of its own. It knows nothing of requests or outcomes.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from .which_loop import trio_lowlevel

if TYPE_CHECKING:
    import asyncio

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from .errors import MailChannelsError

T = TypeVar("T")


class Results(AsyncIterator[T], Generic[T]):
    """What a task in the background makes, one after the other.

    A generator would do but for the end of the event loop, which closes all generators at once: the caller's, which
    closes this one, and this one.
    """

    def __init__(
        self,
        background: Background,
        send: MemoryObjectSendStream[T],
        receive: MemoryObjectReceiveStream[T],
        stopped_by: Callable[[], MailChannelsError | None],
    ) -> None:
        self._background = background
        self._send = send
        self._receive = receive
        self._stopped_by = stopped_by

    @property
    def stopped_by(self) -> MailChannelsError | None:
        """What made the call stop sending before its input ended; None as long as nothing has."""
        return self._stopped_by()

    async def __anext__(self) -> T:
        self._background.start()
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            error = await self._end()
        except BaseException:
            await self.aclose()
            raise
        raise StopAsyncIteration if error is None else error

    async def aclose(self) -> None:
        """Cancel what is under way, and wait until it has stopped."""
        await self._end()

    async def _end(self) -> Exception | None:
        self._receive.close()
        error = await self._background.cancel()
        self._send.close()  # a task that never began has not
        return error


class Background:
    """One task beside the caller's, on whichever event loop runs, that is cancelled and waited for."""

    def __init__(self, main: Callable[[], Awaitable[None]]) -> None:
        self._main = main
        self._scope = anyio.CancelScope()
        self._finished: anyio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    def start(self) -> None:
        """Start it, unless it has started."""
        if self._finished is not None:
            return
        finished = self._finished = anyio.Event()
        lowlevel = trio_lowlevel()
        if lowlevel is not None:
            lowlevel.spawn_system_task(self._run, finished, context=contextvars.copy_context())
        else:
            import asyncio  # noqa: PLC0415  # whoever comes here has it; whoever does not need not wait for it

            self._task = asyncio.get_running_loop().create_task(self._run(finished))
            # The end of the event loop cancels tasks that have not begun, of which nothing runs, not even `finally`.
            self._task.add_done_callback(lambda _: finished.set())

    async def _run(self, finished: anyio.Event) -> None:
        try:
            with self._scope:
                await self._main()
        except Exception as error:  # noqa: BLE001  # it is raised where the results are read
            self._error = _only(error)
        finally:
            # The task may hold an error, whose frames hold the input: kept here, they would make a cycle, and a file or
            # a cursor would stay open until Python comes to collect it. So would the error, which `cancel` gives away.
            self._task = None
            finished.set()

    async def cancel(self) -> Exception | None:
        """Cancel it, wait until it has stopped, and give its error, once."""
        if self._finished is None:
            self._scope.cancel()
        elif not self._finished.is_set():
            self._scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._finished.wait()
        error, self._error = self._error, None
        return error


def _only(error: Exception) -> Exception:
    """Take a lone exception out of the group that a task group wraps it in."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
