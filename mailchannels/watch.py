"""How long an exchange may take, and how long a server may be silent in it: by one timer.

Nothing here knows of HTTP.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

import anyio

GRAIN: Final = 0.01
"""The part of the longest silence below which signs of life come too close together to set the timer anew for each."""


class OutOfTime(Exception):
    """An exchange took all the time that it had."""


class Watch:
    """Cancels an exchange that takes too long, or in which the server gives no sign of life for too long.

    One timer does both: one more costs a call about as much as checking its domain does.

    Attributes:
        scope: What is cancelled.
    """

    def __init__(self, longest: float, longest_silence: float) -> None:
        self._longest_silence = longest_silence
        self._last = monotonic()
        now = anyio.current_time()
        self._end = now + longest
        self.scope = anyio.CancelScope(deadline=now + min(longest, longest_silence))

    @property
    def is_for_silence(self) -> bool:
        """Whether it is silence that the timer would end next, or has ended."""
        return self.scope.deadline < self._end

    def hear(self) -> None:
        """Take a sign of life."""
        now = monotonic()
        if now - self._last > self._longest_silence * GRAIN:
            self._last = now
            self.scope.deadline = min(self._end, anyio.current_time() + self._longest_silence)
