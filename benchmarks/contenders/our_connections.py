"""httpx on the connections of this package, with orjson: what everything above them costs is the difference to ours.

It sends the headers that any client of httpx sends.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson

from mailchannels.connections import Connections
from mailchannels.messages import Request

from ..jobs import Job
from ..workloads import KEY, raw_request
from . import AsyncCall, Load, hold


@asynccontextmanager
async def open_load(job: Job) -> AsyncIterator[Load[AsyncCall]]:
    """Open the connections."""
    wanted = raw_request(job.workload)
    headers = httpx.Client(headers={"X-API-Key": KEY}, verify=False).headers  # it connects to nothing
    connections = Connections(base_url=job.base_url, headers=headers, limit=max(100, job.concurrency), transport=None)

    async def call() -> None:
        body = None if wanted.document is None else orjson.dumps(wanted.document())
        with await connections.permit(None):
            reply = await connections.exchange(Request(wanted.method, wanted.path, wanted.path, body))
        hold(wanted.is_whole(orjson.loads(reply.body)))

    try:
        yield Load(call)
    finally:
        await connections.aclose()
