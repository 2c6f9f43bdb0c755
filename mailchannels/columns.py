"""What is sent together, in columns: an object for each of a million inputs costs more than all that is done with it.

It knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

from attrs import define, field

from .errors import MailChannelsError
from .models.bulk import Outcome

SubjectT = TypeVar("SubjectT")

NAME_ALONE: Final = b""
"""The fragment of what is nothing but its key: nearly all of a million are, and need keep nothing more."""


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
class Batch(Generic[SubjectT]):
    """Inputs to be sent together: what is known of each stands at the same place of every column.

    Attributes:
        keys: The names.
        subjects: What their items are about; the answer to a request may put another in its place.
        fragments: What is sent for each; `NAME_ALONE` where that is to be made of the key.
        indexes: The positions of the inputs.
        verdicts: What the last answer said of each; None where it said nothing.
        attempts: Requests that all of them were sent in.
    """

    keys: list[str] = field(factory=list)
    subjects: list[SubjectT] = field(factory=list)
    fragments: list[bytes] = field(factory=list)
    indexes: list[int] = field(factory=list)
    verdicts: list[Verdict | None] = field(factory=list)
    attempts: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def take_in(self, more: Batch[SubjectT]) -> None:
        """Put those of another batch behind its own."""
        self.keys += more.keys
        self.subjects += more.subjects
        self.fragments += more.fragments
        self.indexes += more.indexes

    def part(self, places: Iterable[int]) -> Batch[SubjectT]:
        """Give those at some places, with what was said of them."""
        kept = [*places]
        return Batch(
            [self.keys[place] for place in kept],
            [self.subjects[place] for place in kept],
            [self.fragments[place] for place in kept],
            [self.indexes[place] for place in kept],
            [self.verdicts[place] for place in kept] if self.verdicts else [],
            self.attempts,
        )

    def forget(self) -> None:
        """Know nothing said of any of them, before they are asked about."""
        self.verdicts = [None] * len(self.keys)
