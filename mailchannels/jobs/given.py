"""The input of a bulk job that a program gives: any iterable of domains or names, awaited or not.

How it is read in the thread that lends it is not known here; nothing here sends anything.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence, Sized
from typing import TYPE_CHECKING

from ..errors import InvalidInput
from ..fragments import copied
from ..inputs import AnyIterable, ReadAhead
from ..models import Domain
from .kinds import DOMAINS, Kind
from .rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Given"]


class Given:
    """The rows of an iterable of domains; see `Source` for the attributes.

    Args:
        given: Domains or names, of any number.
    """

    file: str | None = None
    kind: Kind[Domain | str] = DOMAINS

    def __init__(self, given: AnyIterable[Domain | str]) -> None:
        self.columns: list[str] = [*DOMAINS.columns]
        self.known: Sequence[str] = DOMAINS.columns
        self.ignored: list[str] = []
        self.total: int | None = len(given) if isinstance(given, Sized) else None
        self.is_stream: bool = isinstance(given, AsyncIterable)
        self._number = 0
        self._read: list[Row[Domain | str]] = []
        self._failure: Exception | None = None
        self._items: AsyncIterator[Domain | str] = (
            aiter(given) if isinstance(given, AsyncIterable) else _async(iter(given))
        )

    async def take(self, count: int) -> list[Row[Domain | str]]:
        """Read up to so many rows; what the iterable raises comes after the rows before it."""
        if self._failure is not None:
            raise self._failure
        try:
            while len(self._read) < count:
                self._add(await anext(self._items))
        except StopAsyncIteration:
            pass
        except Exception as error:
            if not self._read:
                raise
            self._failure = error
        return self._rows()

    def left_over(self) -> list[Row[Domain | str]]:
        """Give the rows that were read and not given: by a `take` that was cancelled, or ahead of all."""
        if isinstance(self._items, ReadAhead):
            for given in self._items.ahead():
                self._add(given)
        return self._rows()

    def _add(self, given: Domain | str) -> None:
        self._number += 1
        self._read.append(_given_row(self._number, given))

    def _rows(self) -> list[Row[Domain | str]]:
        rows, self._read = self._read, []
        return rows

    def fingerprint(self) -> str | None:
        """Nobody can tell before all of it is read."""
        return None

    def close(self) -> None:
        """Leave it to whoever gave it."""


async def _async(items: Iterator[Domain | str]) -> AsyncIterator[Domain | str]:
    for item in items:
        yield item


def _given_row(line: int, given: Domain | str) -> Row[Domain | str]:
    # A domain that is nothing but its name says the same as the name, and is to be told from other rows like it.
    if isinstance(given, str) or (isinstance(given, Domain) and given == Domain(given.domain)):
        name = given if isinstance(given, str) else given.domain
        return Row(line, name, name, DOMAINS.to_cells, name)
    if isinstance(given, Domain):
        # A copy: it may be one object that is filled again and again.
        return Row(line, given.domain, copied(given), DOMAINS.to_cells)
    error = InvalidInput("source", f"has a {type(given).__name__} at line {line}; give Domain objects or names")
    return Row(line, repr(given), None, lambda *_: {"domain": repr(given)}, error=error)
