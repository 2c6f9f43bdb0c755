"""One call: wait for its turn, send it, repeat it where that is safe, and give the answer or raise.

Everything an endpoint has in common with the others is here, once: escaping, the deadline, retries, errors. It does not
know which endpoints there are, and what carries requests, `connections` or `lines`, does not know what a retry is.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from math import inf
from time import monotonic
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from . import checks
from .answers import Answer
from .errors import (
    APIError,
    ConnectError,
    ConnectionStalled,
    NotFound,
    RateLimited,
    RequestError,
    RequestTimeout,
)
from .inline import is_inline
from .messages import Body, Carrier, Reply, Request
from .pacing import RetryBudget, Statistics, back_off
from .refusals import Refusals
from .watch import OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .connections import Connections
    from .lines import Lines
    from .pacing import Pacer

T = TypeVar("T")

REPEATED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
REFUSED_UNREAD: Final = frozenset({429, 503})
"""Statuses that say the request was turned away: not even a call that must not be repeated has taken effect."""
LONGEST_RETRY_AFTER: Final = 60.0
SHARE_OF_SILENCE: Final = 2 / 3
"""Of the time that is left, how much a server may be silent for before it is asked again, once a call; see `watch`."""

Query = bool | int | str | list[str] | None


class Transport:
    """Sends the calls of one client, be it from an event loop or from threads that block."""

    def __init__(
        self,
        connections: Connections,
        *,
        open_lines: Callable[[], Lines] | None,
        pacer: Pacer | None,
        timeout: float,
        queue_timeout: float | None,
        max_retries: int,
        secret: str,
    ) -> None:
        self._connections = connections
        self._open_lines = open_lines
        self._lines: Lines | None = None
        self._has_hung_up = False
        self._lock = threading.RLock()  # a signal's handler may make a call while another is under way in its thread
        self.pacer = pacer
        self._timeout = timeout
        self._queue_timeout = queue_timeout
        self._refusals = Refusals(secret)
        self.max_retries = max_retries
        self.budget: RetryBudget = RetryBudget()
        self.statistics: Statistics = Statistics()

    async def send(
        self,
        method: str,
        template: str,
        segments: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Query] | None = None,
        body: Body = None,
        returns: type[T],
        repeatable: bool = True,
        timeout: float | None = None,
        patient: bool = False,
        on_attempt: Callable[[], None] | None = None,
    ) -> T:
        """Make one call and read its answer; `returns=NoneType` where none is promised."""
        answer = await self.request(
            method,
            template,
            segments,
            query=query,
            body=body,
            repeatable=repeatable,
            timeout=timeout,
            patient=patient,
            on_attempt=on_attempt,
        )
        if returns is NoneType:
            answer.read_nothing()
            return None  # type: ignore[return-value]
        return answer.read(returns)

    async def request(
        self,
        method: str,
        template: str,
        segments: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, Query] | None = None,
        body: Body = None,
        repeatable: bool = True,
        timeout: float | None = None,
        patient: bool = False,
        on_attempt: Callable[[], None] | None = None,
    ) -> Answer:
        """Make one call.

        Args:
            method: The HTTP method.
            template: The path below the API's root, with `{name}` for each segment to fill in.
            segments: The segments' values; each stays one segment whatever it contains.
            query: Query parameters; None leaves one out, a list is joined with commas.
            body: The JSON document to send, a `Secret` where it holds a credential.
            repeatable: Whether a second application would change nothing.
            timeout: Seconds for the request and its repeats; None takes the client's.
            patient: Whether to wait for its turn as long as it takes, since a bulk call must not fail for its own
                queue, and to outlast an outage, as far as the timeout and the retry budget allow.
            on_attempt: Called each time the request is sent, its repeats included.

        Raises:
            RequestError: No answer.
            UnexpectedResponse: An answer that is neither a success nor an error of the API.
            APIError: The API said no.
        """
        path = template
        if segments:
            path = template.format_map({name: quote(value, safe="") for name, value in segments.items()})
        request = Request(method, path, path + _query_string(query), body)
        allowed = checks.seconds("timeout", timeout) or self._timeout
        carrier: Carrier = self._connections
        if self._lines is not None and is_inline(self._lines):
            carrier = self._lines
        with await carrier.permit(None if patient else self._queue_timeout) as turn:
            await self._wait_turn(carrier, turn.patience)
            with suppress(OutOfTime):
                deadline = monotonic() + allowed
                return await self._attempts(
                    carrier, request, deadline, on_attempt, repeatable=repeatable, patient=patient
                )
        late = f"{method} {path}: no answer within the timeout of {allowed:g} s"
        if request.sent and not request.answered:
            raise ConnectionStalled(late)
        error = RequestTimeout(late, maybe_applied=request.sent)
        error.maybe_applied = error.maybe_applied or request.in_doubt
        raise error

    async def _attempts(
        self,
        carrier: Carrier,
        request: Request,
        deadline: float,
        on_attempt: Callable[[], None] | None,
        *,
        repeatable: bool,
        patient: bool,
    ) -> Answer:
        attempt = 0
        has_stalled = False
        while True:
            attempt += 1
            failure: RequestError | APIError
            with self._lock:
                self.statistics.requests += 1
            if on_attempt is not None:
                on_attempt()
            sent = monotonic()
            # A server that says nothing must leave time for another attempt, once, where there can be one.
            may_repeat = repeatable and not has_stalled and attempt <= self.max_retries and self.budget.is_left
            longest = deadline - sent
            try:
                reply = await carrier.exchange(request, longest, longest * SHARE_OF_SILENCE if may_repeat else inf)
            except ConnectError as error:
                failure, repeat, leaves_doubt = error, error.retryable, False
            except RequestError as error:
                failure, repeat, leaves_doubt = error, repeatable, error.maybe_applied
            else:
                self._heed(reply, sent)
                if reply.status < 300:  # noqa: PLR2004
                    self.budget.earn()
                    return Answer(request, reply)
                failure = self._refusals.error(request, reply)
                repeat = reply.status in REFUSED_UNREAD or (repeatable and reply.status in REPEATED_STATUSES)
                leaves_doubt = reply.status in REPEATED_STATUSES - REFUSED_UNREAD
            failure.maybe_applied = failure.maybe_applied or request.in_doubt
            request.in_doubt = request.in_doubt or leaves_doubt
            request.sent = False
            # Many wait behind a bulk call's request, and an outage outlasts three repeats: what was turned away is
            # repeated until the deadline or the budget says no.
            endures = patient and self.max_retries > 0 and isinstance(failure, RateLimited)
            if not repeat or not (endures or attempt <= self.max_retries):
                raise failure
            has_stalled = has_stalled or isinstance(failure, RequestTimeout)
            # Another attempt takes about as long, unless all of that was silence.
            needed = 0.0 if isinstance(failure, RequestTimeout) else monotonic() - sent
            if not await self._wait(carrier, failure, attempt, deadline - needed):
                raise failure

    async def _wait(self, carrier: Carrier, failure: RequestError | APIError, attempt: int, latest: float) -> bool:
        """Wait before the next attempt, or say at once that it would come too late or too often."""
        asked = failure.retry_after if isinstance(failure, APIError) else None
        if asked is not None and asked > LONGEST_RETRY_AFTER:
            return False
        # The silence of a server was pause enough.
        wait = 0.0 if isinstance(failure, RequestTimeout) else asked or back_off(attempt)
        if monotonic() + wait >= latest or not self.budget.spend():
            return False
        await self._sleep(carrier, wait)
        left = latest - monotonic()
        if left <= 0:  # a busy event loop, or machine, has let it sleep for longer
            return False
        try:
            await self._wait_turn(carrier, left)
        except RequestTimeout:
            return False
        with self._lock:
            self.statistics.retries += 1
        return True

    async def pause(self, attempt: int) -> None:
        """Wait before a part of a bulk call is tried for another time."""
        await self._sleep(self._connections, back_off(attempt))

    async def _sleep(self, carrier: Carrier, seconds: float) -> None:
        await carrier.sleep(seconds)
        with self._lock:
            self.statistics.seconds_backed_off += seconds

    async def _wait_turn(self, carrier: Carrier, patience: float | None) -> None:
        if self.pacer is not None:
            waited = await self.pacer._wait_turn(patience, carrier.sleep)  # noqa: SLF001  # as whoever waits here waits
            if waited:
                with self._lock:
                    self.statistics.seconds_paced += waited

    def _heed(self, reply: Reply, sent: float) -> None:
        """Let the pace follow what the API can take."""
        limited = reply.status in REFUSED_UNREAD
        if limited:
            with self._lock:
                self.statistics.rate_limited += 1
        if self.pacer is not None:
            if limited:
                self.pacer.slow_down(sent)
            else:
                self.pacer.speed_up()

    async def delete(
        self,
        template: str,
        segments: Mapping[str, str],
        *,
        query: Mapping[str, Query] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Delete something; where an answer was lost and the repeat finds it gone, it is deleted."""
        try:
            answer = await self.request("DELETE", template, segments, query=query, timeout=timeout)
        except NotFound as error:
            if not error.maybe_applied:
                raise
        else:
            answer.read_nothing()

    @property
    def base_url(self) -> str:
        """What the address of every request begins with."""
        return self._connections.base_url

    def hold_open(self) -> None:
        """Hold that the client is open and used in its own event loop.

        Raises:
            ConfigurationError: It is not.
        """
        self._connections.permits()

    @property
    def lines(self) -> Lines | None:
        """What carries the calls that are run inline; None where they cannot be, as all go through one transport."""
        if self._lines is None and self._open_lines is not None:
            opened = self._open_lines()  # without the lock: it imports
            with self._lock:
                self._lines = self._lines or opened
                if self._has_hung_up:
                    self._lines.close()
        return self._lines

    def hang_up(self) -> None:
        """Close the connections of calls that are run inline."""
        with self._lock:
            self._has_hung_up = True
        if self._lines is not None:
            self._lines.close()

    async def aclose(self) -> None:
        """Close the connections of the event loop."""
        await self._connections.aclose()


def _query_string(query: Mapping[str, Query] | None) -> str:
    if not query:
        return ""
    pairs = [f"{quote(name, safe='')}={_query_value(value)}" for name, value in query.items() if value is not None]
    return f"?{'&'.join(pairs)}" if pairs else ""


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(quote(member, safe="") for member in value)
    return quote(str(value), safe="")
