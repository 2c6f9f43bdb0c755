"""However long an input is, it is cut into pieces of the right size, in order, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from conditions import names
from conftest import HERE
from contract.case import KEY
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sockets import EMPTY_PAGE, RawServer, answer

from mailchannels import AsyncMailChannels, MailChannels, caller
from mailchannels.batches import Provisioning
from mailchannels.names import canonical_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from mailchannels import BulkProvisionResult

LONGEST_ADDRESS: Final = 4_000

quickly = settings(deadline=None, max_examples=60)


async def asked(call: Callable[[AsyncMailChannels], object]) -> tuple[list[httpx.Request], object]:
    """The requests of a call, and what it gave."""
    seen: list[httpx.Request] = []

    def say(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.method == "GET":
            return httpx.Response(200, json=EMPTY_PAGE)
        items = json.loads(request.content)["domains"]
        return httpx.Response(200, json={"successes": [{"domain": item, "code": 201} for item in items]})

    async with AsyncMailChannels(KEY, base_url=HERE, rate_limit=None, transport=httpx.MockTransport(say)) as client:
        return seen, await call(client)  # type: ignore[misc]


@quickly
@given(count=st.integers(0, 60), size=st.integers(1, 20), concurrency=st.integers(1, 5), repeated=st.booleans())
@example(count=20, size=20, concurrency=1, repeated=False)
@example(count=21, size=20, concurrency=1, repeated=True)
def test_a_bulk_call_cuts_its_input_into_full_batches_in_order(
    count: int, size: int, concurrency: int, repeated: bool
) -> None:
    inputs = names(count) * (1 + repeated)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Provisioning, "batch_size", size)
        requests, given_back = asyncio.run(
            asked(
                lambda client: client.domains.bulk_provision(
                    inputs, subscription_handle="demo", concurrency=concurrency
                )
            )
        )

    batches = [[item["domain"] for item in json.loads(request.content)["domains"]] for request in requests]
    batches.sort(key=lambda batch: int(batch[0].removeprefix("d").partition(".")[0]))
    assert [name for batch in batches for name in batch] == names(count)
    assert [len(batch) for batch in batches] == [size] * (count // size) + [count % size] * bool(count % size)
    result: BulkProvisionResult = given_back  # type: ignore[assignment]
    assert [item.index for item in result.successes] == [*range(len(inputs))]
    assert [item.domain.domain for item in result.successes] == inputs


labels = st.from_regex(r"[a-z0-9]{1,60}|[a-zü]{1,20}", fullmatch=True)
domain_names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@quickly
@given(st.lists(domain_names, max_size=120))
@example([f"{'a' * 60}{number}.example" for number in range(200)])
@example(["a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 61] * 2)
def test_a_listing_by_name_asks_for_each_name_once_in_addresses_of_bounded_length(wanted: list[str]) -> None:
    requests, _ = asyncio.run(asked(lambda client: client.domains.list(domains=wanted)))

    parts = [parse_qs(urlsplit(str(request.url)).query)["domains"][0].split(",") for request in requests]
    assert [name for part in parts for name in part] == [*dict.fromkeys(map(canonical_name, wanted))]
    assert all(len(str(request.url)) <= LONGEST_ADDRESS for request in requests)


class OfTheInputError(Exception):
    """What an input raises."""


@pytest.fixture(scope="module")
def client() -> Iterator[MailChannels]:
    """A blocking client whose event loop runs."""
    with RawServer(answer(EMPTY_PAGE)) as server, MailChannels(KEY, base_url=server.url) as opened:
        opened.domains.list()
        yield opened


@quickly
@given(count=st.integers(0, 30), chunk=st.integers(1, 10), breaks=st.booleans())
@example(count=10, chunk=10, breaks=True)
@example(count=10, chunk=5, breaks=False)
def test_an_input_lent_to_the_event_loop_arrives_whole_in_order_and_with_its_error_at_the_end(
    client: MailChannels, count: int, chunk: int, breaks: bool
) -> None:
    def inputs() -> Generator[int, None, None]:
        yield from range(count)
        if breaks:
            raise OfTheInputError

    arrived: list[int] = []
    ends: list[str] = []

    async def read(lent: caller.LentIterator) -> None:
        try:
            async for each in lent:
                arrived.append(each)  # noqa: PERF401  # what came before an error must be seen
        except OfTheInputError:
            ends.append("broke")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caller, "CHUNK", chunk)
        client._calls.make_on_event_loop(read, inputs())  # type: ignore[arg-type]

    assert arrived == [*range(count)]
    assert ends == ["broke"] * breaks
