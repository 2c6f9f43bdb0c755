"""What goes in and comes out of HybridBox: mailboxes, their aliases, and what came of a bulk creation."""

from __future__ import annotations

from attrs import define, field

from ..errors import MailChannelsError
from ..models.bulk import BulkItem, BulkResult, Outcome
from ..models.items import Items


@define(frozen=True)
class NewMailbox:
    """A mailbox to be created.

    Attributes:
        local_part: What stands before the @, at most 64 characters.
        first_name: The owner's first name.
        last_name: The owner's last name.

    Example:
        >>> NewMailbox("jane", "Jane", "Doe").local_part
        'jane'
    """

    local_part: str
    first_name: str
    last_name: str


@define
class Quota:
    """How much a mailbox may hold, and holds.

    Attributes:
        allowed: The limit, as the API counts it.
        used: What is used of it.
    """

    allowed: int
    used: int


@define
class MailboxAlias:
    """Another address of a mailbox.

    Attributes:
        alias: The alias.
        is_catch_all: Whether it takes the mail of every address that nobody else has.

    Example:
        >>> MailboxAlias("sales", is_catch_all=False).alias
        'sales'
    """

    alias: str
    is_catch_all: bool


@define(kw_only=True)
class Mailbox:
    """A mailbox as HybridBox stores it.

    Attributes:
        id: Its identifier, a UUID.
        primary_email: Its address.
        local_part: What stands before the @ of it.
        domain_id: The domain's identifier, a UUID.
        domain_name: The domain's name.
        first_name: The owner's first name.
        last_name: The owner's last name.
        status: What state it is in; the values are the API's.
        quota: How much it may hold, and holds.
        created_at: When it was created, as the API writes it.
        updated_at: When it was last changed, as the API writes it.
        aliases: Its other addresses; None where the API does not say.
        workspace_id: The workspace it is in, a UUID; None where it is in none.
        workspace_name: That workspace's name.
    """

    id: str
    primary_email: str
    local_part: str
    domain_id: str
    domain_name: str
    first_name: str
    last_name: str
    status: str
    quota: Quota
    created_at: str
    updated_at: str
    aliases: list[MailboxAlias] | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None


@define
class MailboxPage:
    """One page of a listing.

    Attributes:
        items: The page's mailboxes.
        page: Its number, from 1.
        page_size: How many mailboxes a page holds.
        total: How many the whole listing has.
    """

    items: list[Mailbox]
    page: int
    page_size: int
    total: int


@define(kw_only=True)
class BulkMailboxItem(BulkItem):
    """What came of one mailbox of a bulk creation.

    An `unknown` one is not `retryable`: a mailbox is billed, so look whether it exists before asking for it again.

    Attributes:
        index: Its position in the input, from 0.
        new: The mailbox as it was asked for; a refused input that was none stands here as it was given.
        mailbox: The mailbox as it is stored; None unless the outcome is `succeeded`.
        code: Why the API refused this mailbox, in a word of its own, or the HTTP status where it refused the request
            as a whole; None where it gave neither.
        comment: What the API said about it, or why it was refused before sending.
        outcome: What is known of it.
        error: What went wrong; None for a success.
        attempts: How many requests it was sent in; 0 where it was not, as with a repeat, which shares an outcome.
    """

    index: int
    new: NewMailbox
    mailbox: Mailbox | None = None
    code: int | str | None = None
    comment: str | None = None
    outcome: Outcome
    error: MailChannelsError | None = None
    attempts: int = field(default=0, eq=False)

    @property
    def retryable(self) -> bool:
        """Whether the same input may well succeed another time, unchanged, and cannot be there already."""
        return self.outcome is not Outcome.UNKNOWN and super().retryable


class BulkMailboxResult(BulkResult[BulkMailboxItem]):
    """What came of a bulk creation: every input once, among `created` or among `failed`, ordered by `index`.

    Example:
        >>> BulkMailboxResult().created
        []
    """

    @property
    def created(self) -> Items[BulkMailboxItem]:
        """The mailboxes that exist now; the same as `successes`."""
        return self.successes

    @property
    def failed(self) -> list[BulkMailboxItem]:
        """All the others; the same as `errors`."""
        return self.errors
