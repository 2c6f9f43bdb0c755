"""A uvicorn server on a loopback socket, which stops at once and can break off a connection.

It knows uvicorn, asyncio and sockets, and nothing of the API.
"""

import asyncio
import contextlib
import ipaddress
import socket
import struct
import sys
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from .mishaps import CONNECTION

KEEP_ALIVE = 75  # seconds
BACKLOG = 2048  # connections
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

Address = tuple[str, int]


class Server(uvicorn.Server):
    """A uvicorn server that says when it is ready and stops at once, whatever is still connected or unanswered."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                self._serve_request,
                interface="asgi3",  # not to be guessed: the application is a bound method
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,  # the logging of the program around it is not ours to set up
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                backlog=BACKLOG,
                h11_max_incomplete_event_size=1 << 20,  # a listing of many names makes a long URL
            )
        )
        self.ready: threading.Event = threading.Event()
        self._api = app
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._under_way: set[Address] = set()  # a connection has one request at a time

    def run_on(self, listener: socket.socket) -> None:
        """Serve on this socket until `stop` is called; meant to be the target of a thread."""
        try:
            asyncio.run(self.serve(sockets=[listener]))
        finally:
            listener.close()
            self.ready.set()

    def stop(self) -> None:
        """Ask the server to stop; safe from any thread."""
        self.should_exit = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting connections, and say so."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Tick until `stop` is called."""
        # The tick keeps the Date header right; waiting for the event instead of sleeping makes stopping immediate.
        tick = 0
        while not await self.on_tick(tick):
            tick += 1
            try:
                await asyncio.wait_for(self._wake.wait(), 0.1)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        """Break off all connections, whatever is unanswered."""
        for server in self.servers:
            server.close()
        while self.server_state.connections:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self.servers:
            await server.wait_closed()

    def transport_of(self, client: Address) -> asyncio.Transport | None:
        """Find the connection from this address, or None when it is gone."""
        for connection in self.server_state.connections:
            transport = connection.transport
            if (transport.get_extra_info("peername") or ())[:2] == client:
                return transport
        return None

    def is_idle(self, client: Address) -> bool:
        """Whether no request from this address is under way."""
        return client not in self._under_way

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope["client"]
        scope[CONNECTION] = _Connection(self, client)
        self._under_way.add(client)
        try:
            # Only stopping cancels; uvicorn would log the answers that it cuts short, with a traceback each.
            with contextlib.suppress(asyncio.CancelledError):
                await self._api(scope, receive, send)
        finally:
            self._under_way.discard(client)


class _Connection:
    """The connection of one client, as `mishaps.py` wants it; what is gone already needs nothing done."""

    __slots__ = ("_client", "_server")

    def __init__(self, server: Server, client: Address) -> None:
        self._server = server
        self._client = client

    def reset(self) -> None:
        transport = self._server.transport_of(self._client)
        if transport is not None:
            # Without this the other side would see an orderly end.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            transport.abort()

    def close(self) -> None:
        transport = self._server.transport_of(self._client)
        if transport is not None:
            transport.close()

    def close_if_idle(self) -> None:
        if self._server.is_idle(self._client):
            self.close()


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address or `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Open a listening socket on this host and port."""
    # With its protocol named, asyncio turns off the delay of small packets on each connection it accepts.
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # pragma: no branch  # there the option lets two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
