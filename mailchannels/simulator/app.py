"""The HTTP face: which path leads to which handler, who may call, how often, and what is counted.

It knows no endpoint beyond its path. A new group of endpoints is a file with `ROUTES`, and one more name in
`create_app`.
"""

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal, cast
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import domains, hybridbox, lists, mishaps, service, users
from .calls import Answer, Call, Handler, header, path_segments, query_values, reply
from .checks import Refused
from .faults import Fault, Faults
from .records import Customer
from .state import State

BASE_PATH = "/inbound/v1"
SERVER_HEADER = (b"server", b"mailchannels-simulator")

BulkDownstreamKey = Literal["both", "downstreamAddress", "downstreamAddresses"]

_BULK_DOWNSTREAM_KEYS = {
    "both": ("downstreamAddresses", "downstreamAddress"),
    "downstreamAddress": ("downstreamAddress",),
    "downstreamAddresses": ("downstreamAddresses",),
}

_logger = logging.getLogger("mailchannels.simulator")


class Traffic:
    """What has been received and answered.

    `requests` is a count, and `recent` has the last 10,000 answers, each a tuple of the method, the path as it was sent
    (still escaped), the query and the status. `seen` counts the requests that were read to their end, `applied` those
    of them that succeeded, whatever became of the answer; both by method and path template, such as
    `("DELETE", "/inbound/v1/domains/{domain}")`.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.recent: deque[tuple[str, str, str, int]] = deque(maxlen=10_000)
        self.seen: Counter[tuple[str, str]] = Counter()
        self.applied: Counter[tuple[str, str]] = Counter()


def create_app(
    state: State,
    *,
    latency: float = 0.0,
    rate_limit: float | None = None,
    bulk_downstream_key: BulkDownstreamKey = "both",
    faults: Faults | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """Make the ASGI application that answers the Inbound API, and HybridBox beside it, from `state`.

    Args:
        state: What it keeps; it may be shared by several applications.
        latency: How long each answer is held back, in seconds. Default 0.
        rate_limit: How many requests a customer may make within any one second, at least 1. Default None, no limit.
        bulk_downstream_key: Which key of a bulk item carries the downstream addresses. Default both.
        faults: What goes wrong, and how often. Default nothing. Most of them need a connection, so a `Simulator`.
        clock: Seconds that never run backwards, for the rate limit and the faults. Default the monotonic clock.

    Returns:
        The application; its `state.traffic` is a `Traffic`.

    Raises:
        ValueError: The latency is negative, the rate limit is less than 1, or the key is not one of the three.

    Example:
        >>> import httpx
        >>> transport = httpx.ASGITransport(create_app(State()))
        >>> client = httpx.AsyncClient(transport=transport, base_url="http://simulator")
    """
    if not isinstance(faults, Faults | None):
        raise TypeError(f"faults must be Faults, not {type(faults).__name__}; use Faults.parse(...) for a text")
    if latency < 0:
        raise ValueError("latency must be 0 or more seconds")
    if rate_limit is not None and rate_limit < 1:
        raise ValueError("rate_limit must be at least 1 request per second")
    if bulk_downstream_key not in _BULK_DOWNSTREAM_KEYS:
        raise ValueError(f"bulk_downstream_key must be one of {', '.join(_BULK_DOWNSTREAM_KEYS)}")
    traffic = Traffic()
    limiter = None if rate_limit is None else _Limiter(int(rate_limit), clock)
    keys = _BULK_DOWNSTREAM_KEYS[bulk_downstream_key]
    inbound = [
        (method, BASE_PATH + path, _inbound(handler, state, limiter, keys))
        for group in (domains.ROUTES, lists.ROUTES, users.ROUTES, service.ROUTES)
        for method, path, handler in group
    ]
    mailboxes = [
        (method, hybridbox.BASE_PATH + path, hybridbox.answers(handler, state.hybridbox))
        for method, path, handler in hybridbox.ROUTES
    ]

    def choose(method: str, path: str) -> Fault | None:
        return None if faults is None else faults.choose(method, path, clock())

    app = Starlette(
        routes=[
            Route(
                path,
                _Endpoint((method, path), answer, lock=state.lock, latency=latency, traffic=traffic, choose=choose),
                methods=[method],
            )
            for method, path, answer in (*inbound, *mailboxes)
        ],
        middleware=[Middleware(_Gate, traffic=traffic)],
        exception_handlers={HTTPException: _no_such_route},
    )
    app.router.redirect_slashes = False
    app.state.traffic = traffic
    return app


class _Limiter:
    """A sliding window of one second for each customer; a request that is turned away does not count."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._windows: dict[Customer, deque[float]] = {}

    def admits(self, customer: Customer) -> bool:
        window = self._windows.get(customer)
        if window is None:
            window = self._windows[customer] = deque(maxlen=self._limit)
        now = self._clock()
        if len(window) == self._limit and now - window[0] < 1.0:
            return False
        window.append(now)
        return True


