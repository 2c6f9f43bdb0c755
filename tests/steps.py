"""Cancellation at any await: counts the steps of all tasks of an event loop, and does something after a given one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import trio


class Steps:
    """Counts every step of every task from `watch` on, and calls `then` after step number `at`."""

    def __init__(self, at: int) -> None:
        self.count = 0
        self.reached = False
        self._at = at
        self._then: Callable[[], object] | None = None

    def watch(self, then: Callable[[], object]) -> None:
        """Begin to count."""
        self._then = then

    def step(self) -> None:
        """Count one step: a task has given the event loop its turn."""
        if self._then is None:
            return
        self.count += 1
        if self.count == self._at:
            self.reached = True
            self._then()

    def end(self) -> None:
        """Count no further."""
        self._then = None

    def run(self, backend: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function, with the steps of its tasks counted."""
        if backend == "trio":
            trio.run(main, instruments=[_Instrument(self)])
            return
        with asyncio.Runner() as runner:
            runner.get_loop().set_task_factory(self._task)
            runner.run(main())

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(self._watched(coro), loop=loop, **options)
        task.add_done_callback(lambda _: coro.close())  # one that is cancelled before its first step never starts
        return task

    async def _watched(self, coro: Coroutine[Any, Any, Any]) -> Any:
        return await _Watched(coro, self.step)


class _Watched:
    """A coroutine whose every suspension is told of."""

    def __init__(self, coro: Coroutine[Any, Any, Any], suspended: Callable[[], None]) -> None:
        self._coro = coro
        self._suspended = suspended

    def __await__(self) -> Generator[Any, Any, Any]:
        go_on: Callable[[Any], Any] = self._coro.send
        given: Any = None
        while True:
            try:
                awaited = go_on(given)
            except StopIteration as stop:
                return stop.value
            self._suspended()
            try:
                given, go_on = (yield awaited), self._coro.send
            except BaseException as error:  # noqa: BLE001  # what the event loop throws in, the coroutine gets
                given, go_on = error, self._coro.throw


class _Instrument(trio.abc.Instrument):
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._steps.step()
