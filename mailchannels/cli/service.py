"""The commands that concern the account or the service as a whole: `subscriptions` and `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .listing import Format, listing
from .options import Access, ask
from .output import say

if TYPE_CHECKING:
    from ..models import Subscription

__all__ = ["status", "subscriptions"]

_COLUMNS: Final = ("handle", "active", "plan_handle", "plan_name", "active_accounts_count", "limits")
_DEFAULT: Final = Access()


def subscriptions(*, format_: Format = "table", access: Access = _DEFAULT) -> None:
    """List the account's subscriptions, one a line, handle first.

    The columns: handle, active (true or false), handle and name of the plan, number of domains at present, limits.
    """
    fetched = ask(access, lambda client: client.service.subscriptions())
    with listing(format_, _COLUMNS, _cells) as write:
        for subscription in fetched:
            write(subscription)


def status(*, access: Access = _DEFAULT) -> None:
    """Ask whether the service is in good condition; the exit code is 0 where it is, and 3 where it is not."""
    ask(access, lambda client: client.service.status())
    say("the service is in good condition")


def _cells(subscription: Subscription) -> dict[str, str]:
    return {
        "handle": subscription.handle,
        "active": f"{subscription.active}".lower(),
        "plan_handle": subscription.plan.handle,
        "plan_name": subscription.plan.name,
        "active_accounts_count": str(subscription.active_accounts_count),
        "limits": "; ".join(f"{limit.feature_handle}={limit.value}" for limit in subscription.limits),
    }
