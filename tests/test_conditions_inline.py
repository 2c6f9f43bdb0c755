"""Under real conditions: calls that are made in the calling thread, over sockets of their own."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx
import pytest
import specification
from conditions import PATIENCE, Call, Way, blocking_client_for, list_domains, loop_threads, provision, report
from sockets import (
    EMPTY_PAGE,
    RawServer,
    answer,
    in_groups_of,
    refusing_url,
    stall,
    swallowing_port,
    when_released,
)

from mailchannels import (
    AsyncMailChannels,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    ConnectionStalled,
    MailChannels,
    MailChannelsError,
    Pacer,
    RequestTimeout,
    inline,
    lines,
    network,
)
from mailchannels.bell import Bell
from mailchannels.lines import Lines
from mailchannels.watch import LONGEST_IDLE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    import respx

pytestmark = pytest.mark.usefixtures("environment")

needs_alarms: Final = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm can be set here")

MUCH: Final = "much " * 2_000_000
"""More than the system keeps for a server that does not read, and soon written."""


def send_much(client: MailChannels) -> None:
    client.service.report("false_negative", MUCH)


@pytest.fixture(autouse=True)
def _unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """To hold a body of megabytes against the specification takes longer than these tests wait."""
    monkeypatch.setattr(specification, "judge_request", lambda *_: ("", ""))


# Turns


@pytest.fixture
def are_waiting(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released by each thread that begins to wait for its turn, and no longer looks for one unless it is told."""
    wait, waiting = Bell.wait, threading.Semaphore(0)

    def wait_openly(bell: Bell, seconds: float) -> None:
        waiting.release()
        wait(bell, seconds)

    monkeypatch.setattr(lines, "LOOK_AGAIN", PATIENCE)
    monkeypatch.setattr(Bell, "wait", wait_openly)
    return waiting


def limits(server: RawServer) -> list[str]:
    """How many domains each request asked for, in the order in which they came."""
    return [str(httpx.URL(line.split()[1]).params["limit"]) for line in server.lines]


def test_threads_take_turns_in_the_order_of_asking(are_waiting: threading.Semaphore) -> None:
    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1)
        with client, ThreadPoolExecutor(4) as pool:
            first = pool.submit(lambda: [client.domains.list(limit=limit) for limit in (1, 5)])
            server.wait_for_requests(1)
            others = []
            for limit in (2, 3, 4):
                others.append(pool.submit(client.domains.list, limit=limit))
                assert are_waiting.acquire(timeout=PATIENCE)
            server.released.set()
            first.result(PATIENCE)
            for other in others:
                other.result(PATIENCE)

        assert limits(server) == ["1", "2", "3", "4", "5"]
        assert server.most_open == 1


def test_a_thread_that_asks_again_comes_after_the_one_that_was_called_and_is_slow_to_wake(
    are_waiting: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, has_asked_again = Bell.wait, threading.Event()

    def wake_late(bell: Bell, seconds: float) -> None:
        monkeypatch.setattr(Bell, "wait", ask_again)
        wait(bell, seconds)
        has_asked_again.wait(PATIENCE)

    def ask_again(bell: Bell, seconds: float) -> None:
        has_asked_again.set()
        wait(bell, seconds)

    def call_twice(client: MailChannels) -> None:
        client.domains.list(limit=1)
        client.domains.list(limit=3)
        has_asked_again.set()

    monkeypatch.setattr(Bell, "wait", wake_late)
    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1)
        with client, ThreadPoolExecutor(2) as pool:
            first = pool.submit(call_twice, client)
            server.wait_for_requests(1)
            second = pool.submit(client.domains.list, limit=2)
            assert are_waiting.acquire(timeout=PATIENCE)
            server.released.set()
            first.result(PATIENCE)
            second.result(PATIENCE)

        assert limits(server) == ["1", "2", "3"]


def test_a_thread_that_is_held_up_just_as_it_calls_the_next_one_keeps_nobody_waiting(
    are_waiting: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, has_second = Bell.ring, threading.Event()

    def ring_and_be_held_up(bell: Bell) -> None:
        monkeypatch.setattr(Bell, "ring", ring)
        ring(bell)
        has_second.wait(0.5)

    def call_second(client: MailChannels) -> int:
        total = client.domains.list().total
        has_second.set()
        return total

    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1)
        with client, ThreadPoolExecutor(3) as pool:
            first = pool.submit(client.domains.list)
            server.wait_for_requests(1)
            second = pool.submit(call_second, client)
            assert are_waiting.acquire(timeout=PATIENCE)
            third = pool.submit(client.domains.list)
            assert are_waiting.acquire(timeout=PATIENCE)
            monkeypatch.setattr(Bell, "ring", ring_and_be_held_up)
            server.released.set()

            assert first.result(PATIENCE).total == second.result(PATIENCE) == third.result(PATIENCE / 2).total == 0


