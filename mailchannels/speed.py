"""Requests by way of aiohttp, which costs less CPU than httpx's own way; for asyncio only.

It is a transport of httpx, so that everything above it stays as it is. Whatever aiohttp would do of its own accord is
turned off: it would read addresses anew and so change them, send requests again, follow redirects, keep cookies,
decompress without end and take credentials from ~/.netrc. Nothing here knows of JSON, retries or the API.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING, Final, Self

import anyio
import anyio.lowlevel
import httpx
from attrs import define, field

from .connections import AsyncBaseTransport
from .environment import certificates, proxy_for
from .errors import ConfigurationError
from .watch import LONGEST_IDLE

try:
    import aiohttp
    from yarl import URL
except ModuleNotFoundError:
    raise ModuleNotFoundError('mailchannels.speed needs more: pip install "mailchannels-sdk[speed]"') from None

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["AiohttpTransport"]

_TAKEN_AT_ONCE: Final = 2**16
"""Bytes of a body that the system takes whatever the server does; a longer one is gone through, which tells its end."""

_TURNS_UNTIL_CLOSED: Final = 2
"""Turns of the event loop from a connection's end to where aiohttp uses it no more."""


class AiohttpTransport(AsyncBaseTransport):
    """Sends the requests of a client through aiohttp; pass it as `transport`, one to each client.

    It opens nothing before the first request, and the client closes it. How many connections there are is the client's
    `max_connections`; certificates and proxies come from the environment, as without it.

    Raises:
        ConfigurationError: From a call: it runs on trio, serves another event loop already, or the environment names a
            proxy of SOCKS, which aiohttp cannot use.

    Example:
        >>> async with AsyncMailChannels(transport=AiohttpTransport()) as client:
        ...     await client.domains.list()
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._routes: dict[tuple[str, str], _Route] = {}
        self._under_way = 0
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and give the answer, its body still to be read."""
        if not self._under_way:
            # The program may have been busy with something else: let aiohttp hear first of what the server has closed.
            for _ in range(_TURNS_UNTIL_CLOSED):
                await anyio.lowlevel.checkpoint()
        session = self._open_session()
        route = self._route(request.url)
        self._under_way += 1
        try:
            response = await _send(session, request, route)
        except BaseException:
            await self._end_one()
            raise
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response, self._end_one))

    async def aclose(self) -> None:
        """Close the connections; those in use close with the last request under way."""
        self._closed = True
        await self._close_unused()

    def _open_session(self) -> aiohttp.ClientSession:
        try:
            event_loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(
                "transport: AiohttpTransport runs on asyncio only; on trio, leave transport out"
            ) from None
        if self._session is None:
            self._event_loop = event_loop
            self._session = aiohttp.ClientSession(
                # The client's permits are the limit.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=LONGEST_IDLE),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        elif self._event_loop is not event_loop:
            raise ConfigurationError("transport: this one serves another event loop; create one for each client")
        return self._session

    def _route(self, url: httpx.URL) -> _Route:
        # Asking the environment is slow.
        route = self._routes.get((url.scheme, url.host))
        if route is None:
            route = self._routes[url.scheme, url.host] = _new_route(url.scheme, url.host)
        return route

    async def _end_one(self) -> None:
        self._under_way -= 1
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self._closed and not self._under_way and self._session is not None:
            session, self._session = self._session, None
            with anyio.CancelScope(shield=True):
                await session.close()


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it comes; closing it before its end closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, end: Callable[[], Awaitable[None]]) -> None:
        self._response = response
        self._end = end

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ReadError(str(error)) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._response.close()
        await self._end()


@define
class _Route:
    """What aiohttp must be told of the way to a server."""

    certificates: ssl.SSLContext | bool
    proxy: str | None = None
    proxy_headers: dict[str, str] | None = field(default=None, repr=False)


def _new_route(scheme: str, host: str) -> _Route:
    route = _Route(certificates() if scheme == "https" else True)
    proxy = proxy_for(scheme, host)
    if proxy is None:
        return route
    if proxy.url.scheme not in {"http", "https"}:
        raise ConfigurationError(
            f"the proxy that the environment names cannot be used (scheme {proxy.url.scheme!r}): use an http or https"
            " proxy, set NO_PROXY, or leave transport out"
        )
    route.proxy = str(proxy.url)
    if proxy.raw_auth is not None:  # in the address it would be shown by errors of aiohttp's
        route.proxy_headers = {"Proxy-Authorization": f"Basic {b64encode(b':'.join(proxy.raw_auth)).decode()}"}
    return route


async def _send(session: aiohttp.ClientSession, request: httpx.Request, route: _Route) -> aiohttp.ClientResponse:
    async def pass_on(outgoing: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        # A request has a response to wait for from when it is written. If aiohttp heard of its own errors, it would
        # send the request again by itself.
        try:
            return await send(outgoing)
        except asyncio.CancelledError:
            if outgoing.response is None and "trace" in request.extensions:
                await request.extensions["trace"]("connection.connect_tcp.started", {})
            raise
        except (aiohttp.ClientError, OSError) as error:
            failure = _failure(error, written=outgoing.response is not None)
        raise failure

    if request.url.scheme == "http" and route.proxy_headers is not None:  # no tunnel: the proxy reads the request
        request.headers.update(route.proxy_headers)
    content = request.content
    timeouts = request.extensions["timeout"]
    return await session.request(
        request.method,
        URL(str(request.url), encoded=True),
        headers=request.headers,
        data=request.stream if len(content) > _TAKEN_AT_ONCE else content or None,
        timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.get("connect")),
        allow_redirects=False,
        middlewares=(pass_on,),
        ssl=route.certificates,
        proxy=route.proxy,
        proxy_headers=route.proxy_headers,
    )


def _failure(error: aiohttp.ClientError | OSError, *, written: bool) -> httpx.TransportError:
    kind: type[httpx.TransportError] = httpx.ReadError if written else httpx.ConnectError
    if isinstance(error, aiohttp.ClientResponseError):
        # Not as the cause: its repr shows the headers of the request, and with them the key.
        return kind(f"{error.status} {error.message}")
    failure = kind(str(error))
    failure.__cause__ = error
    return failure
