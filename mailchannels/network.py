"""Sockets for calls that block, below httpcore's blocking connections: each wait on one ends when the call's time does.

httpcore's own give every step the same time anew, so that an answer which drips could go on for ever. Another thread
may cut a connection off, whoever waits on it then. No socket blocks by itself: what a signal's handler raises during a
wait, such as a time limit, is told from an error of the socket. Nothing here knows of HTTP or the API.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from math import ceil, inf
from time import monotonic
from traceback import walk_tb
from typing import Any, Final, TypeAlias, TypeVar

import httpcore

from .bell import Bell
from .secrecy import in_confidence
from .watch import CONNECT_TIMEOUT, Patience

__all__ = ["LONGEST_WAIT", "NEXT_ADDRESS", "Network", "has_input"]

T = TypeVar("T")
Address: TypeAlias = tuple[Any, Any, int, str, Any]  # as `socket.getaddrinfo` gives it

NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a host is tried beside the one before it (RFC 8305)."""

LONGEST_WAIT: Final = 0.1 if sys.platform == "win32" else 3_600.0
"""Seconds that one wait takes at most, before it is begun again: on Windows Ctrl-C interrupts none."""

SENT_TOGETHER: Final = 2**16
"""Bytes of a head and a body up to which they are sent together; to copy more costs more than another system call."""

_TO_READ: Final = getattr(select, "POLLIN", 1)
_TO_WRITE: Final = getattr(select, "POLLOUT", 4)
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}


class Network(httpcore.NetworkBackend):
    """Where one connection gets its socket from, and how that is waited for and cut off.

    Attributes:
        patience: How long the call may still wait that uses the connection now.
        is_connecting: Whether the connection is still to come about, so that no request has left.
        has_unsent: Whether something was written that has not left yet.
    """

    patience: Patience

    def __init__(self) -> None:
        self.is_connecting: bool = False
        self.has_unsent: bool = False
        self._is_cut = False
        self._sockets: list[socket.socket] = []
        self._has_looked_up = Bell()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # `patience` and CONNECT_TIMEOUT say how long
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Connect to that address of a host which answers first."""
        self.is_connecting = True
        latest = monotonic() + CONNECT_TIMEOUT
        connected = self._first_to_answer(self._addresses(host, port, latest), latest)
        self.is_connecting = False
        return _Stream(self, connected)

    def secured(self, plain: socket.socket, context: ssl.SSLContext, server: str | None) -> httpcore.NetworkStream:
        """Shake hands for TLS."""
        self.is_connecting = True
        latest = monotonic() + CONNECT_TIMEOUT
        try:
            secure = context.wrap_socket(plain, server_hostname=server, do_handshake_on_connect=False)
            self._hold(secure)
            self.when_ready(secure, secure.do_handshake, _TO_READ, at_once=True, latest=latest)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and _is_of_a_socket(error):
                raise _not_connected(error) from error
            raise
        self.is_connecting = False
        return _Stream(self, secure)

    def when_ready(
        self, one: socket.socket, operation: Callable[[], T], event: int, *, at_once: bool, latest: float = inf
    ) -> T:
        """Do something with a socket as soon as that can be done.

        Args:
            one: The socket.
            operation: What to do.
            event: What a plain socket has to be waited for to come to.
            at_once: Whether to try before waiting.
            latest: When to give up, by the monotonic clock, if the call's time is not up before.

        Raises:
            Silence: No sign of life came for too long.
            OutOfTime: The call took too long.
            OSError: The socket's own, or it was given up.
        """
        if not at_once:
            self._wait_for([one], event, latest)
        while True:
            try:
                return operation()
            except BlockingIOError:
                awaited = event
            except ssl.SSLWantReadError:
                awaited = _TO_READ
            except ssl.SSLWantWriteError:
                awaited = _TO_WRITE
            self._wait_for([one], awaited, latest)

    def cut(self) -> None:
        """Cut the connection off, from any thread: whoever waits on it finds that it has ended."""
        self._is_cut = True
        self._has_looked_up.ring()
        for each in [*self._sockets]:
            with suppress(OSError):
                # Not the method of a TLS socket, which first makes a plain one of it: what is written next would leave
                # in the clear.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket, or those that were tried."""
        for each in self._sockets:
            each.close()

    def _hold(self, held: socket.socket) -> None:
        self._sockets = [held]
        if self._is_cut:  # after, so that it is either seen here or there
            raise ConnectionAbortedError("cut off")

    def _wait_for(self, some: list[socket.socket], event: int, latest: float) -> list[socket.socket]:
        """Wait until one of some sockets is ready; none is where this was cut off meanwhile."""
        while True:
            left = min(self.patience.left(), latest - monotonic())
            if left <= 0:
                raise TimeoutError("timed out")
            ready = _ready(some, event, min(left, LONGEST_WAIT))
            if ready or self._is_cut:
                return ready

    def _addresses(self, host: str, port: int, latest: float) -> list[Address]:
        with suppress(socket.gaierror):  # then it is a name
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

        found: list[list[Address] | OSError] = []

        def look_up() -> None:
            try:
                found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except OSError as error:
                found.append(error)
            finally:
                self._has_looked_up.ring()

        # Nothing interrupts a look-up, so it is left to a thread, which may outlast the call.
        try:
            threading.Thread(target=look_up, name="look-up of a name", daemon=True).start()
        except RuntimeError:  # there are too many, or the interpreter is about to end
            look_up()
        while not found:
            left = min(self.patience.left(), latest - monotonic())
            if left <= 0 or self._is_cut:
                raise httpcore.ConnectTimeout("the look-up of the name timed out")
            self._has_looked_up.wait(min(left, LONGEST_WAIT))
        if isinstance(found[0], OSError):
            raise _not_connected(found[0])
        return found[0]

    def _first_to_answer(self, addresses: list[Address], latest: float) -> socket.socket:
        """Try addresses, each a little after the one before, or as soon as that has failed."""
        failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        try:
            for address in [*addresses, None]:
                try:
                    if address is not None:
                        self._sockets.append(_begun(address))
                    elif not self._sockets:
                        break
                    # Those before the last are waited for beside it, and when none is left to begin with.
                    return self._connected(latest if address is None else min(latest, monotonic() + NEXT_ADDRESS))
                except OSError as error:
                    if not _is_of_a_socket(error):
                        raise
                    failure = error
        except BaseException:
            self.close()
            raise
        self.close()
        raise _not_connected(failure) from failure

    def _connected(self, latest: float) -> socket.socket:
        failure: OSError = ConnectionAbortedError("cut off")
        while self._sockets and not self._is_cut:
            for each in self._wait_for(self._sockets, _TO_WRITE, latest):
                self._sockets.remove(each)
                failed = each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not failed:
                    self.close()
                    self._hold(each)
                    return each
                each.close()
                failure = OSError(failed, os.strerror(failed))
        raise failure


