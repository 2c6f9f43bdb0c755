"""A successful answer, and how it is read: what it says only, not how it came."""

from __future__ import annotations

from typing import Final, TypeVar

from attrs import define

from . import collector, wire
from .messages import Reply, Request
from .refusals import unexpected

T = TypeVar("T")

FIRST_OF_MANY: Final = 2**16
"""Bytes of an answer from which on it has so many objects in it that the garbage collector is held back meanwhile."""


@define
class Answer:
    """A successful answer whose body has not been read as a model yet."""

    request: Request
    reply: Reply

    @property
    def status(self) -> int:
        """The HTTP status code."""
        return self.reply.status

    def read(self, kind: type[T]) -> T:
        """Read the body as a model.

        Raises:
            UnexpectedResponse: It does not fit; the message says where.
        """
        try:
            if len(self.reply.body) < FIRST_OF_MANY:
                return wire.load(self.reply.body, kind)
            with collector.held_back():
                return wire.load(self.reply.body, kind)
        except wire.Misfit as misfit:
            said = str(misfit)
        # No excerpt of a successful answer, which may be a login link; and not from up there, where variables hold it.
        raise unexpected(self.request, self.reply.status, said)

    def read_nothing(self) -> None:
        """Hold that a body of which nothing is promised is at least no page, as a proxy's log-in would be.

        Raises:
            UnexpectedResponse: It is one.
        """
        if self.reply.body.lstrip().startswith(b"<"):
            raise unexpected(self.request, self.reply.status, "the body is a page of HTML, as the API gives none")

    def read_part(self, part: wire.Json, kind: type[T], where: str) -> T:
        """Read a part of the body that a model left unread.

        Raises:
            UnexpectedResponse: It does not fit; the message says where.
        """
        try:
            return wire.structure(part, kind, where)
        except wire.Misfit as misfit:
            said = str(misfit)
        raise unexpected(self.request, self.reply.status, said)
