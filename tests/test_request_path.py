"""One call: when it is repeated, when it gives up, what it says then, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gzip
import logging
import pickle
import random
import re
import time
import traceback
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
import respx
from sockets import (
    EMPTY_PAGE,
    RawServer,
    answer,
    hesitating,
    in_groups_of,
    refusing_url,
    reset,
    stall,
    truncated,
    when_released,
)

from mailchannels import (
    APIError,
    AsyncMailChannels,
    BadRequest,
    BulkProvisionResult,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    Domain,
    MailChannels,
    MailChannelsError,
    Outcome,
    Pacer,
    RateLimited,
    RequestError,
    RequestTimeout,
    ServerError,
    UnexpectedResponse,
)
from mailchannels.pacing import RetryBudget, back_off

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
    from pathlib import Path

    from sockets import Behaviour

    from mailchannels.simulator import Simulator

HERE = "http://127.0.0.1:9"
KEY = "key-that-nobody-may-see"
BATCHES = "/inbound/v1/domains/batch"
SOON = 0.2  # seconds, for what must time out

pytestmark = pytest.mark.usefixtures("environment")


def client_for(url: str = HERE, **options: Any) -> AsyncMailChannels:
    return AsyncMailChannels(KEY, **{"base_url": url, "rate_limit": None, **options})


@pytest.fixture
def listing() -> Iterator[respx.Route]:
    """The route of `GET /domains`."""
    with respx.mock(assert_all_called=False) as router:
        yield router.get(f"{HERE}/inbound/v1/domains")


async def in_thread(function: Callable[..., None], *args: object) -> None:
    await anyio.to_thread.run_sync(function, *args)


# The core, on both event loops


def test_a_call_gives_what_the_server_answered(backend: str, simulator: Simulator) -> None:
    async def main() -> None:
        async with AsyncMailChannels(simulator.api_key, base_url=simulator.base_url) as client:
            stored = await client.domains.provision(Domain("a.example", subscription_handle="demo"))
            page = await client.domains.list()
        assert stored.created
        assert [domain.domain for domain in page.domains] == ["a.example"]

    anyio.run(main, backend=backend)


def test_a_cancelled_call_leaves_the_pool_its_full_capacity(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, max_connections=2) as client:
            for already in range(4):
                async with anyio.create_task_group() as calls:
                    calls.start_soon(client.domains.list)
                    await in_thread(server.wait_for_requests, already + 1)
                    calls.cancel_scope.cancel()
            async with anyio.create_task_group() as calls:
                calls.start_soon(client.domains.list)
                calls.start_soon(client.domains.list)

    # The last two only get their answers if they are under way at the same time.
    with RawServer(*[stall()] * 4, in_groups_of(2, answer(EMPTY_PAGE))) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 6
        assert server.connections == 6


@pytest.mark.asyncio
async def test_a_cancelled_task_leaves_the_pool_its_full_capacity() -> None:
    with RawServer(stall(), stall(), answer(EMPTY_PAGE)) as server:
        async with client_for(server.url, max_connections=1) as client:
            for already in range(2):
                task = asyncio.create_task(client.domains.list())
                await asyncio.to_thread(server.wait_for_requests, already + 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            page = await client.domains.list()

    assert page.total == 0


def test_a_call_cancelled_while_it_waits_for_a_connection_takes_none(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, max_connections=1) as client, anyio.create_task_group() as calls:
            calls.start_soon(client.domains.list)
            await in_thread(server.wait_for_requests, 1)
            with anyio.move_on_after(0.05) as scope:
                await client.domains.list()
            assert scope.cancelled_caught
            server.released.set()
            await client.domains.list()

    with RawServer(when_released(answer(EMPTY_PAGE))) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 2


# No connection, no answer, half an answer


EARLIER = r"no connection to .* \(.*refused\); an earlier attempt may have been applied$"


@pytest.mark.parametrize("first", [httpx.ReadError("gone"), httpx.Response(500)], ids=["lost", "500"])
@pytest.mark.asyncio
async def test_an_attempt_in_doubt_followed_by_no_connection_stays_maybe_applied(
    first: Exception | httpx.Response, waits: list[float]
) -> None:
    with respx.mock() as router:
        router.post(f"{HERE}/inbound/v1/domains").mock(side_effect=[first, httpx.ConnectError("refused")])
        async with client_for(max_retries=1) as client:
            with pytest.raises(ConnectError, match=EARLIER) as caught:
                await client.domains.provision(Domain("a.example", subscription_handle="demo"))

    assert caught.value.maybe_applied is True


@pytest.mark.asyncio
async def test_a_lost_answer_followed_by_another_is_told_of_as_one(waits: list[float]) -> None:
    with respx.mock() as router:
        router.get(f"{HERE}/inbound/v1/domains").mock(side_effect=httpx.ReadError("gone"))
        async with client_for(max_retries=1) as client:
            with pytest.raises(ConnectionLost, match=r"complete \(.*gone\)$"):
                await client.domains.list()


@pytest.mark.asyncio
async def test_a_timeout_of_an_attempt_that_was_not_sent_tells_of_the_one_that_was(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, attempts = asyncio.BaseEventLoop.create_connection, 0

    async def once(*args: Any, **options: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            await asyncio.Event().wait()
        return await connect(*args, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", once)

    with RawServer(reset()) as server:
        async with client_for(server.url, max_retries=1, timeout=1.5) as client:
            with pytest.raises(RequestTimeout, match=r"timeout of 1\.5 s; an earlier attempt may have been applied$"):
                await client.domains.list()

    assert attempts == 2


@pytest.mark.asyncio
async def test_items_whose_answer_was_lost_before_there_was_no_connection_say_so(waits: list[float]) -> None:
    with respx.mock() as router:
        router.post(f"{HERE}{BATCHES}").mock(side_effect=[httpx.ReadError("gone"), httpx.ConnectError("refused")])
        async with client_for(max_retries=1) as client:
            result = await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    [item] = result.errors
    assert item.outcome is Outcome.UNKNOWN
    assert re.search(EARLIER, item.comment or "")


@pytest.mark.asyncio
async def test_a_refusal_after_a_lost_answer_says_that_it_may_have_been_applied(waits: list[float]) -> None:
    with respx.mock() as router:
        router.post(f"{HERE}/inbound/v1/domains").mock(
            side_effect=[httpx.ReadError("gone"), httpx.Response(400, json={"message": "no"})]
        )
        async with client_for() as client:
            with pytest.raises(BadRequest, match="may have been applied") as caught:
                await client.domains.provision(Domain("a.example", subscription_handle="demo"))

    assert caught.value.maybe_applied is True


@pytest.mark.asyncio
async def test_a_call_that_must_not_be_repeated_is_not(waits: list[float]) -> None:
    with RawServer(reset()) as server:
        async with client_for(server.url) as client:
            with pytest.raises(ConnectionLost):
                await client._transport.send("GET", "/domains", returns=NoneType, repeatable=False)

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_a_call_that_must_not_be_repeated_is_where_it_was_turned_away_unread(
    listing: respx.Route, waits: list[float]
) -> None:
    listing.side_effect = [httpx.Response(503), httpx.Response(429), httpx.Response(500)]

    async with client_for() as client:
        with pytest.raises(ServerError):
            await client._transport.send("GET", "/domains", returns=NoneType, repeatable=False)

    assert listing.call_count == 3


# Retries


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_failure_is_repeated(status: int, listing: respx.Route, waits: list[float]) -> None:
    listing.side_effect = [httpx.Response(status), httpx.Response(200, json=EMPTY_PAGE)]

    async with client_for() as client:
        await client.domains.list()

    assert listing.call_count == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 413, 418, 422, 501])
async def test_a_refusal_is_not_repeated(status: int, listing: respx.Route, waits: list[float]) -> None:
    listing.respond(status, json={"message": "no"})

    async with client_for() as client:
        with pytest.raises(APIError) as caught:
            await client.domains.list()

    assert caught.value.status == status
    assert listing.call_count == 1
    assert waits == []


@pytest.mark.asyncio
@pytest.mark.parametrize("max_retries", [0, 1, 5])
async def test_a_request_is_repeated_max_retries_times(
    max_retries: int, listing: respx.Route, waits: list[float]
) -> None:
    listing.respond(500)

    async with client_for(max_retries=max_retries, timeout=100) as client:
        with pytest.raises(ServerError):
            await client.domains.list()

    assert listing.call_count == max_retries + 1


def test_a_retry_waits_on_both_event_loops(backend: str, listing: respx.Route, waits: list[float]) -> None:
    listing.side_effect = [httpx.Response(503), httpx.Response(500), httpx.Response(200, json=EMPTY_PAGE)]

    async def main() -> None:
        async with client_for() as client:
            await client.domains.list()

    anyio.run(main, backend=backend)

    assert waits == [0.5, 1.0]


def test_back_off_is_full_jitter_that_doubles_from_half_a_second_to_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return low

    monkeypatch.setattr(random, "uniform", uniform)

    for attempt in range(1, 8):
        back_off(attempt)

    assert bounds == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 8.0), (0, 8.0)]


def test_back_off_uses_the_whole_of_its_range() -> None:
    drawn = [back_off(3) for _ in range(2_000)]

    assert 0 <= min(drawn) < 0.2
    assert 1.8 < max(drawn) <= 2.0
    assert 0.9 < sum(drawn) / len(drawn) < 1.1


@pytest.mark.asyncio
async def test_a_retry_that_would_come_after_the_timeout_is_not_waited_for(
    listing: respx.Route, waits: list[float]
) -> None:
    listing.respond(503, headers={"Retry-After": "30"})

    async with client_for(timeout=20) as client:
        with pytest.raises(RateLimited):
            await client.domains.list()

    assert listing.call_count == 1
    assert waits == []


@pytest.mark.asyncio
async def test_in_an_outage_the_retry_budget_ends_the_repeats(listing: respx.Route, waits: list[float]) -> None:
    listing.respond(500)

    async with client_for() as client:
        for _ in range(40):
            with pytest.raises(ServerError):
                await client.domains.list()

    assert listing.call_count == 40 + 100


@pytest.mark.asyncio
async def test_five_successes_earn_one_retry(listing: respx.Route, waits: list[float]) -> None:
    async with client_for() as client:
        while client._transport.budget.spend():
            pass
        listing.respond(200, json=EMPTY_PAGE)
        for _ in range(5):
            await client.domains.list()
        listing.respond(500)
        with pytest.raises(ServerError):
            await client.domains.list()

    assert listing.call_count == 5 + 2


def test_the_retry_budget_never_holds_more_than_a_hundred() -> None:
    budget = RetryBudget()
    for _ in range(50):
        budget.earn()

    spent = 0
    while budget.spend():
        spent += 1

    assert spent == 100


# Answers that are not what the API promises


def test_a_gzip_answer_is_read(backend: str) -> None:
    body = gzip.compress(b'{"domains": [], "total": 7}')

    async def main(server: RawServer) -> None:
        async with client_for(server.url) as client:
            page = await client.domains.list()
        assert page.total == 7

    with RawServer(answer(body, headers={"Content-Encoding": "gzip"})) as server:
        anyio.run(main, server, backend=backend)


@pytest.mark.asyncio
async def test_a_document_of_another_form_is_unexpected_and_says_where(listing: respx.Route) -> None:
    listing.respond(200, json={"domains": [{"domain": 1}], "total": 1})

    async with client_for() as client:
        with pytest.raises(UnexpectedResponse, match=r"\$\.domains\[0\]\.domain: expected string"):
            await client.domains.list()


# Connections


@pytest.mark.asyncio
async def test_calls_one_after_another_share_a_connection() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        async with client_for(server.url) as client:
            for _ in range(5):
                await client.domains.list()

    assert len(server.requests) == 5
    assert server.connections == 1


@pytest.mark.asyncio
async def test_a_failure_that_was_read_to_its_end_keeps_the_connection(waits: list[float]) -> None:
    with RawServer(answer({"message": "no"}, status=500), answer(EMPTY_PAGE)) as server:
        async with client_for(server.url) as client:
            await client.domains.list()

    assert server.connections == 1


def test_no_more_than_max_connections_are_open(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, max_connections=3) as client, anyio.create_task_group() as calls:
            for _ in range(21):
                calls.start_soon(client.domains.list)

    with RawServer(in_groups_of(3, answer(EMPTY_PAGE))) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 21
        assert server.connections == 3


@pytest.mark.asyncio
async def test_connections_that_a_burst_left_behind_are_closed_by_later_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000.0
    monkeypatch.setattr("mailchannels.connections.monotonic", lambda: now)
    with RawServer(*[in_groups_of(3, answer(EMPTY_PAGE))] * 3, answer(EMPTY_PAGE)) as server:
        async with client_for(server.url) as client:
            async with anyio.create_task_group() as burst:
                for _ in range(3):
                    burst.start_soon(client.domains.list)

            now += 60
            await client.domains.list()
            assert server.open == 3

            now += 1
            for open_after in (2, 1, 1):
                await client.domains.list()
                await asyncio.to_thread(server.wait_until_open, open_after)

    assert server.connections == 3


@pytest.mark.asyncio
async def test_closing_twice_closes_a_transport_that_was_given_once() -> None:
    class Counting(httpx.MockTransport):
        closed = 0

        async def aclose(self) -> None:
            self.closed += 1

    transport = Counting(lambda _: httpx.Response(200, json=EMPTY_PAGE))
    async with client_for(transport=transport) as client:
        await client.domains.list()
        await client.aclose()
        await client.aclose()

    assert transport.closed == 1


@pytest.mark.asyncio
async def test_closing_the_client_closes_its_connections() -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        client = client_for(server.url)
        await client.domains.list()
        await client.aclose()

        await asyncio.to_thread(server.wait_until_all_are_closed)


@pytest.mark.asyncio
async def test_a_connection_in_use_while_the_client_is_closed_closes_after_its_answer() -> None:
    with RawServer(when_released(answer(EMPTY_PAGE))) as server:
        client = client_for(server.url)
        call = asyncio.create_task(client.domains.list())
        await asyncio.to_thread(server.wait_for_requests, 1)
        await client.aclose()
        server.released.set()

        assert (await call).total == 0
        await asyncio.to_thread(server.wait_until_all_are_closed)


# Proxies


@pytest.mark.asyncio
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_the_proxy_of_the_environment_is_used(variable: str, environment: pytest.MonkeyPatch) -> None:
    with RawServer(answer(EMPTY_PAGE)) as proxy:
        environment.setenv(variable, proxy.url)
        async with client_for() as client:
            await client.domains.list()

    assert proxy.lines == ["GET http://127.0.0.1:9/inbound/v1/domains HTTP/1.1"]


@pytest.mark.asyncio
async def test_a_proxy_without_a_scheme_is_taken_for_http(environment: pytest.MonkeyPatch) -> None:
    with RawServer(answer(EMPTY_PAGE)) as proxy:
        environment.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        async with client_for() as client:
            await client.domains.list()

    assert len(proxy.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("excepted", ["127.0.0.1", "other.example, 127.0.0.1", "*"])
async def test_no_proxy_is_honoured(excepted: str, environment: pytest.MonkeyPatch) -> None:
    with RawServer(answer(EMPTY_PAGE)) as proxy, RawServer(answer(EMPTY_PAGE)) as server:
        environment.setenv("HTTP_PROXY", proxy.url)
        environment.setenv("NO_PROXY", excepted)
        async with client_for(server.url) as client:
            await client.domains.list()

    assert len(server.requests) == 1
    assert proxy.connections == 0


@pytest.mark.asyncio
async def test_a_proxy_of_https_that_refuses_is_told_neither_the_key_nor_quoted_with_its_password(
    environment: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with RawServer(answer(b"no", status=403, close=True)) as proxy:
        environment.setenv("HTTPS_PROXY", f"http://user:pass-word@127.0.0.1:{proxy.port}")
        async with client_for("https://api.example", max_retries=0) as client:
            with pytest.raises(ConnectError) as caught:
                await client.domains.list()

    assert proxy.lines == ["CONNECT api.example:443 HTTP/1.1"]
    assert KEY.encode() not in proxy.requests[0]
    assert "pass-word" not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["socks5", "ftp"])
async def test_a_proxy_that_cannot_be_used_is_an_error_of_ours(
    scheme: str, environment: pytest.MonkeyPatch, waits: list[float]
) -> None:
    environment.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:9")

    async with client_for() as client:
        with pytest.raises(MailChannelsError):
            await client.domains.list()


# Certificates


@pytest.mark.asyncio
@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["missing", "not PEM"])
async def test_a_file_of_certificates_that_cannot_be_loaded_is_named(
    content: bytes | None, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    environment.setenv("SSL_CERT_FILE", str(path))

    async with client_for("https://127.0.0.1:9", max_retries=0) as client:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=f"the CA certificates {re.escape(str(path))} .*SSL_CERT_FILE"):
                await client.domains.list()


@pytest.mark.asyncio
async def test_a_directory_of_certificates_that_is_missing_is_named(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("SSL_CERT_FILE", raising=False)
    environment.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

    async with client_for("https://127.0.0.1:9", max_retries=0) as client:
        with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "none"))):
            await client.domains.list()


# Timeouts and queues


@pytest.mark.asyncio
async def test_the_timeout_of_a_call_replaces_a_longer_one_of_the_client() -> None:
    with RawServer(stall()) as server:
        async with client_for(server.url, timeout=1_000) as client:
            with pytest.raises(RequestTimeout, match=r"timeout of 0\.2 s"):
                await client.domains.list(timeout=SOON)


@pytest.mark.asyncio
async def test_the_timeout_of_a_call_replaces_a_shorter_one_of_the_client(
    listing: respx.Route, waits: list[float]
) -> None:
    listing.side_effect = [
        httpx.Response(503, headers={"Retry-After": "5"}),
        httpx.Response(200, json=EMPTY_PAGE),
    ]

    async with client_for(timeout=1) as client:
        await client.domains.list(timeout=30)

    assert waits == [5.0]


@pytest.mark.parametrize("broken", [stall(), reset()], ids=["silent", "reset"])
@pytest.mark.asyncio
async def test_a_proxy_that_makes_no_tunnel_leaves_nothing_in_doubt(
    broken: Behaviour, environment: pytest.MonkeyPatch
) -> None:
    with RawServer(broken) as proxy:
        environment.setenv("HTTPS_PROXY", proxy.url)
        async with client_for("https://api.invalid", timeout=1.0, max_retries=1) as client:
            with pytest.raises(RequestError) as caught:
                await client.domains.provision(Domain("a.example", subscription_handle="demo"))

    assert {request.partition(b" ")[0] for request in proxy.requests} == {b"CONNECT"}
    assert caught.value.maybe_applied is False


@pytest.mark.asyncio
async def test_no_repeat_is_begun_that_has_less_time_than_the_attempt_before_it_took(environment: object) -> None:
    asked = 0

    async def turn_away(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        await anyio.sleep(0.6)
        return httpx.Response(503, headers={"Retry-After": "0.1"})

    async with client_for(transport=httpx.MockTransport(turn_away), timeout=1.0) as client:
        with pytest.raises(RateLimited) as caught:
            await client.domains.list()

    assert (asked, caught.value.maybe_applied) == (1, False)


@pytest.mark.asyncio
async def test_a_timeout_before_anything_was_sent_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", never)

    async with client_for(timeout=SOON) as client:
        with pytest.raises(RequestTimeout) as caught:
            await client.domains.list()

    assert caught.value.maybe_applied is False


def test_a_handshake_in_a_tunnel_of_a_given_transport_that_is_cut_short_leaves_no_socket_open(backend: str) -> None:
    def tunnel(_: RawServer, connection: socket.socket) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while connection.recv(65_536):  # the greeting of TLS, which it never answers
            pass
        return False

    async def main(server: RawServer) -> None:
        transport = httpx.AsyncHTTPTransport(proxy=server.url)
        async with client_for("https://api.invalid", transport=transport, timeout=1.0, max_retries=0) as client:
            with pytest.raises(RequestTimeout):
                await client.domains.list()
            await anyio.to_thread.run_sync(server.wait_until_all_are_closed)

    with RawServer(tunnel) as server:
        anyio.run(main, server, backend=backend)

    assert server.lines == ["CONNECT api.invalid:443 HTTP/1.1"]


@pytest.mark.asyncio
async def test_a_connection_that_does_not_come_about_leaves_time_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, attempts = asyncio.BaseEventLoop.create_connection, 0

    async def not_at_first(*args: Any, **options: Any) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await anyio.sleep_forever()
        return await connect(*args, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", not_at_first)

    with RawServer(answer(EMPTY_PAGE)) as server:
        async with client_for(server.url, timeout=1.5) as client:
            page = await client.domains.list()

    assert (page.total, attempts) == (0, 2)


@pytest.mark.asyncio
async def test_a_server_that_takes_the_request_in_slowly_has_not_been_silent() -> None:
    class Slow(httpx.AsyncBaseTransport):
        requests = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests += 1
            async for _ in cast("AsyncIterable[bytes]", request.stream):
                await anyio.sleep(1.0)
            await anyio.sleep(1.0)
            return httpx.Response(200, json={"domain": "a.example"})

    slow = Slow()
    async with client_for(transport=slow, timeout=2.6) as client:
        await client.domains.provision(Domain("a.example", subscription_handle="demo"))

    assert slow.requests == 1


def test_a_server_that_takes_a_large_request_in_slowly_has_not_been_silent(backend: str) -> None:
    more_than_fits_in_between = [f"{'a' * 55}{number:06}@{'z' * 60}.example" for number in range(50_000)]
    large = Domain("a.example", subscription_handle="demo", admins=more_than_fits_in_between)

    async def main(server: RawServer) -> None:
        async with client_for(server.url, timeout=9.0) as client:
            await client.domains.provision(large)

    late = hesitating({"domain": "a.example"}, before_head=3.1)
    with RawServer(late, pause_before_body=3.1) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


def test_a_sign_of_life_that_comes_too_late_leaves_time_for_another_attempt(backend: str) -> None:
    class Late(httpx.AsyncBaseTransport):
        requests = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests += 1
            if self.requests == 1:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(1.2)
                async for _ in cast("AsyncIterable[bytes]", request.stream):
                    pass
                await anyio.sleep_forever()
            return httpx.Response(200, json={"domain": "a.example"})

    async def main() -> None:
        late = Late()
        async with client_for(transport=late, timeout=1.5) as client:
            await client.domains.provision(Domain("a.example", subscription_handle="demo"))
        assert late.requests == 2

    anyio.run(main, backend=backend)


@pytest.mark.parametrize(("before_head", "before_body"), [(1.8, 0.0), (0.0, 1.8)], ids=["all of it", "the body"])
def test_what_came_while_the_event_loop_was_busy_is_not_lost(
    before_head: float, before_body: float, backend: str
) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, timeout=3.0) as client, anyio.create_task_group() as others:
            others.start_soon(keep_busy)
            page = await client.domains.list()
        assert len(page.domains) == 20_000

    async def keep_busy() -> None:
        await anyio.sleep(1.5)
        time.sleep(0.8)  # noqa: ASYNC251  # two seconds of silence would be up meanwhile

    page = {"domains": [{"domain": f"{number}.example"} for number in range(20_000)], "total": 20_000}
    with RawServer(hesitating(page, before_head=before_head, before_pieces=[before_body])) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


def test_a_repeat_whose_time_is_up_as_the_back_off_ends_is_not_made(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, timeout=3.5) as client, anyio.create_task_group() as others:
            others.start_soon(keep_busy)
            with pytest.raises(RateLimited) as caught:
                await client.domains.provision(Domain("a.example", subscription_handle="demo"))
        assert caught.value.maybe_applied is False

    async def keep_busy() -> None:
        await anyio.sleep(1.0)
        time.sleep(3.0)  # noqa: ASYNC251  # past the back-off, and the timeout as well

    with RawServer(answer({}, status=429, headers={"Retry-After": "2"})) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


def test_a_queue_timeout_of_0_fails_at_once_when_the_turn_is_later(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, queue_timeout=0, rate_limit=0.01) as client:
            await client.domains.list()
            with pytest.raises(RequestTimeout, match="nothing was sent") as caught:
                await client.domains.list()
        assert caught.value.maybe_applied is False

    with RawServer(answer(EMPTY_PAGE)) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


def test_queue_timeout_covers_the_wait_for_a_connection(backend: str) -> None:
    async def main(server: RawServer) -> None:
        client = client_for(server.url, queue_timeout=0.05, max_connections=1)
        async with client, anyio.create_task_group() as calls:
            calls.start_soon(client.domains.list)
            await in_thread(server.wait_for_requests, 1)
            with pytest.raises(RequestTimeout, match="connections stayed busy") as caught:
                await client.domains.list()
            server.released.set()
        assert caught.value.maybe_applied is False

    with RawServer(when_released(answer(EMPTY_PAGE))) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


def test_the_wait_for_a_connection_uses_up_the_queue_timeout_of_the_wait_for_the_turn(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with (
            client_for(server.url, queue_timeout=0.8, max_connections=1, rate_limit=1.0) as client,
            anyio.create_task_group() as others,
        ):
            others.start_soon(client.domains.list)
            await in_thread(server.wait_for_requests, 1)
            with pytest.raises(RequestTimeout, match="nothing was sent"):
                await client.domains.list()  # the turn is in a second, the connection free in 0.4 seconds

    with RawServer(hesitating(EMPTY_PAGE, before_head=0.4)) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


def test_a_bulk_call_waits_for_its_own_queue_however_short_the_queue_timeout(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    inputs = [f"d{number}.example" for number in range(4_000)]

    async def main(server: RawServer) -> None:
        client = client_for(server.url, queue_timeout=0, max_connections=1, rate_limit=0.01)
        results: list[BulkProvisionResult] = []

        async def provision() -> None:
            results.append(await client.domains.bulk_provision(inputs, subscription_handle="demo", concurrency=4))

        async with client:
            async with anyio.create_task_group() as calls:
                calls.start_soon(provision)
                await in_thread(server.wait_for_requests, 1)
                with pytest.raises(RequestTimeout, match="connections stayed busy"):
                    await client.domains.list()
                server.released.set()
            with pytest.raises(RequestTimeout, match="nothing was sent"):
                await client.domains.list()
        assert {type(item.error) for item in results[0].errors} == {type(None)}

    with RawServer(when_released(answer({}))) as server:
        anyio.run(main, server, backend=backend)
        assert server.lines == [f"POST {BATCHES}?subscriptionHandle=demo HTTP/1.1"] * 4
    assert clock.turns == pytest.approx([1_100, 1_200, 1_300])


# The pace


class Clock:
    """A clock that stands still but for the sleeps, which it records."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self.turns: list[float] = []
        monkeypatch.setattr("mailchannels.pacing.monotonic", lambda: self.now)
        monkeypatch.setattr("mailchannels.pacing.anyio.sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.turns.append(self.now + seconds)
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_turns_are_evenly_spaced(backend: str, clock: Clock) -> None:
    async def main() -> None:
        pacer = Pacer(50)
        async with anyio.create_task_group() as callers:
            for _ in range(20):
                callers.start_soon(pacer.wait_turn)

    anyio.run(main, backend=backend)

    assert sorted(clock.turns) == pytest.approx([1_000 + turn / 50 for turn in range(1, 20)])


@pytest.mark.asyncio
async def test_turns_are_given_in_the_order_of_asking(clock: Clock) -> None:
    pacer = Pacer(50)

    for _ in range(5):
        await pacer.wait_turn()

    assert clock.turns == sorted(clock.turns)


@pytest.mark.asyncio
async def test_nothing_is_saved_up_for_a_burst(clock: Clock) -> None:
    pacer = Pacer(50)
    await pacer.wait_turn()
    clock.now += 10

    for _ in range(3):
        await pacer.wait_turn()

    assert clock.turns == pytest.approx([1_010.02, 1_010.04])


@pytest.mark.asyncio
async def test_a_turn_too_late_for_the_patience_is_left_to_others(clock: Clock) -> None:
    pacer = Pacer(50)
    await pacer.wait_turn()
    with pytest.raises(RequestTimeout, match=r"would come in 0\.020 s"):
        await pacer.wait_turn(0.019)

    await pacer.wait_turn(0.021)

    assert clock.turns == pytest.approx([1_000.02])


def test_a_cancelled_wait_gives_its_turn_back(backend: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep_for_ever(seconds: float) -> None:
        clock.turns.append(clock.now + seconds)
        await anyio.sleep_forever()

    async def main() -> None:
        pacer = Pacer(50)
        await pacer.wait_turn()
        with monkeypatch.context() as patch:
            patch.setattr("mailchannels.pacing.anyio.sleep", sleep_for_ever)
            async with anyio.create_task_group() as callers:
                for _ in range(3):
                    callers.start_soon(pacer.wait_turn)
                await anyio.wait_all_tasks_blocked()
                callers.cancel_scope.cancel()
        clock.turns.clear()
        for _ in range(4):
            await pacer.wait_turn()

    anyio.run(main, backend=backend)

    assert clock.turns == pytest.approx([1_000.02, 1_000.04, 1_000.06, 1_000.08])


@pytest.mark.asyncio
async def test_a_turn_given_back_too_late_is_not_used(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    pacer = Pacer(50)
    await pacer.wait_turn()
    with monkeypatch.context() as patch:
        patch.setattr("mailchannels.pacing.anyio.sleep", lambda _: anyio.sleep_forever())
        with anyio.move_on_after(0):
            await pacer.wait_turn()
    clock.now += 10

    for _ in range(2):
        await pacer.wait_turn()

    assert clock.turns == pytest.approx([1_010.02])


@pytest.mark.asyncio
async def test_a_pacer_shared_by_two_clients_paces_both(clock: Clock, listing: respx.Route) -> None:
    listing.respond(200, json=EMPTY_PAGE)
    pacer = Pacer(50)

    async with client_for(rate_limit=pacer) as one, client_for(rate_limit=pacer) as other:
        for client in (one, other, one, other):
            await client.domains.list()

    assert clock.turns == pytest.approx([1_000.02, 1_000.04, 1_000.06])


@pytest.mark.asyncio
async def test_a_retry_takes_a_turn_of_its_own(clock: Clock, listing: respx.Route) -> None:
    listing.side_effect = [
        httpx.Response(503, headers={"Retry-After": "0.01"}),
        httpx.Response(200, json=EMPTY_PAGE),
    ]

    async with client_for(rate_limit=50) as client:
        await client.domains.list()

    # The wait that the server asked for, and then the turn.
    assert clock.turns == pytest.approx([1_000.01, 1_000.02])


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), True, "95"])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    with pytest.raises(ConfigurationError, match="rate_limit"):
        Pacer(rate)


