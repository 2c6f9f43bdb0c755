"""What is known of one input, in the terms that all bulk calls share, and how an error becomes that.

It knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Final, TypeVar

from attrs import define, field

from .errors import EARLIER, APIError, ConfigurationError, InvalidInput, MailChannelsError, RequestError
from .models.bulk import RETRYABLE_CODES, Outcome

ErrorT = TypeVar("ErrorT", bound=MailChannelsError)

_FAILED: Final = Outcome.FAILED  # looked up in its enum it takes much longer, on Python 3.11 ten times as long

LOST_AT_A_GATEWAY: Final = frozenset({502, 504})


@define(eq=False)  # the same only if it is one object: thousands share one, see `different`
class Verdict:
    """What is known of one input, in the terms that all bulk calls share."""

    outcome: Outcome
    code: int | None = None
    comment: str | None = None
    error: MailChannelsError | None = None
    settings_applied: bool = False
    value: object = field(default=None, repr=False)
    """What the API gave for it, such as a login link, for the operation to make its item of."""


UNMENTIONED: Final = Verdict(Outcome.UNKNOWN, comment="the answer does not mention it")


def different(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Give verdicts that many inputs share but once."""
    if verdicts and verdicts.count(verdicts[0]) == len(verdicts):  # as nearly always, and told at once
        return [verdicts[0]]
    return [*{id(verdict): verdict for verdict in verdicts}.values()]


def is_passing(verdict: Verdict) -> bool:
    """Whether the API refused one input for a reason that may soon be gone."""
    return verdict.outcome is _FAILED and verdict.code in RETRYABLE_CODES


def refused(error: InvalidInput) -> Verdict:
    """Judge an input that was refused before it was sent."""
    return Verdict(Outcome.FAILED, comment=str(error), error=error)


def not_sent(reason: MailChannelsError) -> Verdict:
    """Judge an input that comes after what stopped the call."""
    said = copy(reason)
    if isinstance(said, (APIError, RequestError)):
        said.maybe_applied = False  # what came of an earlier attempt is no matter of what was never sent
    return Verdict(Outcome.NOT_SENT, comment=f"not sent, because the job stopped: {said}", error=reason)


def bare(error: ErrorT) -> ErrorT:
    """Take from an error, which results keep, the frames of the request that it came from, and so the whole batch."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def verdict_on_all(error: MailChannelsError) -> Verdict:
    """Judge every input of a request that failed as a whole."""
    if isinstance(error, APIError):
        lost = error.maybe_applied or error.status in LOST_AT_A_GATEWAY
        comment = error.message + (EARLIER if error.maybe_applied else "")
        return Verdict(Outcome.UNKNOWN if lost else Outcome.FAILED, error.status, comment, error)
    if isinstance(error, ConfigurationError) or (isinstance(error, RequestError) and not error.maybe_applied):
        return Verdict(Outcome.NOT_SENT, comment=str(error), error=error)
    return Verdict(Outcome.UNKNOWN, comment=str(error), error=error)
