"""What came of a bulk call: every input once, with its position, among the successes or among the errors."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, Generic, Self, TypeVar

import attrs
from attrs import define, field

from ..errors import BulkError, ConfigurationError, ConnectError, MailChannelsError
from .domains import Domain, mask
from .items import Items, joined, split

RETRYABLE_CODES: Final = frozenset({429, 500, 502, 503, 504})


class Outcome(StrEnum):
    """What is known of one input of a bulk call."""

    SUCCEEDED = "succeeded"
    """The API confirmed it."""
    FAILED = "failed"
    """It was refused: by the API, or before any request because its content can never be accepted."""
    UNKNOWN = "unknown"
    """The answer was lost, so it may have been applied; provisioning may safely be repeated."""
    NOT_SENT = "not_sent"
    """The job stopped, or no connection could be made, before it was sent."""


class BulkItem:
    """What the items of all bulk results have in common; each kind says what it is about."""

    __slots__ = ()

    index: int
    code: int | str | None
    comment: str | None
    outcome: Outcome
    error: MailChannelsError | None
    attempts: int

    @property
    def retryable(self) -> bool:
        """Whether the same input may well succeed another time, unchanged."""
        if isinstance(self.error, ConfigurationError):
            return False
        if isinstance(self.error, ConnectError):
            return self.error.retryable
        if self.outcome is Outcome.FAILED:
            return self.code in RETRYABLE_CODES
        return self.outcome is not Outcome.SUCCEEDED


@define
class BulkProvisionItem(BulkItem):
    """What came of one domain of a bulk provision.

    Attributes:
        index: Its position in the input, from 0.
        domain: A success: the domain as the API stored it. Otherwise, and for a repeat of a name: as it was sent, under
            its canonical name; where it was refused before sending, as it was given. Its settings and lists may be
            those of the domain that was passed in, and change with them.
        code: The API's code for this domain (201 created, 200 or 201 where it was there already, 409 another
            customer's, ...); None where it gave none.
        comment: What the API said about it, or why it was refused before sending.
        outcome: What is known of it.
        settings_applied: True where the answer shows every setting that was asked for; False where it does not,
            as on an existing domain without `overwrite`.
        error: What went wrong; None for a success.
        attempts: How many requests it was sent in; 0 where it was not, as with a repeat, which shares an outcome.
    """

    index: int
    domain: Domain
    code: int | None = None
    comment: str | None = None
    outcome: Outcome = field(kw_only=True)
    settings_applied: bool = False
    error: MailChannelsError | None = None
    attempts: int = field(default=0, eq=False)


@define(kw_only=True)
class BulkLoginLinkItem(BulkItem):
    """What came of one domain of a bulk call for login links.

    The link is a credential: it is masked in the repr, and a pickled item comes back without it.

    Attributes:
        index: Its position in the input, from 0.
        domain: The domain's name, as A-labels; as it was given where that was refused.
        code: The API's code for this domain (200, 401 and 403 another customer's, 404 unknown, ...); None where it gave
            none.
        comment: What the API said about it, or why it was refused before sending.
        login_link: The link; None unless the outcome is `succeeded`.
        outcome: What is known of it.
        error: What went wrong; None for a success.
        attempts: How many requests it was sent in; 0 where it was not, as with a repeat, which shares an outcome.
    """

    index: int
    domain: str
    code: int | None = None
    comment: str | None = None
    login_link: str | None = field(default=None, repr=mask)
    outcome: Outcome
    error: MailChannelsError | None = None
    attempts: int = field(default=0, eq=False)

    def __copy__(self) -> BulkLoginLinkItem:
        return attrs.evolve(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> BulkLoginLinkItem:
        return attrs.evolve(self)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: getattr(self, name) for name in attrs.fields_dict(type(self)) if name != "login_link"}
        return _rebuild_login_link_item, (state,)


def _rebuild_login_link_item(state: dict[str, Any]) -> BulkLoginLinkItem:
    return BulkLoginLinkItem(**state)


ItemT = TypeVar("ItemT", bound=BulkItem)


def _as_items(items: Iterable[ItemT]) -> Items[ItemT]:
    return items if isinstance(items, Items) else Items(items)


@define
class BulkResult(Generic[ItemT]):
    """Every input of a bulk call, once, in `successes` or in `errors`; both are ordered by `index`.

    Attributes:
        successes: The items that the API confirmed; those of a call become objects when the first of them is read.
        errors: All the others; `outcome` and `error` tell them apart.
        stopped_by: What made the call stop sending before its input ended, such as a refused key or a full
            subscription; None where nothing did.
    """

    successes: Items[ItemT] = field(factory=Items, converter=_as_items, on_setattr=attrs.setters.NO_OP)
    errors: list[ItemT] = field(factory=list)
    stopped_by: MailChannelsError | None = None

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return self.merge([self, other])

    def raise_for_errors(self) -> None:
        """Raise unless every item succeeded.

        Raises:
            BulkError: At least one item stands in `errors`; the exception holds this result.

        Example:
            >>> BulkProvisionResult().raise_for_errors()
        """
        if self.errors:
            first = self.errors[0]
            raise BulkError(
                f"{len(self.errors)} of {len(self.errors) + len(self.successes)} items did not succeed; the first,"
                f" at index {first.index}: {first.outcome}, {first.comment or first.error or f'code {first.code}'}",
                result=self,
            )

    @classmethod
    def merge(cls, results: list[Self]) -> Self:
        """Make one result of many.

        Args:
            results: Results over different inputs of one call.

        Returns:
            A result that holds all their items, ordered by `index`.

        Example:
            >>> BulkProvisionResult.merge([BulkProvisionResult(), BulkProvisionResult()])
            BulkProvisionResult(successes=[], errors=[], stopped_by=None)
        """
        items = joined(part for result in results for part in (result.successes, result.errors))
        return cls.of(items, stopped_by=next((result.stopped_by for result in results if result.stopped_by), None))

    @classmethod
    def of(cls, items: Iterable[ItemT], *, stopped_by: MailChannelsError | None = None) -> Self:
        """Sort items into a result by what came of them.

        Args:
            items: Items in any order.
            stopped_by: What made the call stop; None, the default, where nothing did.

        Returns:
            A result that holds them.

        Example:
            >>> BulkProvisionResult.of([])
            BulkProvisionResult(successes=[], errors=[], stopped_by=None)
        """
        succeeded = Outcome.SUCCEEDED
        # Items that are still to be made are all of successes.
        successes, errors = split(_as_items(items), lambda item: item.outcome is succeeded)
        return cls(successes, errors, stopped_by)


class BulkProvisionResult(BulkResult[BulkProvisionItem]):
    """What came of a bulk provision."""


class BulkLoginLinkResult(BulkResult[BulkLoginLinkItem]):
    """What came of a bulk call for login links."""
