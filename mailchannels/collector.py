"""Python's garbage collector, which has nothing to find in a large answer while it is read.

It knows nothing of what is read.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Keep the collector from going through thousands of new objects again and again, none of which is garbage yet.

    It is the collector of the whole process: nothing may be awaited in here, nor code of a caller's be run.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
