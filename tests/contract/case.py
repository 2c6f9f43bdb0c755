"""What a call of the wire contract is, and what is read off the requests that it makes.

It knows no module of the API; the tables beside it do.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar, cast

import httpx
import respx
from specification import ROOT

from mailchannels import (
    APIError,
    AsyncMailChannels,
    BadRequest,
    Conflict,
    Forbidden,
    MailChannels,
    MailChannelsError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServerError,
    Unauthorized,
    UnprocessableEntity,
)

T = TypeVar("T")

KEY: Final = "key-of-the-tests"

CLASSES: Final[dict[int, type[APIError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
    418: APIError,
    422: UnprocessableEntity,
    429: RateLimited,
    500: ServerError,
    502: ServerError,
    503: RateLimited,
    504: ServerError,
}


class Case(NamedTuple):
    """One method: how it is called, the request that makes, an answer, its value, and its documented failures.

    `call` gives an awaitable, or an async iterator, whose value is then the list of what it gives.
    """

    name: str
    call: Callable[[AsyncMailChannels], Awaitable[Any] | AsyncIterable[Any]]
    operation: str
    target: str
    body: object
    answer: httpx.Response
    value: object
    failures: tuple[int, ...]
    repeatable: bool = True

    @property
    def method(self) -> str:
        return self.operation.partition(" ")[0]

    @property
    def template(self) -> str:
        return self.operation.partition(" ")[2]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def answered(self) -> httpx.Response:
        return httpx.Response(self.answer.status_code, content=self.answer.content)

    async def value_of(self, client: AsyncMailChannels) -> Any:
        """Make the call and give its value."""
        made = self.call(client)
        return await gathered(made) if isinstance(made, AsyncIterable) else await made

    def blocking_value_of(self, client: MailChannels) -> Any:
        """Make the same call of the blocking client and give its value."""
        made: object = self.call(cast("AsyncMailChannels", client))
        return list(made) if isinstance(made, Iterator) else made


async def gathered(results: AsyncIterable[T]) -> list[T]:
    return [result async for result in results]


def target_of(request: httpx.Request) -> str:
    target = request.url.raw_path.decode("ascii")
    assert target.startswith(ROOT)
    return target.removeprefix(ROOT)


def sent(api: respx.Route) -> list[str]:
    """The path and query of every request, below the API's root."""
    return [target_of(call.request) for call in api.calls]


def body_of(api: respx.Route) -> Any:
    return json.loads(api.calls.last.request.content)


async def failure_of(call: Awaitable[Any]) -> MailChannelsError:
    """What a call raises; for a bulk call, what its one item holds."""
    try:
        result = await call
    except MailChannelsError as error:
        return error
    (result,) = result if isinstance(result, list) else [result]
    (item,) = result.errors
    assert isinstance(item.error, MailChannelsError)
    return item.error
