"""The files that a job writes: the rows that did not succeed, and the login links of those that did.

Both are written as results come and hold nothing in memory. A report of errors never holds a login link; the file of
links is readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import csv
import os
import stat
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from ..errors import InvalidInput
from .rows import REPORT_COLUMNS, is_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from .summary import Problem

__all__ = ["ErrorFile", "ErrorTable", "LinkFile", "is_same_file"]

_ERRORS: Final = "--errors"
_OUTPUT: Final = "--output"


class _CsvFile:
    """A CSV file being written, in UTF-8; its header goes before the first row, or the first flush."""

    def __init__(self, stream: IO[str], header: list[str]) -> None:
        self._stream = stream
        self._header = header
        self._has_begun = False
        # \n, as grep and cut want it; cells with a line break are quoted all the same.
        self._writer = csv.writer(stream, lineterminator="\n")

    def flush(self) -> None:
        """Hand what was written to the operating system, which is when a full disk shows."""
        self._write([])
        self._stream.flush()

    def _write(self, rows: Iterable[list[object]]) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._begin()
            self._writer.writerow(self._header)
        self._writer.writerows(rows)

    def _begin(self) -> None:
        """Make room, before anything is written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What could not be written was found, and said, when it was flushed.
        with contextlib.suppress(OSError):
            self._stream.close()


class ErrorTable(_CsvFile):
    """The rows that did not succeed, in the input's own columns, and why; given as input it repeats just these.

    Args:
        stream: Where to write.
        columns: The input's own columns.

    Example:
        >>> with ErrorTable(sys.stdout, ["domain"]) as errors:
        ...     errors.write({"domain": "a.example"}, problem)
    """

    def __init__(self, stream: IO[str], columns: Sequence[str]) -> None:
        self._columns = [*columns]
        super().__init__(stream, [*self._columns, *REPORT_COLUMNS])

    def write(self, cells: Mapping[str, str], problem: Problem, surplus: Sequence[str] = ()) -> None:
        """Write a row and what became of it; `surplus` goes beyond the last column."""
        self._write(
            [
                [
                    *(cells.get(column, "") for column in self._columns),
                    problem.line,
                    "" if problem.code is None else problem.code,
                    problem.reason,
                    problem.outcome,
                    problem.attempts,
                    "true" if problem.retryable else "false",
                    *surplus,
                ]
            ]
        )


class ErrorFile(ErrorTable):
    """The same as a file.

    Args:
        path: Where to write. Of the files that are there, only an empty one or an earlier report is replaced, at the
            first row or flush, so that a repeated run can use the same name and one that is refused before loses
            nothing.
        columns: The input's own columns.
        others: Files of the same job, by what they are called, which must be other files.

    Raises:
        InvalidInput: The path cannot be written, is another file of the job or one that is no report, or has a suffix
            that says JSON Lines.

    Example:
        >>> with open_source("domains.csv", DOMAINS) as source, ErrorFile("errors.csv", source.columns) as errors:
        ...     ...
    """

    def __init__(self, path: str, columns: Sequence[str], others: Mapping[str, str | None] | None = None) -> None:
        if Path(path).suffix.lower() in {".jsonl", ".ndjson"}:
            raise InvalidInput(_ERRORS, f"{path!r} would be read as JSON Lines and is written as CSV; name it .csv")
        try:
            for called, other in (others or {}).items():
                if other is not None and is_same_file(path, other):
                    raise InvalidInput(_ERRORS, f"{path!r} is {called} itself; give another path")
            if _is_foreign(path):
                raise InvalidInput(_ERRORS, f"{path!r} is there and no earlier report; move it or give another path")
            descriptor, self._is_new = _open(path)
        except OSError as error:
            raise InvalidInput(_ERRORS, f"cannot write {path!r}: {error.strerror or error}") from None
        self._path = path
        # A row that is not UTF-8 is written with its bytes escaped, to be found and mended.
        stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="")
        super().__init__(stream, columns)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._is_new and not self._has_begun:
            Path(self._path).unlink()

    def _begin(self) -> None:
        if stat.S_ISREG(os.fstat(self._stream.fileno()).st_mode):
            self._stream.truncate(0)


class LinkFile(_CsvFile):
    """Domains and their login links, as CSV.

    Args:
        path: A file that does not exist yet, created readable and writable by its owner alone; or `-` for standard
            output.
        resumed_at: How many bytes of the file an earlier run of the same job wrote, which stay; what comes after them
            was never accounted for and goes. None for a new file.

    Raises:
        InvalidInput: The path exists, or cannot be written; or what is to stay is not there.

    Example:
        >>> with LinkFile("links.csv") as links:
        ...     ...
    """

    def __init__(self, path: str, *, resumed_at: int | None = None) -> None:
        self._path = path
        self._has_links = False
        self.size: int = resumed_at or 0
        if path == "-":
            super().__init__(sys.stdout, ["domain", "login_link"])
            return
        try:
            if resumed_at is not None and (resumed_at or Path(path).exists()):
                descriptor = _reopened(path, resumed_at)
            else:
                # Exclusive: a file or a symbolic link of somebody else's must not receive the links.
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise InvalidInput(
                _OUTPUT, f"{path!r} exists, and links in it are not overwritten; give another path or remove it"
            ) from None
        except OSError as error:
            raise InvalidInput(_OUTPUT, f"cannot write {path!r}: {error.strerror or error}") from None
        super().__init__(os.fdopen(descriptor, "w", encoding="utf-8", newline=""), ["domain", "login_link"])
        self._has_begun = self._has_links = self.size > 0

    def write(self, links: Iterable[tuple[str, str]], *, durably: bool = False) -> None:
        """Write the links of one answer; `durably` waits until they are on the disk, where they go to one."""
        for domain, link in links:
            self._write([[domain, link]])
            self._has_links = True
        self.flush()
        if durably and self._path != "-":
            os.fsync(self._stream.fileno())
            self.size = self._stream.tell()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path == "-":
            return
        super().__exit__(kind, error, trace)
        if not self._has_links:  # it would only be in the way of the next attempt
            Path(self._path).unlink()


def is_same_file(path: str, other: str) -> bool:
    """Whether two paths lead to one file, whether it exists or not."""
    return path != "-" and other != "-" and os.path.realpath(path) == os.path.realpath(other)


def _reopened(path: str, size: int) -> int:
    """Open a file of links where an earlier run left it."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
    if os.fstat(descriptor).st_size < size:
        os.close(descriptor)
        raise InvalidInput(_OUTPUT, f"{path!r} lacks links that the journal counts as written; begin a new journal")
    os.ftruncate(descriptor, size)
    os.lseek(descriptor, size, os.SEEK_SET)
    return descriptor


def _is_foreign(path: str) -> bool:
    """Whether a file is there that has anything in it but a report."""
    if not Path(path).is_file() or not Path(path).stat().st_size:
        return False
    with Path(path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return not is_report(next(csv.reader(file), []))
        except csv.Error:
            return True


def _open(path: str) -> tuple[int, bool]:
    """Open for writing what is there, as it is, or else a new file; says whether it is new."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, os.O_WRONLY | os.O_CREAT, 0o666), False
