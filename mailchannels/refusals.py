"""An answer that says no, as the exception that a caller sees, and nothing secret in it.

Nothing here knows which endpoints there are, nor what is repeated.
"""

from __future__ import annotations

import math
import re
from time import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from .errors import APIError, UnexpectedResponse, error_for_status
from .messages import Reply, Request, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

EXCERPT: Final = 2_048
SHORTEST_SECRET: Final = 8
"""Characters from which a key is one: masking `key` itself would only mangle what the API says."""
TOO_DEEP: Final = "(nested too deeply to be shown)"
_REQUEST_ID_HEADERS: Final = ("x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id")
_is_seconds: Final = re.compile(r"\d+(?:\.\d+)?").fullmatch


class Refusals:
    """Reads the refusals that one client meets.

    Args:
        secret: Its credential, which no error quotes.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def error(self, request: Request, reply: Reply) -> APIError:
        """Make the exception that an answer stands for.

        Raises:
            UnexpectedResponse: It is a redirect.
        """
        if reply.status < 400:  # noqa: PLR2004
            raise unexpected(request, reply.status, f"{reply.status} {reply.phrase}: redirects are not followed")
        message, details, excerpt = self._explanation(request, reply)
        headers = {name: self._without_secrets(value, request) for name, value in reply.headers.items()}
        return error_for_status(reply.status)(
            message or reply.phrase,
            status=reply.status,
            method=request.method,
            path=request.path,
            details=details,
            request_id=next(filter(None, map(headers.get, _REQUEST_ID_HEADERS)), None),
            retry_after=_retry_after(reply.headers),
            headers=headers,
            body=excerpt,
        )

    def _explanation(self, request: Request, reply: Reply) -> tuple[str, list[str], str | None]:
        """Read an error's body, of which nothing is promised: not that it is JSON, nor that any field is there."""
        try:
            document = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            text = self._without_secrets(reply.body.decode("utf-8", "replace"), request)
            return "", [], text[:EXCERPT] or None
        fields = document if isinstance(document, dict) else {}
        message, errors = fields.get("message"), fields.get("errors")
        details = (
            [self._without_secrets(_as_text(error), request) for error in errors] if isinstance(errors, list) else []
        )
        said = self._without_secrets(message, request) if isinstance(message, str) else ""
        if said or details or not document:
            return said, details, None
        # As it reads, not as it was escaped: a secret in it must be found.
        return "", [], self._without_secrets(_as_json(document), request)[:EXCERPT]

    def _without_secrets(self, text: str, request: Request) -> str:
        if len(self._secret) >= SHORTEST_SECRET:
            text = text.replace(self._secret, "***")
        if isinstance(request.body, Secret) and len(request.body.credential) >= SHORTEST_SECRET:
            text = text.replace(request.body.credential, "***")
        return text


def unexpected(request: Request, status: int, message: str) -> UnexpectedResponse:
    """Say that an answer is none that the API promises."""
    return UnexpectedResponse(message, status=status, method=request.method, path=request.path)


def _as_text(error: Any) -> str:
    try:
        return str(error)
    except RecursionError:  # pragma: no cover  # from Python 3.12 on nothing that can be parsed nests too deep for this
        return TOO_DEEP


def _as_json(document: Any) -> str:
    try:
        return orjson.dumps(document).decode()
    except orjson.JSONEncodeError:
        return TOO_DEEP


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After as seconds; a date counts from the answer's own date, which no wrong clock of ours can shift."""
    value = headers.get("retry-after", "").strip()
    if _is_seconds(value):
        return float(value)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  # hardly ever needed, and slow to import

    try:
        then = parsedate_to_datetime(value).timestamp()
        now = parsedate_to_datetime(headers["date"]).timestamp() if "date" in headers else time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, then - now) if math.isfinite(then) else None
