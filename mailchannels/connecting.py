"""A connection that comes about: what httpcore tells of it on the way.

Whether the request has left decides what its failure means, and a socket whose handshake with a proxy or for TLS is cut
short is closed by nobody else. Nothing here knows of answers.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import anyio

if TYPE_CHECKING:
    from .messages import Request


class _Socket(Protocol):
    """A stream as httpcore has it."""

    async def aclose(self) -> None: ...


class Connecting:
    """Follows a request until its connection stands, and notes in it whether it has left."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._unfinished: _Socket | None = None

    async def observe(self, event: str, info: dict[str, Any]) -> None:
        """Take note of an event, as httpcore's extension `trace` tells it."""
        if event.endswith("connect_tcp.started"):
            self._request.sent = False
        elif event.endswith("connect_tcp.complete"):
            self._unfinished = info["return_value"]
        elif event.endswith("start_tls.complete"):
            self._unfinished = None
        # A proxy is first asked for a tunnel, and the server hears nothing of that.
        elif event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self._unfinished = None
            self._request.sent = True

    async def close_unfinished(self) -> None:
        """Close the socket that a cancelled handshake has left to Python's collector."""
        if self._unfinished is not None:
            with anyio.CancelScope(shield=True), suppress(Exception):  # the error of the call is what matters
                await self._unfinished.aclose()
