"""Keeps what a caller hands over in confidence out of the variables that a traceback may show.

Tools print the variables of each function that an error has come through, arguments first. Nothing here knows what is
secret.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["in_confidence"]

P = ParamSpec("P")
T = TypeVar("T")


def in_confidence(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function raise its errors without the frames in which its arguments stand.

    That hides where in it an error of ours came from; so it is for functions that do little but check.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # also of a misspelt argument, which is Python's to refuse
            raised = error.with_traceback(None)
        del args, kwargs
        try:
            raise raised
        finally:
            del raised  # it holds this frame

    return call
