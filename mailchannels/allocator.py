"""The C library's memory, of which batches let go by the megabyte, only to ask for it again.

glibc gives what is free at the end of its heap back to the system beyond a limit, and whoever asks for it again waits
for each page anew, which takes a seventh of a batch's time. The limit is twice the largest block that it has ever had
from the system for itself, as mallopt(3) says of M_MMAP_THRESHOLD, unless the environment sets one. Other allocators
take no notice. Nothing here knows what the memory is for.
"""

from __future__ import annotations

from functools import cache
from typing import Final

LARGE: Final = 8 * 2**20
"""Bytes; twice as many are kept from then on, about what ten batches under way take."""


@cache
def keep_more() -> None:
    """Let glibc keep more, once and for all of the process: it is lent one large block that nobody writes to."""
    bytes(LARGE)
