"""A dry run: every row read and checked, a subscription asked for its room, nothing sent that changes anything.

It holds rows to what a real run would refuse before sending, and estimates how long that run would take.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import define

from ..checks import text
from ..errors import InvalidInput, MailChannelsError
from ..fragments import of_domains
from ..models import Outcome
from .kinds import DOMAINS
from .summary import Problem, Summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..aio import AsyncService
    from ..models import Domain, Subscription
    from .report import ErrorFile
    from .rows import Row
    from .source import Source

__all__ = ["PER_REQUEST", "Plan", "Quota", "ask_quota", "checked_domain", "plan"]

T = TypeVar("T")

PER_REQUEST: Final = 1_000
"""Domains in one request at most; the API's limit."""

REMEMBERED: Final = 50_000  # as many names as a run knows repeats of, at least

_OFTEN: Final = 1_000


@define
class Quota:
    """The room of a subscription.

    Attributes:
        limit: Domains that it takes; None where it does not say.
        count: Domains that it has.
    """

    limit: int | None
    count: int

    @property
    def free(self) -> int | None:
        """Domains that it still takes; None where it does not say."""
        return None if self.limit is None else max(0, self.limit - self.count)


@define
class Plan:
    """What a run would do.

    Attributes:
        summary: The rows, counted: those in order as succeeded, the others as invalid.
        repeats: Those in order that say the same as an earlier row, and share its request.
        requests: How many requests the run would make, repeats of failed ones aside.
        seconds: How long they would take at the given rate.
        quota: The room of the subscription; None where it was not asked, or could not be.
        trouble: Why it could not be asked.
    """

    summary: Summary
    repeats: int
    requests: int
    seconds: float
    quota: Quota | None = None
    trouble: MailChannelsError | None = None

    @property
    def new(self) -> int:
        """Rows in order that stand in the input for the first time."""
        return self.summary.succeeded - self.repeats

    @property
    def over_quota(self) -> int:
        """How many of `new` do not fit, if none of them is there already."""
        free = None if self.quota is None else self.quota.free
        return 0 if free is None else max(0, self.new - free)


async def plan(
    source: Source[T],
    check: Callable[[T], tuple[str, bytes]],
    *,
    per_request: int,
    rate_limit: float | None,
    on_progress: Callable[[Summary], object],
    errors: ErrorFile | None = None,
) -> Plan:
    """Read and check every row of an input.

    Args:
        source: The input.
        check: Gives what a row is told by and what is sent for it; raises `InvalidInput` where a run would refuse it.
        per_request: Rows in one request at most.
        rate_limit: Requests per second, above 0; None for no limit.
        on_progress: Called with the state so far, now and then.
        errors: Receives the rows that are not in order.

    Returns:
        What a run would do. Repeats are found as far as a run finds them, 50,000 names back at least.

    Raises:
        OSError: The input cannot be read further, or `errors` not be written.

    Example:
        >>> with open_source("domains.csv", DOMAINS) as source:
        ...     await plan(source, checked_domain("demo"), per_request=1_000, rate_limit=95, on_progress=print)
    """
    summary = Summary(source.kind.plural, source.total)
    seen = _Seen(source.kind.required[0])
    repeats = 0
    while rows := await source.take(_OFTEN):
        for row in rows:
            try:
                repeats += seen.is_repeat(*_checked(row, check), row.line)
            except InvalidInput as error:
                problem = Problem(row.line, row.name, Outcome.FAILED, reason=str(error), invalid=True)
                summary.add(problem)
                if errors is not None:
                    errors.write(row.cells, problem, row.surplus)
            else:
                summary.succeeded += 1
        on_progress(summary)
    if errors is not None:
        errors.flush()
    summary.finish()
    on_progress(summary)
    requests = math.ceil((summary.succeeded - repeats) / per_request)
    return Plan(summary, repeats, requests, requests / rate_limit if rate_limit else 0.0)


async def ask_quota(service: AsyncService, handle: str) -> Quota:
    """Ask a subscription for its room.

    Args:
        service: Whom to ask.
        handle: The subscription's handle.

    Returns:
        Its limit on domains, whatever that is called, and how many it has.

    Raises:
        InvalidInput: The key has no such subscription.

    Example:
        >>> (await ask_quota(client.service, "demo")).free

    Calls `GET /subscriptions`.
    """
    by_handle: dict[str, Subscription] = {found.handle: found for found in await service.subscriptions()}
    if handle not in by_handle:
        raise InvalidInput(
            "subscription_handle",
            f"{handle!r} is none of the subscriptions that the key has: {', '.join(map(repr, by_handle)) or 'none'}",
        )
    found = by_handle[handle]
    limits = [
        int(limit.value)
        for limit in found.limits
        if _is_of_domains(limit.feature_handle) and limit.value.strip().isdecimal()
    ]
    return Quota(min(limits, default=None), found.active_accounts_count)


def _is_of_domains(feature: str) -> bool:
    # `domains`, `max-domains`, `domain_count`; not `domain-aliases`, which limits something else.
    words = set(re.split(r"[^a-z]+", feature.lower()))
    return bool(words & {"domain", "domains"}) and not words & {"alias", "aliases"}


def checked_domain(subscription_handle: str | None) -> Callable[[Domain | str], tuple[str, bytes]]:
    """Give the check of a domain, for `plan`.

    Args:
        subscription_handle: The subscription to provision against; None where only the names count, as for login links.

    Returns:
        What gives a domain's name as it is sent, and the item that is sent for it; nothing for a name alone.

    Raises:
        InvalidInput: The subscription's handle is empty.

    Example:
        >>> checked_domain(None)(Domain("Example.com"))
        ('example.com', b'')
    """
    if subscription_handle is not None:
        text("subscription_handle", subscription_handle)

    def check(given: Domain | str) -> tuple[str, bytes]:
        row = DOMAINS.name(given) if subscription_handle is None else given
        batch = of_domains([row], subscription_handle)
        return batch.keys[0], batch.fragments[0]

    return check


def _checked(row: Row[T], check: Callable[[T], tuple[str, bytes]]) -> tuple[str, bytes]:
    if row.error is not None:
        raise row.error
    assert row.value is not None  # noqa: S101  # a row has one or the other
    return check(row.value)


class _Seen:
    """The names of the last rows with what they said, in two generations, as a run remembers them."""

    def __init__(self, called: str) -> None:
        self._called = called
        self._recent: dict[str, tuple[int, int]] = {}
        self._older: dict[str, tuple[int, int]] = {}

    def is_repeat(self, name: str, sent: bytes, line: int) -> bool:
        """Whether an earlier row says the same; one that says something else of the name is an `InvalidInput`."""
        content = hash(sent)
        known = self._recent.get(name) or self._older.get(name)
        if known is None:
            if len(self._recent) >= REMEMBERED:
                self._recent, self._older = {}, self._recent
            self._recent[name] = (content, line)
            return False
        if known[0] != content:
            raise InvalidInput(
                self._called, f"{name} stands in the input before, at line {known[1]}, with other content"
            )
        return True
