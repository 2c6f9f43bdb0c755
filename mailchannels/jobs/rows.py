"""Lines of text to rows of a job: CSV with or without a header, or JSON Lines.

What is wrong with one row is that row's own error and costs no other row. Nothing here opens files, and no more is in
memory than the row being read, or some thousand short ones.
"""

from __future__ import annotations

import csv
from functools import partial
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import define

from ..errors import InvalidInput
from .lines import Lines, is_one_word_a_line, lines_of, undecodable
from .spelling import hold_keys, meant, unknown_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .kinds import Kind

__all__ = ["FILE", "REPORT_COLUMNS", "JsonLines", "Row", "Table", "is_report"]

T = TypeVar("T")

REPORT_COLUMNS: Final = ("line", "code", "reason", "outcome", "attempts", "retryable")
"""What a report adds to the input's columns; dropped where a header ends with them, as a report fed back does."""

FILE: Final = "FILE"
"""What an input is called where all of it is refused."""

_LOGIN_LINK: Final = "login_link"


@define
class Row(Generic[T]):
    """One row of the input.

    Attributes:
        line: The number of the line it starts on, from 1.
        name: Its name as it was given, or what stands in its place.
        value: What the row says; None where it cannot be read.
        error: Why it cannot be read; None where it can.
        surplus: What found no column of a row that cannot be taken apart; a report has it beyond its last column,
            where it keeps the row from being taken for a mended one.
        position: Its position among the rows, from 0.
        attempts: How many requests earlier runs of the job sent it in.
        in_doubt: Whether it was under way when an earlier run ended, so that it may have been applied.
    """

    line: int
    name: str
    value: T | None = None
    _to_cells: Callable[[Any, T | None], dict[str, str]] | None = None
    _given: str | list[str] = ""
    error: InvalidInput | None = None
    surplus: Sequence[str] = ()
    position: int = 0
    attempts: int = 0
    in_doubt: bool = False

    @property
    def content(self) -> str:
        """What the row says, to tell it from another."""
        if isinstance(self._given, list):
            return repr(self._given)
        return self._given or repr((self.name, self.value, self.surplus))

    @property
    def cells(self) -> dict[str, str]:
        """The row as it was given, by column, without the columns of a report."""
        # Made where somebody asks, which is where the row fails.
        return {} if self._to_cells is None else self._to_cells(self._given, self.value)


class JsonLines(Generic[T]):
    """One JSON object a line, in the vendor's spelling.

    Attributes:
        columns: Those in which a report writes such a row.
        ignored: Keys that mean nothing, as far as lines have been read.
        known: Keys that mean something.
        header_rows: None of the lines is a header.
    """

    header_rows = 0

    def __init__(self, lines: Lines, kind: Kind[T], ignored: Iterable[str] = ()) -> None:
        self._lines = lines
        self._kind = kind
        self.columns: list[str] = list(kind.columns)
        self.known: Sequence[str] = kind.keys
        self.ignored: list[str] = sorted(ignored)

    def rows(self) -> Iterator[Row[T]]:
        """Read the rows of the text that is ready, or all those of a stream."""
        lines = self._lines
        while lines.is_stream or lines.is_ready:
            lines.start()
            text = next(lines, None)
            if text is None:
                return
            if text.strip():
                yield self._row(lines.first_number, text)

    def _row(self, number: int, text: str) -> Row[T]:
        error: InvalidInput
        if undecodable(text):
            error = InvalidInput("line", "is not UTF-8")
        else:
            try:
                value, unknown = _from_line(self._kind, text)
            except InvalidInput as refusal:
                error = refusal
            else:
                if unknown:
                    self.ignored.extend(sorted(unknown.difference(self.ignored)))
                return Row(number, self._kind.name(value), value, self._kind.to_cells, text)
        # The line is reported whole, which must not report a login link.
        shown = f"line {number}" if "loginLink" in text else text.strip()
        return Row(number, shown, None, self._kind.to_cells, shown, error)


