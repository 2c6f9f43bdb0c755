"""uvloop's event loop, such that a forked child survives it.

libuv looks names up in threads of its own, and waits for these as the process ends; so does a forked child, where they
do not exist, and it crashes. Python's threads are waited for where they are and forgotten where they are not. Nothing
here knows of clients.
"""

from __future__ import annotations

import socket
from typing import Any

import uvloop

__all__ = ["ForkableLoop"]


class ForkableLoop(uvloop.Loop):
    """An event loop that looks names up in threads of Python's for whoever asks it, as anyio and aiohttp do.

    To open a connection by a name without asking, as asyncio's streams do, still takes libuv's.
    """

    async def getaddrinfo(  # noqa: D102  # asyncio's
        self,
        host: str | bytes | None,
        port: str | bytes | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:  # asyncio and uvloop type addresses differently
        return await self.run_in_executor(None, socket.getaddrinfo, host, port, family, type, proto, flags)

    async def getnameinfo(  # noqa: D102
        self, sockaddr: tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int], flags: int = 0
    ) -> tuple[str, str]:
        return await self.run_in_executor(None, socket.getnameinfo, sockaddr, flags)
