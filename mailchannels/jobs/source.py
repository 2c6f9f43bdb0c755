"""The input of a bulk job: what every kind of it can do, and files and standard input, judged before their first row.

How rows are written is the business of `rows`, an iterable that of `given`; nothing here sends anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar

import orjson

from ..errors import InvalidInput
from .kinds import Kind
from .lines import BLANKS, Lines, is_one_word_a_line, lines_of, undecodable
from .rows import FILE, JsonLines, Row, Table
from .spelling import meant, unknown_keys
from .threads import in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Source", "SourceFile", "open_source"]

T = TypeVar("T")

_JSON_LINES: Final = {".jsonl", ".ndjson"}


class Source(Protocol[T]):
    """The rows of one input, to be read once.

    Attributes:
        file: What was opened; None where it is no file.
        kind: What its rows are about.
        columns: The input's own columns, without those of a report.
        total: How many rows there are; None where nobody knows.
        is_stream: Whether it may keep its reader waiting, so that the rest is not read where it is not sent.
    """

    file: str | None
    kind: Kind[T]
    columns: list[str]
    total: int | None
    is_stream: bool

    @property
    def known(self) -> Sequence[str]:
        """Columns or keys that mean something."""
        ...

    @property
    def ignored(self) -> list[str]:
        """Columns or keys that mean nothing, as far as rows were read."""
        ...

    async def take(self, count: int) -> list[Row[T]]:
        """Read up to so many rows; none at the end."""
        ...

    def left_over(self) -> list[Row[T]]:
        """Give the rows that were read and not given: by a `take` that was cancelled, or ahead of all."""
        ...

    def fingerprint(self) -> str | None:
        """Tell the content from any other; None where it cannot be read twice."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class SourceFile(Generic[T]):
    """The rows of a file or of standard input; see `Source` for the attributes."""

    def __init__(
        self,
        file: str,
        kind: Kind[T],
        stream: IO[str],
        lines: Lines,
        reader: Table[T] | JsonLines[T],
        *,
        total: int | None,
    ) -> None:
        self.file: str | None = file
        self.kind: Kind[T] = kind
        self.columns: list[str] = reader.columns
        self.total = total
        self.is_stream: bool = total is None
        self._rows: Iterator[Row[T]] | None = None
        self._read: list[Row[T]] = []
        self._failure: OSError | None = None
        self._is_at_end = False
        self._stream = stream
        self._lines = lines
        self._reader = reader

    @property
    def known(self) -> Sequence[str]:
        """Columns or keys that mean something."""
        return self._reader.known

    @property
    def ignored(self) -> list[str]:
        """Columns or keys that mean nothing; those of JSON Lines from a stream show up only while rows are read."""
        return self._reader.ignored

    def __iter__(self) -> Iterator[Row[T]]:
        if self.is_stream:
            yield from self._reader.rows()
        else:
            while self._lines.read_ahead():
                yield from self._reader.rows()
        self._is_at_end = True

    async def take(self, count: int) -> list[Row[T]]:
        """Read up to so many rows, without keeping the event loop waiting; an error comes after the rows before it."""
        try:
            if self._failure is None:
                await (self._read_stream(count) if self.is_stream else self._read_file(count))
        except OSError as error:
            self._failure = error
        if self._failure is not None and not self._read:
            raise self._failure
        return self.left_over()

    def left_over(self) -> list[Row[T]]:
        """Give the rows that were read and not given: by a `take` that was cancelled, or ahead of all."""
        rows, self._read = self._read, []
        return rows

    async def _read_stream(self, count: int) -> None:
        rows = self._rows = self._rows or iter(self)

        def read() -> None:
            for row in islice(rows, count):
                self._read.append(row)  # one by one: the next may keep us waiting for ever

        await in_daemon_thread(read)

    async def _read_file(self, count: int) -> None:
        # Only the text comes from a thread: rows are best made where they are used, on the same core.
        while len(self._read) < count:
            if self._rows is None:
                if not await in_daemon_thread(self._lines.read_ahead):
                    break
                self._rows = self._reader.rows()
            self._read += islice(self._rows, count - len(self._read))
            if len(self._read) < count:
                self._rows = None

    def fingerprint(self) -> str | None:
        """Tell the content from any other; None where it cannot be read twice."""
        if self.is_stream or self.file is None:
            return None
        with Path(self.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        # A stream may still have a reader waiting, who holds its lock.
        if self._is_at_end or not self.is_stream:
            self._stream.close()


def open_source(file: str, kind: Kind[T]) -> SourceFile[T]:
    """Open the input of a job.

    Args:
        file: A path, whose suffix `.jsonl` or `.ndjson` says JSON Lines and any other CSV; or `-` for standard input,
            which is JSON Lines where its first character is `{`.
        kind: What its rows are about.

    Returns:
        Its rows. A file has been read through once, to count them and to see that it is UTF-8.

    Raises:
        InvalidInput: The file cannot be read, is not UTF-8, has no rows, lacks a column that it must have, or has one
            whose name is another spelling of a column's.

    Example:
        >>> with open_source("domains.csv", DOMAINS) as source:
        ...     for row in source:
        ...         print(row.line, row.error or row.value)
    """
    try:
        # Standard input gets a reader of its own: the lock of sys.stdin must be free when the interpreter ends.
        stream = _text(sys.stdin.fileno() if file == "-" else file)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    json_lines = Path(file).suffix.lower() in _JSON_LINES
    try:
        # A pipe, such as the shell's <(...), cannot be read twice either.
        if file == "-" or not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return _source(file, kind, stream, json_lines=json_lines or None, total=None)
        ignored: set[str] = set()
        total = _count(stream, kind, ignored if json_lines else None)
        stream.seek(0)
        return _source(file, kind, stream, json_lines=json_lines, total=total, ignored=ignored)
    except OSError as error:
        stream.close()
        raise _unreadable(file, error) from None
    except BaseException:
        stream.close()
        raise


def _source(
    file: str,
    kind: Kind[T],
    stream: IO[str],
    *,
    json_lines: bool | None,
    total: int | None,
    ignored: Iterable[str] = (),
) -> SourceFile[T]:
    lines = Lines(stream, is_stream=total is None)
    first = lines.peek()
    shown = "standard input" if file == "-" else repr(file)
    if first is None:
        raise InvalidInput(FILE, f"{shown} is empty; give it {kind.header}")
    if undecodable(first):
        raise InvalidInput(FILE, f"{shown} is not UTF-8 in its first line; save it as UTF-8")
    if json_lines is None:
        json_lines = first.lstrip().startswith("{")
    reader = JsonLines(lines, kind, ignored) if json_lines else Table(lines, kind)
    if reader.header_rows and lines.peek() is None:
        raise InvalidInput(FILE, f"{shown} has a header and no rows")
    return SourceFile(file, kind, stream, lines, reader, total=None if total is None else total - reader.header_rows)


def _text(file: str | int) -> IO[str]:
    # Bytes that are not UTF-8 become surrogates, so that a line that has them can be told from the others.
    return open(file, encoding="utf-8-sig", errors="surrogateescape", newline="", closefd=isinstance(file, str))


def _count(stream: IO[str], kind: Kind[Any], ignored: set[str] | None) -> int:
    """Count the rows of a file, and collect the keys of JSON Lines that mean nothing; None says CSV.

    Quotes that do not match make the count an estimate, and only progress depends on it.
    """
    rows = 0
    in_quotes = False
    lines = Lines(stream, is_stream=False)
    while lines.read_ahead():
        if not in_quotes and is_one_word_a_line(lines.block):
            words = len(lines.block.split())
            rows += words
            lines.take_block(words)
            continue
        texts = lines_of(lines.block)
        for number, line in enumerate(texts, lines.take_block(len(texts))):
            if undecodable(line):
                raise InvalidInput(FILE, f"line {number} is not UTF-8; save the file as UTF-8")
            if not in_quotes and line.strip(BLANKS):
                rows += 1
            if ignored is not None:
                # A line that is no JSON is reported when its turn comes.
                with contextlib.suppress(orjson.JSONDecodeError):
                    unknown = unknown_keys(orjson.loads(line), kind.keys)
                    ignored |= {key for key in unknown if meant(key, kind.keys) is None}
            elif '"' in line and line.count('"') % 2:
                in_quotes = not in_quotes
    return rows


def _unreadable(file: str, error: OSError | ValueError) -> InvalidInput:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InvalidInput(FILE, f"cannot read {file!r}: {reason}")
