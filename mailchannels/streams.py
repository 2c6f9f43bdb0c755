"""Sockets for calls on asyncio's event loop, below httpcore's connections, which are httpx's own engine.

httpcore's own way to asyncio takes an answer in pieces of 64 kB, and for each copies what is left and asks the event
loop anew; here it is handed on as it came. TLS is anyio's and stands above. How long reading and writing may take is
for others to say. Nothing here knows of HTTP or the API.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, cast

import anyio
import anyio.lowlevel
import httpcore
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from .network import NEXT_ADDRESS, has_input

__all__ = ["Streams"]

MOST_UNREAD: Final = 2**18
"""Bytes that nobody has read, from which on no more are taken: a server must not fill the memory."""

_BROKEN: Final = (anyio.BrokenResourceError, OSError)


class Streams(httpcore.AsyncNetworkBackend):
    """Where one connection gets its socket from.

    Attributes:
        is_connecting: Whether a connection is coming about, over which no request has left yet.
    """

    def __init__(self) -> None:
        self.is_connecting: bool = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Connect to that address of a host which answers first."""
        self.is_connecting = True
        try:
            with anyio.fail_after(timeout):
                connected = await _first_to_answer(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return _Stream(self, connected, connected)


async def _first_to_answer(host: str, port: int) -> _Socket:
    """Try addresses, each a little after the one before, or as soon as that has failed."""
    event_loop = asyncio.get_running_loop()
    connected: list[_Socket] = []
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    async def connect(where: tuple[Any, ...], has_ended: anyio.Event) -> None:
        nonlocal failure
        try:
            connected.append((await event_loop.create_connection(_Socket, *where[:2]))[1])
            tasks.cancel_scope.cancel()
        except OSError as error:
            failure = error
        finally:
            has_ended.set()

    try:
        found = await event_loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        async with anyio.create_task_group() as tasks:
            for *_, where in found:
                has_ended = anyio.Event()
                tasks.start_soon(connect, where, has_ended)
                with anyio.move_on_after(NEXT_ADDRESS):
                    await has_ended.wait()
        if not connected:
            raise failure
        return connected.pop()
    finally:
        for each in connected:  # whoever waited for it is gone
            each.abort()
        del failure  # whose frames hold this one


class _Socket(asyncio.Protocol, ByteStream):
    """A connection as asyncio tells of it."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._is_paused = False
        self._has_ended = False
        self._failure: Exception | None = None
        self._is_full = False
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which those of uvloop only look like
        # A write ends when all of it has left: that is what tells how long a server has been silent since.
        self._transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        self._pieces.append(bytes(data))  # on Windows it may be a bytearray
        self._unread += len(data)
        if self._unread >= MOST_UNREAD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        _wake(self._readable)

    def eof_received(self) -> bool:
        self._has_ended = True
        _wake(self._readable)
        return True  # what is being written may go on

    def connection_lost(self, error: Exception | None) -> None:
        self._has_ended = True
        self._failure = error
        _wake(self._readable)
        _wake(self._writable)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        _wake(self._writable)

    async def receive(self, max_bytes: int = 2**16) -> bytes:  # noqa: ARG002  # whoever reads takes what there is
        """Give the next piece as it came."""
        if not self._pieces and not self._has_ended:
            self._readable = asyncio.get_running_loop().create_future()
            try:
                await self._readable
            finally:
                self._readable = None
        if not self._pieces:
            if self._failure is not None:
                raise anyio.BrokenResourceError(str(self._failure)) from self._failure
            raise anyio.EndOfStream
        self._unread -= len(self._pieces[0])
        if self._is_paused and self._unread < MOST_UNREAD:
            self._is_paused = False
            self._transport.resume_reading()
        return self._pieces.popleft()

    async def send(self, item: bytes) -> None:
        """Write, and wait until all of it has left."""
        # Of bytes, asyncio would copy what is left; and a traceback that shows variables must not show a key.
        shown = memoryview(item)
        del item
        self._hold_open()
        self._transport.write(shown)
        if self._is_full:
            self._writable = asyncio.get_running_loop().create_future()
            try:
                await self._writable
            finally:
                self._writable = None
            self._hold_open()

    async def send_eof(self) -> None:  # pragma: no cover  # no request ends like that
        """Say that nothing more comes."""
        self._transport.write_eof()

    async def aclose(self) -> None:
        """Close it at once."""
        self.abort()
        await anyio.lowlevel.checkpoint()  # until when asyncio has done so

    def abort(self) -> None:
        """Close it as soon as the event loop goes on."""
        self._transport.abort()

    @property
    def is_readable(self) -> bool:
        """Whether something has come or it has ended, be it that the event loop has not heard of it yet."""
        if self._pieces or self._has_ended or self._transport.is_closing():
            return True
        return has_input(self._transport.get_extra_info("socket"))

    def _hold_open(self) -> None:
        if self._transport.is_closing():
            raise anyio.BrokenResourceError(str(self._failure or "closed")) from self._failure


class _Stream(httpcore.AsyncNetworkStream):
    """A connection as httpcore takes it, plain or with TLS above it."""

    def __init__(self, network: Streams, plain: _Socket, stream: ByteStream) -> None:
        self._network = network
        self._plain = plain
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        try:
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except _BROKEN as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        if not buffer:
            return
        self._network.is_connecting = False
        sending = self._stream.send(buffer)
        del buffer  # see `_Socket.send`
        try:
            await sending
        except _BROKEN as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        secure = None
        try:
            with anyio.fail_after(timeout):
                secure = await TLSStream.wrap(
                    self._plain, hostname=server_hostname, ssl_context=ssl_context, standard_compatible=False
                )
        except (anyio.EndOfStream, *_BROKEN) as error:
            kind = httpcore.ConnectTimeout if isinstance(error, TimeoutError) else httpcore.ConnectError
            raise kind(str(error)) from error
        finally:
            if secure is None:  # whoever waited may be gone, and nobody else would close it
                self._plain.abort()
        return _Stream(self._network, self._plain, secure)

    def get_extra_info(self, info: str) -> Any:
        # Of a connection that nobody uses, so that it can only be its end.
        return self._plain.is_readable if info == "is_readable" else None


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
