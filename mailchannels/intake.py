"""What came in and what came of it: the batch that is being filled, repeats, and the items to be given out next.

It knows nothing of requests: it is told what came of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, TypeVar

from .columns import Batch
from .errors import InvalidInput
from .models.bulk import BulkItem, Outcome
from .models.items import Items, Unmade
from .operation import Operation
from .repeats import Repeats
from .verdicts import Verdict, bare, different, refused

InputT = TypeVar("InputT")
SubjectT = TypeVar("SubjectT")
ItemT = TypeVar("ItemT", bound=BulkItem)


class Intake(Generic[InputT, SubjectT, ItemT]):
    """The inputs of one bulk call.

    Attributes:
        batch: Those that are to be sent next.
        behind: How many repeats wait for names that are under way.
    """

    def __init__(self, operation: Operation[InputT, SubjectT, ItemT]) -> None:
        self._operation = operation
        self._repeats = Repeats(operation.key)
        self._taken = 0
        self.batch: Batch[SubjectT] = Batch()
        self.behind: int = 0
        self._waiting: dict[int, list[tuple[int, SubjectT]]] = {}  # by the index that they repeat
        self._made: list[ItemT] = []
        self._unmade: list[Unmade[ItemT]] = []

    @property
    def made(self) -> int:
        """How many items were made as their inputs came: of what is refused, or repeats what is settled."""
        return len(self._made)

    def take(self, given: list[InputT]) -> None:
        """Take the next inputs: into the batch, unless they are refused or repeat others."""
        if not given:
            return
        failure: Exception
        try:
            prepared = self._operation.prepare(given)
        except Exception as error:  # noqa: BLE001  # one of them is to blame, and only that one
            failure = error
        else:
            prepared.indexes = [*range(self._taken, self._taken + len(given))]
            self._taken += len(given)
            self._admit(prepared, given)
            return
        if len(given) > 1:
            del failure  # it holds this frame
            middle = len(given) // 2
            self.take(given[:middle])
            self.take(given[middle:])
        elif isinstance(failure, InvalidInput):
            self._refuse(self._taken, given[0], failure)
            self._taken += 1
        else:
            raise failure

    def _admit(self, prepared: Batch[SubjectT], given: list[InputT]) -> None:
        """Let into the batch whose keys are new."""
        if self._repeats.are_new(prepared.keys):
            self._repeats.remember(prepared)
            self.batch.extend(prepared)
        elif len(prepared) == 1:
            self._take_repeat(prepared, given[0])
        else:
            middle = len(prepared) // 2
            self._admit(prepared.part(range(middle)), given[:middle])
            self._admit(prepared.part(range(middle, len(prepared))), given[middle:])

    def _take_repeat(self, prepared: Batch[SubjectT], given: InputT) -> None:
        (index,), (subject,) = prepared.indexes, prepared.subjects
        try:
            earlier = self._repeats.earlier(prepared.keys[0], prepared.fragments[0])
        except InvalidInput as error:
            self._refuse(index, given, error)
            return
        if isinstance(earlier, Verdict):
            self._made.append(self._operation.item(index, subject, earlier))
        else:
            self._waiting.setdefault(earlier, []).append((index, subject))
            self.behind += 1

    def _refuse(self, index: int, given: InputT, error: InvalidInput) -> None:
        self._made.append(self._operation.item(index, self._operation.subject(given), refused(bare(error))))

    def batch_to_send(self) -> Batch[SubjectT]:
        """Give the batch, and begin another."""
        batch, self.batch = self.batch, Batch()
        return batch

    def settle(self, group: Batch[SubjectT], verdicts: list[Verdict]) -> None:
        """Remember what came of inputs, and have the items of these and of their repeats made."""
        self._repeats.settle(group, verdicts)
        make = partial(_items, self._operation.item, group.indexes, group.subjects, verdicts, group.attempts)
        if all(verdict.outcome is Outcome.SUCCEEDED for verdict in different(verdicts)):
            self._unmade.append(Unmade(len(verdicts), make))
        else:
            self._made += make()
        if self._waiting:
            item = self._operation.item
            for index, verdict in zip(group.indexes, verdicts, strict=True):
                repeats = self._waiting.pop(index, ())
                self._made += [item(position, subject, verdict) for position, subject in repeats]
                self.behind -= len(repeats)

    def collected(self) -> Items[ItemT]:
        """Give the items that have come together since the last time."""
        items = Items(self._made, self._unmade)
        self._made, self._unmade = [], []
        return items


def _items(
    item: Callable[[int, SubjectT, Verdict, int], ItemT],
    indexes: list[int],
    subjects: Iterable[SubjectT],
    verdicts: list[Verdict],
    attempts: list[int],
) -> list[ItemT]:
    return [*map(item, indexes, subjects, verdicts, attempts)]
