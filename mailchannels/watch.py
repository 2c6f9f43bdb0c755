"""How long an exchange may take, how long a server may be silent in it, and a connection be idle after it.

Nothing here knows of HTTP.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a connection to come about, and for its handshake; what swallows packets must leave time to try again."""

LONGEST_IDLE: Final = 60.0
"""Seconds that a connection lies unused before the next request that ends closes it."""

GRAIN: Final = 0.01
"""Signs of life closer together than this part of the longest silence do not set the timer anew."""


class OutOfTime(Exception):
    """All the time that there was is up; it passes between the rooms of the request path and never reaches a caller."""


class Silence(OutOfTime):
    """No sign of life came for too long, and there is time left."""


class Watch:
    """Cancels what is awaited inside of `with` when time is up.

    Signs of life are that the server has taken in the whole request, and that the head or a piece of its answer has
    come. One timer watches over both limits: another costs a call about as much as checking its domain does.

    Args:
        longest: Seconds for everything together.
        longest_silence: Seconds from one sign of life to the next.

    Raises:
        Silence: From the end of `with`: no sign of life came for too long.
        OutOfTime: From there as well: everything together took too long.
    """

    _end: float
    _last: float
    _scope: anyio.CancelScope

    def __init__(self, longest: float, longest_silence: float) -> None:
        self._longest = longest
        self._longest_silence = longest_silence

    def __enter__(self) -> Self:
        now = anyio.current_time()
        self._end = now + self._longest
        self._open(now)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        is_swallowed = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise Silence if self._scope.deadline < self._end else OutOfTime
        return is_swallowed

    def hear(self) -> None:
        """Take a sign of life, wherever it is noticed."""
        now = monotonic()
        # The deadline of a scope that is cancelled tells why.
        if now - self._last > self._longest_silence * GRAIN and not self._scope.cancel_called:
            self._last = now
            self._scope.deadline = self._next(anyio.current_time())

    def go_on(self) -> None:
        """Take a sign of life directly inside of `with`; what came just as time ran out is not lost then."""
        if self._scope.cancel_called:
            self._scope.__exit__(None, None, None)
            self._open(anyio.current_time())
        else:
            self.hear()

    def _open(self, now: float) -> None:
        self._last = monotonic()
        self._scope = anyio.CancelScope(deadline=self._next(now))
        self._scope.__enter__()

    def _next(self, now: float) -> float:
        return min(self._end, now + self._longest_silence)


class Patience:
    """What `Watch` is to a task, for a thread that blocks: it says before each wait how long that may take.

    Args:
        longest: Seconds for everything together.
        longest_silence: Seconds from one sign of life to the next.
    """

    def __init__(self, longest: float, longest_silence: float) -> None:
        self._end = monotonic() + longest
        self._longest_silence = longest_silence
        self.hear()

    def hear(self) -> None:
        """Take a sign of life."""
        self._silent_until = monotonic() + self._longest_silence

    def left(self) -> float:
        """Give the seconds that the next wait may take.

        Raises:
            Silence: No sign of life came for too long.
            OutOfTime: Everything together took too long.
        """
        now = monotonic()
        if now >= self._end:
            raise OutOfTime
        if now >= self._silent_until:
            raise Silence
        return min(self._end, self._silent_until) - now
