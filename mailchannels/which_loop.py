"""Whether it is trio that runs here; it imports nothing to find out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def trio_lowlevel() -> Any:
    """Give `trio.lowlevel` where trio runs the caller, and None where it does not."""
    lowlevel = sys.modules.get("trio.lowlevel")
    # While another thread imports it, it lacks its names.
    in_trio_run: Callable[[], bool] | None = getattr(lowlevel, "in_trio_run", None)
    return lowlevel if in_trio_run is not None and in_trio_run() else None
