"""HybridBox: create mailboxes, one by one or in bulk. The second provider, on the same request path as the first."""

from .aio import AsyncHybridBox, AsyncMailboxes
from .models import (
    BulkMailboxItem,
    BulkMailboxResult,
    Mailbox,
    MailboxAlias,
    MailboxPage,
    NewMailbox,
    Quota,
)
from .sync import HybridBox, Mailboxes

__all__ = [
    "AsyncHybridBox",
    "AsyncMailboxes",
    "BulkMailboxItem",
    "BulkMailboxResult",
    "HybridBox",
    "Mailbox",
    "MailboxAlias",
    "MailboxPage",
    "Mailboxes",
    "NewMailbox",
    "Quota",
]
