"""A selector that tells before and after it looks at the sockets.

An event loop that is busy can so take in what other threads bring and hand out what it owes them, once a round. To be
woken for it costs a write, two reads and, at each of these, a wait for Python's own lock. Nothing here knows of event
loops, or of what is brought.
"""

from __future__ import annotations

import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Selector"]


class Selector(selectors.DefaultSelector):
    """What the system waits best with for sockets.

    Args:
        before: Called before each look at the sockets with whether it is about to wait for them; says whether it may.
        after: Called after each look.
    """

    def __init__(self, before: Callable[[bool], bool], after: Callable[[], None]) -> None:
        super().__init__()
        self._before = before
        self._after = after

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until a socket is ready, for so many seconds at most; None waits as long as it takes."""
        is_about_to_wait = timeout is None or timeout > 0
        ready = super().select(timeout if self._before(is_about_to_wait) else 0)
        self._after()
        return ready
