"""Answers whose bodies are compressed, well or badly, and bodies that a transport of the caller's has read already."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from conftest import HERE
from sockets import EMPTY_PAGE, RawServer, answer

from mailchannels import AsyncMailChannels, BulkProvisionResult, Outcome, RateLimited, ServerError, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = b'{"domains": [], "total": 7}'
BATCH = json.dumps({"successes": [{"domain": {"domain": "a.example"}, "code": 201}]}).encode()
BAD = {
    "not asked for": (b"\x0b\x02\x80no\x03", "br"),
    "no gzip": (b"no gzip", "gzip"),
    "without its trailer": (gzip.compress(PAGE)[:-8], "gzip"),
    "truncated": (gzip.compress(PAGE)[:-9], "gzip"),
    "cut after its head": (gzip.compress(PAGE)[:10], "gzip"),
}

pytestmark = pytest.mark.usefixtures("environment")


def each_bad_body() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("body", "encoding"), BAD.values(), ids=BAD)


def client_for(url: str = HERE, **options: Any) -> AsyncMailChannels:
    return AsyncMailChannels("demo-key", **{"base_url": url, "rate_limit": None, **options})


@pytest.fixture(autouse=True)
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no wait at all before a retry."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)


@each_bad_body()
@pytest.mark.parametrize(("status", "cls"), [(503, RateLimited), (500, ServerError)])
def test_a_failure_that_cannot_be_decoded_is_what_its_status_says(
    status: int, cls: type[Exception], body: bytes, encoding: str, backend: str
) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, max_retries=1) as client:
            with pytest.raises(cls):
                await client.domains.list()

    with RawServer(answer(body, status=status, headers={"Content-Encoding": encoding})) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 2


@each_bad_body()
def test_a_failure_that_cannot_be_decoded_is_repeated(body: bytes, encoding: str, backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url) as client:
            assert (await client.domains.list()).total == 0

    with RawServer(answer(body, status=503, headers={"Content-Encoding": encoding}), answer(EMPTY_PAGE)) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 2


@each_bad_body()
def test_a_batch_whose_failure_cannot_be_decoded_is_repeated(body: bytes, encoding: str, backend: str) -> None:
    async def main(server: RawServer) -> BulkProvisionResult:
        async with client_for(server.url) as client:
            return await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    with RawServer(answer(body, status=503, headers={"Content-Encoding": encoding}), answer(BATCH)) as server:
        result = anyio.run(main, server, backend=backend)
        assert len(server.requests) == 2

    assert [item.code for item in result.successes] == [201]


@each_bad_body()
def test_a_success_that_cannot_be_decoded_is_unexpected_and_not_repeated(
    body: bytes, encoding: str, backend: str
) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url) as client:
            with pytest.raises(UnexpectedResponse, match=r"the body (cannot be decompressed|is encoded as)") as caught:
                await client.domains.list()
            assert caught.value.status == 200

    with RawServer(answer(body, headers={"Content-Encoding": encoding})) as server:
        anyio.run(main, server, backend=backend)
        assert len(server.requests) == 1


@each_bad_body()
def test_a_batch_whose_answer_cannot_be_decoded_is_unknown_and_stops_nothing(
    body: bytes, encoding: str, backend: str
) -> None:
    async def main(server: RawServer) -> BulkProvisionResult:
        async with client_for(server.url) as client:
            inputs = [*(f"d{number}.example" for number in range(1_000)), "a.example"]
            return await client.domains.bulk_provision(inputs, subscription_handle="demo", concurrency=1)

    with RawServer(answer(body, headers={"Content-Encoding": encoding}), answer(BATCH)) as server:
        result = anyio.run(main, server, backend=backend)

    assert {(item.outcome, type(item.error)) for item in result.errors} == {(Outcome.UNKNOWN, UnexpectedResponse)}
    assert [item.index for item in result.successes] == [1_000]
    assert result.stopped_by is None


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "Gzip"])
def test_the_name_of_an_encoding_is_read_in_any_case(encoding: str, backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url) as client:
            assert (await client.domains.list()).total == 7

    with RawServer(answer(gzip.compress(PAGE), headers={"Content-Encoding": encoding})) as server:
        anyio.run(main, server, backend=backend)


class InPieces(httpx.AsyncByteStream):
    """A body that can be read once, as those that come from a network."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Reading(httpx.AsyncBaseTransport):
    """Reads each body itself, as a transport that records or caches does."""

    def __init__(self, body: bytes, encoding: str = "identity") -> None:
        self._body = body
        self._encoding = encoding

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = InPieces(self._body[:7], self._body[7:])
        response = httpx.Response(200, headers={"Content-Encoding": self._encoding}, stream=stream)
        await response.aread()
        return response


@pytest.mark.parametrize(
    ("body", "encoding"), [(PAGE, "identity"), (gzip.compress(PAGE), "gzip")], ids=["plain", "gzip"]
)
def test_a_body_that_a_transport_has_read_already_is_taken_from_it(body: bytes, encoding: str, backend: str) -> None:
    async def main() -> None:
        async with client_for(transport=Reading(body, encoding)) as client:
            assert (await client.domains.list()).total == 7

    anyio.run(main, backend=backend)
