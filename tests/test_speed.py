"""The same calls by way of aiohttp: what aiohttp would do differently."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from types import NoneType
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from contract.case import KEY
from sockets import EMPTY_PAGE, RawServer, answer, hesitating, in_groups_of, refusing_url, reset, stall, when_released

from mailchannels import (
    APIError,
    AsyncMailChannels,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    Domain,
    MailChannels,
    MailChannelsError,
    RequestTimeout,
)

pytest.importorskip("aiohttp", reason="the extra `speed` is not installed")

from mailchannels.speed import AiohttpTransport

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from sockets import Behaviour

HERE = "http://127.0.0.1:9"
SOON = 0.2  # seconds, for what must time out

pytestmark = pytest.mark.usefixtures("environment")


def client_for(url: str, **options: Any) -> AsyncMailChannels:
    return AsyncMailChannels(KEY, **{"base_url": url, "rate_limit": None, "transport": AiohttpTransport(), **options})


# What aiohttp would do of its own accord


@pytest.mark.asyncio
async def test_an_address_is_sent_as_it_was_written() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        async with client_for(server.url) as client:
            await client._transport.send(
                "GET", "/domains/{name}", {"name": "a/../b,@+%"}, query={"domains": ["a,b", "c&d"]}, returns=NoneType
            )

    assert server.lines == ["GET /inbound/v1/domains/a%2F..%2Fb%2C%40%2B%25?domains=a%2Cb,c%26d HTTP/1.1"]


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_request_lost_on_a_connection_used_before_is_not_sent_again_behind_our_back(method: str) -> None:
    with RawServer(answer(EMPTY_PAGE), reset(), answer(EMPTY_PAGE)) as server:
        async with client_for(server.url, max_retries=0) as client:
            await client.domains.list()
            with pytest.raises(ConnectionLost) as caught:
                await client._transport.send(method, "/domains", returns=NoneType)

    assert caught.value.maybe_applied is True
    assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_a_cookie_is_not_kept() -> None:
    with RawServer(answer(EMPTY_PAGE, headers={"Set-Cookie": "session=1"})) as server:
        async with client_for(f"http://localhost:{server.port}") as client:  # aiohttp keeps none of a bare address
            await client.domains.list()
            await client.domains.list()

    assert len(server.requests) == 2
    assert b"session" not in server.requests[1]


@pytest.mark.asyncio
async def test_no_password_is_taken_from_netrc(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password pass-word\n")
    environment.setenv("NETRC", str(netrc))

    with RawServer(answer(EMPTY_PAGE)) as server:
        async with client_for(server.url) as client:
            await client.domains.list()

    assert b"authorization" not in server.requests[0].lower()


@pytest.mark.asyncio
async def test_a_large_body_arrives_whole_and_without_a_warning() -> None:
    large = b"x" * (2**20 + 1)

    with RawServer(answer({})) as server:
        async with client_for(server.url) as client:
            await client._transport.send("POST", "/domains", body=large, returns=NoneType)

    assert server.requests[0].partition(b"\r\n\r\n")[2] == large


@pytest.mark.asyncio
async def test_a_server_that_takes_a_large_request_in_slowly_has_not_been_silent() -> None:
    more_than_fits_in_between = [f"{'a' * 55}{number:06}@{'z' * 60}.example" for number in range(50_000)]
    large = Domain("a.example", subscription_handle="demo", admins=more_than_fits_in_between)

    late = hesitating({"domain": "a.example"}, before_head=3.1)
    with RawServer(late, pause_before_body=3.1) as server:
        async with client_for(server.url, timeout=9.0) as client:
            await client.domains.provision(large)

    assert len(server.requests) == 1


# What is known of a request


@pytest.mark.asyncio
async def test_a_timeout_before_anything_was_sent_says_so() -> None:
    with RawServer(stall()) as server:  # which never answers the greeting of TLS
        async with client_for(f"https://127.0.0.1:{server.port}", timeout=1.5) as client:
            with pytest.raises(RequestTimeout) as caught:
                await client.domains.list()

    assert server.connections == 2  # the time that is left after the first is for another
    assert caught.value.maybe_applied is False


@pytest.mark.asyncio
async def test_a_connection_that_takes_too_long_is_given_up_before_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailchannels.connections.CONNECT_TIMEOUT", SOON)

    with RawServer(stall()) as server:  # which never answers the greeting of TLS
        async with client_for(f"https://127.0.0.1:{server.port}", max_retries=0) as client:
            with pytest.raises(ConnectError) as caught:
                await client.domains.list()

    assert caught.value.maybe_applied is False


@pytest.mark.asyncio
async def test_what_is_no_http_may_have_been_applied_and_its_error_does_not_carry_the_key() -> None:
    def nonsense(_: RawServer, connection: socket.socket) -> bool:
        connection.sendall(b"nonsense\r\n\r\n")
        return False

    with RawServer(nonsense) as server:
        async with client_for(server.url, max_retries=0) as client:
            with pytest.raises(ConnectionLost) as caught:
                await client.domains.list()

    assert caught.value.maybe_applied is True
    assert [repr(error) for error in chain(caught.value) if KEY in repr(error)] == []


# Connections


@pytest.mark.asyncio
async def test_the_client_alone_limits_the_connections() -> None:
    many = 101  # aiohttp's own limit is 100

    with RawServer(in_groups_of(many, answer(EMPTY_PAGE))) as server:
        async with client_for(server.url, max_connections=many) as client, anyio.create_task_group() as calls:
            for _ in range(many):
                calls.start_soon(client.domains.list)

    assert server.most_open == many


@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", [answer(EMPTY_PAGE), reset()], ids=["answered", "lost"])
async def test_a_request_under_way_while_the_client_is_closed_ends_and_then_all_connections_close(
    behaviour: Behaviour,
) -> None:
    both = in_groups_of(2, answer(EMPTY_PAGE))
    with RawServer(both, both, when_released(behaviour)) as server:
        client = client_for(server.url, max_retries=0)
        async with anyio.create_task_group() as calls:
            calls.start_soon(client.domains.list)
            calls.start_soon(client.domains.list)
        assert server.open == 2
        last = asyncio.create_task(client.domains.list())
        await asyncio.to_thread(server.wait_for_requests, 3)
        await client.aclose()
        assert not last.done()
        server.released.set()
        with suppress(ConnectionLost):
            await last

        await asyncio.to_thread(server.wait_until_all_are_closed)

    assert len(server.requests) == 3


# The password of a proxy


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_told_its_password(scheme: str, environment: pytest.MonkeyPatch) -> None:
    with RawServer(answer(b"no", status=403, close=True)) as proxy:
        environment.setenv(f"{scheme}_proxy", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        async with client_for(f"{scheme}://127.0.0.1:9", max_retries=0) as client:
            with pytest.raises(MailChannelsError):
                await client.domains.list()

    password = b64encode(b"user:p@ss")
    assert b"\r\nproxy-authorization: basic " + password.lower() in proxy.requests[0].lower()


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_error_shows_the_password_of_a_proxy_that_does_not_answer(
    scheme: str, environment: pytest.MonkeyPatch
) -> None:
    with refusing_url() as url:
        environment.setenv(f"{scheme}_proxy", url.replace("//", "//user:pass-word@"))
        async with client_for(f"{scheme}://127.0.0.1:9", max_retries=0) as client:
            with pytest.raises(ConnectError) as caught:
                await client.domains.list()

    assert caught.value.maybe_applied is False
    assert [repr(error) for error in chain(caught.value) if "pass-word" in repr(error)] == []


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.asyncio
async def test_no_log_record_shows_the_key(caplog: pytest.LogCaptureFixture, waits: list[float]) -> None:
    caplog.set_level(logging.DEBUG)

    with RawServer(answer(EMPTY_PAGE), reset(), answer({"message": "no"}, status=401), stall()) as server:
        async with client_for(server.url) as client:
            await client.domains.list()
            with pytest.raises(APIError):
                await client.domains.list()
            with pytest.raises(RequestTimeout):
                await client.domains.list(timeout=SOON)

    assert len(server.requests) == 5  # silence is met with one repeat
    assert not [record for record in caplog.records if KEY in f"{record.getMessage()} {record.__dict__}"]


# Event loops


def test_a_blocking_client_sends_through_it_and_closes_it() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        with MailChannels(KEY, base_url=server.url, rate_limit=None, transport=AiohttpTransport()) as client:
            for _ in range(3):
                client.domains.list()
            assert server.open == 1
        server.wait_until_all_are_closed()

    assert server.connections == 1


def test_on_trio_it_is_refused() -> None:
    async def main() -> None:
        async with client_for(HERE) as client:
            with pytest.raises(ConfigurationError, match="asyncio only"):
                await client.domains.list()

    anyio.run(main, backend="trio")


def test_a_second_event_loop_is_refused() -> None:
    transport = AiohttpTransport()

    async def main(server: RawServer) -> None:
        blocking = MailChannels(KEY, base_url=server.url, rate_limit=None, transport=transport)
        async with client_for(server.url, transport=transport) as client:
            await client.domains.list()
            with blocking, pytest.raises(ConfigurationError, match="another event loop"):
                await anyio.to_thread.run_sync(blocking.domains.list)

    with RawServer(answer(EMPTY_PAGE)) as server:
        anyio.run(main, server)


# Without the extra


def test_without_aiohttp_the_import_says_what_to_install() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; import mailchannels.speed"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert done.stderr.endswith('mailchannels.speed needs more: pip install "mailchannels-sdk[speed]"\n')
