"""The blocking face: whose thread does what, and that Ctrl-C, a fork and the end of the program are survived."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import sqlite3
import sys
import threading
from collections import deque
from contextlib import closing
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import anyio.lowlevel
import pytest
from conditions import (
    PATIENCE,
    asyncio_alone,
    blocking_client_for,
    list_on_event_loop,
    loop_threads,
    may_use_uvloop,
    names,
    tasks_of,
)
from sockets import EMPTY_PAGE, RawServer, answer, stall, when_released

from mailchannels import (
    BulkProvisionResult,
    ConfigurationError,
    Domain,
    InvalidInput,
    MailChannels,
    NotFound,
    caller,
)
from mailchannels.caller import Caller
from mailchannels.event_loop import Errand, EventLoop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    from mailchannels.simulator import Simulator

pytestmark = pytest.mark.usefixtures("environment", "each_event_loop", "no_thread_is_left")

needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal can be sent to a thread here")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def indices(*results: BulkProvisionResult) -> list[int]:
    return sorted(item.index for result in results for item in [*result.successes, *result.errors])


# Calls


def test_a_call_returns_or_raises_what_the_async_one_does(blocking_client: MailChannels) -> None:
    stored = blocking_client.domains.provision(Domain("a.example", subscription_handle="demo"))

    assert stored.created
    assert [domain.domain for domain in blocking_client.domains.iter_list()] == ["a.example"]
    with pytest.raises(NotFound):
        blocking_client.domains.delete("b.example")


def test_no_thread_is_started_before_the_first_call() -> None:
    with blocking_client_for("http://127.0.0.1:9"):
        assert loop_threads() == []


def test_a_refused_argument_is_raised_by_the_first_step(blocking_client: MailChannels) -> None:
    results = blocking_client.domains.iter_bulk_provision(names(1), subscription_handle="")

    with pytest.raises(InvalidInput, match="subscription_handle"):
        next(results)


def test_a_wait_in_pieces_still_ends_with_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ctrl-C interrupts no wait without an end, the wait is made of short ones."""
    monkeypatch.setattr(caller, "POLL", 0.001)

    with RawServer(when_released(answer(EMPTY_PAGE))) as server, blocking_client_for(server.url) as client:
        threading.Timer(0.05, server.released.set).start()
        assert list_on_event_loop(client) == []


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing is collected but what nobody holds any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def files_open() -> int:
    """How many files this process has open, where the system tells."""
    files = Path("/dev/fd")
    return len([*files.iterdir()]) if files.exists() else 0


@asyncio_alone  # uvloop's loops open files where no test can get between
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("what", "error"),
    [
        (
            "asyncio.new_event_loop" if sys.platform == "win32" else "asyncio.SelectorEventLoop",
            OSError(errno.EMFILE, "Too many open files"),
        ),
        ("threading.Thread.start", RuntimeError("can't start new thread")),
    ],
    ids=["loop", "thread"],
)
def test_an_event_loop_that_cannot_start_is_an_error_until_it_can(
    what: str, error: Exception, simulator: Simulator
) -> None:
    client = blocking_client_for(simulator.base_url)

    with closing(client):
        before = files_open()
        with pytest.MonkeyPatch.context() as exhausted:
            exhausted.setattr(what, mock.Mock(side_effect=error))
            for _ in range(2):
                with pytest.raises(ConfigurationError, match=f"no event loop can be started: .*{error.args[-1]}"):
                    list_on_event_loop(client)
        assert files_open() == before

        assert list_on_event_loop(client) == []


def test_the_event_loop_is_uvloops_where_that_is_installed(simulator: Simulator) -> None:
    async def is_uvloops() -> bool:
        return any(kind.__module__.partition(".")[0] == "uvloop" for kind in type(asyncio.get_running_loop()).__mro__)

    with blocking_client_for(simulator.base_url) as client:
        assert client._calls.make_on_event_loop(is_uvloops) == may_use_uvloop()
        assert list_on_event_loop(client) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.domains.list(),
        lambda client: client.domains.bulk_provision(names(3), subscription_handle="demo"),
    ],
    ids=["single", "bulk"],
)
def test_a_call_works_while_another_thread_imports_an_event_loop(
    call: Callable[[MailChannels], object], blocking_client: MailChannels, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("trio", "trio.lowlevel"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))  # which is what it is at first

    call(blocking_client)

    assert blocking_client.statistics.requests > 0


