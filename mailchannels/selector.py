"""A selector that tells before and after it looks at the sockets, and that another thread can wake.

An event loop that is busy can so take in what other threads bring and hand out what it owes them, once a round. One
that waits is woken by a byte in a pipe: to be called takes asyncio a system call, an exception and a callback more.
Nothing here knows of event loops, or of what is brought.
"""

from __future__ import annotations

import os
import selectors
from contextlib import suppress
from io import FileIO
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Selector"]

_MANY: Final = 4_096


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
        try:
            heard, bell = os.pipe()
        except OSError:
            super().close()
            raise
        os.set_blocking(heard, False)
        os.set_blocking(bell, False)
        # As files, which know that they are closed: their numbers may be somebody else's by then.
        self._heard, self._bell = FileIO(heard, "r"), FileIO(bell, "w")
        self._key = self.register(self._heard, selectors.EVENT_READ)

    def ring(self) -> None:
        """End the wait, or the next one, from any thread; where this is closed, nothing waits."""
        with suppress(ValueError, OSError):
            self._bell.write(b"!")

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait until a socket is ready or it rings, for so many seconds at most; None waits as long as it takes."""
        is_about_to_wait = timeout is None or timeout > 0
        ready = super().select(timeout if self._before(is_about_to_wait) else 0)
        for place, (key, _) in enumerate(ready):
            if key is self._key:
                del ready[place]
                self._heard.read(_MANY)
                break
        self._after()
        return ready

    def close(self) -> None:
        """Close it; to close it again does nothing."""
        super().close()
        self._bell.close()
        self._heard.close()
