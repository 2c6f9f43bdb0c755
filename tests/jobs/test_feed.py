"""Feeding a bulk call: ending early loses no row and waits for nobody."""

import threading
from collections.abc import Iterator
from itertools import islice
from typing import cast

import anyio
import pytest

from mailchannels import Domain
from mailchannels.jobs.feed import Feed
from mailchannels.jobs.given import Given
from mailchannels.jobs.rows import Row
from mailchannels.jobs.source import Source
from mailchannels.jobs.threads import in_daemon_thread


class SlowSource:
    """Two rows, of which the second comes when it is let go."""

    def __init__(self, *, is_stream: bool) -> None:
        self.is_stream = is_stream
        self.waits = threading.Event()
        self.let_go = threading.Event()
        self.rows = iter(self)

    async def take(self, count: int) -> list[Row[Domain]]:
        return await in_daemon_thread(lambda: list(islice(self.rows, count)))

    def left_over(self) -> list[Row[Domain]]:
        return []

    def __iter__(self) -> Iterator[Row[Domain]]:
        yield Row(1, "a.example", Domain("a.example"))
        self.waits.set()
        self.let_go.wait()
        yield Row(2, "b.example", Domain("b.example"))


def feed_of(source: SlowSource) -> Feed[Domain]:
    return Feed(cast("Source[Domain]", source), ignore, lambda _: None)


async def ignore(_: object) -> None:
    pass


async def names(rows: Feed[Domain]) -> list[str]:
    return [domain.domain async for domain in rows]


async def until_it_waits(source: SlowSource) -> None:
    await anyio.to_thread.run_sync(source.waits.wait)


@pytest.mark.asyncio
async def test_ending_does_not_wait_for_a_stream_that_keeps_silent() -> None:
    source = SlowSource(is_stream=True)
    feed = feed_of(source)
    fed: list[str] = ["not yet"]

    async def consume() -> None:
        fed[:] = await names(feed)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await until_it_waits(source)
        feed.end()

    assert fed == []
    assert not feed.is_read
    source.let_go.set()


@pytest.mark.asyncio
async def test_cancelling_while_a_file_is_read_loses_none_of_its_rows() -> None:
    source = SlowSource(is_stream=False)
    feed = feed_of(source)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(names, feed)
        await until_it_waits(source)
        tasks.cancel_scope.cancel()
        source.let_go.set()

    left = [row.name for row in feed.unanswered()] + [row.name async for row in feed.unfed()]
    assert left == ["a.example", "b.example"]


@pytest.mark.asyncio
async def test_a_source_that_fails_ends_the_feed_and_says_why() -> None:
    class Broken(SlowSource):
        def __iter__(self) -> Iterator[Row[Domain]]:
            yield Row(1, "a.example", Domain("a.example"))
            raise OSError(5, "Input/output error")

    reasons: list[str] = []
    feed = Feed(cast("Source[Domain]", Broken(is_stream=False)), ignore, reasons.append)

    assert await names(feed) == []
    assert reasons == ["FILE could not be read further: Input/output error"]


@pytest.mark.asyncio
async def test_a_feed_that_ends_in_the_middle_feeds_no_further_row_and_accounts_for_each_once() -> None:
    feed: Feed[Domain | str] = Feed(Given(["a.example", "b.example", "c.example"]), ignore, lambda _: None)

    fed = []
    async for name in feed:
        fed.append(name)
        feed.end()

    assert fed == ["a.example"]
    assert [row.name for row in feed.unanswered()] == ["a.example"]
    assert [row.name async for row in feed.unfed()] == ["b.example", "c.example"]
