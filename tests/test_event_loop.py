"""The event loop behind the blocking face: who is let in, who is let go, and when it is woken."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import closing
from io import FileIO
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest
from conditions import PATIENCE, asyncio_alone, loop_threads

from mailchannels import ConfigurationError
from mailchannels.event_loop import Errand, EventLoop
from mailchannels.selector import Selector

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


@asyncio_alone  # uvloop's loops look for nobody
def test_nobody_is_forgotten_who_comes_just_as_the_event_loop_is_about_to_wait(event_loop: EventLoop) -> None:
    class Arrivals(deque[Errand]):
        def __len__(self) -> int:
            found = super().__len__()
            is_idle = threading.current_thread() is event_loop.thread and not event_loop._under_way
            if not found and is_idle and coming:
                comer = threading.Thread(target=event_loop.spawn, args=(coming.pop(),))
                comer.start()
                comer.join()
            return found

    came = [threading.Event() for _ in range(20)]
    first, *coming = [Errand(nothing, each.set) for each in came]
    event_loop._arrivals = Arrivals()
    event_loop.spawn(first)

    assert [each.wait(PATIENCE) for each in came] == [True] * 20


def wait_until_it_waits(event_loop: EventLoop) -> None:
    """Return once the event loop is about to wait."""
    while not event_loop._is_waiting:
        threading.Event().wait(0.001)


@asyncio_alone  # uvloop's loops let no test get between
def test_whoever_is_taken_while_the_wake_is_sent_keeps_none_after_it_waiting(
    event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, receive, ring = threading.Event(), EventLoop._receive, Selector.ring

    def receive_and_tell(event_loop: EventLoop) -> None:
        receive(event_loop)
        taken.set()

    def ring_and_wait(selector: Selector) -> None:
        taken.clear()
        ring(selector)
        assert taken.wait(PATIENCE)

    monkeypatch.setattr(EventLoop, "_receive", receive_and_tell)
    monkeypatch.setattr(Selector, "ring", ring_and_wait)
    for came in [threading.Event() for _ in range(3)]:
        wait_until_it_waits(event_loop)
        event_loop.spawn(Errand(nothing, came.set))

        assert came.wait(PATIENCE)


@asyncio_alone  # uvloop's loops let no test get between
def test_one_wake_is_enough_for_all_who_come_before_it_is_heard(
    event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = [threading.Event() for _ in range(3)]
    wait_until_it_waits(event_loop)
    with monkeypatch.context() as unheard:
        unheard.setattr(Selector, "ring", rings := mock.Mock())
        for each in came:
            event_loop.spawn(Errand(nothing, each.set))
    assert event_loop._selector is not None
    event_loop._selector.ring()

    assert rings.call_count == 1
    assert [each.wait(PATIENCE) for each in came] == [True, True, True]


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


@asyncio_alone  # uvloop's loops let no test get between
def test_whoever_is_taken_before_the_wake_for_it_keeps_none_after_it_waiting(event_loop: EventLoop) -> None:
    class Arrivals(deque[Errand]):
        def append(self, errand: Errand) -> None:
            super().append(errand)
            if errand is first:
                event_loop._wake(lambda: None)
                assert came[0].wait(PATIENCE)
                wait_until_it_waits(event_loop)

    came = [threading.Event() for _ in range(3)]
    first, between, last = [Errand(nothing, each.set) for each in came]
    event_loop._arrivals = Arrivals()
    event_loop.spawn(first)
    event_loop.cancel(between)  # heard of after the wake
    assert came[1].wait(PATIENCE)
    wait_until_it_waits(event_loop)
    event_loop.spawn(last)

    assert came[2].wait(PATIENCE)


@asyncio_alone  # uvloop's loops do not tell
def test_the_event_loop_is_not_woken_while_it_is_busy(event_loop: EventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    came = [threading.Event() for _ in range(3)]
    hold = Hold(event_loop)
    with monkeypatch.context() as silent:
        silent.setattr(asyncio.BaseEventLoop, "call_soon_threadsafe", mock.Mock(side_effect=AssertionError))
        silent.setattr(Selector, "ring", mock.Mock(side_effect=AssertionError))
        for each in came:
            assert event_loop.spawn(Errand(nothing, each.set))
        hold.end()

        assert [each.wait(PATIENCE) for each in came] == [True, True, True]


@asyncio_alone  # uvloop's loops do not tell
def test_whose_errand_has_ended_is_let_go_at_the_end_of_the_round(event_loop: EventLoop) -> None:
    async def look() -> None:
        seen.append(ended.is_set())

    ended, looked, seen = threading.Event(), threading.Event(), list[bool]()
    hold = Hold(event_loop)
    event_loop.spawn(Errand(nothing, ended.set))
    event_loop.spawn(Errand(look, looked.set))  # in the same round, after it
    hold.end()

    assert ended.wait(PATIENCE)
    assert looked.wait(PATIENCE)
    assert seen == [False]


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


@pytest.mark.parametrize("may_wait", [True, False])
@pytest.mark.parametrize("timeout", [None, 0.05, 0])
@asyncio_alone  # which alone uses it
def test_a_selector_waits_where_it_is_asked_to_and_may(
    may_wait: bool, timeout: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def before(is_about_to_wait: bool) -> bool:
        told.append(is_about_to_wait)
        return may_wait

    def select(_: object, timeout: float | None = None) -> list[Any]:
        told.append(timeout)
        return []

    monkeypatch.setattr(selectors.DefaultSelector, "select", select)
    with closing(Selector(before, lambda: told.append("after"))) as selector:
        selector.select(timeout)

    assert told == [timeout != 0, timeout if may_wait else 0, "after"]


@pytest.fixture
def selector() -> Iterator[Selector]:
    """One that always may wait."""
    with closing(Selector(lambda _: True, lambda: None)) as made:
        yield made


@asyncio_alone  # which alone uses it
def test_a_selector_that_rings_ends_one_wait_without_a_word_and_waits_again(selector: Selector) -> None:
    thread = threading.Thread(target=selector.select)
    thread.start()
    selector.ring()
    thread.join(PATIENCE)
    assert not thread.is_alive()

    for _ in range(100_000):  # more than a pipe takes
        selector.ring()
    while selectors.DefaultSelector.select(selector, 0):
        assert selector.select() == []


@asyncio_alone  # which alone uses it
def test_a_selector_that_rings_still_finds_the_sockets(selector: Selector) -> None:
    one, other = socket.socketpair()
    with one, other:
        key = selector.register(one, selectors.EVENT_READ)
        other.send(b"!")
        selector.ring()

        assert selector.select() == [(key, selectors.EVENT_READ)]


@asyncio_alone  # which alone uses it
def test_a_selector_that_is_closed_rings_nowhere(selector: Selector) -> None:
    number = selector._bell.fileno()
    selector.close()
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with FileIO(reader) as end, FileIO(writer, "w"), FileIO(os.dup2(writer, number), "w"):  # the number is taken anew
        selector.ring()

        assert end.read() is None
