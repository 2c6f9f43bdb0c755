"""How bytes reach the server in the thread that calls, by way of httpcore's blocking connections, httpx's own engine.

It is to `run_inline` what `connections` is to an event loop: an answer is waited for in the socket, so no other thread
has to be woken for it, and Ctrl-C strikes where it waits. Its coroutines never wait for an event loop. Nothing here
knows of JSON, retries or the API.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import cached_property, lru_cache
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit
from weakref import WeakSet

import httpcore
import httpx
from attrs import define, field

from .bodies import Decoder, NoBodyError
from .environment import certificates, no_certificates, proxy_for
from .errors import ConfigurationError, RequestTimeout
from .failures import lost, not_connected, silent, unreadable
from .messages import Reply, Request, content_of
from .network import LONGEST_WAIT, Network
from .watch import Patience, Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

__all__ = ["Lines"]

LONGEST_IDLE: Final = 60.0
"""Seconds that a connection lies unused before the next request that ends closes it."""

_FIRST_ERROR: Final = 400
_CLOSED: Final = "this client is closed; create another one"


@define(eq=False)
class _Turn:
    """Leave to use a connection; one that Ctrl-C keeps from its `with` is given back as Python collects it."""

    _lines: Lines
    patience: float | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lines._give_back(self)  # noqa: SLF001


@define(eq=False)
class _Line:
    """One connection, and the network below it."""

    connection: httpcore.HTTPConnection
    network: Network = field(factory=Network)

    @classmethod
    def to(cls, url: httpcore.URL) -> Self:
        network = Network()
        # Plain HTTP, which only reaches loopback, needs no certificates, and loading them is slow.
        context = certificates() if url.scheme == b"https" else no_certificates()
        return cls(httpcore.HTTPConnection(url.origin, context, network_backend=network), network)


class Lines:
    """At most `limit` connections to one server, each used by one thread at a time.

    Attributes:
        base_url: What the address of every request begins with.
    """

    def __init__(self, *, base_url: str, headers: Mapping[str, str], limit: int) -> None:
        self.base_url = base_url
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._limit = limit
        self._idle: list[tuple[float, _Line]] = []
        self._busy: set[_Line] = set()
        self._turns: WeakSet[_Turn] = WeakSet()
        self._lock = threading.Lock()
        self._one_is_free = threading.Condition(self._lock)
        self._end = threading.Condition(self._lock)
        self._is_closed = False

    @cached_property
    def reach(self) -> bool:
        """Whether they reach the server, which is not so where the environment names a proxy for it.

        Raises:
            ConfigurationError: The proxy is none that can be used.
        """
        url = urlsplit(self.base_url)
        return proxy_for(url.scheme, url.hostname or "") is None

    async def permit(self, patience: float | None) -> _Turn:
        """Wait for leave to send, at most `patience` seconds.

        Raises:
            RequestTimeout: None came.
            ConfigurationError: This is closed.
        """
        turn = _Turn(self, patience)
        with self._lock:
            if self._is_closed:
                raise ConfigurationError(_CLOSED)
            if len(self._turns) >= self._limit:
                started = monotonic()
                self._wait(self._one_is_free, patience, lambda: len(self._turns) < self._limit)
                if len(self._turns) >= self._limit:
                    raise RequestTimeout(
                        f"all {self._limit} connections stayed busy for the queue_timeout of {patience:g} s;"
                        " nothing sent",
                        maybe_applied=False,
                    )
                if patience is not None:
                    turn.patience = max(0.0, patience - (monotonic() - started))
            self._turns.add(turn)
        return turn

    async def exchange(self, request: Request, longest: float = inf, longest_silence: float = inf) -> Reply:
        """Send a request and read its answer, as `Connections.exchange` does.

        Raises:
            ConfigurationError: This was closed meanwhile.
        """
        url, host = _url(self.base_url + request.url)
        line = self._idle_line() or _Line.to(url)
        line.network.patience = Patience(longest, longest_silence)
        whole = False
        self._busy.add(line)
        try:
            with suppress(Silence):
                self._hold_open()  # after: who closes this has either seen the line or is seen
                reply = self._exchange(line, request, url, host)
                whole = True
        finally:
            self._busy.discard(line)
            if whole and line.connection.is_idle():
                self._idle.append((monotonic(), line))
                self._close_long_idle()
            else:
                line.network.close()
        if whole:
            return reply
        raise silent(request, self.base_url)

    async def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            ConfigurationError: This was closed meanwhile.
        """
        with self._lock:
            self._wait(self._end, seconds, lambda: False)

    def close(self) -> None:
        """Close every connection, and cut off those that are in use: their calls end with a `ConfigurationError`."""
        with self._lock:
            self._is_closed = True
            self._one_is_free.notify_all()
            self._end.notify_all()
        for line in [*self._busy]:
            line.network.cut()
        self._close_long_idle()

    def _exchange(self, line: _Line, request: Request, url: httpcore.URL, host: bytes) -> Reply:
        # Until the connection stands nothing has left.
        request.sent = line.network.has_opened
        request.answered = False
        try:
            try:
                response = line.connection.handle_request(self._httpcore_request(request, url, host, line.network))
                line.network.patience.hear()
                request.answered = True
                try:
                    return _read(response, request, line.network.patience)
                finally:
                    response.close()
            finally:
                request.sent = request.sent or line.network.has_opened
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            self._hold_open()
            raise not_connected(error, self.base_url) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            self._hold_open()
            raise lost(error, request) from error

    def _httpcore_request(self, request: Request, url: httpcore.URL, host: bytes, network: Network) -> httpcore.Request:
        content = content_of(request.body)
        headers = [(b"Host", host), *self._headers]
        if request.body is not None:
            headers += [(b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(content))]
        elif request.method in {"POST", "PUT", "PATCH"}:
            headers.append((b"Content-Length", b"0"))
        return httpcore.Request(request.method, url, headers=headers, content=_pieces(content, network))

    def _idle_line(self) -> _Line | None:
        while True:
            try:
                _, line = self._idle.pop()
            except IndexError:
                return None
            if not line.connection.has_expired():
                return line
            line.network.close()

    def _close_long_idle(self) -> None:
        """Close what a burst has left behind, little by little, as it lies at the bottom; when this is closed, all."""
        latest = monotonic() if self._is_closed else monotonic() - LONGEST_IDLE
        while True:
            try:
                since, line = self._idle.pop(0)
            except IndexError:
                return
            if since > latest:
                self._idle.insert(0, (since, line))
                return
            line.network.close()

    def _give_back(self, turn: _Turn) -> None:
        with self._lock:
            self._turns.discard(turn)
            self._one_is_free.notify()

    def _wait(self, condition: threading.Condition, patience: float | None, is_time: Callable[[], bool]) -> None:
        """Wait, holding the lock, until it is time, for so many seconds at most; None waits as long as it takes."""
        latest = inf if patience is None else monotonic() + patience
        while not is_time() and (left := latest - monotonic()) > 0:
            condition.wait(min(left, LONGEST_WAIT))
            self._hold_open()

    def _hold_open(self) -> None:
        if self._is_closed:
            raise ConfigurationError("the client was closed while this call was under way")


def _pieces(content: bytes, network: Network) -> Iterator[bytes]:
    """Give a body in one piece, and hear when it was taken."""
    if content:
        yield content
    network.patience.hear()


def _read(response: httpcore.Response, request: Request, patience: Patience) -> Reply:
    headers = httpx.Headers(response.headers)
    pieces = response.iter_stream()
    body = Decoder(headers.get("content-encoding", "identity").lower())
    content = b""
    try:
        # No variable holds a piece: a traceback that shows variables must not show a login link.
        with suppress(StopIteration):
            while True:
                body.take(next(pieces))
                patience.hear()
        content = body.end()
    except NoBodyError as error:
        if response.status < _FIRST_ERROR:  # of an error the status says what matters
            raise unreadable(str(error), request, response.status) from None
    return Reply(response.status, {name.lower(): value for name, value in headers.items()}, content)


@lru_cache(maxsize=256)
def _url(text: str) -> tuple[httpcore.URL, bytes]:
    """Parse an address as `connections` does; bulk calls have one for thousands."""
    url = httpx.URL(text)
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path), url.netloc
