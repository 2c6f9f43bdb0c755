"""The event loop behind the blocking face: who is let in and who is let go."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest
from conditions import PATIENCE, asyncio_alone, loop_threads

from mailchannels import ConfigurationError
from mailchannels.event_loop import Errand, EventLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("each_event_loop", "no_thread_is_left")


@pytest.fixture
def event_loop() -> Iterator[EventLoop]:
    """One that has started, and is stopped in the end."""
    started = EventLoop()
    started.start()
    yield started
    started.stop(nothing)


async def nothing() -> None:
    """An errand that is done at once."""


class Hold:
    """Keeps an event loop busy, so that what comes meanwhile is heard of together."""

    def __init__(self, event_loop: EventLoop) -> None:
        self._has_begun = threading.Event()
        self._may_go_on = threading.Event()
        event_loop.spawn(Errand(self._hold, threading.Event().set))
        assert self._has_begun.wait(PATIENCE)

    async def _hold(self) -> None:
        self._has_begun.set()
        assert self._may_go_on.wait(PATIENCE)

    def end(self) -> None:
        """Let it go on."""
        self._may_go_on.set()


@asyncio_alone  # uvloop's loops let no test get between
def test_an_event_loop_that_could_not_start_does_not_end_the_one_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_and_linger(future: Future[None], error: BaseException) -> None:
        fail(future, error)
        assert go_on.wait(PATIENCE)

    fail, go_on, came, event_loop = Future.set_exception, threading.Event(), threading.Event(), EventLoop()
    monkeypatch.setattr(Future, "set_exception", fail_and_linger)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(asyncio, "SelectorEventLoop", mock.Mock(side_effect=OSError))
        with pytest.raises(ConfigurationError):
            event_loop.start()
    failed = event_loop.thread
    event_loop.start()
    go_on.set()
    assert failed is not None
    failed.join(PATIENCE)

    assert event_loop.spawn(Errand(nothing, came.set))
    assert came.wait(PATIENCE)
    event_loop.stop(nothing)


def test_what_is_cancelled_before_it_has_begun_has_ended_all_the_same(event_loop: EventLoop) -> None:
    ended = threading.Event()
    late = Errand(anyio.sleep_forever, ended.set)
    hold = Hold(event_loop)
    event_loop.spawn(late)
    event_loop.cancel(late)  # which it hears of together
    hold.end()

    assert ended.wait(PATIENCE)


def test_what_is_cancelled_as_it_has_just_come_never_begins(event_loop: EventLoop) -> None:
    async def begin() -> None:
        begun.append(True)

    async def hand_over_and_cancel() -> None:
        event_loop.spawn(errand)
        event_loop._cancel(errand)  # in the same round

    begun: list[bool] = []
    ended, came = threading.Event(), threading.Event()
    errand = Errand(begin, ended.set)
    event_loop.spawn(Errand(hand_over_and_cancel, threading.Event().set))
    assert ended.wait(PATIENCE)
    event_loop.spawn(Errand(nothing, came.set))

    assert came.wait(PATIENCE)
    assert begun == []


def test_what_is_cancelled_before_it_has_come_has_ended_all_the_same(event_loop: EventLoop) -> None:
    ended = threading.Event()
    event_loop.cancel(Errand(nothing, ended.set))

    assert ended.wait(PATIENCE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the thread's own end
def test_an_event_loop_that_something_ends_ends_its_thread_keeps_nobody_waiting_and_takes_nothing_more() -> None:
    async def end() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)
        asyncio.get_running_loop().stop()

    async def wait() -> None:
        await anyio.sleep_forever()

    async def farewell() -> None:
        raise AssertionError("there is nobody left to say it to")

    event_loop, begun, go_on = EventLoop(), threading.Event(), threading.Event()
    ended = [threading.Event() for _ in range(4)]
    event_loop.start()
    event_loop.spawn(Errand(end, ended[0].set))
    assert begun.wait(PATIENCE)
    event_loop.spawn(Errand(wait, ended[1].set))  # which it will not come to any more
    go_on.set()
    assert event_loop.thread is not None
    event_loop.thread.join(PATIENCE)
    assert not event_loop.spawn(Errand(wait, ended[2].set))
    event_loop.cancel(Errand(wait, ended[3].set))
    event_loop.stop(farewell)

    assert [each.is_set() for each in ended] == [True, True, True, True]
    assert loop_threads() == []


@pytest.mark.parametrize(
    ("what", "asked"),
    [("getaddrinfo", ("api.example", 443)), ("getnameinfo", (("192.0.2.1", 443),))],
)
def test_names_are_looked_up_in_threads_of_pythons_which_a_forked_child_can_do_without(
    what: str, asked: tuple[Any, ...], event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up() -> None:
        found.append(await getattr(asyncio.get_running_loop(), what)(*asked))

    found: list[object] = []
    ended = threading.Event()
    monkeypatch.setattr(socket, what, mock.Mock(return_value="what Python found"))
    event_loop.spawn(Errand(look_up, ended.set))

    assert ended.wait(PATIENCE)
    assert found == ["what Python found"]