class TakenAsCtrlCStrikes(SimpleQueue[Any]):
    """Raises once, after its item was taken, as Ctrl-C does that comes before Python goes on."""

    strikes = 0

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        item = super().get(block, timeout)
        if type(self).strikes:
            type(self).strikes -= 1
            raise KeyboardInterrupt
        return item


def test_ctrl_c_as_a_call_has_just_ended_keeps_nobody_waiting(
    blocking_client: MailChannels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "SimpleQueue", TakenAsCtrlCStrikes)
    blocking_client.domains.bulk_provision(names(3), subscription_handle="demo")

    monkeypatch.setattr(TakenAsCtrlCStrikes, "strikes", 1)
    with pytest.raises(KeyboardInterrupt):
        list_on_event_loop(blocking_client)
    results = blocking_client.domains.iter_list(page_size=1)
    next(results)
    monkeypatch.setattr(TakenAsCtrlCStrikes, "strikes", 1)
    with pytest.raises(KeyboardInterrupt):
        next(results)

    assert blocking_client.domains.list().total == 3


class StruckAsItStarts(threading.Thread):
    """Its `start` is interrupted by Ctrl-C once: as soon as the thread is there, or before it is launched."""

    before_it_is_launched = False
    struck: list[StruckAsItStarts]

    def start(self) -> None:
        if self.struck:
            super().start()
            return
        self.struck.append(self)
        if not self.before_it_is_launched:
            super().start()
        raise KeyboardInterrupt


