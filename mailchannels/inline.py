"""Runs a coroutine in the thread that calls, without an event loop, where nothing it awaits has to wait for one.

What is awaited then blocks instead: whoever has two ways to wait asks here which one it is. Nothing here knows of calls
or connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["is_inline", "put_off", "run_inline"]

P = ParamSpec("P")
T = TypeVar("T")

_here: Final = threading.local()


def is_inline() -> bool:
    """Whether what runs now is run by `run_inline`, and so must block instead of waiting for an event loop."""
    return getattr(_here, "is_inline", False)


def put_off(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
    """Put a call off, so that the variables of whoever makes it do not show its arguments, which may be secret."""
    return lambda: function(*args, **kwargs)


def run_inline(start: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end in one go.

    Args:
        start: Makes the coroutine; its arguments, which may be secret, stay out of the variables here.

    Raises:
        RuntimeError: It waited for an event loop after all.
    """
    outer = is_inline()  # a signal's handler may call while a call is under way
    try:
        _here.is_inline = True
        coroutine = start()
        try:
            coroutine.send(None)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            coroutine.close()
    finally:
        _here.is_inline = outer
    raise RuntimeError("a call that was made without an event loop waited for one")
