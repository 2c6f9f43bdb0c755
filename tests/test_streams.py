"""Connections come about, end and fill no memory, whatever is below them: an event loop's sockets or a thread's."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from conditions import PATIENCE, Outcome, Way
from contract.case import KEY
from sockets import EMPTY_PAGE, RawServer, answer, refusing_port, swallowing_port

from mailchannels import (
    AsyncMailChannels,
    ConnectError,
    ConnectionLost,
    ConnectionStalled,
    Domain,
    RequestTimeout,
    connections,
    network,
    streams,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("environment")


def list_domains(client: Any) -> Any:
    return client.domains.list(timeout=2.5)


@pytest.fixture(params=["asyncio", "trio", "blocking"])
def way(request: pytest.FixtureRequest) -> Way:
    """Every way to a socket."""
    return Way(request.param)


@pytest.fixture(params=["asyncio", "blocking"])
def ours(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """The ways over sockets of ours; trio's are httpcore's. A name with several addresses counts as this machine's."""
    monkeypatch.setattr("mailchannels.configuration._is_loopback", lambda _: True)
    return Way(request.param)


def meanwhile(way: Way, wait: Callable[[], Any]) -> Any:
    """Wait for the server, without keeping an event loop from its own business."""
    return anyio.to_thread.run_sync(wait) if way.is_async else wait()


def reach(way: Way, monkeypatch: pytest.MonkeyPatch, *ports: int) -> Outcome:
    """Make a call to a name whose addresses are these ports."""
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(*ports))
    (outcome,) = way.make("http://several.example", list_domains, max_retries=0)
    return outcome


def resolving_to(*ports: int) -> Callable[..., Any]:
    """Stand in for the look-up of a name that has several addresses."""
    look_up = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        if host != "several.example":
            return look_up(host, *rest, **more)
        if more.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        tcp = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*tcp, ("127.0.0.1", port)) for port in ports]

    return resolve


