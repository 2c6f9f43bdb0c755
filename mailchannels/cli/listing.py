"""Listings on standard output, whatever it is that is listed: a table, JSON or CSV.

It knows how rows are written, and nothing of where they come from.
"""

from __future__ import annotations

import csv
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, TypeVar

from cyclopts import Parameter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..jobs.cells import to_line
from ..jobs.summary import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["Format", "json_line", "listing"]

T = TypeVar("T")

Format: TypeAlias = Annotated[
    Literal["table", "json", "csv"],
    Parameter(
        name="--format",
        help="table: for people, and in columns separated by tabs, without a header, where there is no terminal; json: "
        "an object a line, in the API's spelling; csv: with a header.",
    ),
]

_ROWS: Final = 1_000  # of a table, so that a long listing begins at once and no more than these are in memory


@contextmanager
def listing(
    format_: Format,
    columns: Sequence[str],
    cells: Callable[[T], Mapping[str, str]],
    *,
    shown: Sequence[str] | None = None,
) -> Iterator[Callable[[T], object]]:
    """Give a function that writes one row.

    Args:
        format_: How rows are written.
        columns: Every column, in the order of CSV.
        cells: Gives the cells of a row, by column.
        shown: The columns of a table; None shows every column.

    Example:
        >>> with listing("csv", ("item", "type"), lambda entry: {"item": entry.item, "type": entry.type}) as write:
        ...     write(entry)
    """
    shown = columns if shown is None else shown

    def row(columns: Sequence[str], model: T) -> list[str]:
        written = cells(model)
        # What can be printed stays as it is, whatever spaces are in it.
        return [cell if cell.isprintable() else printable(cell) for cell in map(written.__getitem__, columns)]

    if format_ == "json":
        yield lambda model: sys.stdout.write(json_line(model) + "\n")
    elif format_ == "csv":
        # \n, as grep and cut want it.
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        yield lambda model: writer.writerow(row(columns, model))
    elif sys.stdout.isatty():
        with _tables(shown) as write:
            yield lambda model: write(row(shown, model))
    else:
        yield lambda model: sys.stdout.write("\t".join(row(shown, model)) + "\n")


def json_line(model: object) -> str:
    """Write a model as a line of JSON in the vendor's spelling, with what a terminal would obey escaped."""
    line = to_line(model)
    return line if line.isprintable() else "".join(map(_escaped, line))


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


@contextmanager
def _tables(columns: Sequence[str]) -> Iterator[Callable[[Sequence[str]], None]]:
    console = Console(file=sys.stdout, highlight=False)
    rows: list[Sequence[str]] = []

    def flush() -> None:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        # A column that no row fills would only narrow the others.
        filled = [i for i in range(len(columns)) if any(row[i] for row in rows)]
        for i in filled:
            # Folded, not cropped: whatever the width, everything is there.
            table.add_column(columns[i].replace("_", " "), overflow="fold")
        for row in rows:
            # As text, in which [red] is no colour; the members of a list one below the other.
            table.add_row(*(Text(row[i].replace("; ", "\n")) for i in filled))
        console.print(table)
        rows.clear()

    def write(row: Sequence[str]) -> None:
        rows.append(row)
        if len(rows) == _ROWS:
            flush()

    try:
        yield write
    finally:
        if rows:
            flush()
