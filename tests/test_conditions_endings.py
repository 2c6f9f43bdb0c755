"""Under real conditions: the end of clients and of programs."""

from __future__ import annotations

import gc
import threading
import warnings
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from conditions import (
    PATIENCE,
    Call,
    blocking_client_for,
    bulk_provision,
    list_domains,
    list_on_event_loop,
    loop_threads,
    names,
    provision,
)
from programs import outcome_of, run
from sockets import EMPTY_PAGE, RawServer, answer, stall, when_released

from mailchannels import (
    AsyncMailChannels,
    ConfigurationError,
    MailChannels,
)
from mailchannels.event_loop import Errand

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailchannels.simulator import Simulator

pytestmark = pytest.mark.usefixtures("environment", "each_event_loop", "no_thread_is_left")


# The end of a client


def test_closing_ends_the_thread_and_its_connections() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url)
        list_on_event_loop(client)
        client.close()

        assert loop_threads() == []
        server.wait_until_all_are_closed()


def test_closing_closes_the_connections_of_calls_that_took_no_thread() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url)
        client.domains.list()
        assert loop_threads() == []
        client.close()

        server.wait_until_all_are_closed()


def test_a_client_that_is_dropped_closes_the_connections_of_calls_that_took_no_thread() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url)
        client.domains.list()

        del client
        gc.collect()

        server.wait_until_all_are_closed()


def test_closing_twice_does_nothing(simulator: Simulator) -> None:
    client = blocking_client_for(simulator.base_url)
    list_on_event_loop(client)

    client.close()
    client.close()

    assert loop_threads() == []


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.domains.list(),
        lambda client: next(client.domains.iter_list()),
        lambda client: client.domains.bulk_provision(iter(["a.example"]), subscription_handle="demo"),
        lambda client: next(client.domains.iter_bulk_provision(["a.example"], subscription_handle="demo")),
    ],
    ids=["call", "iterator", "bulk call", "bulk iterator"],
)
@pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
def test_a_closed_client_is_refused(used: bool, use: Callable[[MailChannels], object], simulator: Simulator) -> None:
    client = blocking_client_for(simulator.base_url)
    if used:
        client.domains.list()
    client.close()

    with pytest.raises(ConfigurationError, match="this client is closed"):
        use(client)

    assert simulator.requests == used


def test_an_iterator_of_a_closed_client_is_refused_and_may_be_dropped(blocking_client: MailChannels) -> None:
    blocking_client.domains.bulk_provision(names(3), subscription_handle="demo")
    domains = blocking_client.domains.iter_list(page_size=1)
    next(domains)
    blocking_client.close()

    with pytest.raises(ConfigurationError, match="this client is closed"):
        next(domains)


def test_closing_in_the_middle_of_an_iteration_reports_no_trouble(
    blocking_client: MailChannels, caplog: pytest.LogCaptureFixture
) -> None:
    results = blocking_client.domains.iter_bulk_provision(
        iter(names(20_000)), subscription_handle="demo", concurrency=2
    )
    next(results)
    blocking_client.close()

    assert [record.getMessage() for record in caplog.records] == []
    results.close()


def test_a_client_that_is_dropped_ends_its_thread(simulator: Simulator) -> None:
    client = blocking_client_for(simulator.base_url)
    list_on_event_loop(client)
    (thread,) = loop_threads()

    del client
    gc.collect()
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_client_that_is_dropped_in_its_own_thread_ends_it(simulator: Simulator) -> None:
    clients = [blocking_client_for(simulator.base_url)]
    list_on_event_loop(clients[0])
    (thread,) = loop_threads()
    dropped = threading.Event()

    async def drop() -> None:
        clients.clear()
        gc.collect()

    event_loop = clients[0]._calls._started()
    event_loop.spawn(Errand(drop, dropped.set))
    assert dropped.wait(PATIENCE)
    del event_loop
    thread.join(PATIENCE)

    assert not thread.is_alive()


# Whole programs


@pytest.mark.parametrize("listing", ["client.domains.list()", "list(client.domains.iter_list())"])
def test_leaving_without_close_prints_nothing(listing: str) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(listing, server.url, "-W", "error")

        server.wait_until_all_are_closed()
        assert outcome_of(program) == (0, "", "")
        assert len(server.requests) == 1


def test_leaving_with_an_unused_client_prints_nothing() -> None:
    program = run("", "http://127.0.0.1:9", "-W", "error")

    assert outcome_of(program) == (0, "", "")


def test_leaving_in_the_middle_of_an_iteration_prints_nothing(simulator: Simulator) -> None:
    script = """
        names = (f"d{number}.example" for number in range(20_000))
        results = client.domains.iter_bulk_provision(names, subscription_handle="demo", concurrency=2)
        print(len(next(results).successes))
    """

    program = run(script, simulator.base_url, "-W", "error")

    assert outcome_of(program) == (0, "1000\n", "")


@pytest.mark.parametrize("listing", ["client.domains.list()", "list(client.domains.iter_list())"])
def test_leaving_while_another_thread_waits_for_an_answer_prints_nothing(listing: str) -> None:
    script = f"""
        from contextlib import suppress
        def call():
            with suppress(Exception):
                {listing}
        threading.Thread(target=call, daemon=True).start()
        sys.stdin.readline()
    """
    with RawServer(stall()) as server:
        program = run(script, server.url, "-W", "error", go_ahead=lambda: server.wait_for_requests(1))

        assert outcome_of(program) == (0, "", "")
        assert len(server.requests) == 1


def test_an_error_that_ends_the_program_is_the_only_thing_printed(simulator: Simulator) -> None:
    program = run("client.domains.list()\nsys.exit('the end')", simulator.base_url)

    assert outcome_of(program) == (1, "", "the end\n")


@pytest.mark.parametrize("ends", ["closes", "leaves"])
def test_an_async_program_ends_without_a_word_whether_it_closes_its_client_or_not(ends: str, backend: str) -> None:
    script = f"""
        import anyio
        from mailchannels import AsyncMailChannels
        async def main():
            other = AsyncMailChannels("demo-key", base_url=client.base_url)
            await other.domains.list()
            if {ends == "closes"}:
                await other.aclose()
        anyio.run(main, backend={backend!r})
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url)

        assert outcome_of(program) == (0, "", "")
        server.wait_until_all_are_closed()


@pytest.mark.parametrize("use", [list_domains, provision, bulk_provision], ids=lambda use: use.__name__)
def test_a_closed_async_client_is_refused_and_sends_nothing(use: Call, backend: str) -> None:
    async def main(url: str) -> None:
        client = AsyncMailChannels("demo-key", base_url=url)
        await client.domains.list()
        await client.aclose()
        await client.aclose()
        with pytest.raises(ConfigurationError, match="this client is closed; create another one"):
            await use(client)

    with RawServer(answer(EMPTY_PAGE)) as server:
        anyio.run(main, server.url, backend=backend)

        assert len(server.requests) == 1
        server.wait_until_all_are_closed()


def test_an_async_client_that_is_dropped_in_use_lets_its_call_end(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async def call() -> None:
            assert (await AsyncMailChannels("demo-key", base_url=server.url).domains.list()).total == 0

        async with anyio.create_task_group() as calls:
            calls.start_soon(call)
            await anyio.to_thread.run_sync(server.wait_for_requests, 1)
            gc.collect()
            server.released.set()

    with warnings.catch_warnings(), RawServer(when_released(answer(EMPTY_PAGE))) as server:
        warnings.simplefilter("ignore", ResourceWarning)  # Python's own, for the connection that nobody closes
        anyio.run(main, server, backend=backend)
        gc.collect()