def test_a_call_that_finds_no_turn_within_its_queue_timeout_leaves_it_to_the_next() -> None:
    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1, queue_timeout=0.05)
        with client, ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.domains.list)
            server.wait_for_requests(1)
            with pytest.raises(RequestTimeout, match=r"all 1 connections stayed busy for the queue_timeout of 0\.05 s"):
                client.domains.list()
            server.released.set()

            assert first.result(PATIENCE).total == client.domains.list().total == 0


def test_the_wait_for_a_connection_uses_up_the_queue_timeout() -> None:
    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1, queue_timeout=2.0, rate_limit=0.4)
        with client, ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.domains.list)
            server.wait_for_requests(1)
            threading.Timer(0.3, server.released.set).start()
            with pytest.raises(RequestTimeout, match=r"later than the 1\.\d+ s that queue_timeout leaves"):
                client.domains.list()

            assert first.result(PATIENCE).total == 0


def test_a_turn_that_ctrl_c_keeps_from_its_call_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    permit = Lines.permit

    async def struck(carrier: Lines, patience: float | None) -> Any:
        monkeypatch.setattr(Lines, "permit", permit)
        await permit(carrier, patience)
        raise KeyboardInterrupt

    monkeypatch.setattr(Lines, "permit", struck)
    with (
        RawServer(answer(EMPTY_PAGE)) as server,
        blocking_client_for(server.url, max_connections=1, queue_timeout=5) as client,
    ):
        with pytest.raises(KeyboardInterrupt):
            client.domains.list()

        assert client.domains.list().total == 0


def test_ctrl_c_as_the_wait_for_a_turn_ends_leaves_nobody_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    leave = Lines._leave

    def struck(*_: object) -> None:
        monkeypatch.setattr(Lines, "_leave", leave)
        raise KeyboardInterrupt

    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1, queue_timeout=0.05)
        with client, ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.domains.list)
            server.wait_for_requests(1)
            monkeypatch.setattr(Lines, "_leave", struck)
            with pytest.raises(KeyboardInterrupt):
                client.domains.list()
            server.released.set()

            assert first.result(PATIENCE).total == client.domains.list().total == 0


