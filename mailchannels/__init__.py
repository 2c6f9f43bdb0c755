"""Provision email domains on MailChannels Inbound, one by one or by the million.

Clients and models are imported when they are first asked for: a program that only awaits does not wait for the blocking
half, and the command line can be interrupted as soon as it is started.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from ._version import __version__
from .attempt import Attempt, attempt, attempt_sync
from .errors import (
    APIError,
    BadRequest,
    BulkError,
    ConfigurationError,
    Conflict,
    ConnectError,
    ConnectionLost,
    ConnectionStalled,
    Forbidden,
    InvalidInput,
    MailChannelsError,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    RequestError,
    RequestTimeout,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UnprocessableEntity,
)

if TYPE_CHECKING:
    from .aio import AsyncDomains, AsyncLists, AsyncMailChannels, AsyncMailChannelsClient, AsyncService, AsyncUsers
    from .models import (
        AbusePolicy,
        Alias,
        BulkLoginLinkItem,
        BulkLoginLinkResult,
        BulkProvisionItem,
        BulkProvisionResult,
        BulkResult,
        Domain,
        DomainPage,
        DomainSettings,
        DownstreamAddress,
        Filter,
        Items,
        Limit,
        ListEntry,
        ListName,
        LoginLink,
        Outcome,
        Plan,
        ProvisionedDomain,
        ReportType,
        SmtpEnvelope,
        Subscription,
        User,
    )
    from .pacing import Pacer, Statistics
    from .sync import Domains, Lists, MailChannels, MailChannelsClient, Service, Users

__all__ = [
    "APIError",
    "AbusePolicy",
    "Alias",
    "AsyncDomains",
    "AsyncLists",
    "AsyncMailChannels",
    "AsyncMailChannelsClient",
    "AsyncService",
    "AsyncUsers",
    "Attempt",
    "BadRequest",
    "BulkError",
    "BulkLoginLinkItem",
    "BulkLoginLinkResult",
    "BulkProvisionItem",
    "BulkProvisionResult",
    "BulkResult",
    "ConfigurationError",
    "Conflict",
    "ConnectError",
    "ConnectionLost",
    "ConnectionStalled",
    "Domain",
    "DomainPage",
    "DomainSettings",
    "Domains",
    "DownstreamAddress",
    "Filter",
    "Forbidden",
    "InvalidInput",
    "Items",
    "Limit",
    "ListEntry",
    "ListName",
    "Lists",
    "LoginLink",
    "MailChannels",
    "MailChannelsClient",
    "MailChannelsError",
    "NotFound",
    "Outcome",
    "Pacer",
    "PayloadTooLarge",
    "Plan",
    "ProvisionedDomain",
    "RateLimited",
    "ReportType",
    "RequestError",
    "RequestTimeout",
    "ServerError",
    "Service",
    "SmtpEnvelope",
    "Statistics",
    "Subscription",
    "Unauthorized",
    "UnexpectedResponse",
    "UnprocessableEntity",
    "User",
    "Users",
    "__version__",
    "attempt",
    "attempt_sync",
]

_NAMES: Final = {
    "aio": ("AsyncDomains", "AsyncLists", "AsyncMailChannels", "AsyncMailChannelsClient", "AsyncService", "AsyncUsers"),
    "models": (
        "AbusePolicy",
        "Alias",
        "BulkLoginLinkItem",
        "BulkLoginLinkResult",
        "BulkProvisionItem",
        "BulkProvisionResult",
        "BulkResult",
        "Domain",
        "DomainPage",
        "DomainSettings",
        "DownstreamAddress",
        "Filter",
        "Items",
        "Limit",
        "ListEntry",
        "ListName",
        "LoginLink",
        "Outcome",
        "Plan",
        "ProvisionedDomain",
        "ReportType",
        "SmtpEnvelope",
        "Subscription",
        "User",
    ),
    "pacing": ("Pacer", "Statistics"),
    "sync": ("Domains", "Lists", "MailChannels", "MailChannelsClient", "Service", "Users"),
}

if not TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> object:
        if name in _NAMES:
            return import_module(f".{name}", __name__)
        home = next((home for home, names in _NAMES.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
