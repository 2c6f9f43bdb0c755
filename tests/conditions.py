"""What the tests of real conditions share: the ways in which people use a client, and what a call came to in each.

The conditions themselves stand in the files `test_conditions_*.py`, one row of this table after the other:

| condition | file |
| --- | --- |
| no address, no connection, a certificate that nobody trusts | connections |
| a connection that breaks, stalls, was closed while idle, or leads to nobody; redirects | connections |
| answers that are not what was promised, drip, or never end | answers |
| any text as an argument, on the wire | answers |
| queues, Retry-After, an outage, a wall clock that jumps | waiting |
| cancellation at every await | cancellation |
| Ctrl-C in a blocking call and in a bulk iteration | ctrl_c |
| many threads on one client; event loops in turn and around it | threads |
| forks | forks |
| the end of a client and of the program | endings |
| a key and a login link in all of these | secrets |
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

import anyio
import pytest
from contract.case import KEY

from mailchannels import AsyncMailChannels, Domain, MailChannels, MailChannelsError

Call = Callable[[Any], Any]
"""A call of a client's method, written once for the async and the blocking client."""

PROJECT: Final = Path(__file__).resolve().parents[1]
PATIENCE: Final = 30.0
"""Seconds after which what a test waits for will not come any more."""

DOMAIN: Final = Domain("a.example", subscription_handle="demo")


class Outcome(NamedTuple):
    """What came of one call, and how many seconds it took."""

    value: Any
    error: MailChannelsError | None
    took: float


class Way:
    """One way of using a client: `users` threads, or just one caller, share it.

    Args:
        name: `asyncio` or `trio`, `blocking`, or `threads`, which share one blocking client.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.users = 4 if name == "threads" else 1
        self.is_async = name in {"asyncio", "trio"}

    def make(self, url: str, *calls: Call, **options: Any) -> list[Outcome]:
        """Make the calls one after the other, all users each at the same time; give the outcomes, user by user.

        An exception that is none of ours is raised.
        """
        settings = {"api_key": KEY, "base_url": url, "rate_limit": None, **options}
        if self.is_async:
            return anyio.run(_await_all, settings, calls, backend=self.name)
        with MailChannels(**settings) as client, ThreadPoolExecutor(self.users) as pool:
            together = threading.Barrier(self.users)
            made = [pool.submit(_make_all, client, calls, together) for _ in range(self.users)]
            return [outcome for each in made for outcome in each.result()]


async def _await_all(settings: dict[str, Any], calls: tuple[Call, ...]) -> list[Outcome]:
    outcomes = []
    async with AsyncMailChannels(**settings) as client:
        for call in calls:
            started = monotonic()
            value = error = None
            try:
                made = call(client)
                value = [each async for each in made] if isinstance(made, AsyncIterable) else await made
            except MailChannelsError as caught:
                error = caught
            outcomes.append(Outcome(value, error, monotonic() - started))
    return outcomes


def _make_all(client: MailChannels, calls: tuple[Call, ...], together: threading.Barrier) -> list[Outcome]:
    outcomes = []
    try:
        for call in calls:
            together.wait()
            started = monotonic()
            value = error = None
            try:
                made = call(client)
                value = list(made) if isinstance(made, Iterator) else made
            except MailChannelsError as caught:
                error = caught
            outcomes.append(Outcome(value, error, monotonic() - started))
    except BaseException:
        together.abort()
        raise
    return outcomes


def list_domains(client: AsyncMailChannels) -> Any:
    """Read: may be repeated."""
    return client.domains.list()


def provision(client: AsyncMailChannels) -> Any:
    """Write what may be written twice."""
    return client.domains.provision(DOMAIN)


def report(client: AsyncMailChannels) -> Any:
    """Write what must not be written twice."""
    return client.service.report("false_negative", "a message")


def bulk_provision(client: AsyncMailChannels) -> Any:
    """Write a batch."""
    return client.domains.bulk_provision(["a.example", "b.example"], subscription_handle="demo")


def names(count: int) -> list[str]:
    """Names of domains to provision."""
    return [f"d{number}.example" for number in range(count)]


def blocking_client_for(url: str, **options: Any) -> MailChannels:
    """Make a blocking client that knows the simulator's key, unpaced."""
    return MailChannels("demo-key", **{"base_url": url, "rate_limit": None, **options})


asyncio_alone = pytest.mark.parametrize("each_event_loop", ["asyncio"], indirect=True)
"""Marks what holds on asyncio's own event loop only; why, it says itself."""


def may_use_uvloop() -> bool:
    """Whether nothing keeps uvloop from the blocking clients of this test."""
    return sys.modules.get("uvloop", sys) is not None


def loop_threads() -> list[threading.Thread]:
    """The threads in which the event loops of blocking clients run."""
    return [thread for thread in threading.enumerate() if thread.name == "mailchannels"]


def list_on_event_loop(client: MailChannels) -> list[Domain]:
    """Make a call that takes the event loop of a blocking client, which one that lists a single page does not."""
    return [*client.domains.iter_list()]


def tasks_of(client: MailChannels) -> int:
    """How many tasks a blocking client's event loop has, once all have come to rest."""

    async def count() -> int:
        await anyio.wait_all_tasks_blocked()
        return len(asyncio.all_tasks())

    return client._calls.make_on_event_loop(count)