def test_whoever_waits_for_a_turn_looks_again_though_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(Lines, "_call_next", lambda _: None)
    with (
        RawServer(answer(EMPTY_PAGE)) as server,
        blocking_client_for(server.url, max_connections=1) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        assert [page.total for page in pool.map(lambda _: client.domains.list(), range(8))] == [0] * 8


# Signals


@contextmanager
def alarm(handler: Callable[[], object], seconds: float = 0.1) -> Iterator[None]:
    """Have a function called by a signal's handler, once, in the midst of what the main thread does."""

    def handle(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        handler()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class TimeLimit(TimeoutError):
    """What a program raises where something takes too long."""


@needs_alarms
@pytest.mark.parametrize("kind", [TimeLimit, ConnectionResetError, BlockingIOError, RuntimeError, SystemExit])
def test_what_a_signals_handler_raises_ends_the_call_as_it_is_and_the_client_works_on(
    kind: type[BaseException],
) -> None:
    def strike() -> None:
        raise kind("the handler's own")

    with RawServer(stall(), answer(EMPTY_PAGE)) as server, blocking_client_for(server.url) as client:
        with pytest.raises(kind, match="the handler's own"), alarm(strike, 0.3):
            client.domains.list()

        server.wait_for_hang_ups(1)
        assert client.domains.list().total == 0
        assert len(server.requests) == 2


@needs_alarms
@pytest.mark.parametrize("phase", ["connecting", "handshake", "sending"])
def test_what_a_signals_handler_raises_is_no_error_of_a_connection_that_comes_about(
    phase: str, tls: ssl.SSLContext
) -> None:
    def strike() -> None:
        raise TimeLimit

    with (
        url_that_keeps_waiting(phase) as url,
        blocking_client_for(url, max_retries=0) as client,
        pytest.raises(TimeLimit),
        alarm(strike, 1.0),
    ):
        send_much(client)


@needs_alarms
def test_whoever_waits_behind_a_wait_that_ctrl_c_ends_goes_on_though_its_traceback_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait, are_waiting, behind = Bell.wait, threading.Semaphore(0), []

    def wait_openly(bell: Bell, seconds: float) -> None:
        are_waiting.release()
        wait(bell, seconds)

    def strike() -> None:
        monkeypatch.setattr(Bell, "wait", wait_openly)
        behind.append(pool.submit(client.domains.list))
        assert are_waiting.acquire(timeout=PATIENCE)
        raise KeyboardInterrupt

    with RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, max_connections=1)
        with ThreadPoolExecutor(2) as pool, client:
            first = pool.submit(client.domains.list)
            server.wait_for_requests(1)
            with alarm(strike, 0.3), pytest.raises(KeyboardInterrupt) as caught:
                client.domains.list()
            server.released.set()

            assert first.result(PATIENCE).total == behind[0].result(PATIENCE / 2).total == 0
            assert caught.value.__traceback__ is not None


@needs_alarms
@pytest.mark.parametrize("max_connections", [2, 1], ids=["beside it", "over the only connection"])
def test_a_signals_handler_may_make_a_call_while_another_is_under_way(max_connections: int) -> None:
    totals: list[int] = []
    page, other = answer({"domains": [], "total": 1}), answer({"domains": [], "total": 2})
    with (
        RawServer(when_released(page), other) as server,
        blocking_client_for(server.url, max_connections=max_connections) as client,
    ):

        def call() -> None:
            totals.append(client.domains.list().total)
            server.released.set()

        with alarm(call, 0.3):
            totals.append(client.domains.list().total)

    assert totals == [2, 1]


@needs_alarms
def test_a_signals_handler_may_make_a_call_though_what_it_interrupts_waits_for_a_turn() -> None:
    totals: list[int] = []
    with (
        RawServer(when_released(answer(EMPTY_PAGE)), answer(EMPTY_PAGE)) as server,
        blocking_client_for(server.url, max_connections=1) as client,
        ThreadPoolExecutor(1) as pool,
    ):

        def call() -> None:
            totals.append(client.domains.list().total)
            server.released.set()

        first = pool.submit(client.domains.list)
        server.wait_for_requests(1)
        with alarm(call, 0.3):
            totals.append(client.domains.list().total)
        totals.append(first.result(PATIENCE).total)

    assert totals == [0, 0, 0]


@needs_alarms
def test_a_signals_handler_may_run_an_async_client_while_a_blocking_call_is_under_way() -> None:
    async def list_all(url: str) -> int:
        async with AsyncMailChannels("demo-key", base_url=url) as client:
            return (await client.domains.list()).total

    totals: list[int] = []
    page = answer(EMPTY_PAGE)
    with RawServer(when_released(page), page) as server, blocking_client_for(server.url) as client:

        def call() -> None:
            totals.append(asyncio.run(list_all(server.url)))
            server.released.set()

        with alarm(call, 0.3):
            totals.append(client.domains.list().total)

    assert totals == [0, 0]


@needs_alarms
def test_an_error_of_a_socket_of_the_handlers_own_is_the_handlers() -> None:
    def strike() -> None:
        socket.create_connection(("127.0.0.1", int(refused.rpartition(":")[2])))

    with refusing_url() as refused, RawServer(stall()) as server, blocking_client_for(server.url) as client:
        with pytest.raises(ConnectionRefusedError), alarm(strike, 0.3):
            client.domains.list()

        assert len(server.requests) == 1


@needs_alarms
@pytest.mark.parametrize("held", ["transport", "lines", "pacer"])
def test_a_signals_handler_may_make_a_call_where_the_main_thread_holds_a_lock(held: str) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server, blocking_client_for(server.url, rate_limit=1000) as client:
        client.domains.list()
        transport = client._aio._transport
        assert transport.lines is not None
        assert transport.pacer is not None
        holder: Any = {"transport": transport, "lines": transport.lines, "pacer": transport.pacer}[held]
        totals: list[int] = []
        with holder._lock, alarm(lambda: totals.append(client.domains.list().total), 0.01):
            latest = monotonic() + PATIENCE
            while not totals and monotonic() < latest:
                threading.Event().wait(0.01)

    assert totals == [0]


# The end of a client


@contextmanager
def url_that_keeps_waiting(phase: str) -> Iterator[str]:
    """Give an address at which a call gets as far as that, and no further."""
    if phase == "connecting":
        with swallowing_port() as port:
            yield f"http://127.0.0.1:{port}"
        return
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        scheme = "https" if phase == "handshake" else "http"
        yield f"{scheme}://127.0.0.1:{deaf.getsockname()[1]}"


@contextmanager
def url_that_reads_nothing(tls: ssl.SSLContext) -> Iterator[str]:
    """Give an address at which a call shakes hands for TLS, and no more."""

    def shake_hands() -> None:
        connection, _ = listener.accept()
        with tls.wrap_socket(connection, server_side=True):
            over.wait(PATIENCE)

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(PATIENCE)
        served = pool.submit(shake_hands)
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
        served.result(PATIENCE)


@contextmanager
def another_thread_closes(client: MailChannels, seconds: float = 0.2) -> Iterator[None]:
    """Close a client meanwhile, and hold that whoever is at it hears of that at once."""
    timer = threading.Timer(seconds, client.close)
    timer.start()
    started = monotonic()
    with pytest.raises(ConfigurationError, match="the client was closed while this call was under way"):
        yield
    assert monotonic() - started < 5
    timer.join(PATIENCE)


@pytest.mark.parametrize("phase", ["connecting", "handshake", "sending"])
def test_closing_ends_a_call_whose_connection_has_not_come_as_far_as_an_answer(phase: str) -> None:
    with url_that_keeps_waiting(phase) as url:
        client = blocking_client_for(url)
        with another_thread_closes(client, seconds=1.0):
            send_much(client)


def test_closing_ends_a_call_whose_request_is_not_taken_over_tls(
    tls: ssl.SSLContext, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(certificate))
    with url_that_reads_nothing(tls) as url:
        client = blocking_client_for(url)
        with another_thread_closes(client, seconds=1.0):
            send_much(client)


def test_closing_just_as_a_connection_comes_about_ends_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = network._ready

    def ready_and_close(*given: Any) -> list[socket.socket]:
        found = ready(*given)
        client.close()
        return found

    monkeypatch.setattr(network, "_ready", ready_and_close)
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url)
        with pytest.raises(ConfigurationError, match="the client was closed while this call was under way"):
            client.domains.list()

        assert server.requests == []
        server.wait_until_all_are_closed()