class Table(Generic[T]):
    """CSV, with a header or, where the kind of its rows allows it, with nothing but one name a line.

    Attributes:
        columns: The input's columns, without those of a report.
        ignored: Columns that mean nothing; they are carried along.
        known: Columns that mean something.
        header_rows: 1 where the first row is a header.
    """

    def __init__(self, lines: Lines, kind: Kind[T]) -> None:
        self._lines = lines
        self._kind = kind
        # Strict, because a lenient reader makes one cell of half a file whose quotes do not match.
        self._reader = csv.reader(lines, strict=True, skipinitialspace=True)
        self._names = self._header()
        self.header_rows: int = int(self._names is not None)
        names = [kind.required[0]] if self._names is None else self._names
        self._width = len(names)
        names = _without_report(names)
        self._known = {name: known for name in names if (known := name.lower()) in kind.columns}
        self._named = next(name for name, known in self._known.items() if known == kind.required[0])
        self._places = {self._known[name]: place for place, name in enumerate(names) if name in self._known}
        self._place = self._places[kind.required[0]]
        # What such a row says is its name: nearly all of a million rows are of this kind.
        self._from_name = kind.from_name if len(self._places) == 1 else None
        self._to_cells = partial(_by_column, names)
        self.known: Sequence[str] = kind.columns
        self.columns: list[str] = [name for name in names if name.lower() != _LOGIN_LINK]
        self.ignored: list[str] = [name for name in self.columns if name not in self._known]
        # A row that cannot be taken apart is reported whole, which must not report a login link.
        self._secret = any(name.lower() == _LOGIN_LINK for name in names)

    def rows(self) -> Iterator[Row[T]]:
        """Read the rows of the text that is ready, or all those of a stream."""
        yield from self._singly()
        if self._lines.block:
            yield from self._together(self._lines.block)
            yield from self._singly()

    def _together(self, block: str) -> Iterator[Row[T]]:
        """Read lines of which each is a record, in half the time; where one is none, they are gone through singly."""
        lines = self._lines
        if self._from_name is not None and self._width == 1 and is_one_word_a_line(block):
            names = block.split()
            numbers = count(lines.take_block(len(names)))
            yield from map(Row, numbers, names, map(self._from_name, names), repeat(self._to_cells), names)
            return
        if '"' in block or undecodable(block):
            lines.split()
            return
        texts = lines_of(block)
        try:
            records = list(csv.reader(texts, strict=True, skipinitialspace=True))
        except csv.Error:
            lines.split()
            return
        first = lines.take_block(len(texts))
        for number, (text, record) in enumerate(zip(texts, records, strict=True), first):
            row = self._row(number, record, text)
            if row is not None:
                yield row

    def _singly(self) -> Iterator[Row[T]]:
        """Read the records of lines that are to be taken one by one, as all those of a stream are."""
        lines = self._lines
        while lines.has_lines or lines.is_stream:
            lines.start()
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                # Quotes that do not match may have swallowed good rows: only the first line is to blame.
                lines.keep_first()
                yield self._unreadable(lines.first_number, lines.text, f"is not CSV: {error}")
                continue
            if undecodable(lines.text):
                lines.keep_first()
                reason = "is not UTF-8" if undecodable(lines.text) else "has a quoted cell that is not UTF-8"
                yield self._unreadable(lines.first_number, lines.text, reason)
                continue
            row = self._row(lines.first_number, record, lines.text)
            if row is not None:
                yield row

    def _row(self, number: int, record: list[str], text: str) -> Row[T] | None:
        """Make a row of a record; None where nothing stands in it."""
        values = [cell.strip() for cell in record]
        if not any(values):
            return None
        missing = self._width - len(values)
        if missing < 0 and any(values[self._width :]):
            reason = f"has {len(record)} cells and the header has {self._width}"
            return self._unreadable(number, text, reason, values)
        values += [""] * missing
        name = values[self._place]
        try:
            if name.startswith("{"):  # a line of JSON that a report has whole, mended
                value, _ = _from_line(self._kind, name)
            elif self._from_name is not None:
                value = self._from_name(name)
            else:
                value = self._kind.from_cells({known: values[place] for known, place in self._places.items()})
        except InvalidInput as error:
            return Row(number, name, None, self._to_cells, values, error)
        return Row(number, name, value, self._to_cells, values)

    def _unreadable(self, number: int, text: str, reason: str, values: list[str] | None = None) -> Row[T]:
        error = InvalidInput("line", reason)
        if self._secret:
            shown = f"line {number}"
            return Row(number, shown, None, lambda *_: {self._named: shown}, error=error)
        text = text.strip()
        surplus = [text] if values is None else values[self._width :]
        if values is None:
            values = [cell.strip() for cell in text.split(",")]
        cells = self._to_cells(values, None)
        return Row(number, cells.get(self._named) or text, None, lambda *_: cells, error=error, surplus=surplus)

    def _header(self) -> list[str] | None:
        """Read the header; None, and nothing read, where the first line is a row already."""
        first = self._lines.peek()
        if first is not None and self._kind.is_row(first.strip()):
            return None
        if first is not None and first.lstrip().startswith("{"):
            raise InvalidInput(FILE, "its first line is JSON; a file of JSON Lines is to be called .jsonl or .ndjson")
        self._lines.start()
        try:
            names = _without_trailing_blanks([cell.strip() for cell in next(self._reader)])
        except csv.Error as error:
            raise InvalidInput(FILE, f"its header is not CSV: {error}") from None
        known = [name.lower() for name in names if name]
        for missing in self._kind.required:
            if missing not in known:
                raise InvalidInput(FILE, f"has no column {missing!r}: {self._complaint(names)}")
        for name in _without_report(names):
            column = None if name.lower() in self._kind.columns else meant(name, self._kind.columns)
            if column is not None:
                raise InvalidInput(FILE, f"has a column {name!r}, which nothing is read from; call it {column!r}")
        own = _without_report(known)
        for name in own:
            if own.count(name) > 1:
                raise InvalidInput(FILE, f"has more than one column {name!r}")
        return [name or f"column_{position}" for position, name in enumerate(names, 1)]

    def _complaint(self, names: list[str]) -> str:
        """Say what is wrong with a first line that is no header."""
        first = names[0] if names else ""
        if first.startswith("#"):
            return f"its first line is {first!r}, and comments are not read; take it out"
        if len(names) == 1:
            for separator, spoken in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
                if separator in first:
                    return f"its first line {first!r} is separated by {spoken}; save it as CSV separated by commas"
        elif self._kind.is_row(first):
            return f"its first line starts with {first!r}, a row already; write a header before it"
        return f"its first line has {', '.join(map(repr, names))}; give it {self._kind.header}"


def _from_line(kind: Kind[T], text: str) -> tuple[T, set[str]]:
    """Read a line of JSON, and name its keys that mean nothing."""
    value, document = kind.from_line(text)
    unknown = unknown_keys(document, kind.keys)
    hold_keys(unknown, kind.keys)
    return value, unknown


def _by_column(names: list[str], given: str | list[str], _: object) -> dict[str, str]:
    values = [given] if isinstance(given, str) else given
    return dict(zip(names, values, strict=False))  # a report's columns have no names here


def _without_trailing_blanks(names: list[str]) -> list[str]:
    """Leave out the columns without a name at the end, which spreadsheets write where a cell was once filled."""
    while names and not names[-1]:
        names = names[:-1]
    return names


def _without_report(names: list[str]) -> list[str]:
    """Leave out the columns that a report adds; alone, or elsewhere, a column of such a name is the user's own."""
    return names[: -len(REPORT_COLUMNS)] if is_report(names) else names


def is_report(header: list[str]) -> bool:
    """Whether a header is one that a report has."""
    return tuple(name.lower() for name in header[-len(REPORT_COLUMNS) :]) == REPORT_COLUMNS
