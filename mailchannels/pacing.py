"""When a request may leave: evenly spaced, backing off after a failure, and not for ever.

Only the monotonic clock counts here; a wall clock that jumps changes nothing.
"""

from __future__ import annotations

import heapq
import math
import os
import random
import threading
import weakref
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import anyio
from attrs import define

from .errors import ConfigurationError, RequestTimeout

__all__ = ["Pacer", "RetryBudget", "Statistics", "back_off"]

FIRST_BACK_OFF: Final = 0.5
LONGEST_BACK_OFF: Final = 8.0
LOWEST_RATE: Final = 1.0
RECOVERY: Final = 0.5
"""Requests per second that an answered request adds to a lowered rate."""

_pacers: weakref.WeakSet[Pacer] = weakref.WeakSet()


class Pacer:
    """Spaces requests evenly; clients of one customer may share one, from any thread.

    A turn is reserved, not fought for: whoever asks learns at once when the turn comes, and the turns come in the order
    of asking. Turns that are not used are given to the next who ask. Nothing is saved up for a burst.

    Where the API says that there are too many requests, the rate is halved, for all who share the pacer; every answered
    request after that raises it by half a request per second, until it is what it was.

    Args:
        rate: Requests per second at most, above 0. The API takes 100 a second of one customer.

    Raises:
        ConfigurationError: The rate is not a number above 0.

    Example:
        >>> Pacer(95.0)
        Pacer(95.0)
    """

    def __init__(self, rate: float) -> None:
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
            raise ConfigurationError(f"rate_limit: {rate!r} is not a number of requests per second above 0")
        self._present = float(rate)
        self._next = 0.0
        self._slowed = -math.inf
        self._returned: list[float] = []
        self._lock = threading.RLock()  # a signal's handler may make a call while another is under way in its thread
        self._rate = rate
        _pacers.add(self)

    def __repr__(self) -> str:
        return f"Pacer({self._rate!r})"

    @property
    def rate(self) -> float:
        """Requests per second at most."""
        return self._rate

    @property
    def present_rate(self) -> float:
        """Requests per second as it is now: lower than `rate` after the API said that there were too many."""
        return self._present

    def slow_down(self, sent: float) -> None:
        """Halve the rate, as the API said that there are too many requests, down to one a second.

        Args:
            sent: When the refused request left, by the monotonic clock: of requests that left together, one counts.

        Example:
            >>> pacer = Pacer(95.0)
            >>> pacer.slow_down(sent=1.0)
            >>> pacer.present_rate
            47.5
        """
        with self._lock:
            if sent > self._slowed:
                self._slowed = monotonic()
                self._present = min(self._rate, max(LOWEST_RATE, self._present / 2))

    def speed_up(self) -> None:
        """Raise the rate a little, as a request was answered, up to what it was.

        Example:
            >>> Pacer(95.0).speed_up()
        """
        if self._present < self._rate:
            with self._lock:
                self._present = min(self._rate, self._present + RECOVERY)

    async def wait_turn(self, patience: float | None = None) -> float:
        """Reserve a turn and wait until it comes.

        Args:
            patience: Seconds to wait at most; None waits as long as it takes.

        Returns:
            The seconds waited.

        Raises:
            RequestTimeout: The turn would come later than that. It is raised at once, and the turn is left to others.

        Example:
            >>> import anyio
            >>> anyio.run(Pacer(95.0).wait_turn)
        """
        return await self._wait_turn(patience, anyio.sleep)

    async def _wait_turn(self, patience: float | None, sleep: Callable[[float], Awaitable[None]]) -> float:
        turn = self._reserve(patience)
        try:
            wait = turn - monotonic()
            if wait <= 0:
                return 0.0
            await sleep(wait)
        except BaseException:
            with self._lock:
                heapq.heappush(self._returned, turn)
            raise
        return wait

    def _reserve(self, patience: float | None) -> float:
        with self._lock:
            now = monotonic()
            while self._returned and self._returned[0] < now:
                heapq.heappop(self._returned)
            turn = self._returned[0] if self._returned else max(now, self._next)
            if patience is not None and turn - now > patience:
                raise RequestTimeout(
                    f"the turn of this request would come in {turn - now:.3f} s, later than the {patience:.3f} s"
                    " that queue_timeout leaves; nothing was sent",
                    maybe_applied=False,
                )
            if self._returned:
                heapq.heappop(self._returned)
            else:
                self._next = turn + 1 / self._present
        return turn


def _renew_locks() -> None:
    # Another thread may have held a lock at the moment of the fork; in the child nobody will ever release it.
    for pacer in _pacers:
        pacer._lock = threading.RLock()  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows forks no process
    os.register_at_fork(after_in_child=_renew_locks)


@define
class Statistics:
    """What a client has done so far.

    Attributes:
        requests: Requests sent, their repeats included.
        retries: Repeats among them.
        rate_limited: Answers that said there were too many requests (429 and 503).
        seconds_paced: Seconds that calls waited for their turns, added up over all calls.
        seconds_backed_off: Seconds that calls waited before repeats, added up over all calls.

    Example:
        >>> Statistics().requests
        0
    """

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    seconds_paced: float = 0.0
    seconds_backed_off: float = 0.0


class RetryBudget:
    """Retries a client may still make: each costs one, five successes earn one back.

    A few failures are repeated freely; in an outage the repeats soon stop, so that it is not answered with a storm.
    """

    CAPACITY: Final = 100.0
    EARNED: Final = 0.2

    def __init__(self) -> None:
        self._left = self.CAPACITY
        self._lock = threading.RLock()

    @property
    def is_left(self) -> bool:
        """Whether a retry may be made."""
        return self._left >= 1

    def spend(self) -> bool:
        """Take one retry out, or say that there is none left."""
        with self._lock:
            if not self.is_left:
                return False
            self._left -= 1
            return True

    def earn(self) -> None:
        """Count a success."""
        if self._left < self.CAPACITY:
            with self._lock:
                self._left = min(self.CAPACITY, self._left + self.EARNED)


def back_off(attempt: int) -> float:
    """Draw the seconds to wait after the given attempt, from 1: full jitter, up to 0.5 s, doubling to 8 s."""
    return random.uniform(0, min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** (attempt - 1)))  # noqa: S311  # no secret
