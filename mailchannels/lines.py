"""How bytes reach the server in the thread that calls, by way of httpcore's blocking connections, httpx's own engine.

It is to `run_inline` what `connections` is to an event loop: an answer is waited for on the socket, so no other thread
has to be woken for it, and Ctrl-C strikes where it waits. Its coroutines never wait for an event loop. Nothing here
knows of JSON, retries or the API.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import lru_cache
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit
from weakref import WeakSet, ref

import httpcore
import httpx
from attrs import define, field

from .bell import Bell
from .bodies import Decoder, NoBodyError
from .environment import certificates, no_certificates, proxy_for
from .errors import ConfigurationError, RequestTimeout
from .failures import lost, not_connected, silent, stalled, unreadable
from .inline import is_nested
from .messages import Reply, Request, Turn, content_of
from .network import LONGEST_WAIT, Network
from .watch import LONGEST_IDLE, Patience, Silence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Lines"]

LOOK_AGAIN: Final = min(1.0, LONGEST_WAIT)
"""Seconds after which whoever waits for a turn looks by itself: Ctrl-C may have struck before it was told."""

_FIRST_ERROR: Final = 400

# httpx's own are raised by what stands in for a connection in a program's tests.
_NOT_CONNECTED: Final = (httpcore.ConnectError, httpcore.ConnectTimeout, httpx.ConnectError, httpx.ConnectTimeout)
_STALLED: Final = (httpcore.ReadTimeout, httpcore.WriteTimeout, httpx.ReadTimeout, httpx.WriteTimeout)
_LOST: Final = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpx.TransportError)


@define(eq=False)
class _Line:
    """One connection, and the network below it."""

    connection: httpcore.HTTPConnection
    network: Network
    idle_since: float = field(init=False, default=0.0)

    @classmethod
    def to(cls, url: httpcore.URL) -> Self:
        network = Network()
        # Plain HTTP, which only reaches loopback, needs no certificates, and loading them is slow.
        context = certificates() if url.scheme == b"https" else no_certificates()
        return cls(httpcore.HTTPConnection(url.origin, context, network_backend=network), network)


class _Surplus(Exception):
    """A connection held more than was asked for, which must not be taken for the answer to another request."""


class Lines:
    """At most `limit` connections to one server, each used by one thread at a time.

    Attributes:
        base_url: What the address of every request begins with.
    """

    def __init__(self, *, base_url: str, headers: Mapping[str, str], limit: int) -> None:
        self.base_url = base_url
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._limit = limit
        self._reach: bool | None = None
        self._idle: deque[_Line] = deque()
        self._busy: set[_Line] = set()
        # The handler of a signal may make a call while another is under way in its thread.
        self._lock = threading.RLock()
        self._turns: WeakSet[Turn] = WeakSet()  # one that Ctrl-C keeps from its `with` comes back as it is collected
        self._waiting: deque[ref[Bell]] = deque()  # those that are gone wait no more
        self._sleeping: set[Bell] = set()
        self._is_closed = False

    @property
    def reach(self) -> bool:
        """Whether they reach the server, which is not so where the environment names a proxy for it.

        Raises:
            ConfigurationError: The proxy is none that can be used.
        """
        if self._reach is None:
            url = urlsplit(self.base_url)
            self._reach = proxy_for(url.scheme, url.hostname or "") is None
        return self._reach

    async def permit(self, patience: float | None) -> Turn:
        """Wait for leave to send, which is given in the order of asking.

        Raises:
            RequestTimeout: None came.
            ConfigurationError: This is closed.
        """
        turn = Turn(self._give_back, patience)
        with self._lock:
            self._hold_open("this client is closed; create another one")
            # What a signal's handler has interrupted goes on only after its call, which must not wait for that.
            if is_nested() or (self._next_waiting() is None and len(self._turns) < self._limit):
                self._turns.add(turn)
                return turn
        bell, started = Bell(), monotonic()
        place = ref(bell)
        try:
            with self._lock:
                self._waiting.append(place)
            while not self._is_next(bell, turn):
                left = inf if patience is None else patience - (monotonic() - started)
                if left <= 0:
                    raise RequestTimeout(
                        f"all {self._limit} connections stayed busy for the queue_timeout of {patience:g} s;"
                        " nothing sent",
                        maybe_applied=False,
                    )
                bell.wait(min(left, LOOK_AGAIN))
        finally:
            del bell  # which takes it out of the queue, also where Ctrl-C strikes first
            self._leave(place)
        if patience is not None:
            turn.patience = max(0.0, patience - (monotonic() - started))
        return turn

    async def exchange(self, request: Request, longest: float = inf, longest_silence: float = inf) -> Reply:
        """Send a request and read its answer, as a `Carrier` does.

        Raises:
            ConfigurationError: This was closed meanwhile.
        """
        url, host = _url(self.base_url + request.url)
        line = self._idle_line() or _Line.to(url)
        whole = False
        try:
            line.network.patience = Patience(longest, longest_silence)
            self._busy.add(line)
            with suppress(Silence):
                self._hold_open()  # after: whoever closes this has either seen the line or is seen
                reply = self._exchange(line, request, url, host)
                whole = True
        finally:
            self._busy.discard(line)
            if whole and line.connection.is_idle():
                line.idle_since = monotonic()
                self._idle.append(line)
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
        bell, latest = Bell(), monotonic() + seconds
        try:
            self._sleeping.add(bell)
            self._hold_open()
            while (left := latest - monotonic()) > 0:
                bell.wait(min(left, LONGEST_WAIT))
                self._hold_open()
        finally:
            self._sleeping.discard(bell)

    def close(self) -> None:
        """Close every connection, and cut off those that are in use: their calls end with a `ConfigurationError`."""
        self._is_closed = True
        for bell in filter(None, [*(each() for each in [*self._waiting]), *self._sleeping]):
            bell.ring()
        for line in [*self._busy]:
            line.network.cut()
        self._close_long_idle()

    def _exchange(self, line: _Line, request: Request, url: httpcore.URL, host: bytes) -> Reply:
        request.sent = True
        request.answered = False
        network = line.network
        try:
            response = line.connection.handle_request(
                httpcore.Request(request.method, url, headers=self._headers_of(request, host), content=_body(request))
            )
            try:
                if network.has_unsent:
                    raise not_connected(_Surplus("it held an answer to no request"), self.base_url)
                network.patience.hear()
                request.answered = True
                reply = _read(response, request, network.patience)
            finally:
                response.close()
        except _NOT_CONNECTED as error:
            self._hold_open()
            raise not_connected(error, self.base_url) from error
        except _STALLED as error:
            raise stalled(request) from error
        except _LOST as error:
            self._hold_open()
            raise lost(error, request) from error
        finally:
            request.sent = not (network.is_connecting or network.has_unsent)
        if not {"content-length", "transfer-encoding"} & reply.headers.keys():
            self._hold_open()  # the end of the connection is that of the body
        return reply

    def _headers_of(self, request: Request, host: bytes) -> list[tuple[bytes, bytes]]:
        # No variable holds them: a traceback that shows variables must not show a key.
        if request.body is not None:
            length = b"%d" % len(content_of(request.body))
            return [
                (b"Host", host),
                *self._headers,
                (b"Content-Type", b"application/json"),
                (b"Content-Length", length),
            ]
        is_empty = [(b"Content-Length", b"0")] if request.method in {"POST", "PUT", "PATCH"} else []
        return [(b"Host", host), *is_empty, *self._headers]

    def _idle_line(self) -> _Line | None:
        while True:
            try:
                line = self._idle.pop()
            except IndexError:
                return None
            if not line.connection.has_expired():
                return line
            line.network.close()

    def _close_long_idle(self) -> None:
        """Close what a burst has left behind, which lies at the bottom; when this is closed, all."""
        with suppress(IndexError):  # there is none, or none any more
            while self._is_closed or monotonic() - self._idle[0].idle_since > LONGEST_IDLE:
                self._idle.popleft().network.close()

    def _is_next(self, bell: Bell, turn: Turn) -> bool:
        with self._lock:
            self._hold_open()
            if self._next_waiting() is not bell or len(self._turns) >= self._limit:
                return False
            self._turns.add(turn)
            return True

    def _leave(self, place: ref[Bell]) -> None:
        # By name: the traceback of Ctrl-C, or a thread that is just calling it, may hold the bell for longer.
        with self._lock, suppress(ValueError):
            self._waiting.remove(place)
        self._call_next()

    def _give_back(self, turn: Turn) -> None:
        self._turns.discard(turn)
        self._call_next()

    def _call_next(self) -> None:
        waiting = self._next_waiting()
        if waiting is not None:
            waiting.ring()

    def _next_waiting(self) -> Bell | None:
        with self._lock:
            while self._waiting and self._waiting[0]() is None:
                self._waiting.popleft()
            return self._waiting[0]() if self._waiting else None

    def _hold_open(self, otherwise: str = "the client was closed while this call was under way") -> None:
        if self._is_closed:
            raise ConfigurationError(otherwise)


def _body(request: Request) -> Iterator[bytes]:
    if request.body is not None:
        yield content_of(request.body)


def _read(response: httpcore.Response, request: Request, patience: Patience) -> Reply:
    headers = httpx.Headers(response.headers)
    pieces = response.iter_stream()
    body = Decoder(headers.get("content-encoding", "identity").lower())
    named = {name.lower(): value for name, value in headers.items()}
    try:
        # No variable holds a piece: a traceback that shows variables must not show a login link.
        with suppress(StopIteration):
            while True:
                body.take(memoryview(next(pieces)))
                patience.hear()
        return Reply(response.status, named, body.end())
    except NoBodyError as error:
        if response.status >= _FIRST_ERROR:
            return Reply(response.status, named, b"")  # the status says what matters
        raise unreadable(str(error), request, response.status) from None


@lru_cache(maxsize=256)
def _url(text: str) -> tuple[httpcore.URL, bytes]:
    """Parse an address, which takes longer than all else about a request, and give the server's name beside it."""
    url = httpx.URL(text)
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path), url.netloc