class _Gate:
    """Counts each request, names the server in each answer, and routes by the path as it was sent.

    Routing by the escaped path keeps `%2F` inside its segment; the segments are decoded afterwards, once.
    """

    def __init__(self, app: ASGIApp, traffic: Traffic) -> None:
        self._app = app
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raw_path: bytes | None = scope.get("raw_path")
        path = quote(scope["path"]) if raw_path is None else raw_path.decode("latin-1")
        self._traffic.requests += 1

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                # What a fault has spoilt is named already, by another name.
                if not any(name == b"server" for name, _ in message["headers"]):
                    message["headers"] = [*message["headers"], SERVER_HEADER]
                query = scope["query_string"].decode("latin-1")
                self._traffic.recent.append((scope["method"], path, query, message["status"]))
            await send(message)

        await self._app({**scope, "path": path}, receive, send_named)


def _inbound(handler: Handler, state: State, limiter: _Limiter | None, bulk_downstream_keys: tuple[str, ...]) -> Answer:
    """Make a handler of the Inbound API into what answers a request: authenticate, limit the rate, read."""

    def answer(scope: Scope, body: bytes) -> Response:
        key = header(scope, b"x-api-key")
        customer = state.owner_of(key)
        if limiter is not None and not limiter.admits(customer):
            return mishaps.too_busy()
        return handler(
            Call(path_segments(scope), query_values(scope), body, state, customer, key, bulk_downstream_keys)
        )

    return answer


class _Endpoint:
    """One method of one path: reads the request, counts it, has it answered, holds the answer back or spoils it."""

    def __init__(
        self,
        operation: tuple[str, str],
        answer: Answer,
        *,
        lock: threading.RLock,
        latency: float,
        traffic: Traffic,
        choose: Callable[[str, str], Fault | None],
    ) -> None:
        self._operation = operation
        self._choose = choose
        self._answer = answer
        self._lock = lock
        self._latency = latency
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            return
        self._traffic.seen[self._operation] += 1
        fault = self._choose(scope["method"], scope["path"])
        if fault is not None and await mishaps.instead(fault, scope, receive, send):
            return
        response = self._apply(scope, body)
        # A front proxy that turns a request away does so at once.
        if self._latency and response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            await asyncio.sleep(self._latency)
        if fault is None:
            await response(scope, receive, send)
        else:
            await mishaps.answer(fault, response, scope, receive, send)

    def _apply(self, scope: Scope, body: bytes) -> Response:
        try:
            with self._lock:
                response = self._answer(scope, body)
        except Refused as refusal:
            return reply(refusal.status, refusal.body())
        except Exception:
            _logger.exception("an endpoint of the simulator failed")
            return reply(500, Refused(500, "the simulator failed").body())
        if response.status_code < HTTPStatus.BAD_REQUEST:
            self._traffic.applied[self._operation] += 1
        return response


async def _read(receive: Receive) -> bytes | None:
    """Read the whole body, even an unused one, to keep the connection usable; None when the caller has gone."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _no_such_route(_request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    response = reply(refused.status_code, Refused(refused.status_code, refused.detail).body())
    response.headers.update(refused.headers or {})
    return response