def test_closing_ends_a_call_whose_name_is_being_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with slow_look_ups(monkeypatch):
        client = blocking_client_for("https://api.example")
        with another_thread_closes(client):
            client.domains.list()


def test_closing_ends_a_call_that_waits_for_a_turn() -> None:
    with RawServer(stall()) as server:
        client = blocking_client_for(server.url, max_connections=1)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(client.domains.list)
            server.wait_for_requests(1)
            with another_thread_closes(client):
                client.domains.list()

            assert isinstance(first.exception(PATIENCE), ConfigurationError)


def test_closing_ends_a_call_that_waits_for_its_pace() -> None:
    pacer = Pacer(0.01)
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url, rate_limit=pacer)
        client.domains.list()
        with another_thread_closes(client):
            client.domains.list()

        assert len(server.requests) == 1


def test_closing_ends_a_call_that_backs_off() -> None:
    with RawServer(answer(status=503, headers={"Retry-After": "20"})) as server:
        client = blocking_client_for(server.url)
        with another_thread_closes(client):
            client.domains.list()

        assert len(server.requests) == 1


def test_a_body_that_ends_because_the_client_is_closed_is_no_answer() -> None:
    def begin(server: RawServer, connection: socket.socket) -> bool:
        connection.sendall(b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"domains": [], ')
        return stall()(server, connection)

    with RawServer(begin) as server:
        client = blocking_client_for(server.url)
        with another_thread_closes(client):
            client.domains.list()


def test_an_answer_that_has_come_whole_is_given_though_the_client_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    read = lines._read

    def read_and_close(*given: Any) -> Any:
        reply = read(*given)
        client.close()
        return reply

    monkeypatch.setattr(lines, "_read", read_and_close)
    with RawServer(answer({"domains": [], "total": 7})) as server:
        client = blocking_client_for(server.url)

        assert client.domains.list().total == 7
        server.wait_until_all_are_closed()


def test_a_connection_that_comes_back_as_the_client_closes_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    is_idle = httpcore.HTTPConnection.is_idle

    def close_first(connection: httpcore.HTTPConnection) -> bool:
        client.close()
        return is_idle(connection)

    with RawServer(answer(EMPTY_PAGE)) as server:
        client = blocking_client_for(server.url)
        client.domains.list()
        with monkeypatch.context() as late:
            late.setattr(httpcore.HTTPConnection, "is_idle", close_first)
            with suppress(ConfigurationError):
                client.domains.list()

        server.wait_until_all_are_closed()


def test_what_is_opened_for_the_first_call_as_the_client_closes_is_closed_at_once() -> None:
    client = blocking_client_for("http://127.0.0.1:9")
    transport = client._aio._transport
    transport.hang_up()
    assert transport.lines is not None

    with pytest.raises(ConfigurationError, match="this client is closed"):
        client.domains.list()
    client.close()


# Connections


@contextmanager
def slow_look_ups(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the look-up of a name take as long as the test does."""
    look_up, over = socket.getaddrinfo, threading.Event()

    def wait(host: str, *rest: Any, **more: Any) -> Any:
        if more.get("flags", 0) & socket.AI_NUMERICHOST:
            return look_up(host, *rest, **more)
        over.wait(PATIENCE)
        raise socket.gaierror(socket.EAI_AGAIN, "at last")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", wait)
        yield
        over.set()
        for thread in threading.enumerate():
            if thread.name == "look-up of a name":
                thread.join(PATIENCE)


@pytest.mark.parametrize(("timeout", "kind"), [(0.3, RequestTimeout), (30.0, ConnectError)])
def test_a_look_up_that_takes_too_long_is_given_up_and_nothing_was_sent(
    timeout: float, kind: type[MailChannelsError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(network, "LONGEST_WAIT", 0.05)
    with slow_look_ups(monkeypatch):
        (outcome,) = Way("blocking").make("https://api.example", provision, timeout=timeout, max_retries=0)

    assert type(outcome.error) is kind
    assert getattr(outcome.error, "maybe_applied", None) is False


def test_a_name_is_looked_up_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "look-up of a name":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    with RawServer(answer(EMPTY_PAGE)) as server:
        named = server.url.replace("127.0.0.1", "localhost")
        with blocking_client_for(named) as client, monkeypatch.context() as late:
            late.setattr(threading.Thread, "start", refuse)

            assert client.domains.list().total == 0


def test_an_address_that_can_be_no_peer_is_a_connect_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: socket.socket, address: object) -> int:
        return errno.ENETUNREACH

    monkeypatch.setattr(socket.socket, "connect_ex", refuse)

    (outcome,) = Way("blocking").make("http://127.0.0.1:9", list_domains, max_retries=0)

    assert isinstance(outcome.error, ConnectError)
    assert os.strerror(errno.ENETUNREACH) in str(outcome.error)


@pytest.mark.parametrize("call", [list_domains, report])
def test_a_handshake_that_is_met_with_silence_leaves_time_for_another(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr("mailchannels.transport.back_off", lambda _: 0.0)
    with url_that_keeps_waiting("handshake") as url, blocking_client_for(url, max_retries=2) as client:
        with pytest.raises(ConnectError, match="ConnectTimeout"):
            call(client)

        assert client.statistics.requests == 3


def test_a_write_that_is_met_with_silence_in_the_handshake_was_not_applied(way: Way) -> None:
    with url_that_keeps_waiting("handshake") as url:
        outcomes = way.make(url, lambda client: client.domains.create_alias("a.example", "b.example"), timeout=0.5)

    assert [type(outcome.error) for outcome in outcomes] == [RequestTimeout] * way.users
    assert [getattr(outcome.error, "maybe_applied", None) for outcome in outcomes] == [False] * way.users


def test_an_answer_to_no_request_is_not_taken_for_that_to_the_next() -> None:
    def twice(server: RawServer, connection: socket.socket) -> bool:
        link = b'{"loginLink": "https://console.example/somebody-elses"}'
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(link), link)
        connection.sendall(reply * 2)
        return True

    own = answer({"loginLink": "https://console.example/own"})
    with RawServer(twice, own) as server, blocking_client_for(server.url) as client:
        client.domains.create_login_link("a.example")

        assert client.domains.create_login_link("b.example").link == "https://console.example/own"
        assert [line.split("/")[4] for line in server.lines] == ["a.example", "b.example"]
        assert server.connections == 2


def test_connections_left_behind_by_a_burst_are_closed_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    together = [in_groups_of(3, answer(EMPTY_PAGE))] * 3
    with RawServer(*together, answer(EMPTY_PAGE)) as server, blocking_client_for(server.url) as client:
        with ThreadPoolExecutor(3) as pool:
            [*pool.map(lambda _: client.domains.list(), range(3))]
        assert server.open == 3
        monkeypatch.setattr(lines, "monotonic", lambda: monotonic() + LONGEST_IDLE + 1)
        client.domains.list()

        server.wait_until_open(1)


def test_a_large_request_goes_through_whole() -> None:
    with RawServer(answer()) as server, blocking_client_for(server.url) as client:
        send_much(client)

    assert MUCH.encode() in server.requests[0]


def test_a_proxy_of_the_environment_is_the_event_loops_business(environment: pytest.MonkeyPatch) -> None:
    with RawServer(answer(EMPTY_PAGE)) as proxy:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("NO_PROXY", "")
        with blocking_client_for("http://127.0.0.1:9") as client:
            client.domains.list()

            assert len(loop_threads()) == 1
            assert proxy.lines[0].startswith("GET http://127.0.0.1:9/")


# What stands in for a connection


@pytest.mark.parametrize(
    ("raised", "kind", "maybe_applied"),
    [
        (httpx.ConnectError, ConnectError, False),
        (httpx.ConnectTimeout, ConnectError, False),
        (httpx.ReadTimeout, ConnectionStalled, True),
        (httpx.ReadError, ConnectionLost, True),
        (httpx.RemoteProtocolError, ConnectionLost, True),
        (httpcore.WriteTimeout, ConnectionStalled, True),
        (httpcore.ReadError, ConnectionLost, True),
    ],
)
def test_what_respx_raises_in_its_place_means_the_same_awaited_and_blocking(
    raised: type[Exception], kind: type[MailChannelsError], maybe_applied: bool, api: respx.Route
) -> None:
    api.mock(side_effect=raised("of the test"))

    for way in (Way("asyncio"), Way("blocking")):
        if way.is_async and raised.__module__ == "httpcore":
            continue  # httpx's own transport never lets one through
        (outcome,) = way.make("http://127.0.0.1:9", provision, max_retries=0)

        assert type(outcome.error) is kind
        assert getattr(outcome.error, "maybe_applied", None) is maybe_applied


def test_the_head_of_a_request_is_the_same_awaited_and_blocking() -> None:
    requests: list[list[bytes]] = []
    for name in ("asyncio", "blocking"):
        with RawServer(answer({"domain": "a.example"}), answer(EMPTY_PAGE), answer()) as server:
            calls = [provision, list_domains, lambda client: client.domains.create_alias("a.example", "b.example")]
            Way(name).make(server.url, *calls, max_retries=0)
            requests.append([request.replace(str(server.port).encode(), b"PORT") for request in server.requests])

    assert [sorted(each.split(b"\r\n")) for each in requests[0]] == [
        sorted(each.split(b"\r\n")) for each in requests[1]
    ]


# Secrets


@needs_alarms
@pytest.mark.parametrize("phase", ["sending", "reading"])
def test_a_key_and_a_body_are_seen_in_no_variable_where_ctrl_c_strikes(phase: str) -> None:
    def strike() -> None:
        raise KeyboardInterrupt

    canary = "c4n4ry"
    url = url_that_keeps_waiting("sending") if phase == "sending" else serving(stall())
    with url as address, MailChannels(f"{canary}-key", base_url=address, rate_limit=None) as client:
        call: Any = client.service.report if phase == "sending" else client.domains.update_api_key
        given = ("false_negative", MUCH) if phase == "sending" else ("a.example", f"{canary}-new")
        with pytest.raises(KeyboardInterrupt) as caught, alarm(strike, 1.0):
            call(*given)

    ours = [
        frame
        for frame, _ in traceback.walk_tb(caught.tb)
        if f"{os.sep}mailchannels{os.sep}" in frame.f_code.co_filename
    ]
    assert ours[-1].f_code.co_filename.endswith("network.py")
    assert [frame.f_code.co_name for frame in ours if canary in repr(frame.f_locals)] == []


@contextmanager
def serving(behaviour: Any) -> Iterator[str]:
    """Give the address of a server with one behaviour."""
    with RawServer(behaviour) as server:
        yield server.url


# The coroutine


def test_a_call_that_waits_for_an_event_loop_after_all_is_a_fault_that_says_so() -> None:
    class Forever:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def wait() -> None:
        await Forever()

    with pytest.raises(RuntimeError, match="a call that was made without an event loop waited for one"):
        inline.run_inline(wait, wait)

    assert not inline.is_inline(wait)
