"""How a bulk call is set up, and the two of the domains module: what they send, and how their answers are matched.

An answer gives no positions, may spell a name differently, leave one out or name one that nobody sent; so everything is
matched by canonical name. How batches are cut, repeated and halved is the business of `bulk`.
"""

from __future__ import annotations

import logging
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from . import checks, wire
from .background import Results
from .bulk import Operation, Stream, count_attempt
from .errors import InvalidInput, error_for_status
from .inputs import AnyIterable
from .models import BulkLoginLinkItem, BulkProvisionItem, Domain, DownstreamAddress, Outcome
from .models.bulk import BulkItem
from .names import canonical_name, canonical_or_folded
from .repeats import NAME_ALONE, Entry, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from .transport import Query, Transport

log: Final = logging.getLogger("mailchannels")

T = TypeVar("T")
InputT = TypeVar("InputT")
ItemT = TypeVar("ItemT", bound=BulkItem)
SubjectT = TypeVar("SubjectT")
CommentedT = TypeVar("CommentedT", wire.CommentedDomain, wire.CommentedLoginLink)

PROVISION: Final = "/domains/batch"
LOGIN_LINKS: Final = "/domains/batch/login-link"
MAX_BATCH: Final = 1_000
"""Domains in one request at most; the API's limit."""


def results(
    transport: Transport,
    operation: Operation[InputT, SubjectT, ItemT],
    concurrency: int,
    argument: str,
    inputs: AnyIterable[InputT],
) -> Results[ItemT]:
    """Set up a bulk call over what a caller gave for `argument`."""
    checks.inputs(argument, inputs)
    checks.whole_number("concurrency", concurrency, at_least=1)
    transport.hold_open()
    stream = Stream(
        operation,
        concurrency=concurrency,
        max_retries=transport.max_retries,
        may_retry=transport.budget.spend,
        pause=transport.pause,
    )
    return stream.results(inputs)


@attrs.define
class Provisioning(Operation[Domain | str, Domain | str, BulkProvisionItem]):
    """Provision domains against one subscription; what is nothing but a name is kept as one."""

    transport: Transport
    subscription_handle: str
    associate_key: bool | None
    overwrite: bool | None
    timeout: float | None
    batch_size = MAX_BATCH

    def entry(self, index: int, given: Domain | str) -> Entry[Domain | str]:
        """Check a domain and give it under its canonical name."""
        if isinstance(given, str):
            name = canonical_name(given)
            return Entry(index, name, name, NAME_ALONE)
        domain = checks.outgoing(given)
        if domain.subscription_handle not in {None, self.subscription_handle}:
            raise InvalidInput(
                "subscription_handle",
                f"{domain.subscription_handle!r} is not the {self.subscription_handle!r} that this call provisions"
                " against; make one call for each subscription",
            )
        name = domain.domain
        if not _is_bare(domain):
            return Entry(index, name, domain, wire.fragment(wire.batch_item(domain)))
        return Entry(index, name, name if domain.subscription_handle is None else domain, NAME_ALONE)

    def subject(self, given: Domain | str) -> Domain | str:
        """Give a refused input as it is, or as text."""
        return given if isinstance(given, Domain) else str(given)

    async def ask(self, entries: list[Entry[Domain | str]]) -> dict[str, tuple[Domain | str, Verdict]]:
        """Provision a batch."""
        query: dict[str, Query] = {
            "subscriptionHandle": self.subscription_handle,
            "associate-key": self.associate_key,
            "overwrite": self.overwrite,
        }
        answer = await self.transport.request(
            "POST",
            PROVISION,
            query=query,
            body=_body(entries),
            timeout=self.timeout,
            patient=True,
            on_attempt=partial(count_attempt, entries),
        )
        batch = answer.read(wire.ProvisionedBatch)
        asked = {entry.key: entry.subject for entry in entries}
        found: dict[str, tuple[Domain | str, Verdict]] = {}
        for position, success in enumerate(batch.successes or ()):
            wire.spell_once(success)
            echo = _echo(success, asked)
            if echo is not None:
                found[echo[0].domain] = echo
                continue
            commented = answer.read_part(success, wire.CommentedDomain, f"$.successes[{position}]")
            for key, _ in _matched([commented], asked, lambda item: item.domain.domain):
                stored = commented.domain
                stored.domain = key
                applied = is_applied(_domain(asked[key]), stored)
                found[key] = (stored, _provisioned(commented.code, commented.comment, applied))
        for key, commented in _matched(batch.errors, asked, lambda item: item.domain.domain):
            found[key] = (asked[key], _failure(commented, PROVISION))
        return found

    def item(self, index: int, subject: Domain | str, verdict: Verdict, attempts: int = 0) -> BulkProvisionItem:
        """Make the item of a result."""
        # Arguments by position take half the time of those by keyword, which adds up.
        return BulkProvisionItem(
            index,
            _domain(subject),
            verdict.code,
            verdict.comment,
            verdict.settings_applied,
            verdict.error,
            attempts,
            outcome=verdict.outcome,
        )


