"""Sockets that block, below httpcore's blocking connections: each wait on one ends when the time of its call is up.

httpcore's own give every step the same time anew, so that an answer which drips could go on for ever. Another thread
may cut a connection off, whoever waits on it then. Nothing here knows of HTTP or the API.
"""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Final, TypeVar

import httpcore

from .watch import Patience

__all__ = ["LONGEST_WAIT", "Network"]

T = TypeVar("T")

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a connection to come about; a host that swallows packets must leave time for another attempt."""

NEXT_ADDRESS: Final = 2.0
"""Seconds after which one address of a host that has more gives way to the next."""

LONGEST_WAIT: Final = 0.1 if sys.platform == "win32" else 3_600.0
"""Seconds that one wait takes at most, before it is begun again: on Windows Ctrl-C interrupts none."""


class Network(httpcore.NetworkBackend):
    """Where one connection gets its socket from, and how that is cut off.

    Attributes:
        patience: How long the call may still wait that uses the connection now.
        has_opened: Whether the connection came about, so that what was written may have reached the server.
    """

    patience: Patience

    def __init__(self) -> None:
        self.has_opened = False
        self._is_cut = False
        self._socket: socket.socket | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # `patience` and CONNECT_TIMEOUT say how long
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that answers."""
        latest = monotonic() + CONNECT_TIMEOUT
        failure: OSError = TimeoutError("timed out")
        addresses = self._look_up(host, port, latest)
        for place, (family, kind, protocol, _, address) in enumerate(addresses, 1):
            longest = min(self.patience.left(), latest - monotonic())
            if longest <= 0:
                break
            try:
                return self._connected(
                    socket.socket(family, kind, protocol),
                    address,
                    longest if place == len(addresses) else min(longest, NEXT_ADDRESS),
                )
            except OSError as error:
                failure = error
        self.patience.left()
        kind_of_failure = httpcore.ConnectTimeout if isinstance(failure, TimeoutError) else httpcore.ConnectError
        raise kind_of_failure(str(failure)) from failure

    def secured(self, context: ssl.SSLContext, server: str) -> httpcore.NetworkStream:
        """Shake hands for TLS over the socket."""
        plain = self._held()
        self.has_opened = False
        try:
            secure = context.wrap_socket(plain, server_hostname=server, do_handshake_on_connect=False)
            self._hold(secure)
            self.wait(secure.do_handshake)
        except OSError as error:
            self.close()
            raise httpcore.ConnectError(str(error)) from error
        except BaseException:
            self.close()
            raise
        self.has_opened = True
        return _Stream(self, secure)

    def wait(self, operation: Callable[[], T]) -> T:
        """Do something with the socket that may have to wait.

        Raises:
            Silence: No sign of life came for too long.
            OutOfTime: The call took too long.
            OSError: The socket's own.
        """
        while True:
            self._held().settimeout(min(self.patience.left(), LONGEST_WAIT))
            try:
                return operation()
            except TimeoutError:
                continue

    def cut(self) -> None:
        """Cut the connection off, from any thread: whoever waits on it finds that it has ended."""
        self._is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                # Not the method of a TLS socket, which first makes a plain one of it: what is written next would leave
                # in the clear.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()

    def _connected(self, new: socket.socket, address: Any, longest: float) -> httpcore.NetworkStream:
        try:
            self._hold(new)
            new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            new.settimeout(longest)
            new.connect(address)
        except BaseException:
            new.close()
            raise
        self.has_opened = True
        return _Stream(self, new)

    def _hold(self, held: socket.socket) -> None:
        self._socket = held
        if self._is_cut:  # after, so that it is either seen here or there
            raise ConnectionAbortedError("cut off")

    def _held(self) -> socket.socket:
        assert self._socket is not None  # noqa: S101  # there is a stream, so there is a socket
        return self._socket

    def _look_up(self, host: str, port: int, latest: float) -> list[Any]:
        with suppress(socket.gaierror):  # then it is a name
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        # Nothing interrupts a look-up, so it is left to a thread, which may outlast the call.
        answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        threading.Thread(target=ask, name="look-up of a name", daemon=True).start()
        while True:
            longest = min(self.patience.left(), latest - monotonic(), LONGEST_WAIT)
            try:
                answer = answers.get(timeout=max(0.0, longest))
            except Empty:
                if monotonic() >= latest:
                    raise httpcore.ConnectTimeout("the look-up of the name timed out") from None
            else:
                if isinstance(answer, OSError):
                    raise httpcore.ConnectError(str(answer)) from answer
                return answer


class _Stream(httpcore.NetworkStream):
    """A socket as httpcore takes it; the times that httpcore names are not looked at."""

    def __init__(self, network: Network, connected: socket.socket) -> None:
        self._network = network
        self._socket = connected

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        try:
            return self._network.wait(partial(self._socket.recv, max_bytes))
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        unsent = memoryview(buffer)
        try:
            while unsent:
                unsent = unsent[self._network.wait(partial(self._socket.send, unsent)) :]
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._network.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return self._network.secured(ssl_context, server_hostname or "")

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return _is_readable(self._socket) if info == "is_readable" else None


def _is_readable(idle: socket.socket) -> bool:
    """Whether a connection that nobody uses has something to read, which can only be its end."""
    if idle.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # pragma: no cover  # on Windows
        return bool(select.select([idle], [], [], 0)[0])
    poll = select.poll()
    poll.register(idle, select.POLLIN)
    return bool(poll.poll(0))
