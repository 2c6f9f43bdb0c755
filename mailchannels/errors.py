"""Everything that can go wrong, as one tree of exceptions.

MailChannelsError
├── ConfigurationError (ValueError)   the client was set up or used wrongly
├── InvalidInput (ValueError)         an argument was refused before any request
├── RequestError                      no answer: .maybe_applied says whether the server may have acted
│   ├── ConnectError                  no connection came about
│   ├── RequestTimeout (TimeoutError) no answer in time, or no turn within queue_timeout
│   └── ConnectionLost                the connection broke before the answer was complete
│       └── ConnectionStalled (RequestTimeout)  it stayed open, and the server silent for too long
├── UnexpectedResponse                an answer that is not what the API promises
├── BulkError                         raised by raise_for_errors(); .result holds the whole result
└── APIError                          the API said no
    ├── BadRequest            400
    ├── Unauthorized          401
    ├── Forbidden             403
    ├── NotFound              404
    ├── Conflict              409
    ├── PayloadTooLarge       413
    ├── UnprocessableEntity   422
    ├── RateLimited           429, 503
    └── ServerError           every other 5xx

This room knows nothing of HTTP libraries, JSON or the rest of the package. Every error pickles; none carries an API
key or a login link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .models.bulk import BulkResult

__all__ = [
    "APIError",
    "BadRequest",
    "BulkError",
    "ConfigurationError",
    "Conflict",
    "ConnectError",
    "ConnectionLost",
    "ConnectionStalled",
    "Forbidden",
    "InvalidInput",
    "MailChannelsError",
    "NotFound",
    "PayloadTooLarge",
    "RateLimited",
    "RequestError",
    "RequestTimeout",
    "ServerError",
    "Unauthorized",
    "UnexpectedResponse",
    "UnprocessableEntity",
    "error_for_status",
]


EARLIER: Final = "; an earlier attempt may have been applied"
"""What is said of a request whose last attempt was not applied, while one before may have been."""


def _rebuild(cls: type[MailChannelsError], args: tuple[object, ...], state: dict[str, object]) -> MailChannelsError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class MailChannelsError(Exception):
    """The root of every error this package raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception would call the class with its args alone, which keyword-only arguments do not survive.
        return _rebuild, (type(self), self.args, self.__dict__)


class ConfigurationError(MailChannelsError, ValueError):
    """The client was set up or used in a way that cannot work."""


class InvalidInput(MailChannelsError, ValueError):
    """An argument was refused before any request was made.

    Attributes:
        argument: The name of the argument, with a position for a member of a list, such as `records[2].port`.
    """

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(f"{argument}: {reason}")
        self.argument = argument
        self.reason = reason


class RequestError(MailChannelsError):
    """No answer came back.

    Attributes:
        maybe_applied: Whether the server may have acted on the request all the same, or on an earlier attempt at it.
    """

    _is_own_doubt = True

    def __init__(self, message: str, *, maybe_applied: bool) -> None:
        super().__init__(message)
        self.maybe_applied = maybe_applied
        self._is_own_doubt = maybe_applied

    def __str__(self) -> str:
        # That there was no connection would let a reader believe that nothing can have happened.
        return super().__str__() + (EARLIER if self.maybe_applied and not self._is_own_doubt else "")


class ConnectError(RequestError):
    """No connection could be made, so nothing was sent, unless by an earlier attempt: `maybe_applied` tells.

    Attributes:
        retryable: False where another attempt would fare the same, as with a certificate that cannot be verified.
    """

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message, maybe_applied=False)
        self.retryable = retryable


class RequestTimeout(RequestError, TimeoutError):
    """The answer did not arrive within `timeout`, or the turn would not have come within `queue_timeout`."""


class ConnectionLost(RequestError):
    """The connection broke before the answer was complete."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_applied=True)


class ConnectionStalled(ConnectionLost, RequestTimeout):
    """The request was sent, and the server said nothing for too long: a lost answer and a late one in one.

    Too long is all that is left of `timeout`; the first time, where the request can be repeated, two thirds of it.
    """


class UnexpectedResponse(MailChannelsError):
    """The server answered, but not with what the API promises.

    Attributes:
        status: The HTTP status code of the answer.
        method: The HTTP method of the request.
        path: The path of the request, without its query.
    """

    def __init__(self, message: str, *, status: int, method: str, path: str) -> None:
        super().__init__(f"{method} {path}: {message}")
        self.status = status
        self.method = method
        self.path = path


class BulkError(MailChannelsError):
    """At least one item of a bulk call did not succeed.

    Attributes:
        result: The whole result, successes included.
    """

    def __init__(self, message: str, *, result: BulkResult[Any]) -> None:
        super().__init__(message)
        self.result = result


class APIError(MailChannelsError):
    """The API answered with an error status.

    Attributes:
        status: The HTTP status code.
        message: What the API said, or the status line's meaning where it said nothing.
        details: Every further error text of the answer.
        request_id: The server's identifier of the request, where it gave one.
        method: The HTTP method of the request.
        path: The path of the request, without its query.
        retry_after: Seconds the server asked to wait, where it did.
        headers: The answer's headers, names in lower case.
        body: The first 2,048 characters of a body that was not JSON, or of JSON without a message.
        maybe_applied: Whether an earlier attempt may have been applied.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        method: str,
        path: str,
        details: list[str] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.method = method
        self.path = path
        self.details: list[str] = details if details is not None else []
        self.request_id = request_id
        self.retry_after = retry_after
        self.headers: dict[str, str] = dict(headers or {})
        self.body = body
        self.maybe_applied = maybe_applied

    def __str__(self) -> str:
        text = f"{self.method} {self.path}: {self.status} {self.message}"
        if self.details:
            text += f" ({'; '.join(self.details)})"
        if self.retry_after is not None:
            text += f"; the server asks to wait {self.retry_after:g} s"
        if self.maybe_applied:
            text += EARLIER
        if self.request_id is not None:
            text += f" [request {self.request_id}]"
        return text


class BadRequest(APIError):
    """400: the API refused the request's content."""


class Unauthorized(APIError):
    """401: the API key was refused; for a login link, the domain is not this customer's."""


class Forbidden(APIError):
    """403: a limit is reached, or the domain, subscription or key does not belong to this one."""


class NotFound(APIError):
    """404: the domain, or whatever else the path names, does not exist."""


class Conflict(APIError):
    """409: the name is taken, by another customer or by another domain."""


class PayloadTooLarge(APIError):
    """413: the request's body is larger than the server takes."""


class UnprocessableEntity(APIError):
    """422: the API understood the request and refused its content."""


class RateLimited(APIError):
    """429 or 503: more requests than the API takes at the moment."""


class ServerError(APIError):
    """Any other 5xx: the server failed."""


_BY_STATUS: Final[dict[int, type[APIError]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
    422: UnprocessableEntity,
    429: RateLimited,
    503: RateLimited,
}

_FIRST_SERVER_ERROR: Final = 500


def error_for_status(status: int) -> type[APIError]:
    """Name the class of an error status; a status without one of its own is a plain `APIError`."""
    return _BY_STATUS.get(status, ServerError if status >= _FIRST_SERVER_ERROR else APIError)
