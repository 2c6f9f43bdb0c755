"""What the rows of an input may be about, and how one is written; what reads and runs them need not know more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import define

from ..checks import outgoing
from ..errors import InvalidInput
from ..models import Domain
from .cells import COLUMNS, KEYS, domain_from_cells, line_to_cells, model_from_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["DOMAINS", "Kind"]

T = TypeVar("T")


def _never(_: str) -> bool:
    return False


@define(frozen=True)
class Kind(Generic[T]):
    """One kind of rows.

    Attributes:
        plural: What they are called where they are counted.
        columns: Every column that means something, in the order in which we write them.
        keys: Every key of a line of JSON that means something; one within another as `settings.abusePolicy`.
        required: Those that a header must have; the first names a row.
        header: What a file without such a header should be given.
        from_cells: Reads a row from stripped cells by column name; an `InvalidInput` is the row's own error.
        from_line: Reads a row from a line of JSON, and gives the object that it was read from.
        to_cells: Writes a line of JSON, with what was read from it if anything was, as cells.
        name: Gives a row's name.
        from_name: Makes one of a name alone; None where there is more to a row.
        is_row: Whether the first line of a table is a row already, as there is no header.
        may_be_sent_again: Whether a row whose answer was lost may simply be sent again.
    """

    plural: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    required: tuple[str, ...]
    header: str
    from_cells: Callable[[Mapping[str, str]], T]
    from_line: Callable[[str], tuple[T, dict[str, Any]]]
    to_cells: Callable[[str, T | None], dict[str, str]]
    name: Callable[[T], str]
    from_name: Callable[[str], T] | None = None
    is_row: Callable[[str], bool] = _never
    may_be_sent_again: bool = True


def _is_domain(text: str) -> bool:
    try:
        return "." in outgoing(text.strip('"')).domain
    except InvalidInput:
        return False


DOMAINS: Final[Kind[Domain | str]] = Kind(
    plural="domains",
    columns=COLUMNS,
    keys=KEYS,
    required=("domain",),
    header="a header with a column 'domain', its cells separated by commas, or one domain name a line and nothing else",
    from_cells=domain_from_cells,
    from_line=lambda line: model_from_line(line, Domain, "domain"),
    to_cells=line_to_cells,
    name=lambda domain: domain if isinstance(domain, str) else domain.domain,
    from_name=str,
    is_row=_is_domain,
)
"""Rows that are domains, or nothing but their names."""
