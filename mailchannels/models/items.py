"""The items of a bulk result, which become objects when they are read: whoever counts a million needs none of them.

It knows nothing of what an item is about, but that it has an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from threading import Lock
from typing import Any, ClassVar, Generic, Protocol, TypeVar, overload


class Indexed(Protocol):
    """What has a position in an input."""

    index: int


ItemT = TypeVar("ItemT", bound=Indexed)


class Unmade(Generic[ItemT]):
    """Items that are made once, when the first of them is read; whatever holds them holds the same."""

    __slots__ = ("_items", "_lock", "_make", "count")

    def __init__(self, count: int, make: Callable[[], list[ItemT]]) -> None:
        self.count: int = count
        self._make: Callable[[], list[ItemT]] | None = make
        self._items: list[ItemT] = []
        self._lock = Lock()

    def items(self) -> list[ItemT]:
        """Give the items, in any thread."""
        with self._lock:
            if self._make is not None:
                self._items, self._make = self._make(), None
            return self._items


class Items(Sequence[ItemT]):
    """Items in the order of their index; it is read like a list, equals one, and adds up with one.

    `len` makes none of them: whoever counts a million successes needs no objects. `list(items)` gives a list.
    """

    __slots__ = ("_parts",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # as of a list

    def __init__(self, made: Iterable[ItemT] = (), unmade: Iterable[Unmade[ItemT]] = ()) -> None:
        # In one attribute, which is replaced as a whole, so that threads may read it at the same time.
        self._parts = (sorted(made, key=_index), [*unmade])

    def __len__(self) -> int:
        made, unmade = self._parts
        return len(made) + sum(part.count for part in unmade)

    @overload
    def __getitem__(self, place: int) -> ItemT: ...
    @overload
    def __getitem__(self, place: slice) -> list[ItemT]: ...
    def __getitem__(self, place: int | slice) -> ItemT | list[ItemT]:
        return self._all()[place]

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Items, list)):
            return NotImplemented
        return len(self) == len(other) and self._all() == [*other]

    def __add__(self, other: Sequence[ItemT]) -> list[ItemT]:
        return [*self, *other]

    def __radd__(self, other: Sequence[ItemT]) -> list[ItemT]:
        return [*other, *self]

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[Any, ...]:
        return Items, (self._all(),)

    def _all(self) -> list[ItemT]:
        made, unmade = self._parts
        if unmade:
            made = sorted(chain(made, *(part.items() for part in unmade)), key=_index)
            self._parts = (made, [])
        return made


def joined(sequences: Iterable[Iterable[ItemT]]) -> Items[ItemT]:
    """Put together the items of many, of which those that are not made stay unmade."""
    parts = [part._parts if isinstance(part, Items) else (part, []) for part in sequences]  # noqa: SLF001
    return Items(chain.from_iterable(made for made, _ in parts), chain.from_iterable(unmade for _, unmade in parts))


def split(items: Items[ItemT], is_kept: Callable[[ItemT], bool]) -> tuple[Items[ItemT], list[ItemT]]:
    """Part items from the others; those that are not made are kept."""
    made, unmade = items._parts  # noqa: SLF001
    rest = [item for item in made if not is_kept(item)]
    return Items([item for item in made if is_kept(item)], unmade), rest


_index = attrgetter("index")