# The key is nobody's business


@pytest.mark.asyncio
async def test_no_log_record_shows_the_key(caplog: pytest.LogCaptureFixture, waits: list[float]) -> None:
    caplog.set_level(logging.DEBUG)
    domain = Domain("a.example", subscription_handle="demo")
    refusal = answer({"message": "no"}, status=401)

    with RawServer(answer(EMPTY_PAGE), refusal, reset(), truncated(), refusal, stall()) as server, refusing_url() as no:
        async with client_for(server.url) as client, client_for(no) as lost:
            await client.domains.list()
            with pytest.raises(APIError):
                await client.domains.provision(domain)
            with pytest.raises(APIError):
                await client.domains.list()
            with pytest.raises(RequestTimeout):
                await client.domains.list(timeout=1.5)
            with pytest.raises(ConnectError):
                await lost.domains.list()

    assert len(server.requests) == 7  # silence is met with one repeat
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert not [record for record in caplog.records if KEY in f"{record.getMessage()} {record.__dict__}"]


def test_no_repr_of_a_client_or_of_its_parts_shows_the_key() -> None:
    client = client_for()
    with MailChannels(KEY, base_url=HERE) as blocking:
        objects = [client, client.domains, client._transport, *vars(client._transport).values()]
        objects += [blocking, blocking.domains, blocking._calls]
        shown = [form(thing) for thing in objects for form in (repr, str)]

    assert not [text for text in shown if KEY in text]


