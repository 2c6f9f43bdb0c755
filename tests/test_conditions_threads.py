"""Under real conditions: many threads on one client, and event loops that come, go and run around it."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
import trio
from conditions import PATIENCE, Call, blocking_client_for, list_domains, list_on_event_loop, loop_threads, names
from sockets import EMPTY_PAGE, RawServer, answer, in_groups_of, stall

from mailchannels import (
    AsyncMailChannels,
    ConfigurationError,
    MailChannels,
    Pacer,
)
from mailchannels.event_loop import Errand, EventLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailchannels.simulator import Simulator

pytestmark = pytest.mark.usefixtures("environment", "each_event_loop", "no_thread_is_left")


# Threads


def test_what_a_call_runs_finds_the_context_variables_of_the_calling_thread() -> None:
    current: ContextVar[str] = ContextVar("current")
    together = threading.Barrier(8)
    seen: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path.split("/")[-2], current.get()))
        return httpx.Response(200, json={"loginLink": "https://console.example/login"})

    def work(domain: str) -> None:
        current.set(domain)
        for _ in range(20):
            together.wait(PATIENCE)
            client.domains.create_login_link(domain)

    client = blocking_client_for("http://127.0.0.1:9", transport=httpx.MockTransport(handle))
    with client, ThreadPoolExecutor(8) as pool:
        for made in [pool.submit(work, domain) for domain in names(8)]:
            made.result()

    assert len(seen) == 160
    assert all(domain == found for domain, found in seen)


@pytest.mark.timeout(240)
def test_fifty_threads_make_ten_thousand_calls_through_one_pool_and_one_pacer(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = 3_000
    turns: list[float] = []
    reserve = Pacer._reserve

    def recorded(pacer: Pacer, patience: float | None) -> float:
        turns.append(reserve(pacer, patience))
        return turns[-1]

    monkeypatch.setattr(Pacer, "_reserve", recorded)
    page = answer(EMPTY_PAGE)
    with RawServer(*[in_groups_of(5, page)] * 5, page) as server:
        client = blocking_client_for(server.url, max_connections=5, rate_limit=rate)
        with client, ThreadPoolExecutor(50) as pool:
            pages = [*pool.map(lambda _: client.domains.list(), range(10_000))]

            assert loop_threads() == []

    assert [page.total for page in pages] == [0] * 10_000
    assert len(server.requests) == len(turns) == 10_000
    # The first five are only answered when all of them are under way.
    assert server.connections == server.most_open == 5
    assert min(after - before for before, after in pairwise(sorted(turns))) > 1 / rate - 1e-6


def test_bulk_calls_of_several_threads_do_not_mix(blocking_client: MailChannels) -> None:
    def provision(number: int) -> list[str]:
        inputs = (f"t{number}-{name}" for name in names(1_500))
        result = blocking_client.domains.bulk_provision(inputs, subscription_handle="demo")
        return [item.domain.domain for item in result.successes]

    with ThreadPoolExecutor(4) as pool:
        provisioned = [*pool.map(provision, range(4))]

    assert provisioned == [[f"t{number}-{name}" for name in names(1_500)] for number in range(4)]


@pytest.mark.parametrize("call", [list_domains, list_on_event_loop], ids=lambda call: call.__name__)
def test_a_client_closed_by_another_thread_ends_the_calls_under_way(call: Call) -> None:
    with RawServer(stall()) as server:
        client = blocking_client_for(server.url)
        with ThreadPoolExecutor(3) as pool:
            calls = [pool.submit(call, client) for _ in range(3)]
            server.wait_for_requests(3)
            client.close()
            errors = [call.exception(PATIENCE) for call in calls]

    assert [type(error) for error in errors] == [ConfigurationError] * 3
    assert "closed while this call was under way" in str(errors[0])


class Gate:
    """A lock that holds back the first thread but one's own that wants it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._lock = threading.Lock()
        self._free = threading.current_thread()

    def __enter__(self) -> None:
        if threading.current_thread() is not self._free:
            self.reached.set()
            assert self.opened.wait(PATIENCE)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_first_call_that_meets_close_is_refused_and_leaves_no_thread(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = blocking_client_for(simulator.base_url)
    gate = Gate()
    monkeypatch.setattr(client._calls, "_lock", gate)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(list_on_event_loop, client)
        assert gate.reached.wait(PATIENCE)
        client.close()
        gate.opened.set()
        error = call.exception(PATIENCE)

    assert isinstance(error, ConfigurationError)
    assert "this client is closed" in str(error)
    assert loop_threads() == []
    assert simulator.requests == 0


def test_a_call_that_is_handed_over_as_the_client_closes_is_refused(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = EventLoop.spawn

    def close_first(event_loop: EventLoop, errand: Errand) -> bool:
        monkeypatch.setattr(EventLoop, "spawn", spawn)
        client.close()
        return spawn(event_loop, errand)

    client = blocking_client_for(simulator.base_url)
    monkeypatch.setattr(EventLoop, "spawn", close_first)

    with pytest.raises(ConfigurationError, match="this client is closed; create another one"):
        client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    assert simulator.requests == 0


def test_first_calls_that_meet_start_one_event_loop(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    with blocking_client_for(simulator.base_url) as client, ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(client._calls, "_lock", gate)
        call = pool.submit(list_on_event_loop, client)
        assert gate.reached.wait(PATIENCE)
        first = list_on_event_loop(client)
        gate.opened.set()

        assert call.result(PATIENCE) == first
        assert len(loop_threads()) == 1


def test_first_calls_in_a_forked_child_that_meet_open_one_client(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()

    with blocking_client_for(simulator.base_url) as client, ThreadPoolExecutor(1) as pool:
        client._calls._leave_to_parent()  # as in a child, whose only thread is the one that forked
        monkeypatch.setattr(client._calls, "_lock", gate)
        call = pool.submit(list_on_event_loop, client)
        assert gate.reached.wait(PATIENCE)
        first = list_on_event_loop(client)
        gate.opened.set()

        assert call.result(PATIENCE) == first
        assert len(loop_threads()) == 1


def test_a_client_that_is_closed_twice_at_once_is_closed_when_either_returns(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = blocking_client_for(simulator.base_url)
    list_on_event_loop(client)
    (thread,) = loop_threads()
    waiting, both_wait = threading.Barrier(3), threading.Event()
    farewell, join = client._calls.client.aclose, thread.join

    async def slow_farewell() -> None:
        await anyio.to_thread.run_sync(both_wait.wait, PATIENCE)
        await farewell()

    def join_together(patience: float | None) -> None:
        waiting.wait(PATIENCE)
        join(patience)

    monkeypatch.setattr(client._calls.client, "aclose", slow_farewell)
    monkeypatch.setattr(thread, "join", join_together)
    with ThreadPoolExecutor(2) as pool:
        closings = [pool.submit(client.close) for _ in range(2)]
        waiting.wait(PATIENCE)
        both_wait.set()
        for closing in closings:
            closing.result(PATIENCE)

    assert loop_threads() == []


# Event loops


@pytest.fixture
def abandoned() -> Iterator[None]:
    """Let connections be left behind in an event loop that has ended, of which Python itself warns."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("abandoned")
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_an_async_client_is_refused_in_a_second_event_loop(backend: str, second: str) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = AsyncMailChannels("demo-key", base_url=server.url)
        anyio.run(client.domains.list, backend=backend)

        for use in (client.domains.list, partial(client.domains.bulk_provision, ["a"], subscription_handle="demo")):
            with pytest.raises(ConfigurationError, match="another event loop; create one client for each"):
                anyio.run(use, backend=second)

        assert len(server.requests) == 1


@pytest.mark.usefixtures("abandoned")
@pytest.mark.parametrize("second", ["asyncio", "trio"])
def test_an_async_client_is_not_closed_in_a_second_event_loop(backend: str, second: str) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = AsyncMailChannels("demo-key", base_url=server.url)
        anyio.run(client.domains.list, backend=backend)

        with pytest.raises(ConfigurationError, match="another event loop; close it there"):
            anyio.run(client.aclose, backend=second)


def test_an_async_client_that_was_made_in_one_event_loop_and_not_used_works_in_another(backend: str) -> None:
    async def make(url: str) -> AsyncMailChannels:
        return AsyncMailChannels("demo-key", base_url=url)

    async def use(client: AsyncMailChannels) -> int:
        async with client:
            return (await client.domains.list()).total

    with RawServer(answer(EMPTY_PAGE)) as server:
        client = anyio.run(make, server.url)

        assert anyio.run(use, client, backend=backend) == 0


def test_an_async_client_closed_in_its_event_loop_is_closed_in_every_other(backend: str) -> None:
    async def use(client: AsyncMailChannels) -> None:
        async with client:
            await client.domains.list()

    with RawServer(answer(EMPTY_PAGE)) as server:
        client = AsyncMailChannels("demo-key", base_url=server.url)
        anyio.run(use, client, backend=backend)

        anyio.run(client.aclose, backend=backend)
        with pytest.raises(ConfigurationError, match="closed"):
            anyio.run(client.domains.list, backend=backend)
        assert len(server.requests) == 1


# Inside a running event loop


def test_inside_a_running_event_loop_it_works_and_warns_once(blocking_client: MailChannels) -> None:
    async def main() -> None:
        with pytest.warns(RuntimeWarning, match="inside a running event loop, which stands still") as caught:
            assert blocking_client.domains.list().total == 0
        assert [warning.filename for warning in caught] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert blocking_client.domains.list().total == 0

    asyncio.run(main())


def test_inside_trio_it_works_and_warns_too(blocking_client: MailChannels) -> None:
    async def main() -> None:
        with pytest.warns(RuntimeWarning, match="inside a running event loop"):
            assert blocking_client.domains.list().total == 0

    trio.run(main)


def test_the_warning_of_an_iterator_points_at_the_loop_over_it(blocking_client: MailChannels) -> None:
    async def main() -> None:
        with pytest.warns(RuntimeWarning, match="inside a running event loop") as caught:
            assert [*blocking_client.domains.iter_list()] == []
        assert [warning.filename for warning in caught] == [__file__]

    asyncio.run(main())


def test_its_own_event_loop_may_not_call_it(blocking_client: MailChannels) -> None:
    async def main() -> None:
        blocking_client.domains.list()

    with pytest.raises(ConfigurationError, match="cannot be called from its own event loop"):
        blocking_client._calls.make_on_event_loop(main)

    assert blocking_client.domains.list().total == 0
