"""The file under a journal: SQLite, held for this process alone, whose every commit reaches the disk before it returns.

Nothing here knows what a row of a table means.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread

from ..errors import InvalidInput, MailChannelsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["JOURNAL", "Database", "JournalError"]

T = TypeVar("T")

JOURNAL: Final = "--journal"
"""What the file is called where it is refused."""


class JournalError(MailChannelsError):
    """The journal could not be written, as on a full or read-only disk; nothing is sent without it."""


class Database:
    """One file of tables.

    Args:
        path: The file; its `-wal` stands beside it meanwhile.
        application: The number that tells such files from others.
        version: The number of the tables' form.
        schema: The statements that make the tables of a new file.
        is_new_allowed: Whether a file that does not exist is made.

    Attributes:
        failure: Why nothing is written any more; None as long as all was.

    Raises:
        InvalidInput: The file is something else, or another process uses it.
        JournalError: The file cannot be written.
    """

    def __init__(self, path: str, *, application: int, version: int, schema: str, is_new_allowed: bool) -> None:
        self.failure: JournalError | None = None
        self._path = path
        self._application = application
        self._version = version
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._in_use = threading.Lock()
        _touch(path, is_new_allowed=is_new_allowed)
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._open(schema)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, schema: str) -> None:
        try:
            self.execute("PRAGMA locking_mode = EXCLUSIVE")
            application, tables = (
                self.execute(query).fetchone()[0]
                for query in ("PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
            )
            if tables and application != self._application:
                raise InvalidInput(JOURNAL, f"{self._path!r} is a database of something else; give another path")
            self.execute("PRAGMA journal_mode = WAL")
            # Each commit reaches the disk itself before it returns: what was shown must survive a power cut.
            self.execute("PRAGMA synchronous = FULL")
            with self._transaction():  # also what takes hold of the file
                if not tables:
                    self._create(schema)
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise InvalidInput(
                    JOURNAL, f"{self._path!r} is in use by another process; two must not run one job"
                ) from None
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise InvalidInput(JOURNAL, f"{self._path!r} is not a journal; give another path") from None
            raise self._failed(error) from None
        if self.execute("PRAGMA user_version").fetchone()[0] != self._version:
            raise InvalidInput(JOURNAL, f"{self._path!r} was written by another release of this package; use that one")

    def _create(self, schema: str) -> None:
        for statement in schema.split(";"):
            self.execute(statement)
        self.execute(f"PRAGMA application_id = {self._application}")
        self.execute(f"PRAGMA user_version = {self._version}")

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Execute a statement."""
        return self._connection.execute(statement, values)

    def execute_many(self, statement: str, values: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each of several values."""
        self._connection.executemany(statement, values)

    def write(self, work: Callable[[], object]) -> None:
        """Do what changes something, in one transaction.

        Raises:
            JournalError: It cannot be written, or something before it could not.
        """
        if self.failure is not None:
            raise self.failure
        try:
            with self._transaction():
                work()
        except sqlite3.Error as error:
            # After one loss nothing more is written: a later outcome must not stand without an earlier one.
            self.failure = self._failed(error)
            raise self.failure from None

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what waits for the disk, one at a time.

        Raises:
            JournalError: It cannot be read or written.
        """

        def use() -> T:
            with self._in_use:
                return work()

        # Not abandoned where a cancel scope of the caller's is cancelled: a commit is over, or it was not begun. A task
        # that asyncio itself cancels leaves it behind nevertheless, in a thread that then has the file to itself.
        try:
            return await anyio.to_thread.run_sync(use, limiter=self._one_at_a_time)
        except sqlite3.Error as error:
            self.failure = self._failed(error)
            raise self.failure from None

    def close(self) -> None:
        """Let go of the file, and leave it alone on the disk where that can be written."""
        with self._in_use:  # SQLite does not survive that another thread is still at it
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        with self._connection:  # which commits, or rolls back
            yield

    def _failed(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{JOURNAL}: {self._path!r} could not be written: {error}; make room for it, or give back the right to"
            " write, and run the same command again"
        )


def _touch(path: str, *, is_new_allowed: bool) -> None:
    """Make the file for its owner alone, as it holds rows of the input; say why where it cannot be used."""
    try:
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if is_new_allowed else 0), 0o600))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise InvalidInput(JOURNAL, f"cannot use {path!r}: {error.strerror}") from None
    except OSError as error:
        raise JournalError(f"{JOURNAL}: cannot write {path!r}: {error.strerror or error}") from None
