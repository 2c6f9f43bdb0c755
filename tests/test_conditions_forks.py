"""Under real conditions: a process that has used a client is forked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from programs import outcome_of, run
from sockets import EMPTY_PAGE, RawServer, answer, releasing, when_released

if TYPE_CHECKING:
    from mailchannels.simulator import Simulator

pytestmark = [
    pytest.mark.usefixtures("environment", "each_event_loop"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here"),
]


@pytest.fixture(params=["client.domains.list()", "next(client.domains.iter_list(), None)"], ids=["call", "iterator"])
def listing(request: pytest.FixtureRequest) -> str:
    """How the programs list domains: in the calling thread, or by way of the event loop."""
    program: str = request.param
    return program


def test_a_forked_child_and_its_parent_both_go_on_each_with_its_own_connections(listing: str) -> None:
    script = f"""
        {listing}
        child = os.fork()
        if child == 0:
            {listing}
            {listing}
            client.close()
            os._exit(7)
        _, status = os.waitpid(child, 0)
        {listing}
        client.close()
        print(os.waitstatus_to_exitcode(status))
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "7\n", "")
        assert len(server.requests) == 4
        assert server.connections == 2


def test_a_child_forked_from_an_unused_client_works(listing: str) -> None:
    script = f"""
        child = os.fork()
        {listing}
        client.close()
        if child:
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "0\n", "")
        assert server.connections == 2


@pytest.mark.parametrize(
    ("first", "refusals", "requests"), [("client.domains.list()", 2, 3), ("", 0, 4)], ids=["used", "unused"]
)
def test_a_transport_that_was_given_and_used_is_refused_in_a_child_and_still_the_parents(
    first: str, refusals: int, requests: int
) -> None:
    script = f"""
        import httpx
        from mailchannels import ConfigurationError
        url, transport = client.base_url, httpx.AsyncHTTPTransport()
        client = MailChannels("demo-key", base_url=url, rate_limit=None, transport=transport)
        {first}
        child = os.fork()
        if child == 0:
            for _ in range(2):
                try:
                    client.domains.list()
                except ConfigurationError as error:
                    print(error, flush=True)
            client.close()
            other = httpx.AsyncHTTPTransport()
            with MailChannels("demo-key", base_url=url, transport=other) as another:
                another.domains.list()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        client.domains.list()
        client.close()
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert program.stderr == ""
        *refused, exit_code = program.stdout.splitlines()
        assert exit_code == "7"
        assert ["belongs to the process that this one was forked from" in line for line in refused] == [True] * refusals
        assert len(server.requests) == requests


def test_a_child_that_ends_without_close_prints_nothing_and_harms_no_connection_of_its_parent(listing: str) -> None:
    script = f"""
        {listing}
        child = os.fork()
        if child == 0:
            {listing}
            sys.exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        {listing}
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "0\n", "")
        assert server.connections == 2


@pytest.mark.parametrize("way", ["httpx", "aiohttp"])
def test_a_child_that_leaves_a_client_alone_ends_as_usual_though_its_parent_has_looked_a_name_up(
    way: str, listing: str
) -> None:
    given = ""
    if way == "aiohttp":
        pytest.importorskip("aiohttp")
        given = ", transport=__import__('mailchannels.speed').speed.AiohttpTransport()"
    script = f"""
        client = MailChannels("demo-key", base_url=client.base_url{given})
        {listing}
        child = os.fork()
        if child == 0:
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        client.close()
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        named = server.url.replace("127.0.0.1", "localhost")
        program = run(script, named, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "7\n", "")


def test_a_child_forked_while_a_call_is_under_way_works(listing: str) -> None:
    script = f"""
        thread = threading.Thread(target=lambda: print({listing} is None))
        thread.start()
        sys.stdin.readline()
        child = os.fork()
        if child == 0:
            {listing}
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        {listing}
        thread.join()
        client.close()
    """
    # The call in the thread has its answer only when the child and its parent have had theirs.
    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE), releasing(answer(EMPTY_PAGE))) as server:
        program = run(
            script, server.url, "-W", "ignore::DeprecationWarning", go_ahead=lambda: server.wait_for_requests(1)
        )

        assert outcome_of(program) == (0, f"7\n{'iter' in listing}\n", "")
        assert server.connections == 3


def test_an_iterator_from_before_the_fork_may_be_dropped_in_the_child(simulator: Simulator) -> None:
    script = """
        names = [f"d{number}.example" for number in range(9_000)]
        results = client.domains.iter_bulk_provision(names, subscription_handle="demo", concurrency=1)
        next(results)
        child = os.fork()
        if child == 0:
            del results
            print(client.domains.list().total > 0, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        results.close()
    """

    program = run(script, simulator.base_url, "-W", "ignore::DeprecationWarning")

    assert outcome_of(program) == (0, "True\n", "")


@pytest.mark.parametrize(
    "results",
    [
        'client.domains.iter_bulk_provision((name for name in names), subscription_handle="demo", concurrency=1)',
        "client.domains.iter_list(page_size=2)",
    ],
)
def test_an_iterator_from_before_the_fork_belongs_to_the_parent(results: str, simulator: Simulator) -> None:
    """The child has none of the tasks that it waits for."""
    script = f"""
        names = [f"d{{number}}.example" for number in range(9_000)]
        client.domains.bulk_provision(names[:9], subscription_handle="demo")
        results = {results}
        dropped = {results}
        next(results), next(dropped)
        child = os.fork()
        if child == 0:
            client.domains.list()
            dropped.close()
            try:
                next(results)
            except Exception as error:
                print(type(error).__name__, error, flush=True)
            client.domains.list()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(list(results)) > 3)
    """

    program = run(script, simulator.base_url, "-W", "ignore::DeprecationWarning")

    refused = "this iterator belongs to the process that this one was forked from; begin another one here"
    assert outcome_of(program) == (0, f"ConfigurationError {refused}\n0 True\n", "")


def test_a_pool_of_forked_processes_may_use_the_client() -> None:
    script = """
        import multiprocessing
        client.domains.list()
        def total(_):
            return client.domains.list().total
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(total, range(4), chunksize=2))
        print(client.domains.list().total)
    """
    with RawServer(answer({"domains": [], "total": 5})) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "[5, 5, 5, 5]\n5\n", "")
        assert len(server.requests) == 6


def test_a_pacer_is_usable_in_a_child_though_a_thread_held_its_lock_at_the_fork() -> None:
    script = """
        from mailchannels import Pacer
        pacer = Pacer(1000)
        client = MailChannels("demo-key", base_url=client.base_url, rate_limit=pacer)
        pacer._lock.acquire()
        client._calls._lock.acquire()
        child = os.fork()
        if child == 0:
            print(client.domains.list().total, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "0\n", "")


def test_a_child_that_makes_no_call_may_close_the_client_and_fork_again(listing: str) -> None:
    script = f"""
        {listing}
        child = os.fork()
        if child == 0:
            grandchild = os.fork()
            if grandchild == 0:
                {listing}
                client.close()
                os._exit(5)
            client.close()
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        {listing}
    """
    with RawServer(answer(EMPTY_PAGE)) as server:
        program = run(script, server.url, "-W", "ignore::DeprecationWarning")

        assert outcome_of(program) == (0, "5\n", "")
        assert len(server.requests) == 3
        assert server.connections == 2