@attrs.define
class LoginLinks(Operation[str, str, BulkLoginLinkItem]):
    """Mint login links for domains."""

    transport: Transport
    timeout: float | None
    batch_size = MAX_BATCH

    def entry(self, index: int, given: str) -> Entry[str]:
        """Check a name and give it in its canonical form."""
        name = canonical_name(given)
        return Entry(index, name, name, NAME_ALONE)

    def subject(self, given: str) -> str:
        """Give a refused input as text."""
        return str(given)

    async def ask(self, entries: list[Entry[str]]) -> dict[str, tuple[str, Verdict]]:
        """Mint the links of a batch."""
        answer = await self.transport.send(
            "POST",
            LOGIN_LINKS,
            body=_body(entries),
            returns=wire.LoginLinkBatch,
            timeout=self.timeout,
            patient=True,
            on_attempt=partial(count_attempt, entries),
        )
        asked = {entry.key: entry.subject for entry in entries}
        found: dict[str, tuple[str, Verdict]] = {}
        for key, commented in _matched(answer.successes, asked, lambda item: item.domain):
            # A success without its link is none: left out, it counts as not mentioned.
            if commented.login_link is not None:
                verdict = Verdict(Outcome.SUCCEEDED, commented.code, commented.comment, value=commented.login_link)
                found[key] = (key, verdict)
        for key, commented in _matched(answer.errors, asked, lambda item: item.domain):
            found[key] = (key, _failure(commented, LOGIN_LINKS))
        return found

    def item(self, index: int, subject: str, verdict: Verdict, attempts: int = 0) -> BulkLoginLinkItem:
        """Make the item of a result."""
        return BulkLoginLinkItem(
            index=index,
            domain=subject,
            code=verdict.code,
            comment=verdict.comment,
            login_link=verdict.value if isinstance(verdict.value, str) else None,
            outcome=verdict.outcome,
            error=verdict.error,
            attempts=attempts,
        )


def _is_bare(domain: Domain) -> bool:
    return (
        domain.settings is None
        and domain.admins is None
        and domain.downstream_addresses is None
        and domain.aliases is None
    )


def _body(entries: list[Entry[SubjectT]]) -> bytes:
    # A-labels need no escaping.
    items = [entry.fragment or b'{"domain":"%b"}' % entry.key.encode() for entry in entries]
    return b'{"domains":[' + b",".join(items) + b"]}"


def _domain(subject: Domain | str) -> Domain:
    return Domain(subject) if isinstance(subject, str) else subject


_TEXT: Final = (str, type(None))


def _echo(success: wire.Json, asked: dict[str, Domain | str]) -> tuple[Domain, Verdict] | None:
    """Judge a success that says what was asked for; None where it says something else, or is none."""
    try:
        stored, code, comment = success["domain"], success["code"], success.get("comment")
        subject, handle = asked[stored["domain"]], stored.get("subscriptionHandle")
        if type(code) is not int or type(comment) not in _TEXT or type(handle) not in _TEXT:
            return None
        # Of a name alone nothing else was asked, so that all else has to be null.
        told = 1 if handle is None else 2
        if isinstance(subject, str) and len(stored) - [*stored.values()].count(None) == told:
            domain = Domain(subject, handle)
        else:
            domain = _domain(subject)
            if not wire.is_echo(stored, domain):
                return None
            if handle != domain.subscription_handle:
                sections = (domain.settings, domain.admins, domain.downstream_addresses, domain.aliases)
                domain = Domain(domain.domain, handle, *sections)
    except (AttributeError, KeyError, TypeError):
        return None
    return domain, _provisioned(code, comment, True)


@lru_cache(maxsize=64)
def _provisioned(code: int, comment: str | None, applied: bool) -> Verdict:  # by position: faster
    # Successes are alike: shared, they need be remembered but once, see `Repeats.settle`.
    return Verdict(Outcome.SUCCEEDED, code, comment, settings_applied=applied)


def _matched(
    answers: list[CommentedT] | None, asked: Container[str], name_of: Callable[[CommentedT], str]
) -> Iterator[tuple[str, CommentedT]]:
    for commented in answers or ():
        name = name_of(commented)
        key = name if name in asked else canonical_or_folded(name)
        if key in asked:
            yield key, commented
        else:
            log.warning("an answer of the API names %r, which this request did not", name)


def _failure(commented: wire.CommentedDomain | wire.CommentedLoginLink, path: str) -> Verdict:
    code = commented.code
    message = commented.comment or (HTTPStatus(code).phrase if code in _KNOWN_CODES else f"code {code}")
    error = error_for_status(code)(message, status=code, method="POST", path=path)
    return Verdict(Outcome.FAILED, code, commented.comment, error)


_KNOWN_CODES: Final = frozenset(HTTPStatus)


def is_applied(asked: Domain, stored: Domain) -> bool:
    """Whether an answer shows every setting that was asked for, in whatever order and case the API keeps them."""
    if asked.settings is not None:
        for name, value in attrs.asdict(asked.settings).items():
            if value is not None and getattr(stored.settings, name, None) != value:
                return False
    return (
        _same(asked.admins, stored.admins, str.lower)
        and _same(asked.aliases, stored.aliases, canonical_or_folded)
        and _same(asked.downstream_addresses, stored.downstream_addresses, _downstream_key)
    )


def _same(asked: list[T] | None, stored: list[T] | None, key: Callable[[T], object]) -> bool:
    return (
        asked is None
        or asked == stored
        or sorted(map(repr, map(key, asked))) == sorted(map(repr, map(key, stored or [])))
    )


def _downstream_key(address: DownstreamAddress) -> tuple[int, int, int, str]:
    return address.priority, address.weight, address.port, address.target.lower()
