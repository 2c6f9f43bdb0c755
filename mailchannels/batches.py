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

from . import checks, collector, wire
from .background import Results
from .bulk import Operation, Stream, count_attempt
from .errors import InvalidInput, error_for_status
from .inputs import AnyIterable
from .models import BulkLoginLinkItem, BulkProvisionItem, Domain, DownstreamAddress, Outcome
from .models.bulk import BulkItem
from .names import canonical_name, canonical_or_folded
from .repeats import NAME_ALONE, Entry, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .transport import Answer, Query, Transport

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
        handle = domain.subscription_handle
        if handle is not None and handle != self.subscription_handle:
            raise InvalidInput(
                "subscription_handle",
                f"{handle!r} is not the {self.subscription_handle!r} that this call provisions"
                " against; make one call for each subscription",
            )
        name = domain.domain
        if not _is_bare(domain):
            return Entry(index, name, domain, wire.batch_item(domain))
        return Entry(index, name, name if handle is None else domain, NAME_ALONE)

    def subject(self, given: Domain | str) -> Domain | str:
        """Give a refused input as it is, or as text."""
        return given if isinstance(given, Domain) else str(given)

    async def ask(self, entries: list[Entry[Domain | str]]) -> None:
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
        with collector.held_back():
            _note(answer, {entry.key: entry for entry in entries})

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

    async def ask(self, entries: list[Entry[str]]) -> None:
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
        asked = {entry.key: entry for entry in entries}
        for entry, commented in _matched(answer.successes, asked, lambda item: item.domain):
            # A success without its link is none: left out, it counts as not mentioned.
            if commented.login_link is not None:
                entry.verdict = Verdict(
                    Outcome.SUCCEEDED, commented.code, commented.comment, value=commented.login_link
                )
        for entry, commented in _matched(answer.errors, asked, lambda item: item.domain):
            entry.verdict = _failure(commented, LOGIN_LINKS)

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


def _note(answer: Answer, asked: dict[str, Entry[Domain | str]]) -> None:
    """Note what an answer says on the entries; only once all of it is read are their domains changed."""
    batch = answer.read(wire.ProvisionedBatch)
    stored: dict[str, Domain] = {}
    for position, success in enumerate(batch.successes or ()):
        if _note_echo(success, asked, stored):
            continue
        commented = answer.read_part(success, wire.CommentedDomain, f"$.successes[{position}]")
        for entry, _ in _matched([commented], asked, lambda item: item.domain.domain):
            commented.domain.domain = entry.key
            stored[entry.key] = commented.domain
            applied = is_applied(_domain(entry.subject), commented.domain)
            entry.verdict = _provisioned(commented.code, commented.comment, applied)
    for entry, commented in _matched(batch.errors, asked, lambda item: item.domain.domain):
        stored.pop(entry.key, None)
        entry.verdict = _failure(commented, PROVISION)
    for name, domain in stored.items():
        asked[name].subject = domain


_TEXT: Final = (str, type(None))


def _note_echo(success: wire.Json, asked: dict[str, Entry[Domain | str]], stored: dict[str, Domain]) -> bool:
    """Note a success that says what was asked for, as nearly all do, without a model; False where it says more."""
    try:
        told, code, comment = success["domain"], success["code"], success.get("comment")
        wire.spell_both(told)
        name, handle = told["domain"], told.get("subscriptionHandle")
        entry = asked[name]
        if type(code) is not int or type(comment) not in _TEXT or type(handle) not in _TEXT:
            return False
        if not wire.is_echo(told, entry.fragment):
            return False
    except (AttributeError, KeyError, TypeError):
        return False
    subject = entry.subject
    if isinstance(subject, str):
        if handle is not None:
            stored[name] = Domain(subject, handle)
    elif handle != subject.subscription_handle:
        sections = (subject.settings, subject.admins, subject.downstream_addresses, subject.aliases)
        stored[name] = Domain(subject.domain, handle, *sections)
    entry.verdict = _provisioned(code, comment, True)
    return True


@lru_cache(maxsize=64)
def _provisioned(code: int, comment: str | None, applied: bool) -> Verdict:  # by position: faster
    # Successes are alike: shared, they need be remembered but once, see `Repeats.settle`.
    return Verdict(Outcome.SUCCEEDED, code, comment, settings_applied=applied)


def _matched(
    answers: list[CommentedT] | None, asked: dict[str, Entry[SubjectT]], name_of: Callable[[CommentedT], str]
) -> Iterator[tuple[Entry[SubjectT], CommentedT]]:
    for commented in answers or ():
        name = name_of(commented)
        entry = asked.get(name) or asked.get(canonical_or_folded(name))
        if entry is not None:
            yield entry, commented
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
