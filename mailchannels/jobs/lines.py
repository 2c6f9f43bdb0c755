"""Physical lines of text: numbered, read ahead in blocks, and given back where a record took too many.

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

    They are taken one by one, or, of a file, by the block.

    Args:
        source: Where they come from.
        is_stream: Whether the next may keep its reader waiting, so that none is looked at before it is needed.

    Attributes:
        block: Whole lines of a file that were read ahead; empty while lines are taken one by one.
    """

    def __init__(self, source: IO[str], *, is_stream: bool) -> None:
        self.is_stream: bool = is_stream
        self.block: str = ""
        self._source = source
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.block:
            self.split()
        # Where nothing waits, only the rest of a record is read here, or the beginning of the file.
        line = self._waiting.popleft() if self._waiting else next(self._source)
        self._taken.append(line)
        self._number += 1
        return line

    def start(self) -> None:
        """Begin a new record with the next line."""
        self._taken.clear()

    def read_ahead(self) -> bool:
        """Have text of a file ready, which may take as long as the disk takes; False at its end."""
        if not self.is_ready:
            text = self._source.read(_BLOCK)
            # At once, so that no part of a line is taken for one where the rest cannot be read.
            self.block = text + self._source.readline() if text else ""
        return self.is_ready

    def take_block(self, count: int) -> int:
        """Take the block, which is known to have so many lines, and give the number of the first."""
        self.start()
        self.block = ""
        self._number += count
        return self._number - count + 1

    def split(self) -> None:
        """Have the block taken line by line."""
        self._waiting.extend(lines_of(self.block))
        self.block = ""

    @property
    def is_ready(self) -> bool:
        """Whether there is text that need not be read."""
        return bool(self._waiting or self.block)

    @property
    def has_lines(self) -> bool:
        """Whether there are lines to be taken one by one that need not be read."""
        return bool(self._waiting)

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
        self._waiting.extendleft(reversed(self._taken[first:]))
        self._number -= len(self._taken) - first
        del self._taken[first:]


def lines_of(text: str) -> list[str]:
    """Take text apart where a file would be: `str.splitlines` knows more ends of lines."""
    return StringIO(text, newline="").readlines()


# No name is longer, and the csv module refuses cells that are much longer.
_are_words: Final = re.compile(r'(?:[^\s",{]{1,1000}+(?:\r\n?+|\n|\Z))*+').fullmatch


def is_one_word_a_line(text: str) -> bool:
    """Whether each line is one cell as it stands: a word without quotes, commas or the brace of a line of JSON."""
    return _are_words(text) is not None and not undecodable(text)


def undecodable(text: str) -> bool:
    """Whether a line had bytes that are not UTF-8, which stand in it as surrogates."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