@pytest.mark.parametrize("order", ["swallowing first", "refusing first", "both first"])
def test_of_several_addresses_the_first_that_answers_is_taken(
    order: str, ours: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server, swallowing_port() as swallowing, refusing_port() as refused:
        first = {"swallowing first": [swallowing], "refusing first": [refused], "both first": [refused, swallowing]}
        outcome = reach(ours, monkeypatch, *first[order], server.port)

    assert outcome.error is None


def test_an_address_that_fails_at_once_leaves_the_one_before_it_its_time(
    ours: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing has come of the first when the second is tried.
    monkeypatch.setattr(network, "NEXT_ADDRESS", 0.0)
    monkeypatch.setattr(streams, "NEXT_ADDRESS", 0.0)
    with RawServer(answer(EMPTY_PAGE)) as server, refusing_port() as refused:
        outcome = reach(ours, monkeypatch, server.port, refused)

    assert outcome.error is None


def test_where_none_of_several_addresses_answers_in_time_that_is_told(
    ours: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "CONNECT_TIMEOUT", 0.6)
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT", 0.6)
    with swallowing_port() as swallowing, refusing_port() as refused:
        outcome = reach(ours, monkeypatch, swallowing, refused)

    assert isinstance(outcome.error, ConnectError)
    assert "ConnectTimeout" in str(outcome.error)


def test_why_the_last_of_several_addresses_failed_is_told(ours: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing_port() as refused:
        outcome = reach(ours, monkeypatch, refused, refused)

    assert isinstance(outcome.error, ConnectError)
    assert str(errno.ECONNREFUSED) in str(outcome.error) or os.strerror(errno.ECONNREFUSED) in str(outcome.error)


def test_a_name_without_an_address_is_a_connect_error(ours: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = reach(ours, monkeypatch)

    assert isinstance(outcome.error, ConnectError)
    assert os.strerror(errno.EADDRNOTAVAIL) in str(outcome.error)


@pytest.mark.asyncio
async def test_a_call_that_is_cancelled_just_as_it_is_connected_leaves_no_socket_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect, scope = asyncio.BaseEventLoop.create_connection, anyio.CancelScope()

    async def connect_and_cancel(*args: Any, **options: Any) -> Any:
        connected = await connect(*args, **options)
        scope.cancel()
        return connected

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", connect_and_cancel)

    with RawServer(answer(EMPTY_PAGE)) as server:
        async with AsyncMailChannels(KEY, base_url=server.url) as client:
            with scope:
                await client.domains.list()
            await anyio.to_thread.run_sync(server.wait_until_all_are_closed)

    assert scope.cancelled_caught
    assert server.requests == []


@contextmanager
def hanging_up_half_way(*, in_good_order: bool) -> Iterator[str]:
    """Give the address of a server that takes the beginning of a request and no more of it."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    # Of what follows the head the client is in the middle now, and waits for the rest to be taken.
                    connection.recv(2**20, socket.MSG_WAITALL)
                    if not in_good_order:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


@pytest.mark.parametrize("in_good_order", [True, False], ids=["in good order", "with a reset"])
def test_a_server_that_hangs_up_while_a_request_is_written_leaves_it_in_doubt(way: Way, in_good_order: bool) -> None:
    large = Domain("a.example", subscription_handle="demo", admins=[f"{'a' * 60}@b.example"] * 200_000)
    with hanging_up_half_way(in_good_order=in_good_order) as url:
        (outcome,) = way.make(url, lambda client: client.domains.provision(large), max_retries=0)

    assert isinstance(outcome.error, ConnectionLost)
    assert not isinstance(outcome.error, ConnectionStalled)  # nobody waits for what has gone
    assert outcome.error.maybe_applied


def test_a_handshake_that_is_met_with_silence_ends_in_time(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "CONNECT_TIMEOUT", 0.6)
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT", 0.6)
    with RawServer(answer(EMPTY_PAGE)) as server:
        (outcome,) = way.make(f"https://127.0.0.1:{server.port}", list_domains, max_retries=0)

    assert isinstance(outcome.error, ConnectError)
    assert "ConnectTimeout" in str(outcome.error)


def test_a_call_whose_connection_is_opened_anew_and_does_not_come_about_has_sent_nothing(
    way: Way, tls: ssl.SSLContext, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(certificate))
    domain = Domain("a.example", subscription_handle="demo")
    with RawServer(answer(EMPTY_PAGE, close=True), tls=tls, handshakes=1) as server:
        _, _, outcome, _ = way.make(
            server.url,
            list_domains,
            lambda _: meanwhile(way, server.wait_until_all_are_closed),
            lambda client: client.domains.provision(domain, timeout=1.0),
            lambda _: meanwhile(way, lambda: server.wait_for_hang_ups(1)),
        )

    assert isinstance(outcome.error, RequestTimeout)
    assert not outcome.error.maybe_applied
    assert len(server.requests) == 1


def test_a_handshake_that_ends_half_way_is_a_connect_error(way: Way) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet_and_say_no_more() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(2**16):
                    pass

        thread = threading.Thread(target=greet_and_say_no_more, daemon=True)
        thread.start()
        (outcome,) = way.make(f"https://127.0.0.1:{listener.getsockname()[1]}", list_domains, max_retries=0)
        thread.join(PATIENCE)

    assert isinstance(outcome.error, ConnectError)


@pytest.mark.parametrize("event_loop", [None, "uvloop"])
def test_what_a_server_closes_while_the_program_is_busy_is_not_used_again(event_loop: str | None) -> None:
    factory = None if event_loop is None else pytest.importorskip(event_loop).new_event_loop

    async def main(server: RawServer) -> bool:
        async with AsyncMailChannels(KEY, base_url=server.url, max_retries=0, rate_limit=None) as client:
            await client.domains.list()
            server.released.set()
            server.wait_until_all_are_closed()  # and the event loop does nothing meanwhile
            return (await client.domains.provision(Domain("a.example", subscription_handle="demo"))).created

    def answer_and_close(server: RawServer, connection: socket.socket) -> bool:
        answer(EMPTY_PAGE)(server, connection)
        server.released.wait(PATIENCE)
        return False

    created = answer({"domain": "a.example"}, status=201)
    with RawServer(answer_and_close, created) as server, asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(main(server))

    assert server.connections == 2


def test_a_server_that_goes_on_after_its_answer_fills_no_memory(way: Way) -> None:
    most, sent, is_over = 64 * 2**20, 0, threading.Event()

    def go_on(server: RawServer, connection: socket.socket) -> bool:
        nonlocal sent
        answer(EMPTY_PAGE)(server, connection)
        server.released.wait(PATIENCE)  # until the answer has been read
        piece = b" " * 2**16
        connection.setblocking(False)
        with suppress(OSError):  # it may be hung up on for that
            while sent < most and select.select([], [connection], [], 1.0)[1]:
                sent += connection.send(piece)
        is_over.set()
        return True

    def wait(_: Any) -> Any:
        server.released.set()
        return meanwhile(way, lambda: is_over.wait(PATIENCE))

    with RawServer(go_on, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, wait, list_domains)

    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert outcomes[1].value
    assert streams.MOST_UNREAD < sent < most
    assert server.connections == 2


@pytest.mark.parametrize("most_unread", [streams.MOST_UNREAD, 1], ids=["as it comes", "piece by piece"])
def test_an_answer_of_many_megabytes_is_whole_however_it_comes(
    most_unread: int, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_UNREAD", most_unread)
    names = [f"d{number:06}.example" for number in range(5_000)]
    page = {"domains": [{"domain": name, "aliases": ["a" * 60 + ".example"] * 30} for name in names], "total": 5_000}
    with RawServer(answer(page)) as server:
        outcomes = way.make(server.url, *[lambda client: client.domains.list(limit=5_000)] * 3)

    for outcome in outcomes:
        assert [domain.domain for domain in outcome.value.domains] == names
    assert server.connections == 1
