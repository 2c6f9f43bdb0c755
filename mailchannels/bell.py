"""Wakes a thread that waits; it knows nothing of what for."""

from __future__ import annotations

import threading
from contextlib import suppress

__all__ = ["Bell"]


class Bell:
    """Rings for one thread, from any; it may have rung before that thread comes to wait.

    A lock, and no queue: whose wait a signal's handler outlasts, CPython's queues let wait for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the thread that waits, or the next one that does; to ring again before that does nothing."""
        with suppress(RuntimeError):
            self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, for so many seconds at most."""
        self._lock.acquire(timeout=seconds)