class _Stream(httpcore.NetworkStream):
    """A socket as httpcore takes it; the times that httpcore names are not looked at.

    What is written leaves when something is to be read: a head and its body together, in one system call.
    """

    def __init__(self, network: Network, connected: socket.socket) -> None:
        self._network = network
        self._socket = connected
        self._unsent: list[memoryview] = []  # which show no key, whoever shows variables

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        if self._unsent:
            self._send()
        is_pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        receive = partial(self._socket.recv, max_bytes)
        try:
            return self._network.when_ready(self._socket, receive, _TO_READ, at_once=is_pending)
        except OSError as error:
            if not _is_of_a_socket(error):
                raise
            raise httpcore.ReadError(str(error)) from error

    @in_confidence
    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._unsent.append(memoryview(buffer))
        self._network.has_unsent = True

    def close(self) -> None:
        self._network.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return self._network.secured(self._socket, ssl_context, server_hostname)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # of a connection that nobody uses, so that it can only be its end
            return self._socket.fileno() < 0 or has_input(self._socket)
        return self._socket if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket) else None

    def _send(self) -> None:
        self._network.has_unsent = False
        if sum(map(len, self._unsent)) <= SENT_TOGETHER:
            self._unsent = [memoryview(b"".join(self._unsent))]
        try:
            while self._unsent:
                sent = self._network.when_ready(
                    self._socket, partial(self._socket.send, self._unsent[0]), _TO_WRITE, at_once=True
                )
                self._unsent[:1] = [self._unsent[0][sent:]] if sent < len(self._unsent[0]) else []
        except OSError as error:
            if not _is_of_a_socket(error):
                raise
            self._unsent.clear()  # whoever hangs up early may have answered before
        else:
            self._network.patience.hear()


def has_input(one: socket.socket) -> bool:
    """Whether something has come on a socket, or it has ended."""
    return bool(_ready([one], _TO_READ, 0))


def _begun(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    new = socket.socket(family, kind, protocol)
    new.setblocking(False)
    new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    failed = new.connect_ex(where)
    if failed not in _UNDER_WAY:
        new.close()
        raise OSError(failed, os.strerror(failed))
    return new


def _ready(some: list[socket.socket], event: int, seconds: float) -> list[socket.socket]:
    """Wait until one of some sockets is ready, and give those that are."""
    if not hasattr(select, "poll"):  # pragma: no cover  # on Windows, where what could not connect is exceptional
        reads, writes = (some, []) if event == _TO_READ else ([], some)
        found = select.select(reads, writes, writes, seconds)
        return [each for each in some if any(each in ready for ready in found)]
    poll = select.poll()
    for each in some:
        poll.register(each, event)
    numbers = {number for number, _ in poll.poll(ceil(seconds * 1_000))}
    return [each for each in some if each.fileno() in numbers]


def _not_connected(error: OSError) -> httpcore.ConnectError | httpcore.ConnectTimeout:
    kind = httpcore.ConnectTimeout if isinstance(error, TimeoutError) else httpcore.ConnectError
    return kind(str(error))


def _is_of_a_socket(error: OSError) -> bool:
    """Whether an error was raised where sockets are used, and not by a signal's handler that came between."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return all(frame.f_globals.get("__name__") in {__name__, "socket", "ssl"} for frame in frames)
