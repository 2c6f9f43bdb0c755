"""Under real conditions: a call or a bulk stream is cancelled, at any await."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import re
from contextlib import suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import trio
from conditions import names
from contract.case import KEY
from sockets import RawServer, answer, answering
from steps import Steps

from mailchannels import AsyncMailChannels
from mailchannels.background import Background
from mailchannels.batches import Provisioning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.usefixtures("environment")

kinds = pytest.mark.parametrize(
    ("backend", "kind"),
    [("asyncio", "task"), ("asyncio", "scope"), ("trio", "scope")],
    ids=["asyncio task", "anyio scope", "trio scope"],
)


def echo(request: bytes) -> dict[str, Any]:
    """Answer a listing with the limit that it asked for, and a batch with what it asked for."""
    if request.startswith(b"POST"):
        items = json.loads(request.partition(b"\r\n\r\n")[2])["domains"]
        return {"successes": [{"domain": {"domain": item["domain"]}, "code": 201} for item in items]}
    (limit,) = re.findall(rb"limit=(\d+)", request)
    return {"domains": [], "total": int(limit)}


def tasks_alive() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


async def cancelled(steps: Steps, kind: str, call: Callable[[], Awaitable[object]]) -> None:
    """Make a call and cancel it in the given way where the steps say."""
    if kind == "scope":
        with anyio.CancelScope() as scope:
            steps.watch(scope.cancel)
            await call()
        steps.end()
        return
    task = asyncio.ensure_future(call())
    steps.watch(task.cancel)
    with suppress(asyncio.CancelledError):
        await task
    steps.end()


def cancel_at_every_step(
    backend: str, kind: str, server: RawServer, call: Callable[[AsyncMailChannels], Awaitable[object]]
) -> int:
    """Cancel a call after its first, second, ... step, until it has ended before; look each time at what is left."""
    for at in count(1):
        steps = Steps(at)

        async def main(steps: Steps = steps) -> None:
            client = AsyncMailChannels(
                KEY, base_url=server.url, rate_limit=5_000, max_connections=2, queue_timeout=5, timeout=20
            )
            async with client:
                before = tasks_alive()
                await cancelled(steps, kind, partial(call, client))
                assert tasks_alive() == before, f"a task is left after step {steps.count}"

                # Two at the same time show that no permit is lost; their answers, that no connection holds another's.
                async def ask(limit: int) -> None:
                    assert (await client.domains.list(limit=limit)).total == limit

                async with anyio.create_task_group() as calls:
                    for limit in (11, 12):
                        calls.start_soon(ask, limit)

        steps.run(backend, main)
        gc.collect()
        server.wait_until_all_are_closed()
        if not steps.reached:
            break
    return at - 1


@pytest.fixture
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw hardly any wait before a retry."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0001)


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_before_it_is_started_does_nothing_and_keeps_nobody_waiting() -> None:
    done: list[str] = []

    async def main() -> None:
        await anyio.lowlevel.checkpoint()
        done.append("all")

    task = Background(main)
    assert await task.cancel() is None
    task.start()

    assert await task.cancel() is None
    assert done == []


@kinds
def test_a_call_may_be_cancelled_at_every_await(backend: str, kind: str, without_waits: None) -> None:
    async def call(client: AsyncMailChannels) -> object:
        return await client.domains.list(limit=7)

    with RawServer(answering(echo)) as server:
        assert cancel_at_every_step(backend, kind, server, call) > 4


@kinds
def test_a_call_that_is_repeated_may_be_cancelled_at_every_await(backend: str, kind: str, without_waits: None) -> None:
    async def call(client: AsyncMailChannels) -> None:
        await client.domains.delete("busy.example")

    def busy(server: RawServer, connection: Any) -> bool:
        if b"busy.example" in server.latest[connection]:
            return answer(status=503)(server, connection)
        return answering(echo)(server, connection)

    async def given_up(client: AsyncMailChannels) -> None:
        with suppress(Exception):
            await call(client)

    with RawServer(busy) as server:
        assert cancel_at_every_step(backend, kind, server, given_up) > 10


@kinds
def test_a_bulk_stream_may_be_cancelled_at_every_await_of_all_its_tasks(
    backend: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Provisioning, "batch_size", 10)

    async def call(client: AsyncMailChannels) -> None:
        seen = 0
        async for result in client.domains.iter_bulk_provision(names(35), subscription_handle="demo", concurrency=2):
            seen += len(result.successes)
        assert seen == 35

    with RawServer(answering(echo)) as server:
        assert cancel_at_every_step(backend, kind, server, call) > 20
