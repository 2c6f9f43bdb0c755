"""aiohttp with orjson: the fastest that a program of one's own gets on asyncio's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import orjson

from ..jobs import Job
from ..workloads import KEY, raw_request
from . import AsyncCall, Load, hold


@asynccontextmanager
async def open_load(job: Job) -> AsyncIterator[Load[AsyncCall]]:
    """Open a session."""
    request = raw_request(job.workload)
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    async with aiohttp.ClientSession(base_url=job.base_url, headers=headers) as session:

        async def call() -> None:
            body = None if request.document is None else orjson.dumps(request.document())
            async with session.request(request.method, request.path, data=body) as response:
                response.raise_for_status()
                hold(request.is_whole(orjson.loads(await response.read())))

        yield Load(call)
