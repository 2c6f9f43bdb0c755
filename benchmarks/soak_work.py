"""What the soak does all the time: calls of every kind, some of which are cancelled, left early or forgotten.

It knows nothing of what is counted afterwards.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Final

import anyio

from mailchannels import AsyncMailChannels, Domain, MailChannels, MailChannelsError

POOL: Final = 3_000
"""Names that there are: what the simulator knows must not grow either."""


@dataclass
class Worker:
    """One task or thread: when it ends, what it draws, and where it writes down what its calls came to."""

    seed: int
    url: str
    key: str
    until: float
    outcomes: Counter[str]
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def name(self) -> str:
        """Draw one name."""
        return f"d{self.random.randrange(POOL)}.example"

    def names(self) -> list[str]:
        """Draw up to 1,500 names that follow one another."""
        first, length = self.random.randrange(POOL), self.random.choice([1, 10, 100, 1_500])
        return [f"d{number % POOL}.example" for number in range(first, first + length)]

    def count(self, error: Exception | None) -> None:
        """Write down what a call came to."""
        self.outcomes["succeeded" if error is None else type(error).__name__] += 1


async def work(worker: Worker, client: AsyncMailChannels) -> None:
    """Make calls of an async client until the time has come."""
    while monotonic() < worker.until:
        call = worker.random.choices([act for act, _ in _ACTS], [weight for _, weight in _ACTS])[0]
        try:
            await call(worker, client)
        except MailChannelsError as error:
            worker.count(error)
        else:
            worker.count(None)


async def _list(worker: Worker, client: AsyncMailChannels) -> None:
    await client.domains.list(limit=worker.random.choice([10, 1_000]))


async def _provision(worker: Worker, client: AsyncMailChannels) -> None:
    await client.domains.provision(Domain(worker.name(), subscription_handle="demo"))


async def _delete(worker: Worker, client: AsyncMailChannels) -> None:
    await client.domains.delete(worker.name())


async def _login_link(worker: Worker, client: AsyncMailChannels) -> None:
    await client.domains.create_login_link(worker.name())


async def _bulk(worker: Worker, client: AsyncMailChannels) -> None:
    await client.domains.bulk_provision(worker.names(), subscription_handle="demo", concurrency=3)


async def _bulk_left_early(worker: Worker, client: AsyncMailChannels) -> None:
    names = [*worker.names(), *worker.names(), *worker.names()]
    async with aclosing(client.domains.iter_bulk_create_login_links(names, concurrency=2)) as results:
        async for _ in results:
            break


async def _cancelled_by_scope(worker: Worker, client: AsyncMailChannels) -> None:
    with anyio.move_on_after(worker.random.random() * 0.02):
        await worker.random.choice([_list, _bulk, _provision])(worker, client)


async def _cancelled_task(worker: Worker, client: AsyncMailChannels) -> None:
    task = asyncio.ensure_future(worker.random.choice([_list, _bulk, _bulk_left_early])(worker, client))
    await asyncio.sleep(worker.random.random() * 0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _client_of_its_own(worker: Worker, _: AsyncMailChannels) -> None:
    async with AsyncMailChannels(worker.key, base_url=worker.url, timeout=1.0) as client:
        await client.domains.list()


_ACTS: Final[list[tuple[Callable[[Worker, AsyncMailChannels], Awaitable[None]], int]]] = [
    (_list, 20),
    (_provision, 20),
    (_delete, 10),
    (_login_link, 10),
    (_bulk, 5),
    (_bulk_left_early, 3),
    (_cancelled_by_scope, 10),
    (_cancelled_task, 10),
    (_client_of_its_own, 1),
]


def work_blocking(worker: Worker, client: MailChannels) -> None:
    """Make calls of a blocking client until the time has come."""
    while monotonic() < worker.until:
        try:
            _one_blocking_call(worker, client)
        except MailChannelsError as error:
            worker.count(error)
        else:
            worker.count(None)


def _one_blocking_call(worker: Worker, client: MailChannels) -> None:
    match worker.random.randrange(40):
        case 0:
            with MailChannels(worker.key, base_url=worker.url, timeout=1.0) as own:
                own.domains.list()
        case 1:
            MailChannels(worker.key, base_url=worker.url, timeout=1.0).domains.list()  # and forgotten
        case 2 | 3:
            client.domains.bulk_provision(iter(worker.names()), subscription_handle="demo")
        case 4 | 5:
            next(client.domains.iter_list(page_size=10), None)  # left early
        case 6 | 7:
            next(client.domains.iter_bulk_create_login_links(worker.names() * 2), None)
        case number if number % 2:
            client.domains.provision(Domain(worker.name(), subscription_handle="demo"))
        case _:
            client.domains.list(limit=10)
