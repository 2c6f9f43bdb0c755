"""What a bulk call reads from: anything that can be gone through, one by one or in pieces.

It knows nothing of what is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TypeAlias, TypeVar

T = TypeVar("T")

AnyIterable: TypeAlias = Iterable[T] | AsyncIterable[T]
"""What a bulk call reads from: anything that `for` or `async for` can go through, of any length."""


class InPieces(ABC, AsyncIterable[T]):
    """An input of which many come at once, as from a file: what `async for` costs for each is saved.

    Everything in it is an object of its own, see `is_lasting`.
    """

    @abstractmethod
    def pieces(self) -> AsyncGenerator[Iterable[T], None]:
        """Give the input in pieces of any size."""

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        async with aclosing(self.pieces()) as pieces:
            async for piece in pieces:
                for given in piece:
                    yield given


class ReadAhead(ABC, AsyncIterator[T]):
    """An input of which more may have been read than was asked for."""

    @abstractmethod
    def ahead(self) -> list[T]:
        """Give what has been read and not been given yet, and do not give it again."""


def is_lasting(inputs: AnyIterable[T]) -> bool:
    """Whether what was read stays as it was while more is read: a generator may fill one object again and again."""
    return isinstance(inputs, InPieces) or type(inputs) in {list, tuple}


async def in_pieces(inputs: AnyIterable[T]) -> AsyncGenerator[Iterable[T], None]:
    """Give what `for` can go through; iterables stay open, whose they are, and pieces are closed, which begin here."""
    if isinstance(inputs, InPieces):
        async with aclosing(inputs.pieces()) as pieces:
            async for piece in pieces:
                yield piece
    elif isinstance(inputs, AsyncIterable):
        async for given in inputs:
            yield (given,)
    else:
        yield inputs
