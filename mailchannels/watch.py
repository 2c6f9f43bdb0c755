"""How long an exchange may take, and how long a server may be silent in it.

Nothing here knows of HTTP.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, Self

import anyio

if TYPE_CHECKING:
    from types import TracebackType

GRAIN: Final = 0.01
"""Signs of life closer together than this part of the longest silence do not set the timer anew."""


class OutOfTime(Exception):
    """All the time that there was is up; it passes between the rooms of the request path and never reaches a caller."""


class Silence(OutOfTime):
    """No sign of life came for too long, and there is time left."""


class Watch:
    """Cancels what is awaited inside of `with` when time is up; used again, it goes on with the time that is left.

    Signs of life are that the server has taken in the whole request, and that the head or a piece of its answer has
    come. One timer watches over both limits: another costs a call about as much as checking its domain does.

    Args:
        longest: Seconds for everything together.
        longest_silence: Seconds from one sign of life to the next.

    Raises:
        Silence: From the end of `with`: no sign of life came for too long.
        OutOfTime: From there as well: everything together took too long.
    """

    _scope: anyio.CancelScope
    _last: float

    def __init__(self, longest: float, longest_silence: float) -> None:
        self._longest_silence = longest_silence
        self._end = anyio.current_time() + longest

    @property
    def is_running(self) -> bool:
        """Whether time is not up; what came in the meantime may still be taken, and must not be lost for that."""
        return not self._scope.cancel_called

    def __enter__(self) -> Self:
        self._last = monotonic()
        self._scope = anyio.CancelScope(deadline=self._next())
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        is_swallowed = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise Silence if self._scope.deadline < self._end else OutOfTime
        return is_swallowed

    def hear(self) -> None:
        """Take a sign of life."""
        now = monotonic()
        if now - self._last > self._longest_silence * GRAIN and self.is_running:
            self._last = now
            self._scope.deadline = self._next()

    def _next(self) -> float:
        return min(self._end, anyio.current_time() + self._longest_silence)
