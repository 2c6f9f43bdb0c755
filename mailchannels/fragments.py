"""Domains as fragments of a batch's body: checked and written all at once, as long as they are plain.

Thousands of domains share their settings and their mail servers, which are checked and written once; names and
addresses are told to be in order without a call for each. It knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy, deepcopy
from functools import lru_cache
from itertools import chain
from types import NoneType
from typing import Any, NamedTuple, Self, TypeAlias

import orjson

from . import checks, wire
from .columns import Batch
from .errors import InvalidInput
from .models import Domain, DomainSettings, DownstreamAddress
from .names import are_short_addresses, are_short_names


def copied(domain: Domain) -> Domain:
    """Copy a domain and all it holds."""
    settings, admins, servers, aliases = domain.settings, domain.admins, domain.downstream_addresses, domain.aliases
    if (
        type(domain) is not Domain
        or type(settings) not in {DomainSettings, NoneType}
        or not {type(admins), type(servers), type(aliases)} <= {list, NoneType}
        or not {*map(type, servers or ())} <= {DownstreamAddress}
    ):
        try:
            return deepcopy(domain)
        except Exception:  # noqa: BLE001  # it holds what can be neither copied nor sent, and is refused for that
            return domain
    return Domain(
        domain.domain,
        domain.subscription_handle,
        settings and copy(settings),
        # An empty list as well: it may be filled for the next domain.
        None if admins is None else [*admins],
        None if servers is None else [*map(copy, servers)],
        None if aliases is None else [*aliases],
    )


def of_domains(given: list[Domain | str], subscription_handle: str | None) -> Batch[Domain | str]:
    """Check domains and give them under their canonical names; what is nothing but a name is kept as one.

    Raises:
        InvalidInput: One of them cannot be right, or is meant for another subscription.
    """
    if {*map(type, given)} == {Domain}:
        plain = _of_plain(given, subscription_handle)  # type: ignore[arg-type]  # a list of domains alone
        if plain is not None:
            return plain
    domains = [checks.outgoing(one) for one in given]
    columns = _Columns.of(domains)
    for handle in {*columns.handles} - {None, subscription_handle}:
        raise InvalidInput(
            "subscription_handle",
            f"{handle!r} is not the {subscription_handle!r} that is provisioned against; provision the domains of each"
            " subscription by themselves",
        )
    settings = [None if one is None else _section_of_settings(*_fields_of_settings(one)) for one in columns.settings]
    servers = [None if some is None else _section_of_servers(*_fields_of_servers(some)) for some in columns.servers]
    return _batch(
        _Kept(
            columns.names, columns.handles, settings, _in_tuples(columns.admins), servers, _in_tuples(columns.aliases)
        )
    )


_Fields: TypeAlias = tuple[Any, ...]


class _Columns(NamedTuple):
    """Domains in columns, with what the objects that a caller may change hold."""

    names: list[str]
    handles: list[str | None]
    settings: list[DomainSettings | None]
    admins: list[list[str] | None]
    servers: list[list[DownstreamAddress] | None]
    aliases: list[list[str] | None]

    @classmethod
    def of(cls, domains: list[Domain]) -> Self:
        return cls(
            [domain.domain for domain in domains],
            [domain.subscription_handle for domain in domains],
            [domain.settings for domain in domains],
            [domain.admins for domain in domains],
            [domain.downstream_addresses for domain in domains],
            [domain.aliases for domain in domains],
        )


class _Section(NamedTuple):
    """Settings or mail servers, which thousands of domains may share.

    Attributes:
        fields: What they hold, one server after the other.
        written: They, as JSON.
    """

    fields: _Fields
    written: orjson.Fragment


class _Kept(NamedTuple):
    """What is kept of them: nothing that a caller may change."""

    names: list[str]
    handles: list[str | None]
    settings: list[_Section | None]
    admins: list[tuple[str, ...] | None]
    servers: list[_Section | None]
    aliases: list[tuple[str, ...] | None]


def _in_tuples(lists: list[list[str] | None]) -> list[tuple[str, ...] | None]:
    return [None if some is None else tuple(some) for some in lists]


def _fields_of_settings(one: DomainSettings) -> _Fields:
    return one.abuse_policy, one.abuse_policy_override, one.spam_header_name, one.spam_header_value


def _fields_of_servers(servers: list[DownstreamAddress]) -> _Fields:
    fields: _Fields = ()
    for one in servers:
        fields += (one.priority, one.weight, one.port, one.target)
    return fields


def _of_plain(domains: list[Domain], subscription_handle: str | None) -> Batch[Domain | str] | None:
    """Do it at once; None where one of them has to be looked at by itself, and perhaps refused."""
    given = _Columns.of(domains)
    lists = [*filter(None, given.servers)]
    if (
        {*map(type, given.names)} != {str}
        or not {*map(type, given.settings)} <= {DomainSettings, NoneType}
        or not {*map(type, chain(given.admins, given.servers, given.aliases))} <= {list, NoneType}
        or max(map(len, lists), default=0) > checks.MAX_DOWNSTREAM_ADDRESSES
        or not {*map(type, chain.from_iterable(lists))} <= {DownstreamAddress}
    ):
        return None
    admins, aliases = _in_tuples(given.admins), _in_tuples(given.aliases)  # first: what is kept is what is looked at
    if not are_short_names(chain(given.names, *filter(None, aliases))) or not are_short_addresses(
        chain.from_iterable(filter(None, admins))
    ):
        return None
    try:
        if not {*given.handles} <= {None, subscription_handle}:
            return None
        settings = [None if one is None else _shared_settings(*_fields_of_settings(one)) for one in given.settings]
        servers = [None if some is None else _shared_servers(*_fields_of_servers(some)) for some in given.servers]
    except (InvalidInput, TypeError):  # one that is refused, or that no cache should keep
        return None
    return _batch(_Kept(given.names, given.handles, settings, admins, servers, aliases))


class DomainsInColumns:
    """Domains that become objects as they are asked for; what is nothing but a name stays one.

    Always other objects than those that were given, down to the last list: a caller who fills one Domain again and
    again must not change what an item says was sent.

    Attributes:
        sent: What is sent of them.
    """

    def __init__(self, kept: _Kept, sent: wire.Sent, are_names_alone: list[bool]) -> None:
        self.sent = sent
        self._kept = kept
        self._are_names_alone = are_names_alone

    def __iter__(self) -> Iterator[Domain | str]:
        if not self._are_names_alone:
            return map(_made, *self._kept)
        return map(self.__getitem__, range(len(self._are_names_alone)))

    def __getitem__(self, place: int, /) -> Domain | str:
        if self._are_names_alone and self._are_names_alone[place]:
            return self._kept.names[place]
        return self._at(place)

    def with_handles(self) -> Iterator[tuple[int, Domain]]:
        """Give those with a subscription of their own, each with its place."""
        handles = self._kept.handles
        if handles.count(None) == len(handles):  # as nearly always, and told at once
            return iter(())
        return ((place, self._at(place)) for place, handle in enumerate(handles) if handle is not None)

    def _at(self, place: int) -> Domain:
        return _made(*(column[place] for column in self._kept))  # type: ignore[arg-type]  # an argument for each column


def _made(  # noqa: PLR0917  # one for each column
    name: str,
    handle: str | None,
    settings: _Section | None,
    admins: tuple[str, ...] | None,
    servers: _Section | None,
    aliases: tuple[str, ...] | None,
) -> Domain:
    return Domain(
        name,
        handle,
        None if settings is None else DomainSettings(*settings.fields),
        None if admins is None else [*admins],
        None if servers is None else _servers_of(servers.fields),
        None if aliases is None else [*aliases],
    )


def _servers_of(fields: _Fields) -> list[DownstreamAddress]:
    return [DownstreamAddress(*fields[first : first + 4]) for first in range(0, len(fields), 4)]


def _batch(kept: _Kept) -> Batch[Domain | str]:
    names, handles = kept.names, kept.handles
    settings, servers = ([each and each.written for each in column] for column in (kept.settings, kept.servers))
    sent = wire.Sent(names, settings, kept.admins, servers, kept.aliases)
    fragments = wire.batch_items(sent)
    are_names_alone: list[bool] = []
    if not all(fragments):
        are_names_alone = [not each and handle is None for each, handle in zip(fragments, handles, strict=True)]
    return Batch(names, DomainsInColumns(kept, sent, are_names_alone), fragments)


@lru_cache(maxsize=1_024, typed=True)
def _shared_settings(*fields: Any) -> _Section:
    _hold_plain(fields)
    return _section_of_settings(*fields)


@lru_cache(maxsize=1_024, typed=True)
def _shared_servers(*fields: Any) -> _Section:
    _hold_plain(fields)
    return _section_of_servers(*fields)


def _hold_plain(fields: _Fields) -> None:
    """Keep what may be equal and yet another, as a text of a caller's own kind, out of other domains' items."""
    if not {*map(type, fields)} <= {str, int, bool, NoneType}:
        raise TypeError


def _section_of_settings(*fields: Any) -> _Section:
    settings = DomainSettings(*fields)
    checks.settings("settings", settings)
    return _Section(fields, _written(wire.unstructured(settings)))


def _section_of_servers(*fields: Any) -> _Section:
    servers = _servers_of(fields)
    checks.downstream_addresses("downstream_addresses", servers)
    return _Section(fields, _written([*map(wire.unstructured, servers)]))


def _written(section: wire.Json) -> orjson.Fragment:
    return orjson.Fragment(wire.fragment(section))
