"""Physical lines of text: numbered, and given back where a record took too many.

Nothing here knows what is written in them.
"""

from __future__ import annotations

from collections import deque
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLANKS", "Lines", "undecodable"]

BLANKS: Final = " ,\t\r\n"
"""A line of nothing else is skipped, commas included: spreadsheets write them for empty rows."""

_BLOCK: Final = 65_536  # characters, or one line


class Lines:
    """Physical lines, numbered; those taken since the last `start` can be given back.

    Args:
        lines: Where they come from.
        is_stream: Whether the next may keep its reader waiting, so that none is looked at before it is needed.
    """

    def __init__(self, lines: IO[str], *, is_stream: bool) -> None:
        self.is_stream: bool = is_stream
        self._lines = lines
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self._number += 1
        return line

    def start(self) -> None:
        """Begin a new record with the next line."""
        self._taken.clear()

    def plain(self) -> list[str] | None:
        """Take some thousand lines of a file without quotes, so that none continues on the next; None at its end.

        None of them are taken where one is otherwise, or no text: then they are to be gone through singly, as those of
        a stream are.
        """
        self.start()
        if self.is_stream:
            return None
        block = self._lines.readlines(_BLOCK)
        together = "".join(block)
        if '"' in together or undecodable(together):
            self._again.extend(block)
            return []
        self._taken = block
        self._number += len(block)
        return block or None

    @property
    def pending(self) -> bool:
        """Whether there are lines that were looked at or given back, and not taken since."""
        return bool(self._again)

    @property
    def first_number(self) -> int:
        """The number of the record's first line."""
        return self._number - len(self._taken) + 1

    @property
    def text(self) -> str:
        """All lines of the record."""
        return self._taken[0] if len(self._taken) == 1 else "".join(self._taken)

    def keep_first(self) -> None:
        """Give back every line of the record but its first."""
        self._give_back(1)

    def give_back(self) -> None:
        """Give back every line of the record."""
        self._give_back(0)

    def peek(self) -> str | None:
        """Skip blank lines and show the next one, which stays; None at the end."""
        for line in self:
            if line.strip(BLANKS):
                self._give_back(len(self._taken) - 1)
                return line
        return None

    def _give_back(self, first: int) -> None:
        self._again.extendleft(reversed(self._taken[first:]))
        self._number -= len(self._taken) - first
        del self._taken[first:]


def undecodable(text: str) -> bool:
    """Whether a line had bytes that are not UTF-8, which stand in it as surrogates."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
