"""This package, async, with its requests sent by aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailchannels import AsyncMailChannels
from mailchannels.speed import AiohttpTransport

from ..jobs import Job
from ..workloads import KEY
from . import AsyncCall, Load, ours


@asynccontextmanager
async def open_load(job: Job) -> AsyncIterator[Load[AsyncCall]]:
    """Open a client."""
    transport = AiohttpTransport()
    async with AsyncMailChannels(KEY, base_url=job.base_url, rate_limit=None, transport=transport) as client:
        yield ours.load(client.domains, job)
