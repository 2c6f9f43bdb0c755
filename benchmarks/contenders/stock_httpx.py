"""httpx as it comes, with orjson: what a careful program of one's own does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson

from ..jobs import Job
from ..workloads import KEY, raw_request
from . import AsyncCall, Load, hold


@asynccontextmanager
async def open_load(job: Job) -> AsyncIterator[Load[AsyncCall]]:
    """Open a client."""
    request = raw_request(job.workload)
    headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=job.base_url, headers=headers) as client:

        async def call() -> None:
            body = None if request.document is None else orjson.dumps(request.document())
            response = await client.request(request.method, request.path, content=body)
            response.raise_for_status()
            hold(request.is_whole(orjson.loads(response.content)))

        yield Load(call)
