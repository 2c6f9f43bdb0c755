"""A request and its answer as they travel, and what is known of a request on the way.

Nothing here knows of connections, JSON or the API.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeAlias

from attrs import define, field


@define
class Secret:
    """A body with a credential in it, which no repr shows and no error quotes back."""

    content: bytes = field(repr=False)
    credential: str = field(repr=False)


Body: TypeAlias = bytes | Secret | None


def content_of(body: Body) -> bytes:
    """Give the bytes to send."""
    return body.content if isinstance(body, Secret) else body or b""


@define
class Request:
    """One request, and what is known of it on the way.

    `sent` says whether any of the present attempt may have left and `answered` whether an answer to it has begun,
    `in_doubt` whether an earlier one may have had effect.
    """

    method: str
    path: str
    url: str
    body: Body = field(default=None, repr=False)
    sent: bool = False
    answered: bool = False
    in_doubt: bool = False


@define
class Reply:
    """An answer, read to its end; names of headers are in lower case."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def phrase(self) -> str:
        """What the status means in the words of HTTP."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "unknown status"
