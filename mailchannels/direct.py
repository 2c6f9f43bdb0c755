"""One connection to a server that no proxy stands before: httpx's own transport, but for the sockets below it.

httpx's takes none from outside; where a proxy is named, it is httpx's that serves. Nothing here knows of JSON, retries
or the API.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

import httpcore
import httpx
from httpx import AsyncBaseTransport

from .which_loop import trio_lowlevel

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterable, AsyncIterator

    from .streams import Streams

__all__ = ["DirectTransport"]

KEEPALIVE_EXPIRY: Final = 5.0
"""Seconds after which an idle connection is not used again, as with httpx: many a server closes it then."""

_ERRORS: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)


class DirectTransport(AsyncBaseTransport):
    """Sends one request at a time, over a connection that it opens, and opens again where the server has closed it.

    Attributes:
        network: Where it gets its sockets from, which knows whether a request has left; None where only a trace does.
    """

    def __init__(self, certificates: ssl.SSLContext) -> None:
        self.network: Streams | None = _network()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=certificates,
            max_connections=1,
            keepalive_expiry=KEEPALIVE_EXPIRY,
            network_backend=self.network,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and give the answer, its body still to be read."""
        url = request.url
        outgoing = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast("AsyncIterable[bytes]", request.stream),
            extensions=request.extensions,
        )
        try:
            response = await self._pool.handle_async_request(outgoing)
        except _ERRORS as error:
            raise _as_of_httpx(error) from error
        return httpx.Response(response.status, headers=response.headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(cast("AsyncIterable[bytes]", self._response.stream))
        try:
            # No variable holds a piece: a traceback that shows variables must not show a login link.
            with suppress(StopAsyncIteration):
                while True:
                    yield await anext(pieces)
        except _ERRORS as error:
            raise _as_of_httpx(error) from error

    async def aclose(self) -> None:
        await self._response.aclose()


def _as_of_httpx(error: Exception) -> httpx.TransportError:
    """Give the error by which httpx says the same, under the same name."""
    names = [kind.__name__ for kind in type(error).__mro__]
    same: type[httpx.TransportError] = next(getattr(httpx, name) for name in names if hasattr(httpx, name))
    return same(str(error))


def _network() -> Streams | None:
    """Give the sockets of the event loop that runs; None leaves those of trio to httpcore."""
    if trio_lowlevel() is not None:
        return None
    from .streams import Streams  # noqa: PLC0415  # asyncio takes its time; here it runs already

    return Streams()