async def refused() -> None:
    with refusing_url() as url:
        async with client_for(url) as client:
            await client.domains.list()


def failing(behaviour: Behaviour, **options: Any) -> Callable[[], Awaitable[None]]:
    async def call() -> None:
        with RawServer(behaviour) as server:
            async with client_for(server.url, **options) as client:
                await client.domains.list()

    return call


ECHO = {"message": f"the key {KEY} is unknown", "errors": [f"X-API-Key: {KEY}"]}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fail",
    [
        refused,
        failing(reset()),
        failing(truncated()),
        failing(stall(), timeout=SOON),
        failing(answer(ECHO, status=401)),
        failing(answer(f"<p>{KEY}</p>".encode(), status=403)),
        failing(answer({"message": "no"}, status=404, headers={"X-Echo": KEY, "X-Request-Id": KEY})),
        failing(answer({}, status=302, headers={"Location": f"/?key={KEY}"})),
        failing(answer({"domains": KEY})),
    ],
    ids=["refused", "reset", "truncated", "stalled", "JSON", "HTML", "headers", "redirect", "misfit"],
)
async def test_no_error_shows_the_key(fail: Callable[[], Awaitable[None]], waits: list[float]) -> None:
    with pytest.raises(MailChannelsError) as caught:
        await fail()

    error = caught.value
    assert KEY not in f"{error} {error!r} {error.__dict__}"
    assert KEY.encode() not in pickle.dumps(error)
    assert not isinstance(error, RequestError) or KEY not in "".join(traceback.format_exception(error))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fail", [refused, failing(reset()), failing(answer({"message": "no"}, status=401)), failing(answer([]))]
)
async def test_no_local_variable_of_ours_shows_the_key_in_a_traceback(
    fail: Callable[[], Awaitable[None]], waits: list[float]
) -> None:
    with pytest.raises(MailChannelsError) as caught:
        await fail()

    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = [frame for frame in frames if "/mailchannels/" in frame.filename]
    assert ours
    assert not [frame.name for frame in ours if KEY in str(frame.locals)]
