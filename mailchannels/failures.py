"""What goes wrong between a request and its answer, as our errors say it, whichever library noticed.

Nothing here sends anything, or knows what a retry is.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from .errors import ConnectError, ConnectionLost, ConnectionStalled, RequestTimeout, UnexpectedResponse

if TYPE_CHECKING:
    from .errors import RequestError
    from .messages import Request

__all__ = ["lost", "not_connected", "silent", "stalled", "unreadable"]


def not_connected(error: Exception, base_url: str) -> ConnectError:
    """Say that no connection came about."""
    cause: BaseException | None = error
    seen: set[int] = set()  # whoever raises an error from one that it caused makes a ring of them
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        # aiohttp has a kind of its own, which says nothing more, and is raised from the one that does.
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return ConnectError(
                f"the certificate of {base_url} could not be verified ({getattr(cause, 'verify_message', cause)});"
                " set SSL_CERT_FILE to"
                " your own CA bundle, or pass transport=httpx.AsyncHTTPTransport(verify=...)",
                retryable=False,
            )
        cause = cause.__cause__ or cause.__context__
    return ConnectError(f"no connection to {base_url} ({_said(error)})")


def lost(error: Exception, request: Request) -> ConnectionLost:
    """Say that a connection broke."""
    return ConnectionLost(f"{_here(request)}: the connection broke before the answer was complete ({_said(error)})")


def stalled(request: Request) -> ConnectionStalled:
    """Say that a server fell silent."""
    return ConnectionStalled(f"{_here(request)}: the server said nothing for too long")


def silent(request: Request, base_url: str) -> RequestError:
    """Say that there was no sign of life for too long, be it of the server or of a connection to it."""
    if request.sent:
        return stalled(request)
    return RequestTimeout(f"{_here(request)}: no connection to {base_url} came about in time", maybe_applied=False)


def unreadable(reason: str, request: Request, status: int) -> UnexpectedResponse:
    """Say that a body cannot be read, however it was sent."""
    return UnexpectedResponse(reason, status=status, method=request.method, path=request.path)


def _here(request: Request) -> str:
    return f"{request.method} {request.path}"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
