"""Physical lines of text: numbered, and given back where a record took too many.

Nothing here knows what is written in them.
"""

from __future__ import annotations

import re
from collections import deque
from io import StringIO
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLANKS", "Lines", "is_one_word_a_line", "lines_of", "undecodable"]

BLANKS: Final = " ,\t\r\n"
"""A line of nothing else is skipped, commas included: spreadsheets write them for empty rows."""

_BLOCK: Final = 65_536  # characters, and what is left of the last line


class Lines:
    """Physical lines, numbered; those taken since the last `start` can be given back.

    Args:
        text: Where they come from.
        is_stream: Whether the next may keep its reader waiting, so that none is looked at before it is needed.
    """

    def __init__(self, text: IO[str], *, is_stream: bool) -> None:
        self.is_stream: bool = is_stream
        self._text = text
        self._ahead = ""
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._ahead and not self._again:
            self.split()
        line = self._again.popleft() if self._again else next(self._text)
        self._taken.append(line)
        self._number += 1
        return line

    def start(self) -> None:
        """Begin a new record with the next line."""
        self._taken.clear()

    @property
    def is_ahead(self) -> bool:
        """Whether there is text that was read and not taken."""
        return bool(self._ahead or self._again)

    def read_ahead(self) -> None:
        """Read the next block of a file, which may take as long as the disk takes; nothing at its end."""
        self._ahead += self._text.read(_BLOCK)
        if self._ahead:
            self._ahead += self._text.readline()

    def block(self) -> str:
        """Look at the next block of a file, whole lines of it; nothing at its end."""
        if not self._ahead:
            self.read_ahead()
        return self._ahead

    def take_block(self, lines: int) -> int:
        """Take the block that was looked at, which has so many lines, and give the number of the first."""
        self.start()
        self._ahead = ""
        self._number += lines
        return self._number - lines + 1

    def split(self) -> None:
        """Have the block that was looked at gone through line by line."""
        self._again.extend(lines_of(self._ahead))
        self._ahead = ""

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


def lines_of(text: str) -> list[str]:
    """Take text apart where a file would be: `str.splitlines` knows more ends of lines."""
    return StringIO(text, newline="").readlines()


_are_single_words: Final = re.compile(r"(?:[^\s,{]++(?:\r\n?+|\n|\Z))*+").fullmatch


def is_one_word_a_line(text: str) -> bool:
    """Whether every line is one word and holds no comma, nor the brace of a line of JSON, so that it is a cell."""
    return _are_single_words(text) is not None


def undecodable(text: str) -> bool:
    """Whether a line had bytes that are not UTF-8, which stand in it as surrogates."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
