"""What a journal knows of its job, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import define

from ..models import Outcome
from .journal import NEW, SUCCEEDED, THERE
from .summary import SETTINGS_NOT_APPLIED

if TYPE_CHECKING:
    from .journal import Journal

__all__ = ["JobState", "job_state"]


@define
class JobState:
    """The state of a job.

    Attributes:
        identity: What makes the job this one.
        created: When it began, as ISO 8601.
        kept: When its last outcome was kept, as ISO 8601.
        total: How many rows its input has; None where nobody knows.
        new: Rows whose domain was created; None as long as no answer shows that the API tells them from others.
        already_there: Rows whose domain was there before; None likewise.
        succeeded: All that succeeded.
        settings_not_applied: Those of them whose settings stayed as they were.
        failed: Rows that the API refused, by its code.
        invalid: Rows that were refused before any request.
        unknown: Rows whose answer was lost.
        not_sent: Rows that were not sent, as the job ended before.
        again: Rows among all these that the same command sends again.
        in_flight: Rows that may have been sent and have no outcome: the job was killed, and resuming it settles them.
        left: Rows that no run has come to; None where nobody knows how many rows there are.
    """

    identity: dict[str, Any]
    created: str
    kept: str
    total: int | None
    new: int | None
    already_there: int | None
    succeeded: int
    settings_not_applied: int
    failed: dict[int | str | None, int]
    invalid: int
    unknown: int
    not_sent: int
    again: int
    in_flight: int
    left: int | None


def job_state(journal: Journal) -> JobState:
    """Sum a journal up.

    Args:
        journal: An open journal.

    Returns:
        The state of its job.

    Example:
        >>> with closing(Journal("domains.journal", is_new_allowed=False)) as journal:
        ...     print(job_state(journal).succeeded)
    """
    counts = journal.counts()
    outcomes: Counter[str] = Counter()
    failed: Counter[int | str | None] = Counter()
    for problem, _, _ in journal.problems():
        if problem.invalid:
            outcomes["invalid"] += 1
        elif problem.outcome == Outcome.FAILED:
            failed[problem.code] += 1
        else:
            outcomes[problem.outcome] += 1
    settled = sum(counts.values())
    promised = journal.promised if journal.total is None else min(journal.promised, journal.total)
    in_flight = promised - journal.settled_before(promised)
    return JobState(
        identity=journal.identity or {},
        created=journal.created,
        kept=journal.kept,
        total=journal.total,
        new=counts[NEW] if counts[THERE] else None,
        already_there=counts[THERE] or None,
        succeeded=counts[NEW] + counts[THERE] + counts[SUCCEEDED],
        settings_not_applied=outcomes[SETTINGS_NOT_APPLIED],
        failed=dict(failed),
        invalid=outcomes["invalid"],
        unknown=outcomes[Outcome.UNKNOWN],
        not_sent=outcomes[Outcome.NOT_SENT],
        again=journal.count_again(),
        in_flight=in_flight,
        left=None if journal.total is None else max(0, journal.total - settled - in_flight),
    )
