"""A request and its answer as they travel, and what is known of a request on the way.

Nothing here knows of connections, JSON or the API.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self, TypeAlias

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


@define(eq=False)
class Turn:
    """Leave to use a connection, given back where its `with` ends.

    Attributes:
        patience: For how many more seconds the call may wait before it is sent; None for as long as it takes.
    """

    _give_back: Callable[[Turn], None]
    patience: float | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._give_back(self)


class Carrier(Protocol):
    """What takes requests to one server and brings their answers, whether it waits on an event loop or blocks."""

    async def permit(self, patience: float | None) -> Turn:
        """Wait for leave to send, at most `patience` seconds.

        Raises:
            RequestTimeout: None came.
        """
        ...

    async def exchange(self, request: Request, longest: float, longest_silence: float) -> Reply:
        """Send a request and read its answer.

        Args:
            request: The request.
            longest: Seconds that it may take.
            longest_silence: Seconds that the server may let pass without a sign of life, connecting included.

        Raises:
            OutOfTime: It took longer.
            ConnectError: No connection came about.
            ConnectionLost: It broke before the answer was complete.
            ConnectionStalled: The server was silent for too long.
            RequestTimeout: So it was before anything was sent.
            UnexpectedResponse: The answer cannot be decoded or is larger than 64 MB.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