@pytest.mark.parametrize("before_it_is_launched", [False, True])
def test_ctrl_c_as_the_event_loop_starts_leaves_one_for_the_next_call(
    before_it_is_launched: bool, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, start, go_on = EventLoop._run_loop, EventLoop.start, threading.Event()

    def run_late(*args: Any) -> None:
        assert go_on.wait(PATIENCE)
        run(*args)

    def start_and_go_on(self: EventLoop) -> None:
        if StruckAsItStarts.struck:
            go_on.set()
        start(self)

    monkeypatch.setattr(EventLoop, "_run_loop", run_late)
    monkeypatch.setattr(EventLoop, "start", start_and_go_on)
    monkeypatch.setattr(StruckAsItStarts, "struck", [], raising=False)
    monkeypatch.setattr(StruckAsItStarts, "before_it_is_launched", before_it_is_launched)
    with blocking_client_for(simulator.base_url) as client:
        monkeypatch.setattr(threading, "Thread", StruckAsItStarts)
        with pytest.raises(KeyboardInterrupt):
            list_on_event_loop(client)
        for _ in range(3):
            assert list_on_event_loop(client) == []
        if before_it_is_launched:  # Python may come to it as late as this
            threading.Thread.start(StruckAsItStarts.struck[0])
            StruckAsItStarts.struck[0].join(PATIENCE)

        assert list_on_event_loop(client) == []
        assert len(loop_threads()) == 1

    assert loop_threads() == []


def test_ctrl_c_as_the_event_loop_starts_leaves_none_after_the_client(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, go_on = EventLoop._run_loop, threading.Event()

    def run_late(*args: Any) -> None:
        assert go_on.wait(PATIENCE)
        run(*args)

    monkeypatch.setattr(EventLoop, "_run_loop", run_late)
    client = blocking_client_for(simulator.base_url)
    with monkeypatch.context() as struck:
        struck.setattr(StruckAsItStarts, "struck", [], raising=False)
        struck.setattr(threading, "Thread", StruckAsItStarts)
        with pytest.raises(KeyboardInterrupt):
            list_on_event_loop(client)
    closing_thread = threading.Thread(target=client.close)
    closing_thread.start()
    closing_thread.join(0.05)  # where it does not wait, it has closed by now
    go_on.set()
    closing_thread.join(PATIENCE)

    assert loop_threads() == []


@asyncio_alone  # uvloop's loops take no other methods
def test_ctrl_c_as_a_client_is_closed_leaves_it_to_be_closed_again(
    blocking_client: MailChannels, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_on_event_loop(blocking_client)
    with monkeypatch.context() as struck:
        struck.setattr(asyncio.BaseEventLoop, "call_soon_threadsafe", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            blocking_client.close()

    blocking_client.close()

    assert loop_threads() == []


def test_ctrl_c_in_an_input_keeps_nobody_waiting_who_has_asked_for_more(blocking_client: MailChannels) -> None:
    def inputs() -> Generator[str, None, None]:
        yield from names(3_000)
        raise KeyboardInterrupt

    results = blocking_client.domains.iter_bulk_provision(inputs(), subscription_handle="demo", concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        list(results)

    assert blocking_client.domains.list().total < 3_000


# Inputs are read where the caller is


def test_an_input_is_read_in_the_callers_thread(blocking_client: MailChannels) -> None:
    readers = set()

    def inputs() -> Generator[str, None, None]:
        for name in names(2_500):
            readers.add(threading.current_thread())
            yield name

    result = blocking_client.domains.bulk_provision(inputs(), subscription_handle="demo")

    assert indices(result) == [*range(2_500)]
    assert readers == {threading.current_thread()}


@pytest.mark.parametrize("kind", [str, Domain])
def test_an_input_passes_between_the_threads_by_the_thousand(
    kind: type[str | Domain], blocking_client: MailChannels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passing one on costs more than all else that is done for a name."""
    passed = 0

    class Counting(SimpleQueue[Any]):
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            nonlocal passed
            passed += 1
            super().put(item, block, timeout)

    monkeypatch.setattr(caller, "SimpleQueue", Counting)

    result = blocking_client.domains.bulk_provision(map(kind, names(2_500)), subscription_handle="demo")

    assert indices(result) == [*range(2_500)]
    assert 0 < passed <= 2 + 3 + 1  # the first two alone, the others in three parts, and the end of the call


def test_a_database_cursor_is_an_input(blocking_client: MailChannels) -> None:
    with closing(sqlite3.connect(":memory:")) as database:  # which refuses every other thread
        database.execute("CREATE TABLE domains (name TEXT)")
        database.executemany("INSERT INTO domains VALUES (?)", ((name,) for name in names(2_500)))
        cursor = database.execute("SELECT name FROM domains ORDER BY rowid")
        cursor.row_factory = lambda _, row: row[0]
        results = [*blocking_client.domains.iter_bulk_provision(cursor, subscription_handle="demo")]

    assert indices(*results) == [*range(2_500)]


def test_an_input_may_call_the_same_client(blocking_client: MailChannels) -> None:
    blocking_client.domains.bulk_provision(names(3), subscription_handle="demo")

    def inputs() -> Generator[str, None, None]:
        for domain in blocking_client.domains.iter_list(page_size=1):
            blocking_client.domains.delete(domain.domain)
            yield f"again-{domain.domain}"
            break

    result = blocking_client.domains.bulk_provision(inputs(), subscription_handle="demo")

    assert [item.domain.domain for item in result.successes] == ["again-d0.example"]


def test_a_caller_may_take_its_time_between_two_results_of_a_generator(blocking_client: MailChannels) -> None:
    """What reads ahead asks for more meanwhile, and nobody waits who could give it."""
    inputs = (name for name in names(6_500))
    seen = []
    for result in blocking_client.domains.iter_bulk_provision(inputs, subscription_handle="demo", concurrency=1):
        blocking_client.domains.list(limit=1)  # long enough, as it goes by the same event loop
        seen.append(result)

    assert indices(*seen) == [*range(6_500)]


def test_an_error_of_the_input_comes_after_the_results(blocking_client: MailChannels, simulator: Simulator) -> None:
    def inputs() -> Generator[str, None, None]:
        yield from names(2_500)
        raise LookupError("the input's own")

    seen: list[BulkProvisionResult] = []
    with pytest.raises(LookupError, match="the input's own"):
        seen.extend(blocking_client.domains.iter_bulk_provision(inputs(), subscription_handle="demo"))

    assert indices(*seen) == [*range(2_500)]
    assert simulator.state.domain_count() == 2_500


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_input_that_wants_the_program_to_end_leaves_the_client_whole(
    error: type[BaseException], blocking_client: MailChannels
) -> None:
    def inputs() -> Generator[str, None, None]:
        yield "a.example"
        raise error

    with pytest.raises(error):
        blocking_client.domains.bulk_provision(inputs(), subscription_handle="demo")

    assert blocking_client.domains.list().total == 0


def test_an_input_is_read_no_further_than_the_results_are_taken(blocking_client: MailChannels) -> None:
    taken = 0

    def inputs() -> Generator[str, None, None]:
        nonlocal taken
        for name in names(50_000):
            taken += 1
            yield name

    results = blocking_client.domains.iter_bulk_provision(inputs(), subscription_handle="demo", concurrency=2)
    with closing(results):
        next(results)

        assert taken <= 5 * caller.CHUNK


def test_an_input_that_was_interrupted_is_not_read_again(blocking_client: MailChannels) -> None:
    pulls = 0

    class Interrupted:
        def __iter__(self) -> Interrupted:
            return self

        def __next__(self) -> str:
            nonlocal pulls
            pulls += 1
            raise KeyboardInterrupt

    async def insist(inputs: AsyncIterator[str]) -> None:
        try:
            await anext(inputs)
        finally:
            with anyio.move_on_after(0.01, shield=True):
                await anext(inputs)

    with pytest.raises(KeyboardInterrupt):
        blocking_client._calls.make_on_event_loop(insist, Interrupted())  # type: ignore[arg-type]

    assert pulls == 1
    assert blocking_client.domains.list().total == 0


# Iterators left early


def test_an_iterator_that_is_left_leaves_no_task(simulator: Simulator) -> None:
    with blocking_client_for(simulator.base_url) as client:
        before = tasks_of(client)
        for _ in client.domains.iter_bulk_provision(names(20_000), subscription_handle="demo", concurrency=2):
            break
        gc.collect()

        assert tasks_of(client) == before
        assert simulator.requests <= 4


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    "begin",
    [
        lambda client, inputs: client.domains.iter_bulk_provision(inputs, subscription_handle="demo", concurrency=2),
        lambda client, inputs: client.domains.iter_bulk_create_login_links(inputs, concurrency=2),
    ],
    ids=["provision", "login links"],
)
def test_what_an_iterator_reads_is_closed_when_it_is_left_early(
    begin: Callable[[MailChannels, Iterator[str]], Generator[object, None, None]], simulator: Simulator
) -> None:
    def inputs() -> Iterator[str]:
        try:
            yield from map("d{}.example".format, count())
        finally:
            closed.set()

    async def ask_for_more() -> None:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

    closed = threading.Event()
    with blocking_client_for(simulator.base_url) as client:
        results = begin(client, inputs())
        next(results)
        client._calls.make_on_event_loop(ask_for_more)  # which nobody answers any more
        results.close()

        assert closed.wait(PATIENCE)


def test_whoever_leaves_a_call_hears_of_its_end_though_it_asks_for_more_just_then() -> None:
    async def end() -> None:
        while not who._has_left:
            await anyio.lowlevel.checkpoint()
        who.finish()
        with pytest.raises(asyncio.CancelledError):
            await who.run_here(object)

    def leave() -> None:
        who.leave()
        who.wait()

    who = Caller()
    thread = threading.Thread(target=leave, daemon=True)
    thread.start()
    anyio.run(end)
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_an_iterator_that_is_closed_has_stopped_when_close_returns() -> None:
    async def count_tasks() -> int:
        return len(asyncio.all_tasks())

    page = {"successes": [{"domain": {"domain": name}, "code": 201} for name in names(1_000)], "errors": []}
    with RawServer(answer(page), stall()) as server, blocking_client_for(server.url) as client:
        before = client._calls.make_on_event_loop(count_tasks)
        results = client.domains.iter_bulk_provision(names(9_000), subscription_handle="demo", concurrency=1)
        next(results)
        server.wait_for_requests(2)
        results.close()

        assert client._calls.make_on_event_loop(count_tasks) == before


def test_an_iterator_may_be_collected_just_as_a_call_is_handed_over(blocking_client: MailChannels) -> None:
    class Collecting(deque[Errand]):
        def append(self, errand: Errand) -> None:
            super().append(errand)
            while abandoned:
                abandoned.pop()  # as Python does, at a moment of its own choice

    async def take_time_to_end() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            await anyio.sleep(0.01)

    blocking_client.domains.bulk_provision(names(2), subscription_handle="demo")
    abandoned = [blocking_client._calls.iterate(take_time_to_end)]
    next(abandoned[0])
    blocking_client._calls._of_this_process().event_loop._arrivals = Collecting()

    assert len(list_on_event_loop(blocking_client)) == 2
    assert not abandoned


def test_an_iterator_that_is_dropped_cancels_what_is_under_way() -> None:
    page = {"successes": [{"domain": {"domain": name}, "code": 201} for name in names(1_000)], "errors": []}
    with RawServer(answer(page), stall()) as server, blocking_client_for(server.url) as client:
        results = client.domains.iter_bulk_provision(names(9_000), subscription_handle="demo", concurrency=1)
        next(results)
        server.wait_for_requests(2)
        del results
        gc.collect()

        server.wait_for_hang_ups(1)
        assert len(server.requests) == 2


def test_an_iterator_that_was_never_stepped_does_nothing(simulator: Simulator) -> None:
    with blocking_client_for(simulator.base_url) as client:
        client.domains.iter_bulk_provision(names(3), subscription_handle="demo").close()

    assert simulator.requests == 0


def test_an_iterator_dropped_in_the_event_loops_thread_is_no_trouble(blocking_client: MailChannels) -> None:
    blocking_client.domains.bulk_provision(names(3), subscription_handle="demo")
    left = [blocking_client.domains.iter_list(page_size=1)]
    next(left[0])

    async def drop() -> None:
        left.clear()

    blocking_client._calls.make_on_event_loop(drop)

    assert blocking_client.domains.list().total == 3


def test_an_iterator_dropped_in_the_event_loops_thread_of_another_client_waits_for_nobody(
    blocking_client: MailChannels, simulator: Simulator
) -> None:
    """They could wait for each other."""
    begun, go_on = threading.Event(), threading.Event()

    async def hold() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    async def drop() -> None:
        left.clear()

    with blocking_client_for(simulator.base_url) as other:
        other.domains.bulk_provision(names(3), subscription_handle="demo")
        left = [other.domains.iter_list(page_size=1)]
        next(left[0])
        holding = threading.Thread(target=other._calls.make_on_event_loop, args=(hold,))
        holding.start()
        assert begun.wait(PATIENCE)

        blocking_client._calls.make_on_event_loop(drop)

        assert not go_on.is_set()
        go_on.set()
        holding.join(PATIENCE)


def test_an_iterator_whose_input_has_been_asked_for_may_be_dropped(blocking_client: MailChannels) -> None:
    inputs = (name for name in names(9_000))
    results = blocking_client.domains.iter_bulk_provision(inputs, subscription_handle="demo", concurrency=1)
    next(results)
    blocking_client.domains.list(limit=1)  # long enough, as it goes by the same event loop

    results.close()

    assert blocking_client.domains.list(limit=1).total < 9_000


def test_what_comes_after_the_end_of_the_program_is_refused_or_does_nothing(simulator: Simulator) -> None:
    client = blocking_client_for(simulator.base_url)
    client.domains.bulk_provision(names(3), subscription_handle="demo")
    left = client.domains.iter_list(page_size=1)
    next(left)
    client._calls._finalizer()  # which is what the interpreter calls as it ends

    left.close()
    with pytest.raises(ConfigurationError, match="this client is closed"):
        client.domains.list()
