"""The body of an answer, piece by piece, decompressed no further than a cap; nothing here knows what it says."""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["Decoder", "NoBodyError"]

MAX_BODY: Final = 64 * 2**20
"""Bytes of a decoded answer; the largest answer of the API, 5,000 domains with settings, has about 3 MB."""

_GZIP: Final = zlib.MAX_WBITS | 16


class NoBodyError(Exception):
    """What came is no body to be read; the message says why."""


class Decoder:
    """A body, decompressed no further than the cap: httpx would make gigabytes of it before anyone could ask."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding or "identity"
        self._gzip = zlib.decompressobj(wbits=_GZIP) if encoding in {"gzip", "x-gzip"} else None
        self._pieces: list[memoryview] = []  # and so are all pieces: whoever shows variables shows no link
        self._room = MAX_BODY

    def take(self, piece: memoryview) -> None:
        """Take the next piece as it came.

        Raises:
            NoBodyError: It cannot be decompressed, or is too much.
        """
        if self._gzip is None:
            if self._encoding != "identity":
                raise NoBodyError(f"the body is encoded as {self._encoding!r}, which was not asked for")
            self._keep(piece)
            return
        while piece:
            if self._gzip.eof:  # another member of the same file
                self._gzip = zlib.decompressobj(wbits=_GZIP)
            try:
                self._keep(memoryview(self._gzip.decompress(piece, self._room + 1)))
            except zlib.error:
                raise NoBodyError("the body cannot be decompressed") from None
            piece = memoryview(self._gzip.unused_data)

    def end(self) -> bytes:
        """Give the whole.

        Raises:
            NoBodyError: It ends too early.
        """
        if self._gzip is not None and not self._gzip.eof and self._pieces:
            raise NoBodyError("the body cannot be decompressed: it ends too early")
        return b"".join(self._pieces)

    def _keep(self, piece: memoryview) -> None:
        self._room -= len(piece)
        if self._room < 0:
            raise NoBodyError(f"the body is larger than {MAX_BODY // 2**20} MB")
        self._pieces.append(piece)
