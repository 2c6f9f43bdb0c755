"""Which names came before, and what came of them, in memory that does not grow with what is gone through.

It knows nothing of requests.
"""

from __future__ import annotations

from typing import Final, Generic, TypeAlias, TypeVar

from attrs import define, field

from .errors import InvalidInput, MailChannelsError
from .models.bulk import Outcome

SubjectT = TypeVar("SubjectT")

REMEMBERED: Final = 50_000
"""A key is known as a repeat for at least this many inputs; more would cost memory that grows with the input."""

LISTED_LATELY: Final = 10_000

NAME_ALONE: Final = b""
"""The fragment of an entry that is nothing but its key: nearly all of a million are, and need keep nothing more."""


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
    """One name to be sent, for the input at `index` and for every repeat of it.

    Attributes:
        index: The position of the input.
        key: The name.
        subject: What its item is about; the answer to a request may put another in its place.
        fragment: What is sent for it; `NAME_ALONE` where that is to be made of the key.
        verdict: What the last answer said of it; None where it said nothing.
        repeats: Inputs that say the same.
        attempts: Requests that it was sent in.
        generation: Where it is known until its outcome takes its place.
    """

    index: int
    key: str
    subject: SubjectT
    fragment: bytes
    verdict: Verdict | None = None
    repeats: list[tuple[int, SubjectT]] | None = None
    attempts: int = 0
    generation: dict[str, Entry[SubjectT] | Past] = field(init=False, repr=False)


Past: TypeAlias = "int | tuple[int, int, Verdict]"
"""What is remembered of an entry: its index, its content's hash, and what came of it; or its index alone, where it was
a name alone and came to what is usual.

Numbers, unlike tuples, are nothing to the garbage collector.
"""


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
        self._recent: dict[str, Entry[SubjectT] | Past] = {}
        self._older: dict[str, Entry[SubjectT] | Past] = {}
        self._usual: Verdict | None = None

    def earlier(self, entry: Entry[SubjectT]) -> Entry[SubjectT] | Verdict | None:
        """Find what an earlier input of the same key and content is, or has come to; None for a new key.

        Raises:
            InvalidInput: An earlier input has the key, and another content.
        """
        key, recent = entry.key, self._recent
        known = recent.get(key)
        if known is None:
            known = self._older.get(key)
        if known is None:
            if len(recent) >= REMEMBERED:
                self._older = recent
                recent = self._recent = {}
            recent[key] = entry
            entry.generation = recent
            return None
        verdict: Entry[SubjectT] | Verdict | None
        if isinstance(known, Entry):
            index, content, verdict = known.index, hash(known.fragment), known
        elif isinstance(known, int):
            index, content, verdict = known, hash(NAME_ALONE), self._usual
        else:
            index, content, verdict = known
        if content == hash(entry.fragment):
            return verdict
        raise InvalidInput(self._called, f"{key} stands in the input before, at index {index}, with other content")

    def settle(self, entry: Entry[SubjectT], verdict: Verdict) -> None:
        """Remember what an entry came to, and not the entry itself."""
        # Most successes of a job share one verdict; one with a login link, which is a secret, must not stay here.
        if self._usual is None and verdict.outcome is Outcome.SUCCEEDED and verdict.value is None:
            self._usual = verdict
        if verdict is self._usual and not entry.fragment:
            entry.generation[entry.key] = entry.index
        else:
            entry.generation[entry.key] = (entry.index, hash(entry.fragment), verdict)
