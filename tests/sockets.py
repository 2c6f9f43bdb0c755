"""A server that misbehaves on purpose: raw bytes on a loopback socket, one behaviour for each request it reads.

It counts what it saw, so that a test can say how often a request really left.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    Behaviour = Callable[["RawServer", socket.socket], bool]
    """Answers one request in its own way; says whether the connection stays open."""

PATIENCE = 20.0
"""Seconds after which a test that waits for the server has failed."""

EMPTY_PAGE = {"domains": [], "total": 0}


class RawServer:
    """Reads requests and answers them by its behaviours in turn; the last one stays.

    With `tls` it shakes hands with the first `handshakes` connections, and meets any other with silence.

    Example:
        >>> with RawServer(reset(), answer(EMPTY_PAGE)) as server:
        ...     print(server.url)
    """

    def __init__(
        self,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
        handshakes: float = inf,
        pause_before_body: float = 0.0,
    ) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.stopped = threading.Event()
        self.released = threading.Event()
        self.latest: dict[socket.socket, bytes] = {}
        self._behaviours = behaviours
        self._tls = tls
        self._handshakes = handshakes
        self._pause = pause_before_body
        self._changed = threading.Condition()
        self._hang_ups = 0
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopped.set()
        self.released.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with self._changed:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [request.split(b"\r\n", 1)[0].decode() for request in self.requests]

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many requests have been read."""
        self._wait_until(lambda: len(self.requests) >= count, f"{count} requests")

    def wait_for_hang_ups(self, count: int) -> None:
        """Wait until the other side has closed so many connections while an answer was due."""
        self._wait_until(lambda: self._hang_ups >= count, f"{count} hang-ups")

    def wait_until_all_are_closed(self) -> None:
        """Wait until no connection is open."""
        self.wait_until_open(0)

    def wait_until_open(self, count: int) -> None:
        """Wait until no more connections than that are open."""
        self._wait_until(lambda: self.open <= count, f"no more than {count} open connections")

    def note_hang_up(self) -> None:
        """Count a connection that the other side has closed."""
        with self._changed:
            self._hang_ups += 1
            self._changed.notify_all()

    def _wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, PATIENCE), f"the server waited in vain for {what}"

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="raw-server", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                is_met = self.connections < self._handshakes
                self.connections += 1
                self.open += 1
                self.most_open = max(self.most_open, self.open)
                self._sockets.add(connection)
            self._start(self._serve if is_met else self._ignore, connection)

    def _ignore(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while connection.recv(2**16):
                pass
        self._let_go(connection, connection)
        if not self.stopped.is_set():
            self.note_hang_up()

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            while (request := _read_request(connection, lambda: self.stopped.wait(self._pause))) is not None:
                with self._changed:
                    number = len(self.requests)
                    self.requests.append(request)
                    self.latest[connection] = request
                    self._changed.notify_all()
                if not self._behaviours[min(number, len(self._behaviours) - 1)](self, connection):
                    break
        except OSError:
            pass
        finally:
            self._let_go(connection, plain)

    def _let_go(self, connection: socket.socket, plain: socket.socket) -> None:
        connection.close()
        with self._changed:
            self._sockets.discard(plain)
            self.latest.pop(connection, None)
            self.open -= 1
            self._changed.notify_all()


def answer(
    document: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None, close: bool = False
) -> Behaviour:
    """Answer in good order; bytes are sent as they are, anything else as JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def behave(_: RawServer, connection: socket.socket) -> bool:
        connection.sendall(_head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body)
        return not close

    return behave


def answering(document_of: Callable[[bytes], Any]) -> Behaviour:
    """Answer each request with what a function makes of it."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        return answer(document_of(server.latest[connection]))(server, connection)

    return behave


def when_released(behaviour: Behaviour) -> Behaviour:
    """Hold an answer back until the test sets `released`."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        server.released.wait(PATIENCE)
        return behaviour(server, connection)

    return behave


def releasing(behaviour: Behaviour) -> Behaviour:
    """Set `released` first."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        server.released.set()
        return behaviour(server, connection)

    return behave


def in_groups_of(count: int, behaviour: Behaviour) -> Behaviour:
    """Hold answers back until so many requests are waiting for theirs."""
    gate = threading.Barrier(count)

    def behave(server: RawServer, connection: socket.socket) -> bool:
        with suppress(threading.BrokenBarrierError):
            gate.wait(PATIENCE)
        return behaviour(server, connection)

    return behave


def reset() -> Behaviour:
    """Reset the connection instead of answering."""

    def behave(_: RawServer, connection: socket.socket) -> bool:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return behave


def hang_up() -> Behaviour:
    """Close the connection in good order instead of answering."""
    return lambda _, __: False


def truncated() -> Behaviour:
    """Promise a hundred bytes, send ten and close."""

    def behave(_: RawServer, connection: socket.socket) -> bool:
        connection.sendall(_head(200, {"Content-Length": "100"}) + b'{"domains"')
        return False

    return behave


def stall() -> Behaviour:
    """Say nothing until the other side hangs up."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        with suppress(OSError):
            connection.recv(1)
        if not server.stopped.is_set():
            server.note_hang_up()
        return False

    return behave


def falling_silent() -> Behaviour:
    """Promise a hundred bytes, send ten, and say nothing until the other side hangs up."""
    silence = stall()

    def behave(server: RawServer, connection: socket.socket) -> bool:
        connection.sendall(_head(200, {"Content-Length": "100"}) + b'{"domains"')
        return silence(server, connection)

    return behave


def drip() -> Behaviour:
    """Send a body one byte at a time, which keeps every timeout that counts from read to read from running out."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        connection.sendall(_head(200, {"Content-Length": "100000"}))
        try:
            while not server.stopped.wait(0.01):
                connection.sendall(b" ")
        except OSError:
            server.note_hang_up()
        return False

    return behave


def hesitating(document: Any, *, before_head: float, before_pieces: Sequence[float] = (0.0,)) -> Behaviour:
    """Answer in pieces, and pause before the head and before each of them."""
    body = json.dumps(document).encode()
    length = -(-len(body) // len(before_pieces))

    def behave(server: RawServer, connection: socket.socket) -> bool:
        server.stopped.wait(before_head)
        connection.sendall(_head(200, {"Content-Length": str(len(body))}))
        for place, seconds in enumerate(before_pieces):
            server.stopped.wait(seconds)
            connection.sendall(body[place * length :][:length])
        return True

    return behave


def endless() -> Behaviour:
    """Send a body that never ends."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        connection.sendall(_head(200, {"Transfer-Encoding": "chunked"}))
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            while not server.stopped.is_set():
                connection.sendall(chunk)
        except OSError:
            server.note_hang_up()
        return False

    return behave


@contextmanager
def refusing_port() -> Iterator[int]:
    """Give a port of the loopback interface that is taken, by a socket that listens to nobody."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def refusing_url() -> Iterator[str]:
    """Give an address that nobody listens to."""
    with refusing_port() as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def swallowing_port() -> Iterator[int]:
    """Give a port of the loopback interface that lets whoever connects wait for ever: its queue is full."""
    with ExitStack() as full, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            queued = full.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _read_request(connection: socket.socket, pause: Callable[[], object]) -> bytes | None:
    received = bytearray()
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0].partition(b":")[2]) - len(body) if lengths else 0
    pause()
    while missing > 0:
        piece = connection.recv(65_536)
        if not piece:
            return None
        received += piece
        missing -= len(piece)
    return bytes(received)
