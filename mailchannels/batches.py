"""How a bulk call is set up, and the two of the domains module: what they send, and how their answers are matched.

An answer gives no positions, may spell a name differently, leave one out or name one that nobody sent; so everything is
matched by canonical name. How batches are cut, repeated and halved is the business of `bulk`.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from . import allocator, checks, collector, echoes, wire
from .background import Results
from .bulk import Stream
from .columns import NAME_ALONE, Batch, Subjects
from .errors import error_for_status
from .fragments import DomainsInColumns, copied, of_domains
from .inputs import AnyIterable
from .models import BulkLoginLinkItem, BulkProvisionItem, Domain, DownstreamAddress, Outcome
from .models.bulk import BulkItem
from .models.items import Items
from .names import canonical_names, canonical_or_folded
from .operation import Operation
from .verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .answers import Answer
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
) -> Results[Items[ItemT]]:
    """Set up a bulk call over what a caller gave for `argument`."""
    checks.inputs(argument, inputs)
    checks.whole_number("concurrency", concurrency, at_least=1)
    transport.hold_open()
    allocator.keep_more()
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

    def keep(self, given: Domain | str) -> Domain | str:
        """Give a domain as it is now."""
        return copied(given) if isinstance(given, Domain) else given

    def prepare(self, given: list[Domain | str]) -> Batch[Domain | str]:
        """Check domains and give them under their canonical names."""
        if {*map(type, given)} == {str}:
            return _of_names(given)  # type: ignore[arg-type, return-value]  # a list of names alone
        with collector.held_back():
            return of_domains(given, self.subscription_handle)

    def subject(self, given: Domain | str) -> Domain | str:
        """Give a refused input as it is, or as text."""
        return given if isinstance(given, Domain) else str(given)

    async def ask(self, batch: Batch[Domain | str]) -> None:
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
            body=_body(batch),
            timeout=self.timeout,
            patient=True,
            on_attempt=batch.count_attempt,
        )
        strangers: list[str] = []
        with collector.held_back():
            _note(answer, batch, strangers)
        _warn_of(strangers)

    @staticmethod
    def item(index: int, subject: Domain | str, verdict: Verdict, attempts: int = 0) -> BulkProvisionItem:
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

    def prepare(self, given: list[str]) -> Batch[str]:
        """Check names and give them in their canonical form."""
        return _of_names(given)

    def subject(self, given: str) -> str:
        """Give a refused input as text."""
        return str(given)

    async def ask(self, batch: Batch[str]) -> None:
        """Mint the links of a batch."""
        answer = await self.transport.send(
            "POST",
            LOGIN_LINKS,
            body=_body(batch),
            returns=wire.LoginLinkBatch,
            timeout=self.timeout,
            patient=True,
            on_attempt=batch.count_attempt,
        )
        places = _places(batch)
        strangers: list[str] = []
        for place, commented in _matched(answer.successes, places, lambda item: item.domain, strangers):
            # A success without its link is none: left out, it counts as not mentioned.
            if commented.login_link is not None:
                link = commented.login_link
                batch.verdicts[place] = Verdict(Outcome.SUCCEEDED, commented.code, commented.comment, value=link)
        for place, commented in _matched(answer.errors, places, lambda item: item.domain, strangers):
            batch.verdicts[place] = _failure(commented, LOGIN_LINKS)
        _warn_of(strangers)

    @staticmethod
    def item(index: int, subject: str, verdict: Verdict, attempts: int = 0) -> BulkLoginLinkItem:
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


def _of_names(given: list[str]) -> Batch[str]:
    names = canonical_names(given)
    return Batch(names, [*names], [NAME_ALONE] * len(names))


def _body(batch: Batch[SubjectT]) -> bytes:
    # A-labels need no escaping.
    items = [*batch.fragments]
    if not all(items):
        items = [each or b'{"domain":"%b"}' % key.encode() for key, each in zip(batch.keys, items, strict=True)]
    # Hundreds of kilobytes: every copy of the whole costs as much as all the rest of this.
    items[0] = wire.BATCH[0] + items[0]
    items[-1] += wire.BATCH[1]
    return b",".join(items)


def _places(batch: Batch[SubjectT]) -> dict[str, int]:
    return {key: place for place, key in enumerate(batch.keys)}


def _domain(subject: Domain | str) -> Domain:
    return Domain(subject) if isinstance(subject, str) else subject


def _note(answer: Answer, batch: Batch[Domain | str], strangers: list[str]) -> None:
    """Note what an answer says of a batch; only once all of it is read are its domains changed."""
    sent = _sent(batch)
    echo = echoes.echo_of_all(answer.reply.body, sent) if sent is not None else None
    if echo is None:
        _note_each(answer, batch, strangers)
        return
    batch.verdicts = [_provisioned(echo.code, echo.comment, True)] * len(batch)
    handle = echo.subscription_handle
    subjects = _with_handles(batch.subjects) if handle is None else enumerate(batch.subjects)
    batch.put({place: _as_told(subject, handle) for place, subject in subjects})


def _sent(batch: Batch[Domain | str]) -> wire.Sent | None:
    """Give what was sent of a batch, where that is at hand in columns."""
    if isinstance(batch.subjects, DomainsInColumns):
        return batch.subjects.sent
    return None if any(batch.fragments) else wire.Sent.of_names(batch.keys)


def _with_handles(subjects: Subjects[Domain | str]) -> Iterable[tuple[int, Domain]]:
    if isinstance(subjects, DomainsInColumns):
        return subjects.with_handles()
    domains = ((place, subject) for place, subject in enumerate(subjects) if isinstance(subject, Domain))
    return ((place, domain) for place, domain in domains if domain.subscription_handle is not None)


def _as_told(subject: Domain | str, handle: str | None) -> Domain:
    """Give a domain as an answer tells of it that differs in nothing but its subscription."""
    domain = _domain(subject)
    sections = (domain.settings, domain.admins, domain.downstream_addresses, domain.aliases)
    return Domain(domain.domain, handle, *sections)


def _note_each(answer: Answer, batch: Batch[Domain | str], strangers: list[str]) -> None:
    told = answer.read(wire.ProvisionedBatch)
    places = _places(batch)
    stored: dict[int, Domain] = {}
    for position, success in enumerate(told.successes or ()):
        if _note_echo(success, batch, places, stored):
            continue
        commented = answer.read_part(success, wire.CommentedDomain, f"$.successes[{position}]")
        for place, _ in _matched([commented], places, lambda item: item.domain.domain, strangers):
            commented.domain.domain = batch.keys[place]
            stored[place] = commented.domain
            applied = is_applied(_domain(batch.subjects[place]), commented.domain)
            batch.verdicts[place] = _provisioned(commented.code, commented.comment, applied)
    for place, commented in _matched(told.errors, places, lambda item: item.domain.domain, strangers):
        stored.pop(place, None)
        batch.verdicts[place] = _failure(commented, PROVISION)
    batch.put(stored)


def _note_echo(
    success: wire.Json, batch: Batch[Domain | str], places: dict[str, int], stored: dict[int, Domain]
) -> bool:
    """Note a success that says what was asked for and no more than nulls and the subscription beside it."""
    try:
        told, code, comment = success["domain"], success["code"], success.get("comment")
        echoes.spell_both(told)
        place, handle = places[told["domain"]], told.get("subscriptionHandle")
        if type(code) is not int or type(comment) not in echoes.TEXT or type(handle) not in echoes.TEXT:
            return False
        if not echoes.is_echo(told, batch.fragments[place]):
            return False
    except (AttributeError, KeyError, TypeError):
        return False
    stored.pop(place, None)  # of an earlier success for the same name
    subject = batch.subjects[place]
    if handle != (None if isinstance(subject, str) else subject.subscription_handle):
        stored[place] = _as_told(subject, handle)
    batch.verdicts[place] = _provisioned(code, comment, True)
    return True


@lru_cache(maxsize=64)
def _provisioned(code: int, comment: str | None, applied: bool) -> Verdict:  # by position: faster
    # Successes are alike: shared, they need be remembered but once, see `Repeats.settle`.
    return Verdict(Outcome.SUCCEEDED, code, comment, settings_applied=applied)


def _matched(
    answers: list[CommentedT] | None,
    places: dict[str, int],
    name_of: Callable[[CommentedT], str],
    strangers: list[str],
) -> Iterator[tuple[int, CommentedT]]:
    for commented in answers or ():
        name = name_of(commented)
        place = places.get(name)
        if place is None:
            place = places.get(canonical_or_folded(name))
        if place is None:
            strangers.append(name)
        else:
            yield place, commented


def _warn_of(strangers: list[str]) -> None:
    for name in strangers:
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
