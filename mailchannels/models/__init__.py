"""What goes in and comes out: plain attrs classes, one file for each module of the API.

They know nothing of HTTP or JSON, and they do not judge their content: what a caller passes is checked on its way out,
what the API answers is checked on its way in.
"""

from .bulk import (
    BulkLoginLinkItem,
    BulkLoginLinkResult,
    BulkProvisionItem,
    BulkProvisionResult,
    BulkResult,
    Outcome,
)
from .domains import (
    AbusePolicy,
    Alias,
    Domain,
    DomainPage,
    DomainSettings,
    DownstreamAddress,
    LoginLink,
    ProvisionedDomain,
)
from .items import Items
from .lists import ListEntry, ListName
from .service import Limit, Plan, ReportType, SmtpEnvelope, Subscription
from .users import Filter, User

__all__ = [
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
]
