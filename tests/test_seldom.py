"""What happens so seldom that no other test comes across it."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from conditions import Way, list_domains, names
from conftest import HERE
from contract.case import KEY
from sockets import RawServer, answer

from mailchannels import (
    APIError,
    AsyncMailChannels,
    BulkProvisionItem,
    BulkProvisionResult,
    ConfigurationError,
    Domain,
    DomainSettings,
    DownstreamAddress,
    InvalidInput,
    MailChannels,
    Outcome,
    Pacer,
    UnexpectedResponse,
    repeats,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.usefixtures("environment")

SERVER = DownstreamAddress(priority=1, weight=2, port=25, target="mx.example.")


def client_of(say: Callable[[httpx.Request], httpx.Response], **options: Any) -> AsyncMailChannels:
    """A client whose transport is given, and answers with what a function says."""
    return AsyncMailChannels(KEY, base_url=HERE, rate_limit=None, transport=httpx.MockTransport(say), **options)


# Answers


def test_a_status_that_http_does_not_know_is_told_as_such(way: Way) -> None:
    with RawServer(answer(b"", status=499)) as server:
        outcomes = way.make(server.url, list_domains)

    assert [type(outcome.error) for outcome in outcomes] == [APIError] * way.users
    assert all(str(outcome.error) == "GET /domains: 499 unknown status" for outcome in outcomes)


def test_a_gzip_body_of_several_members_is_read_to_its_end(way: Way) -> None:
    body = gzip.compress(b'{"domains": [], ') + gzip.compress(b'"total": 7}')
    with RawServer(answer(body, headers={"Content-Encoding": "gzip"})) as server:
        outcomes = way.make(server.url, list_domains)

    assert [outcome.value.total for outcome in outcomes] == [7] * way.users


@pytest.mark.asyncio
async def test_a_transport_that_was_given_and_cannot_decompress_is_an_unexpected_answer() -> None:
    def say(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=b"no gzip")

    async with client_of(say) as client:
        with pytest.raises(UnexpectedResponse, match="cannot be decompressed"):
            await client.domains.list()


class Unstoppable(httpx.AsyncByteStream):
    """A body that does not ask whether it is still wanted."""

    def __init__(self) -> None:
        self.left = 50

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.left:
            self.left -= 1
            yield bytes(1_000)


def test_a_body_above_the_cap_that_cannot_be_stopped_is_read_to_its_end(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailchannels.bodies.MAX_BODY", 10_000)
    body = Unstoppable()

    async def main() -> None:
        async with client_of(lambda _: httpx.Response(200, stream=body)) as client:
            with pytest.raises(UnexpectedResponse, match="larger than"):
                await client.domains.list()

    anyio.run(main, backend=backend)

    assert body.left == 0


class Slotted(httpx.AsyncBaseTransport):
    """A transport that nothing can be noted on."""

    __slots__ = ()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"domains": [], "total": 3})


def test_a_transport_that_nothing_can_be_noted_on_may_be_given() -> None:
    with MailChannels(KEY, base_url=HERE, transport=Slotted()) as client:
        assert client.domains.list().total == 3


# What a client tells of itself


def test_a_client_counts_what_it_sends_repeats_and_is_refused(way: Way, waits: list[float]) -> None:
    seen = []

    def counted(client: AsyncMailChannels) -> Any:
        seen.append(client.statistics)
        return client.domains.list()

    with RawServer(answer(status=503), answer({"domains": [], "total": 0})) as server:
        way.make(server.url, counted, counted, max_retries=way.users)

    assert seen[0].retries == 0
    assert max(statistics.retries for statistics in seen) == 1
    assert max(statistics.rate_limited for statistics in seen) == 1


# The pace


def test_a_burst_of_refusals_lowers_the_pace_once(waits: list[float]) -> None:
    pacer = Pacer(100)
    pacer.slow_down(1.0)
    lowered = pacer.present_rate

    pacer.slow_down(0.5)  # sent before the pace was lowered, so no news

    assert pacer.rate == 100
    assert pacer.present_rate == lowered < 100


def test_the_present_rate_is_the_lowered_one_and_none_where_nothing_is_paced(waits: list[float]) -> None:
    busy = answer(status=503)
    with RawServer(busy, answer({"domains": [], "total": 0})) as server:
        with MailChannels(KEY, base_url=server.url, rate_limit=50) as client:
            client.domains.list()
            assert client.present_rate is not None
            assert client.present_rate < 50
        with MailChannels(KEY, base_url=server.url, rate_limit=None) as client:
            assert client.present_rate is None
            assert client.base_url == server.url


# Bulk


def echo(stored: dict[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    """Answer a batch of one domain with it, changed in some place."""

    def say(request: httpx.Request) -> httpx.Response:
        (item,) = json.loads(request.content)["domains"]
        item.pop("downstreamAddress", None)
        return httpx.Response(200, json={"successes": [{"domain": {**item, **stored}, "code": 200}]})

    return say


FULL = Domain("a.example", settings=DomainSettings("flag"), admins=["a@a.example"], downstream_addresses=[SERVER])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stored", "applied"),
    [
        ({}, True),
        ({"settings": None}, False),
        ({"settings": {"abusePolicy": "block"}}, False),
        ({"admins": ["b@a.example"]}, False),
        ({"admins": None}, False),
        ({"aliases": ["b.example"]}, True),
        ({"downstreamAddresses": None}, False),
        ({"downstreamAddresses": []}, False),
        ({"downstreamAddresses": [{"priority": 1, "weight": 2, "port": 26, "target": "mx.example."}]}, False),
        ({"downstreamAddresses": [{"priority": 1, "weight": 2, "port": 25, "target": "MX.example."}]}, True),
    ],
)
async def test_a_success_says_whether_what_was_asked_for_was_applied(stored: dict[str, Any], applied: bool) -> None:
    async with client_of(echo(stored)) as client:
        result = await client.domains.bulk_provision([FULL], subscription_handle="demo")

    (item,) = result.successes
    assert item.settings_applied is applied
    if stored.get("aliases"):
        assert item.domain.aliases == stored["aliases"]


@pytest.mark.asyncio
async def test_a_domain_without_settings_that_comes_back_with_some_has_what_was_asked_for() -> None:
    async with client_of(echo({"settings": {"abusePolicy": "block"}, "admins": []})) as client:
        result = await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    (item,) = result.successes
    assert item.settings_applied
    assert item.domain.settings == DomainSettings("block")


def test_an_item_that_failed_for_how_the_client_is_set_up_fails_again() -> None:
    item = BulkProvisionItem(
        index=0, domain=Domain("a.example"), outcome=Outcome.NOT_SENT, error=ConfigurationError("closed")
    )

    assert item.retryable is False
    assert BulkProvisionResult([], [item]).errors == [item]


@pytest.mark.asyncio
@pytest.mark.parametrize("target", [["mx.example."], {}], ids=["list", "mapping"])
async def test_a_target_that_is_no_text_is_refused_by_its_place(target: Any) -> None:
    address = DownstreamAddress(priority=1, weight=1, port=25, target=target)
    async with client_of(lambda _: httpx.Response(500)) as client:
        with pytest.raises(InvalidInput, match=r"^records\[1\]\.target: "):
            await client.domains.set_downstream_address("a.example", [SERVER, address])


def test_a_listing_longer_than_what_is_remembered_gives_each_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "LISTED_LATELY", 3)
    everything = names(20)

    def say(request: httpx.Request) -> httpx.Response:
        # Every page begins with the last of the page before, as if rows had been deleted meanwhile.
        offset = max(0, int(request.url.params["offset"]) - 1)
        page = [{"domain": name} for name in everything[offset : offset + 5]]
        return httpx.Response(200, json={"domains": page, "total": len(everything) + 4})

    async def main() -> list[str]:
        async with client_of(say) as client:
            return [domain.domain async for domain in client.domains.iter_list(page_size=5)]

    listed = asyncio.run(main())

    assert len(listed) == len(set(listed))
    assert listed == everything[: len(listed)]
    assert len(listed) > 10


# Blocking clients


def test_a_bulk_iteration_that_a_close_overtakes_may_be_left() -> None:
    with RawServer(answer({"successes": []})) as server:
        client = MailChannels(KEY, base_url=server.url)
        results = client.domains.iter_bulk_provision(iter(names(3)), subscription_handle="demo")
        next(results)
        client.close()
        results.close()

        assert len(server.requests) == 1
