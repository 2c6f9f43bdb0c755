"""Runs a coroutine in the thread that calls, without an event loop, where nothing it awaits has to wait for one.

What is awaited then blocks instead: whoever has two ways to wait asks here which one it is. Nothing here knows of calls
or connections.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["is_inline", "is_nested", "put_off", "run_inline"]

P = ParamSpec("P")
T = TypeVar("T")


class _Here(threading.local):
    def __init__(self) -> None:
        self.carriers: list[object] = []


_here: Final = _Here()


def is_inline(carrier: object) -> bool:
    """Whether what runs now is run by `run_inline` over a carrier, and so must block instead of waiting for a loop."""
    return bool(_here.carriers) and _here.carriers[-1] is carrier


def is_nested() -> bool:
    """Whether it interrupts another call of this thread, as the handler of a signal does."""
    return len(_here.carriers) > 1


def put_off(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Callable[[], T]:
    """Put a call off, so that the variables of whoever makes it do not show its arguments, which may be secret."""
    return lambda: function(*args, **kwargs)


def run_inline(start: Callable[[], Coroutine[Any, Any, T]], carrier: object) -> T:
    """Run a coroutine to its end in one go.

    Args:
        start: Makes the coroutine; its arguments, which may be secret, stay out of the variables here.
        carrier: What carries its requests, and those of no other client that is used meanwhile.

    Raises:
        RuntimeError: It waited for an event loop after all.
    """
    depth = len(_here.carriers)
    try:
        _here.carriers.append(carrier)
        coroutine = start()
        try:
            coroutine.send(None)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            coroutine.close()
    finally:
        del _here.carriers[depth:]
    raise RuntimeError("a call that was made without an event loop waited for one")
