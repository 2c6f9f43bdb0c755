"""What one kind of bulk call sends, and how its answers are read; how batches are cut and repeated is not here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from .columns import Batch
from .models.bulk import BulkItem
from .verdicts import Verdict

InputT = TypeVar("InputT")
SubjectT = TypeVar("SubjectT")
ItemT = TypeVar("ItemT", bound=BulkItem)


class Operation(ABC, Generic[InputT, SubjectT, ItemT]):
    """What one kind of bulk call sends, and how its answers are read.

    Attributes:
        batch_size: Inputs in one request at most.
        key: What the key of an input is called where two inputs disagree.
    """

    batch_size: int
    key: str = "domain"

    def keep(self, given: InputT) -> InputT:
        """Give an input as it is now, whatever becomes of the object; text and what is frozen stays as it is."""
        return given

    @abstractmethod
    def prepare(self, given: list[InputT]) -> Batch[SubjectT]:
        """Check inputs and give their keys, subjects and fragments.

        Raises:
            InvalidInput: One of them cannot be right; of an input alone, it becomes that item's error.
        """

    @abstractmethod
    def subject(self, given: InputT) -> SubjectT:
        """Say what an item about a refused input is about."""

    @abstractmethod
    async def ask(self, batch: Batch[SubjectT]) -> None:
        """Make one request and note on the batch what its answer says; of some inputs it may say nothing."""

    @staticmethod
    @abstractmethod
    def item(index: int, subject: SubjectT, verdict: Verdict, attempts: int = 0) -> ItemT:
        """Make the item of a result, for an input that was sent in so many requests."""
