"""What has come of a job so far: counts, never rows, and the exit code that follows from them.

It knows no file and no terminal. What it quotes of failures is bounded, and never a login link.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from attrs import define, field

from ..errors import ConfigurationError, InvalidInput, RequestError
from ..models import Outcome

if TYPE_CHECKING:
    from ..errors import MailChannelsError

__all__ = ["SETTINGS_NOT_APPLIED", "SHOWN", "Problem", "Summary", "printable", "shown", "tell_nobody"]

SETTINGS_NOT_APPLIED: Final = "settings_not_applied"
"""The outcome of a success that left settings as they were."""

SHOWN: Final = 20
"""How many problems a summary quotes; a file of errors holds them all."""

_OF_EACH: Final = 2
_particulars: Final = re.compile(r"'[^']*'|\d+")
_ALL_SUCCEEDED: Final = 0
_SOME_FAILED: Final = 1
_ONLY_RETRYABLE: Final = 3
_STOPPED: Final = 4
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143

_link: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_LONGEST_NAME: Final = 80


def printable(text: str) -> str:
    """Give text as one line without control characters, which a terminal would obey."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def without_links(text: str) -> str:
    """Give text of the API's for one line of a terminal: an address in it might log somebody in."""
    return _link.sub("<link left out>", printable(text))


def shown(text: str, error: MailChannelsError | None) -> str:
    """Give what an error says, or a comment without one, for one line; only what the API says may hold a login link."""
    is_ours = isinstance(error, (ConfigurationError, InvalidInput, RequestError))
    return printable(text) if is_ours else without_links(text)


