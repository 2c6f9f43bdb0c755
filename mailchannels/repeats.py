"""Which names came before, and what came of them, in memory that does not grow with what is gone through.

It knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field

from .columns import NAME_ALONE, Batch
from .errors import InvalidInput
from .models.bulk import Outcome
from .verdicts import Verdict, different

REMEMBERED: Final = 50_000
"""A key is known as a repeat for at least this many inputs; more would cost memory that grows with the input."""

LISTED_LATELY: Final = 10_000


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


@define
class Generation:
    """Keys that came one after another.

    Attributes:
        indexes: Where each of them stood in the input.
        contents: The hashes of their fragments, but for names alone.
        unusual: What came of those that did not come to what is usual.
    """

    indexes: dict[str, int] = field(factory=dict)
    contents: dict[str, int] = field(factory=dict)
    unusual: dict[str, Verdict] = field(factory=dict)


class Repeats:
    """Knows the names of the last 50,000 to 100,000 inputs, in two generations; the older is forgotten as a whole."""

    def __init__(self, called: str) -> None:
        self._called = called
        self._recent = Generation()
        self._older = Generation()
        self._under_way: set[int] = set()  # by their indexes: a key may be forgotten meanwhile, and come again
        self._usual: Verdict | None = None

    def are_new(self, keys: Sequence[str]) -> bool:
        """Whether none of the keys came before, nor twice among them."""
        unique = {*keys}
        return (
            len(unique) == len(keys)
            and self._recent.indexes.keys().isdisjoint(unique)
            and self._older.indexes.keys().isdisjoint(unique)
        )

    def remember(self, batch: Batch[Any]) -> None:
        """Know the keys of a batch from now on; they are under way until they are settled."""
        if len(self._recent.indexes) >= REMEMBERED:
            self._recent, self._older = Generation(), self._recent
        # Numbers, unlike tuples of them, are nothing to the garbage collector.
        self._recent.indexes.update(zip(batch.keys, batch.indexes, strict=True))
        if any(batch.fragments):
            self._recent.contents.update(zip(batch.keys, map(hash, batch.fragments), strict=True))
        self._under_way.update(batch.indexes)

    def earlier(self, key: str, fragment: bytes) -> Verdict | int:
        """Give what a key that is not new has come to; as long as it is under way, the index that it has there.

        Raises:
            InvalidInput: It came with another content.
        """
        generation = self._recent if key in self._recent.indexes else self._older
        index = generation.indexes[key]
        if generation.contents.get(key, hash(NAME_ALONE)) != hash(fragment):
            raise InvalidInput(self._called, f"{key} stands in the input before, at index {index}, with other content")
        if index in self._under_way:
            return index
        # Whatever came to something else than the usual is known by its key.
        verdict = generation.unusual.get(key, self._usual)
        assert verdict is not None  # noqa: S101
        return verdict

    def settle(self, batch: Batch[Any], verdicts: Sequence[Verdict]) -> None:
        """Remember what came of a batch; of most of a job that is the same, which is kept once.

        A key may have been forgotten since, and have come again: what came of it then is not for this batch to say.
        """
        self._under_way.difference_update(batch.indexes)
        if self._usual is None and verdicts:
            self._keep(batch.keys[0], batch.indexes[0], verdicts[0])
        if different(verdicts) != [self._usual]:
            for key, index, verdict in zip(batch.keys, batch.indexes, verdicts, strict=True):
                self._keep(key, index, verdict)

    def _keep(self, key: str, index: int, verdict: Verdict) -> None:
        # One with a login link, which is a secret, must not stay here for good.
        if self._usual is None and verdict.outcome is Outcome.SUCCEEDED and verdict.value is None:
            self._usual = verdict
        if verdict is self._usual:
            return
        for generation in (self._recent, self._older):
            if generation.indexes.get(key) == index:
                generation.unusual[key] = verdict
