"""Python's garbage collector, which has nothing to find in thousands of new objects while they are made.

It knows nothing of what they are.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_is_held = False


@contextmanager
def held_back() -> Iterator[None]:
    """Keep the collector from going through new objects again and again, none of which is garbage yet.

    It is the collector of the whole process, which goes without for some milliseconds; a thread that turns it off at
    that very moment finds it on again. Nothing may be awaited in here, nor code of a caller's be run.
    """
    global _is_held  # noqa: PLW0603  # there is but one collector
    if not gc.isenabled():
        yield
        return
    _is_held = True
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        _is_held = False


def _let_go() -> None:
    """In a child that was forked by another thread meanwhile: nobody else there would turn it on again."""
    global _is_held  # noqa: PLW0603
    if _is_held:
        gc.enable()
        _is_held = False


if hasattr(os, "register_at_fork"):  # pragma: no branch  # Windows forks no process
    os.register_at_fork(after_in_child=_let_go)