def _shortened(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."


def _shown_code(code: int | str | None) -> int | str | None:
    return _shortened(code) if isinstance(code, str) else code


@define
class Problem:
    """What became of one row that did not simply succeed.

    Attributes:
        line: The row's line in the input, from 1.
        name: The domain's name as it was given, or what stands in its place.
        outcome: An `Outcome`, or `settings_not_applied` for a success that left settings as they were.
        code: The API's code; None where it gave none.
        retryable: Whether the same row may succeed another time, unchanged.
        reason: What went wrong, without what might log somebody in; see `shown`.
        attempts: How many requests it was sent in, those of earlier runs of the job included.
        invalid: Whether no request could have changed it.
    """

    line: int
    name: str = field(converter=_shortened)
    outcome: str
    code: int | str | None = field(default=None, converter=_shown_code)
    retryable: bool = False
    reason: str = field(default="", converter=printable)
    attempts: int = 0
    invalid: bool = False

    @property
    def kind(self) -> tuple[str, int | str | None, str]:
        """What problems of the same cause have in common: all but names, values and numbers."""
        return self.outcome, self.code, _particulars.sub("", self.reason.replace(self.name, ""))

    def __str__(self) -> str:
        code = "" if self.code is None else f" {self.code}"
        return f"line {self.line}: {self.name}: {self.outcome}{code}: {self.reason}"


@define
class Summary:
    """The state of a job, counted in rows.

    Attributes:
        counted: What the rows are about, in the plural.
        total: How many rows the input has; None while nobody knows.
        succeeded: Confirmed by the API.
        created: Those of `succeeded` that were answered with 201, which the API may give to old and new domains alike.
        already_there: Those of `succeeded` that were answered with 200: the API had them before.
        settings_not_applied: Those of `succeeded` whose settings stayed as they were.
        failed: Refused by the API, by its code.
        invalid: Refused before any request, or unreadable.
        unknown: Sent, and the answer was lost.
        not_sent: The job ended, or there was no connection, before they were sent.
        retryable: Those of all problems that may succeed another time, unchanged.
        stopped: Why the job ended early; None where it did not.
        interrupted: Whether somebody interrupted it.
        terminated: Whether that was done with SIGTERM.
        unread: Whether input was left unread, so that `not_sent` does not count it.
        first: Up to 20 problems: the first ones, and at least two of each kind as far as there is room.
        resumed: How many were accounted for by earlier runs of the job, according to its journal.
        requests: Requests that this run sent, their repeats included.
        retries: Repeats among them.
        rate_limited: Answers that said there were too many requests.
        seconds_paced: Seconds that requests waited for their turns, added up over all of them.
        seconds_backed_off: Seconds that requests waited before repeats, added up over all of them.
        slowed_to: Requests per second at most at present, where that is less than what was asked for.
        slowest: The least that it was slowed to; None where it never was.
    """

    counted: str = "domains"
    total: int | None = None
    succeeded: int = 0
    created: int = 0
    already_there: int = 0
    settings_not_applied: int = 0
    failed: Counter[int | str | None] = field(factory=Counter)
    invalid: int = 0
    unknown: int = 0
    not_sent: int = 0
    retryable: int = 0
    stopped: str | None = None
    interrupted: bool = False
    terminated: bool = False
    unread: bool = False
    first: list[Problem] = field(factory=list)
    resumed: int = 0
    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    seconds_paced: float = 0.0
    seconds_backed_off: float = 0.0
    slowed_to: float | None = None
    slowest: float | None = None
    _kinds: Counter[tuple[str, int | str | None, str]] = field(factory=Counter, init=False, repr=False)
    _started: float = field(factory=time.monotonic, init=False, repr=False)
    _finished: float | None = field(default=None, init=False, repr=False)

    def add(self, problem: Problem) -> None:
        """Count a row that did not simply succeed."""
        self._quote(problem)
        self.retryable += problem.retryable
        if problem.invalid:
            self.invalid += 1
        elif problem.outcome == Outcome.FAILED:
            self.failed[problem.code] += 1
        elif problem.outcome == Outcome.UNKNOWN:
            self.unknown += 1
        elif problem.outcome == Outcome.NOT_SENT:
            self.not_sent += 1
        else:
            self.settings_not_applied += 1

    def _quote(self, problem: Problem) -> None:
        """Keep a problem to be quoted; one cause that all the first rows share must not hide the others."""
        kind = problem.kind
        if len(self.first) >= SHOWN:
            most, quoted = self._kinds.most_common(1)[0]
            if self._kinds[kind] >= _OF_EACH or quoted <= _OF_EACH:
                return
            self.first.pop(max(i for i, other in enumerate(self.first) if other.kind == most))
            self._kinds[most] -= 1
        self.first.append(problem)
        self._kinds[kind] += 1

    def finish(self) -> None:
        """Stop the clock."""
        self._finished = time.monotonic()

    @property
    def sent(self) -> int:
        """How many were in a request that may have reached the API."""
        return self.succeeded + self.failed.total() + self.unknown

    @property
    def errors(self) -> int:
        """How many did not succeed."""
        return self.failed.total() + self.invalid + self.unknown + self.not_sent

    @property
    def new(self) -> int | None:
        """How many domains were created; None as long as no answer shows that the API tells them from others."""
        return self.created if self.already_there else None

    @property
    def done(self) -> int:
        """How many are accounted for."""
        return self.succeeded + self.errors

    @property
    def seconds(self) -> float:
        """How long the job has run, or ran."""
        return (time.monotonic() if self._finished is None else self._finished) - self._started

    @property
    def rate(self) -> float:
        """Rows a second, over the whole run; what was not sent took no time."""
        return (self.done - self.resumed - self.not_sent) / self.seconds if self.seconds else 0.0

    def exit_code(self) -> int:
        """Give the process's exit code.

        Returns:
            0 all succeeded; 1 some failed, or settings were not applied; 3 only retryable ones are left; 4 the job was
            stopped; 130 it was interrupted; 143 the same with SIGTERM.

        Example:
            >>> Summary(succeeded=3).exit_code()
            0
        """
        if self.interrupted:
            return _TERMINATED if self.terminated else _INTERRUPTED
        if self.stopped is not None:
            return _STOPPED
        problems = self.errors + self.settings_not_applied
        if not problems:
            return _ALL_SUCCEEDED
        return _ONLY_RETRYABLE if self.retryable == problems else _SOME_FAILED


def tell_nobody(_: Summary) -> None:
    """Take the state of a job for whoever does not want to know it, or cannot be told."""
