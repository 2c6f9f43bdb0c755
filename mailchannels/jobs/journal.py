"""The memory of a job: what was sent, and what came of every row, whatever ends the process.

Before rows are sent, `promise` says how far; after their answers, `keep` says what came of each. A row that was
promised and has no outcome was under way when the process ended. Rows are known by their positions in the input, a
byte each; only those that did not simply succeed are kept in full. Neither keys nor login links come here.

It knows nothing of the network, and of the input only what its rows are called.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define

from ..errors import InvalidInput
from ..models import Outcome
from .database import JOURNAL, Database
from .summary import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .database import JournalError

__all__ = ["NEW", "OPEN", "PROBLEM", "SUCCEEDED", "THERE", "Entry", "Journal", "Known"]

OPEN: Final = 0
"""Nothing is known of the row."""
NEW: Final = ord("n")
"""It succeeded, and was answered with 201: the domain is new, where the API tells new ones from others."""
THERE: Final = ord("t")
"""It succeeded, and the domain was there already."""
SUCCEEDED: Final = ord("s")
"""It succeeded, and whether the domain was there is not known, or not asked."""
PROBLEM: Final = ord("p")
"""It did not succeed; what came of it is kept in full."""

_APPLICATION: Final = 0x4D434A4C
_VERSION: Final = 1
_BLOCK: Final = 1_000
_SCHEMA: Final = """
CREATE TABLE job (identity TEXT NOT NULL, columns TEXT NOT NULL, created TEXT NOT NULL, total INTEGER);
CREATE TABLE progress (promised INTEGER NOT NULL, digest TEXT, output_size INTEGER NOT NULL, kept TEXT NOT NULL);
CREATE TABLE block (number INTEGER PRIMARY KEY, states BLOB NOT NULL);
CREATE TABLE problem (
    position INTEGER PRIMARY KEY, line INTEGER NOT NULL, name TEXT NOT NULL, outcome TEXT NOT NULL, code INTEGER,
    retryable INTEGER NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, invalid INTEGER NOT NULL,
    again INTEGER NOT NULL, cells TEXT NOT NULL, surplus TEXT NOT NULL
);
"""
_WHAT: Final = {
    "kind": "what is done",
    "source": "where its rows come from",
    "base_url": "the API's address",
    "subscription_handle": "the subscription",
    "associate_key": "--associate-key",
    "overwrite": "--overwrite",
    "output": "--output",
}


@define
class Entry:
    """What there is to tell of a row that did not simply succeed.

    Attributes:
        position: The row's position in the input, from 0.
        problem: What came of it.
        cells: The row in the input's own columns.
        surplus: What found no column.
        again: Whether the row is to be sent again when the job is resumed.
    """

    position: int
    problem: Problem
    cells: Mapping[str, str]
    surplus: Sequence[str]
    again: bool


@define
class Known:
    """What is known of a stretch of rows.

    Attributes:
        states: A state for each row.
        again: Those that are to be sent again, by position: how often they were sent, and whether they may have been
            applied all the same.
    """

    states: bytes
    again: dict[int, tuple[int, bool]]


class Journal:
    """One journal, held for this process alone until it is closed.

    Args:
        path: The file; its `-wal` stands beside it meanwhile.
        is_new_allowed: Whether a file that does not exist is made.

    Attributes:
        identity: The job it belongs to; None for a new journal.
        is_resumed: Whether an earlier run began it.
        columns: The input's own columns.
        total: How many rows the input has; None where nobody knows.
        created: When the job began, as ISO 8601.
        kept: When the last outcome was kept, as ISO 8601.
        promised: Rows before this position may have been sent.
        digest: What the rows before `promised` add up to; None where the input is a file, known as a whole.
        output_size: Bytes of the output that belong to outcomes kept.

    Raises:
        InvalidInput: The file is not a journal, or another process uses it.
        JournalError: The file cannot be written.

    Example:
        >>> journal = Journal("job.journal")
        >>> journal.close()
    """

    def __init__(self, path: str, *, is_new_allowed: bool = True) -> None:
        self.identity: dict[str, Any] | None = None
        self.is_resumed: bool = False
        self.columns: list[str] = []
        self.total: int | None = None
        self.created: str = ""
        self.kept: str = ""
        self.promised: int = 0
        self.digest: str | None = None
        self.output_size: int = 0
        self._path = path
        self._database = Database(
            path, application=_APPLICATION, version=_VERSION, schema=_SCHEMA, is_new_allowed=is_new_allowed
        )
        try:
            self._recall()
        except (sqlite3.Error, TypeError, ValueError) as error:
            self._database.close()
            raise InvalidInput(
                JOURNAL, f"{path!r} cannot be understood ({error}); put back a copy that can, or give another path"
            ) from None

    def _recall(self) -> None:
        row = self._execute("SELECT identity, columns, created, total FROM job").fetchone()
        if row is not None:
            self.identity, self.columns, self.created = json.loads(row[0]), json.loads(row[1]), row[2]
            self.total = row[3]
            self.promised, self.digest, self.output_size, self.kept = self._execute(
                "SELECT promised, digest, output_size, kept FROM progress"
            ).fetchone()
        self._known_until = self._execute("SELECT ifnull(max(number) + 1, 0) FROM block").fetchone()[0] * _BLOCK

    def belong(self, identity: Mapping[str, Any], columns: Sequence[str], total: int | None) -> None:
        """Take a new journal for a job, or hold that it is this job's.

        Args:
            identity: What makes the job this one: `kind`, `source`, `content` and the flags that change its meaning.
            columns: The input's own columns.
            total: How many rows the input has; None where nobody knows.

        Raises:
            InvalidInput: It belongs to another job; the message says what differs.
            JournalError: It cannot be written.
        """
        if self.identity is None:
            self.identity, self.columns, self.total, self.created = dict(identity), [*columns], total, _now()
            self._database.write(self._write_identity)
            return
        self.is_resumed = True
        for name, what in _WHAT.items():
            before, now = self.identity.get(name), identity.get(name)
            if before != now:
                raise InvalidInput(
                    JOURNAL,
                    f"{self._path!r} belongs to another job: {what} was {_shown(before)} and is now {_shown(now)};"
                    " give another path, or the arguments as they were",
                )
        if self.identity.get("content") != identity.get("content"):
            raise InvalidInput(
                JOURNAL,
                f"{self._path!r} belongs to FILE as it was, and it has changed since {self.created}; give it as it was,"
                " or another journal",
            )

    def _write_identity(self) -> None:
        self._execute(
            "INSERT INTO job VALUES (?, ?, ?, ?)",
            (_dump(self.identity), _dump(self.columns), self.created, self.total),
        )
        self._execute("INSERT INTO progress VALUES (0, NULL, 0, ?)", (self.created,))

    async def promise(self, until: int, digest: str | None = None) -> None:
        """Note that the rows before a position may be sent from now on.

        Args:
            until: The position.
            digest: What those rows add up to.

        Raises:
            JournalError: It cannot be written: do not send them.
        """
        if until > self.promised:
            await self._database.in_thread(
                lambda: self._database.write(
                    lambda: self._execute("UPDATE progress SET promised = ?, digest = ?", (until, digest))
                )
            )
            self.promised, self.digest = until, digest

    async def keep(
        self, positions: list[int], states: bytes, entries: Sequence[Entry] = (), output_size: int = 0
    ) -> None:
        """Keep what came of rows, in one transaction.

        Args:
            positions: Their positions, mostly one after the other.
            states: A state for each.
            entries: What there is to tell of those that did not simply succeed.
            output_size: Bytes of the output, their part included.

        Raises:
            JournalError: It cannot be written: of none of them it is known.
        """
        await self._database.in_thread(
            lambda: self._database.write(lambda: self._keep(positions, states, entries, output_size))
        )

    def _keep(self, positions: list[int], states: bytes, entries: Sequence[Entry], output_size: int) -> None:
        blocks: dict[int, bytearray] = {}
        forgotten: list[tuple[int]] = []
        for start, end in _stretches(positions):
            number, place = divmod(positions[start], _BLOCK)
            if number not in blocks:
                blocks[number] = bytearray(self._states(number))
            stretch = slice(place, place + end - start)
            if PROBLEM in (before := blocks[number][stretch]):
                forgotten += [(positions[start] + i,) for i, state in enumerate(before) if state == PROBLEM]
            blocks[number][stretch] = states[start:end]
        many = self._database.execute_many
        many("INSERT OR REPLACE INTO block VALUES (?, ?)", [(number, bytes(block)) for number, block in blocks.items()])
        many("DELETE FROM problem WHERE position = ?", forgotten)
        many(
            "INSERT OR REPLACE INTO problem VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_values(entry) for entry in entries],
        )
        self._execute("UPDATE progress SET output_size = ?, kept = ?", (output_size, _now()))
        self._known_until = max(self._known_until, (max(blocks, default=-1) + 1) * _BLOCK)

    async def known(self, first: int, count: int) -> Known:
        """Say what is known of the rows from a position on.

        Args:
            first: The position.
            count: How many rows.
        """
        if first >= self._known_until:
            return Known(bytes(count), {})
        return await self._database.in_thread(lambda: self._known(first, count))

    def _known(self, first: int, count: int) -> Known:
        number, place = divmod(first, _BLOCK)
        states = b"".join(self._states(each) for each in range(number, (first + count - 1) // _BLOCK + 1))
        again = self._execute(
            "SELECT position, attempts, outcome FROM problem WHERE position BETWEEN ? AND ? AND again",
            (first, first + count - 1),
        )
        return Known(
            states[place : place + count],
            {position: (attempts, outcome == Outcome.UNKNOWN) for position, attempts, outcome in again},
        )

    def _states(self, number: int) -> bytes:
        row = self._execute("SELECT states FROM block WHERE number = ?", (number,)).fetchone()
        states: bytes = bytes(_BLOCK) if row is None else row[0]
        return states

    async def send_again(self, code: int) -> None:
        """Let every row that was refused with a code be sent again: it was said of the job, and not of the row.

        Args:
            code: The API's code.

        Raises:
            JournalError: It cannot be written.
        """
        await self._database.in_thread(
            lambda: self._database.write(lambda: self._execute("UPDATE problem SET again = 1 WHERE code = ?", (code,)))
        )

    def counts(self) -> dict[int, int]:
        """Count the rows of each state, those of no outcome left out."""
        counts = dict.fromkeys((NEW, THERE, SUCCEEDED, PROBLEM), 0)
        for (states,) in self._execute("SELECT states FROM block"):
            for state in counts:
                counts[state] += states.count(state)
        return counts

    def count_again(self) -> int:
        """Count the rows that did not succeed and are sent again when the job is resumed."""
        count: int = self._execute("SELECT count(*) FROM problem WHERE again").fetchone()[0]
        return count

    def settled_before(self, position: int) -> int:
        """Count the rows before a position that have an outcome."""
        settled = 0
        for number, states in self._execute("SELECT number, states FROM block"):
            first = number * _BLOCK
            settled += sum(map(bool, states[: max(0, position - first)]))
        return settled

    def problems(self, *, final: bool = False) -> Iterator[tuple[Problem, dict[str, str], list[str]]]:
        """Give every row that did not simply succeed, in the order of the input, its cells and what found no column.

        Args:
            final: Whether to leave out those that are sent again when the job is resumed. Default no.
        """
        query = """
            SELECT line, name, outcome, code, retryable, reason, attempts, invalid, cells, surplus FROM problem
            WHERE again < ? ORDER BY position
        """
        found = self._execute(query, (1 if final else 2,))
        for line, name, outcome, code, retryable, reason, attempts, invalid, cells, surplus in found:
            problem = Problem(line, name, outcome, code, bool(retryable), reason, attempts, bool(invalid))
            yield problem, json.loads(cells), json.loads(surplus)

    def close(self) -> None:
        """Let go of the file, and leave it alone on the disk where that can be written."""
        self._database.close()

    @property
    def has_content(self) -> bool:
        """Whether it knows the input as a whole, which then need not be recognised row by row."""
        return self.identity is not None and self.identity.get("content") is not None

    @property
    def failure(self) -> JournalError | None:
        """Why nothing is kept any more; None as long as all was."""
        return self._database.failure

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._database.execute(statement, values)


def _stretches(positions: list[int]) -> Iterator[tuple[int, int]]:
    """Cut positions, by their places in the list, where they do not count on or a block ends."""
    start = 0
    for end in range(1, len(positions) + 1):
        if end == len(positions) or positions[end] != positions[end - 1] + 1 or positions[end] % _BLOCK == 0:
            yield start, end
            start = end


def _values(entry: Entry) -> tuple[object, ...]:
    problem = entry.problem
    return (
        entry.position,
        problem.line,
        problem.name,
        problem.outcome,
        problem.code,
        problem.retryable,
        problem.reason,
        problem.attempts,
        problem.invalid,
        entry.again,
        _dump(entry.cells),
        _dump([*entry.surplus]),
    )


def _dump(value: object) -> str:
    return json.dumps(value)  # escapes bytes that are not UTF-8, which orjson refuses


def _shown(value: object) -> str:
    return "not given" if value is None else repr(value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
