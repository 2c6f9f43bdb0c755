"""How bytes reach the server, by way of httpx or of its engine.

httpx's own pool searches all its connections on every request, which costs more than the request from some dozens of
connections on. Here each connection is a transport of its own, and the idle ones lie in a list, the last used on top.
A call holds a permit for as long as it lasts, back-off included, so that an outage leaves the others waiting outside
instead of adding to it. Nothing here knows of JSON, retries or the API.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import lru_cache
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import httpx
from httpx import AsyncBaseTransport

from .bodies import Decoder, NoBodyError
from .connecting import Connecting
from .environment import certificates, no_certificates, proxy_for, unusable_proxy
from .errors import ConfigurationError, RequestTimeout
from .failures import lost, not_connected, silent, stalled, unreadable
from .messages import Reply, Request, Turn, content_of
from .watch import CONNECT_TIMEOUT, LONGEST_IDLE, Silence, Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from .streams import Streams

__all__ = ["AsyncBaseTransport", "Connections"]

_FIRST_ERROR: Final = 400
_ONE_BY_PROXY: Final = httpx.Limits(max_connections=1, max_keepalive_connections=1)


class _Content(httpx.AsyncByteStream):
    """A body in one piece, which tells when it was taken.

    httpx makes an async generator of it, which a cancelled request leaves half-way for the event loop to complain of.
    """

    def __init__(self, content: bytes, watch: Watch) -> None:
        self._pieces = [content] if content else []
        self._watch = watch

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            self._watch.hear()
            raise StopAsyncIteration
        return self._pieces.pop()


class _Connection(NamedTuple):
    """One connection, or the transport that a caller gave; and the network below it, where that is ours."""

    transport: AsyncBaseTransport
    network: Streams | None = None


class Connections:
    """At most `limit` connections to one server, each used by one request at a time.

    Attributes:
        base_url: What the address of every request begins with.
    """

    def __init__(
        self, *, base_url: str, headers: Mapping[str, str], limit: int, transport: AsyncBaseTransport | None
    ) -> None:
        self.base_url = base_url
        self._headers = httpx.Headers(headers)
        self._headers_with_body = httpx.Headers({**headers, "Content-Type": "application/json"})
        self._limit = limit
        self._given = transport
        self._idle: list[tuple[float, _Connection]] = []
        self._process: int | None = None
        self._permits: anyio.Semaphore | None = None
        self._event_loop: object = None
        self._closed = False

    async def permit(self, patience: float | None) -> Turn:
        """Wait for leave to send, as a `Carrier` gives it."""
        permits = self.permits()
        try:
            permits.acquire_nowait()
        except anyio.WouldBlock:
            started = monotonic()
            with anyio.move_on_after(patience) as scope:
                await permits.acquire()
            if scope.cancelled_caught:
                raise RequestTimeout(
                    f"all {self._limit} connections stayed busy for the queue_timeout of {patience:g} s; nothing sent",
                    maybe_applied=False,
                ) from None
            if patience is not None:
                patience = max(0.0, patience - (monotonic() - started))
        return Turn(lambda _: permits.release(), patience)

    async def exchange(self, request: Request, longest: float = inf, longest_silence: float = inf) -> Reply:
        """Send a request and read its answer, as a `Carrier` does."""
        # A transport that was given is the caller's to pool; one of ours goes back only after a complete answer.
        if self._given is not None:
            connection = _Connection(self._given)
        else:
            connection = self._idle.pop()[1] if self._idle else self._new_connection()
        # A connection of old may have to be opened anew, of which sockets of ours tell. Others are traced, for longer.
        connecting = Connecting(request) if connection.network is None else None
        whole = False
        try:
            with suppress(Silence), Watch(longest, longest_silence) as watch:
                reply = await self._exchange(connection, request, watch, connecting)
                whole = True
        finally:
            if connecting is not None:
                await connecting.close_unfinished()
            if self._given is None:
                if whole and not self._closed:
                    self._idle.append((monotonic(), connection))
                    await self._close_one_long_idle()
                else:
                    with anyio.CancelScope(shield=True):
                        await connection.transport.aclose()
        if whole:
            return reply
        raise silent(request, self.base_url)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)

    async def aclose(self) -> None:
        """Close every idle connection; those in use close as their requests end.

        Raises:
            ConfigurationError: They belong to another event loop, which alone can close them.
        """
        if self._closed:
            return
        if self._event_loop is not None and self._event_loop != anyio.lowlevel.current_token():
            raise ConfigurationError("this client belongs to another event loop; close it there")
        self._closed = True
        idle, self._idle = self._idle, []
        for transport in [self._given] if self._given is not None else [each.transport for _, each in idle]:
            await transport.aclose()

    async def _close_one_long_idle(self) -> None:
        """What a burst leaves behind lies at the bottom of the list: close it little by little."""
        if monotonic() - self._idle[0][0] > LONGEST_IDLE:
            with anyio.CancelScope(shield=True):
                await self._idle.pop(0)[1].transport.aclose()

    async def _exchange(
        self, connection: _Connection, request: Request, watch: Watch, connecting: Connecting | None
    ) -> Reply:
        # Unless something says that it is still connecting, the request must be taken for sent.
        request.sent = True
        request.answered = False
        timeouts = {"connect": CONNECT_TIMEOUT, "read": None, "write": None, "pool": None}
        extensions: dict[str, Any] = {"timeout": timeouts}
        if connecting is not None:
            extensions["trace"] = connecting.observe
        try:
            response = await connection.transport.handle_async_request(self._httpx_request(request, extensions, watch))
            watch.go_on()
            request.answered = True
            try:
                body = await self._read(response, request, watch)
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise not_connected(error, self.base_url) from error
        except httpx.DecodingError as error:  # of a transport that was given and reads bodies itself
            raise unreadable("the body cannot be decompressed", request, status=0) from error
        except (httpx.TransportError, httpx.StreamError, OSError) as error:  # OSError: of a transport that was given
            if isinstance(error, httpx.TransportError) and not request.sent:  # a proxy that made no tunnel
                raise not_connected(error, self.base_url) from error
            if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
                raise stalled(request) from error
            raise lost(error, request) from error
        finally:
            if connection.network is not None:
                request.sent = not connection.network.is_connecting
        return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)

    def _httpx_request(self, request: Request, extensions: dict[str, Any], watch: Watch) -> httpx.Request:
        content = content_of(request.body)
        headers = self._headers if request.body is None else self._headers_with_body
        made = httpx.Request(
            request.method,
            _url(self.base_url + request.url),
            headers=headers,
            content=content or None,
            extensions=extensions,
        )
        made.stream = _Content(content, watch)
        return made

    async def _read(self, response: httpx.Response, request: Request, watch: Watch) -> bytes:
        if response.is_stream_consumed:  # by a transport that was given: there is nothing left to save
            return response.content
        pieces = aiter(cast("AsyncIterable[bytes]", response.stream))
        try:
            body = Decoder(response.headers.get("content-encoding", "identity").lower())
            # No variable holds a piece: a traceback that shows variables must not show a login link.
            with suppress(StopAsyncIteration):
                while True:
                    body.take(memoryview(await anext(pieces)))
                    watch.go_on()
            return body.end()
        except NoBodyError as error:
            if isinstance(pieces, AsyncGenerator):
                # Left half-way it is for the event loop to complain of: this makes the innermost one end them all.
                with anyio.CancelScope() as scope:
                    scope.cancel()
                    async for _ in pieces:
                        pass
            if response.status_code >= _FIRST_ERROR:
                return b""  # the status says what matters
            raise unreadable(str(error), request, response.status_code) from None

    def permits(self) -> anyio.Semaphore:
        """Give the permits to send.

        Raises:
            ConfigurationError: This is closed, or belongs to another event loop.
        """
        if self._closed:
            raise ConfigurationError("this client is closed; create another one")
        if self._process is None:
            self._process = os.getpid() if self._given is None else _process_of(self._given)
        if self._process != os.getpid():
            raise ConfigurationError(
                "this client, or the transport that it was given, belongs to the process that this one was forked from;"
                " create another one in the child"
            )
        event_loop = anyio.lowlevel.current_token()
        if self._permits is None:
            self._permits = anyio.Semaphore(self._limit, fast_acquire=True)
            self._event_loop = event_loop
        elif self._event_loop != event_loop:
            raise ConfigurationError("this client belongs to another event loop; create one client for each")
        return self._permits

    def _new_connection(self) -> _Connection:
        url = urlsplit(self.base_url)
        # Plain HTTP, which only reaches loopback, needs no certificates, and loading them is slow.
        trusted = certificates() if url.scheme == "https" else no_certificates()
        proxy = proxy_for(url.scheme, url.hostname or "")
        if proxy is None:
            from .direct import DirectTransport  # noqa: PLC0415  # httpcore brings trio along, which takes long

            direct = DirectTransport(trusted)
            return _Connection(direct, direct.network)
        try:
            return _Connection(httpx.AsyncHTTPTransport(verify=trusted, limits=_ONE_BY_PROXY, proxy=proxy))
        except ImportError as error:
            raise unusable_proxy("socks5", error) from None


@lru_cache(maxsize=256)
def _url(text: str) -> httpx.URL:
    """Parse an address, which takes httpx longer than all else about a request; bulk calls have one for thousands."""
    return httpx.URL(text)


def _process_of(transport: AsyncBaseTransport) -> int:
    """Name the process that a transport of a caller's was first used in: no other may share its sockets."""
    process: int = vars(transport).setdefault("_mailchannels_process", os.getpid())
    return process
