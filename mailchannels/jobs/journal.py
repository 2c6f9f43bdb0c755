"""The memory of a job in one SQLite file: what was sent, and what came of every row, whatever ends the process.

Before rows are sent, `promise` says how far; after their answers, `keep` says what came of each. A row that was
promised and has no outcome was under way when the process ended. Rows are known by their positions in the input, a
byte each; only those that did not simply succeed are kept in full. Neither keys nor login links come here.

It knows nothing of the network, and of the input only what its rows are called.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.to_thread
from attrs import define

from ..errors import InvalidInput, MailChannelsError
from ..models import Outcome
from .summary import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["NEW", "OPEN", "PROBLEM", "SUCCEEDED", "THERE", "Entry", "Journal", "JournalError", "Known"]

T = TypeVar("T")

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

_JOURNAL: Final = "--journal"
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


class JournalError(MailChannelsError):
    """The journal could not be written, as on a full or read-only disk; nothing is sent without it."""


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
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self.failure: JournalError | None = None
        _touch(path, is_new_allowed=is_new_allowed)
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise
        self._known_until = self._execute("SELECT ifnull(max(number) + 1, 0) FROM block").fetchone()[0] * _BLOCK

    def _open(self) -> None:
        try:
            self._execute("PRAGMA locking_mode = EXCLUSIVE")
            application, tables = (
                self._execute(query).fetchone()[0]
                for query in ("PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
            )
            if tables and application != _APPLICATION:
                raise InvalidInput(_JOURNAL, f"{self._path!r} is a database of something else; give another path")
            self._execute("PRAGMA journal_mode = WAL")
            # Each commit reaches the disk itself before it returns: what was shown must survive a power cut.
            self._execute("PRAGMA synchronous = FULL")
            with self._transaction():  # also what takes hold of the file
                if not tables:
                    self._create()
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise InvalidInput(
                    _JOURNAL, f"{self._path!r} is in use by another process; two must not run one job"
                ) from None
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise InvalidInput(_JOURNAL, f"{self._path!r} is not a journal; give another path") from None
            raise self._failed(error) from None
        if self._execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            raise InvalidInput(_JOURNAL, f"{self._path!r} was written by another release of this package; use that one")
        row = self._execute("SELECT identity, columns, created, total FROM job").fetchone()
        if row is not None:
            self.identity, self.columns, self.created = json.loads(row[0]), json.loads(row[1]), row[2]
            self.total = row[3]
            self.promised, self.digest, self.output_size, self.kept = self._execute(
                "SELECT promised, digest, output_size, kept FROM progress"
            ).fetchone()

    def _create(self) -> None:
        for statement in _SCHEMA.split(";"):
            self._execute(statement)
        self._execute(f"PRAGMA application_id = {_APPLICATION}")
        self._execute(f"PRAGMA user_version = {_VERSION}")

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
            self._write(self._write_identity)
            return
        self.is_resumed = True
        for name, what in _WHAT.items():
            before, now = self.identity.get(name), identity.get(name)
            if before != now:
                raise InvalidInput(
                    _JOURNAL,
                    f"{self._path!r} belongs to another job: {what} was {_shown(before)} and is now {_shown(now)};"
                    " give another path, or the arguments as they were",
                )
        if self.identity.get("content") != identity.get("content"):
            raise InvalidInput(
                _JOURNAL,
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
            await self._in_thread(
                lambda: self._write(
                    lambda: self._execute("UPDATE progress SET promised = ?, digest = ?", (until, digest))
                )
            )
            self.promised, self.digest = until, digest

    async def keep(
        self, states: Sequence[tuple[int, int]], entries: Sequence[Entry] = (), output_size: int = 0
    ) -> None:
        """Keep what came of rows, in one transaction.

        Args:
            states: The position and the state of each.
            entries: What there is to tell of those that did not simply succeed.
            output_size: Bytes of the output, their part included.

        Raises:
            JournalError: It cannot be written: of none of them it is known.
        """
        await self._in_thread(lambda: self._write(lambda: self._keep(states, entries, output_size)))

    def _keep(self, states: Sequence[tuple[int, int]], entries: Sequence[Entry], output_size: int) -> None:
        blocks: dict[int, bytearray] = {}
        forgotten: list[tuple[int]] = []
        first, block = -_BLOCK, bytearray()
        for position, state in states:
            place = position - first
            if not 0 <= place < _BLOCK:
                number = position // _BLOCK
                first, place = number * _BLOCK, position % _BLOCK
                if number not in blocks:
                    blocks[number] = bytearray(self._states(number))
                block = blocks[number]
            if block[place] == PROBLEM:
                forgotten.append((position,))
            block[place] = state
        many = self._connection.executemany
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
        return await self._in_thread(lambda: self._known(first, count))

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
        await self._in_thread(
            lambda: self._write(lambda: self._execute("UPDATE problem SET again = 1 WHERE code = ?", (code,)))
        )

    def counts(self) -> dict[int, int]:
        """Count the rows of each state, those of no outcome left out."""
        counts = dict.fromkeys((NEW, THERE, SUCCEEDED, PROBLEM), 0)
        for (states,) in self._connection.execute("SELECT states FROM block"):
            for state in counts:
                counts[state] += states.count(state)
        return counts

    def settled_before(self, position: int) -> int:
        """Count the rows before a position that have an outcome."""
        settled = 0
        for number, states in self._connection.execute("SELECT number, states FROM block"):
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
        self._connection.close()

    @property
    def has_content(self) -> bool:
        """Whether it knows the input as a whole, which then need not be recognised row by row."""
        return self.identity is not None and self.identity.get("content") is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Not abandoned where the caller is cancelled: a commit is over, or it was not begun.
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._one_at_a_time)
        except sqlite3.Error as error:
            self.failure = self._failed(error)
            raise self.failure from None

    def _write(self, work: Callable[[], object]) -> None:
        if self.failure is not None:
            raise self.failure
        try:
            with self._transaction():
                work()
        except sqlite3.Error as error:
            # After one loss nothing more is written: a later outcome must not stand without an earlier one.
            self.failure = self._failed(error)
            raise self.failure from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._execute("BEGIN IMMEDIATE")
        with self._connection:  # which commits, or rolls back
            yield

    def _execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _failed(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{_JOURNAL}: {self._path!r} could not be written: {error}; make room for it, or give back the right to"
            " write, and run the same command again"
        )


def _touch(path: str, *, is_new_allowed: bool) -> None:
    """Make the file for its owner alone, as it holds rows of the input; say why where it cannot be used."""
    try:
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if is_new_allowed else 0), 0o600))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InvalidInput(_JOURNAL, f"cannot use {path!r}: {error.strerror}") from None
    except OSError as error:
        raise JournalError(f"{_JOURNAL}: cannot write {path!r}: {error.strerror or error}") from None


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
