"""Results as `{data, error}` pairs, for those who prefer them to exceptions.

Only `MailChannelsError` becomes a value; a bug or a cancellation stays an exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, ParamSpec, TypeVar

from .errors import MailChannelsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Attempt", "attempt", "attempt_sync"]

T = TypeVar("T")
P = ParamSpec("P")


class Attempt(NamedTuple, Generic[T]):
    """What came of a call: its value or its error, never both.

    Attributes:
        data: The call's value; None where it failed, and where the call returns None.
        error: What went wrong; None where nothing did.

    Example:
        >>> data, error = Attempt(data=3, error=None)
    """

    data: T | None
    error: MailChannelsError | None

    @property
    def success(self) -> bool:
        """Whether the call went through; the test to use where a call returns None."""
        return self.error is None


async def attempt(awaitable: Awaitable[T]) -> Attempt[T]:
    """Await a call and hand back its value or its error as a pair.

    Args:
        awaitable: A call of this package that has not been awaited yet.

    Returns:
        An `Attempt`, which unpacks into `data, error`.

    Raises:
        BaseException: Whatever is not a `MailChannelsError` passes through.

    Example:
        >>> data, error = await attempt(client.domains.provision(domain))  # doctest: +SKIP
    """
    try:
        return Attempt(await awaitable, None)
    except MailChannelsError as error:
        return Attempt(None, error)


def attempt_sync(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Attempt[T]:
    """Call a function and hand back its value or its error as a pair.

    Args:
        function: A method of a blocking client.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        An `Attempt`, which unpacks into `data, error`.

    Raises:
        BaseException: Whatever is not a `MailChannelsError` passes through.

    Example:
        >>> data, error = attempt_sync(client.domains.provision, domain)  # doctest: +SKIP
    """
    try:
        return Attempt(function(*args, **kwargs), None)
    except MailChannelsError as error:
        return Attempt(None, error)
