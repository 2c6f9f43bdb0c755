"""Which names came before, and what came of them, in memory that does not grow with what is gone through.

It knows nothing of requests.
"""

from __future__ import annotations

from array import array
from typing import Final, Generic, TypeVar

from attrs import define, field

from .errors import InvalidInput, MailChannelsError
from .models.bulk import Outcome

SubjectT = TypeVar("SubjectT")

REMEMBERED: Final = 50_000
"""A key is known as a repeat for at least this many inputs; more would cost memory that grows with the input."""

LISTED_LATELY: Final = 10_000


@define
class Verdict:
    """What is known of one input, in the terms that all bulk calls share."""

    outcome: Outcome
    code: int | None = None
    comment: str | None = None
    error: MailChannelsError | None = None
    settings_applied: bool = False
    value: object = field(default=None, repr=False)
    """What the API gave for it, such as a login link, for the operation to make its item of."""


@define(eq=False)
class Entry(Generic[SubjectT]):
    """One name to be sent, for the input at `index` and for every repeat of it."""

    index: int
    key: str
    subject: SubjectT
    fragment: bytes
    repeats: list[tuple[int, SubjectT]] | None = None
    attempts: int = 0
    remembered: list[Entry[SubjectT] | Verdict] | None = field(default=None, repr=False)
    place: int = 0
    """Where among those remembered it stands until its outcome takes its place."""


class Lately:
    """Knows the last 10,000 to 20,000 names of a listing, whose pages shift while it is read."""

    def __init__(self) -> None:
        self._recent: set[str] = set()
        self._older: set[str] = set()

    def is_new(self, name: str) -> bool:
        """Whether a name has not come lately; from now on it has."""
        if name in self._recent or name in self._older:
            return False
        if len(self._recent) >= LISTED_LATELY:
            self._recent, self._older = set(), self._recent
        self._recent.add(name)
        return True


class Repeats(Generic[SubjectT]):
    """Knows the names of the last 50,000 to 100,000 inputs, in two generations; the older is forgotten as a whole."""

    def __init__(self, called: str) -> None:
        self._called = called
        self._recent = _Generation[SubjectT]()
        self._older = _Generation[SubjectT]()

    def earlier(self, entry: Entry[SubjectT]) -> Entry[SubjectT] | Verdict | None:
        """Find what an earlier input of the same key and content is, or has come to; None for a new key.

        Raises:
            InvalidInput: An earlier input has the key, and another content.
        """
        known = self._recent
        place = known.places.get(entry.key)
        if place is None:
            known = self._older
            place = known.places.get(entry.key)
        if place is None:
            if len(self._recent.states) >= REMEMBERED:
                self._recent, self._older = _Generation(), self._recent
            self._recent.add(entry)
            return None
        if known.contents[place] == hash(entry.fragment):
            return known.states[place]
        raise InvalidInput(
            self._called,
            f"{entry.key} stands in the input before, at index {known.indices[place]}, with other content",
        )


class _Generation(Generic[SubjectT]):
    """Up to 50,000 names, in few objects: each one more would be visited by every run of the garbage collector."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.indices = array("q")
        self.contents = array("q")
        self.states: list[Entry[SubjectT] | Verdict] = []

    def add(self, entry: Entry[SubjectT]) -> None:
        """Remember a name that is about to be sent."""
        entry.remembered = self.states
        entry.place = self.places[entry.key] = len(self.states)
        self.indices.append(entry.index)
        self.contents.append(hash(entry.fragment))
        self.states.append(entry)
