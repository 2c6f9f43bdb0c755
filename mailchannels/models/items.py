"""The items of a bulk result, which become objects when they are read: whoever counts a million needs none of them.

It knows nothing of what an item is about, but that it has an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, overload


class Indexed(Protocol):
    """What has a position in an input."""

    index: int


ItemT = TypeVar("ItemT", bound=Indexed)
Unmade: TypeAlias = tuple[int, Callable[[], list[ItemT]]]
"""How many items there are to be made, and what makes them."""


class Items(Sequence[ItemT], Generic[ItemT]):
    """Items in the order of their index; it is read like a list, equals one, and adds up with one."""

    __slots__ = ("_parts",)

    def __init__(self, made: Iterable[ItemT] = (), unmade: Iterable[Unmade[ItemT]] = ()) -> None:
        # In one attribute, which is replaced as a whole, so that threads may read it at the same time.
        self._parts: tuple[list[ItemT], list[Unmade[ItemT]]] = (sorted(made, key=_index), [*unmade])

    @classmethod
    def joined(cls, sequences: Iterable[Iterable[ItemT]]) -> Items[ItemT]:
        """Put together the items of many, of which those that are not made stay unmade."""
        parts = [part._parts if isinstance(part, Items) else (part, ()) for part in sequences]  # noqa: SLF001
        return cls(chain.from_iterable(made for made, _ in parts), chain.from_iterable(unmade for _, unmade in parts))

    def split(self, is_left: Callable[[ItemT], bool]) -> tuple[Items[ItemT], list[ItemT]]:
        """Part items that are made from the others, with which those stay that are not made."""
        made, unmade = self._parts
        rest = [item for item in made if not is_left(item)]
        return Items([item for item in made if is_left(item)], unmade), rest

    def __len__(self) -> int:
        made, unmade = self._parts
        return len(made) + sum(count for count, _ in unmade)

    @overload
    def __getitem__(self, place: int) -> ItemT: ...
    @overload
    def __getitem__(self, place: slice) -> list[ItemT]: ...
    def __getitem__(self, place: int | slice) -> ItemT | list[ItemT]:
        return self._all()[place]

    def __iter__(self) -> Iterator[ItemT]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        return self._all() == [*other] if isinstance(other, (Items, list)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as of a list

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
            made = sorted([*made, *(item for _, make in unmade for item in make())], key=_index)
            self._parts = (made, [])
        return made


_index = attrgetter("index")
