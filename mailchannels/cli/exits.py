"""Exit codes, and which of them an error means for a command that is not a bulk job."""

from __future__ import annotations

from typing import Final

from ..errors import (
    ConfigurationError,
    ConnectError,
    Forbidden,
    InvalidInput,
    MailChannelsError,
    RateLimited,
    RequestError,
    ServerError,
    Unauthorized,
)
from ..jobs import JournalError

__all__ = ["FAILED", "INTERRUPTED", "ONLY_RETRYABLE", "STOPPED", "WRONG_USAGE", "exit_code"]

FAILED: Final = 1
WRONG_USAGE: Final = 2
ONLY_RETRYABLE: Final = 3
STOPPED: Final = 4
INTERRUPTED: Final = 130


def exit_code(error: MailChannelsError) -> int:
    """Give the exit code of a command that ended with an error."""
    if isinstance(error, (ConfigurationError, InvalidInput)):
        return WRONG_USAGE
    if isinstance(error, (Unauthorized, Forbidden, JournalError)):
        return STOPPED
    if isinstance(error, ConnectError):
        return ONLY_RETRYABLE if error.retryable else FAILED
    if isinstance(error, (RequestError, RateLimited, ServerError)):
        return ONLY_RETRYABLE
    return FAILED
