"""What is sent together, in columns: an object for each of a million inputs costs more than all that is done with it.

It knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, Protocol, TypeVar

from attrs import define, field

from .verdicts import Verdict

SubjectT = TypeVar("SubjectT")
SubjectT_co = TypeVar("SubjectT_co", covariant=True)

NAME_ALONE: Final = b""
"""The fragment of what is nothing but its key: nearly all of a million are, and need keep nothing more."""


class Subjects(Protocol[SubjectT_co]):
    """What inputs are about, in their order; each may be made as it is asked for."""

    def __iter__(self) -> Iterator[SubjectT_co]: ...
    def __getitem__(self, place: int, /) -> SubjectT_co: ...


@define(eq=False)
class Batch(Generic[SubjectT]):
    """Inputs to be sent together: what is known of each stands at the same place of every column.

    Attributes:
        keys: The names.
        subjects: What their items are about; the answer to a request may put another in its place.
        fragments: What is sent for each; `NAME_ALONE` where that is to be made of the key.
        indexes: The positions of the inputs.
        attempts: How many requests each was sent in.
        verdicts: What the last answer said of each; None where it said nothing.
    """

    keys: list[str] = field(factory=list)
    subjects: Subjects[SubjectT] = field(factory=list)
    fragments: list[bytes] = field(factory=list)
    indexes: list[int] = field(factory=list)
    attempts: list[int] = field(factory=list)
    verdicts: list[Verdict | None] = field(factory=list)

    def __len__(self) -> int:
        return len(self.keys)

    def extend(self, more: Batch[SubjectT]) -> None:
        """Put another batch, of which nothing was sent, behind this one."""
        # What a whole batch is made of at once need not become a list.
        self.subjects = [*self.subjects, *more.subjects] if self.keys else more.subjects
        self.keys += more.keys
        self.fragments += more.fragments
        self.indexes += more.indexes
        self.attempts += [0] * len(more)

    def part(self, places: Iterable[int]) -> Batch[SubjectT]:
        """Give those at some places, with what was said of them."""
        kept = [*places]
        columns = (self.keys, self.subjects, self.fragments, self.indexes, self.attempts, self.verdicts)
        return Batch(*([column[place] for place in kept] if column else [] for column in columns))  # type: ignore[arg-type]

    def put(self, subjects: Mapping[int, SubjectT]) -> None:
        """Put other subjects at some places."""
        if subjects:
            self.subjects = [subjects.get(place, subject) for place, subject in enumerate(self.subjects)]

    def count_attempt(self) -> None:
        """Count that a request with all of them is sent."""
        self.attempts = [count + 1 for count in self.attempts]

    def clear_verdicts(self) -> None:
        """Forget what was said of them, before they are asked about."""
        self.verdicts = [None] * len(self.keys)
