"""A few domains by their names, told apart from those that are not there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from ..batches import is_applied
from ..checks import outgoing
from ..errors import InvalidInput, MailChannelsError
from ..models import Domain
from ..names import canonical_or_folded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..aio import AsyncDomains, AsyncMailChannels
    from .rows import Row

__all__ = ["applied", "canonical", "find"]

_TOGETHER: Final = 100  # names of which the address of one listing has room for, mostly


def canonical(name: str) -> str:
    """Give a domain's name as it is sent and stored.

    Args:
        name: A domain name, in Unicode or as A-labels.

    Returns:
        The name as A-labels in lower case without a trailing dot.

    Raises:
        InvalidInput: It is not a domain name.

    Example:
        >>> canonical("Example.COM")
        'example.com'
    """
    return outgoing(name).domain


async def find(client: AsyncMailChannels, names: Sequence[str]) -> tuple[list[Domain], list[str]]:
    """Look domains up by name.

    Args:
        client: The client to ask through; it stays open.
        names: Names of domains, in Unicode or as A-labels.

    Returns:
        The domains that are there, and the names that are not, both in the order of `names`.

    Raises:
        InvalidInput: A name is not a domain name; nothing was sent.
        MailChannelsError: The listing failed.

    Example:
        >>> found, missing = await find(client, ["example.com", "example.net"])

    Calls `GET /domains`.
    """
    wanted = {canonical(name): name for name in names}
    listed = client.domains.iter_list(domains=list(wanted))
    # The API may answer in Unicode or in another case.
    found = {canonical_or_folded(domain.domain): domain async for domain in listed}
    return (
        [found[name] for name in wanted if name in found],
        [given for name, given in wanted.items() if name not in found],
    )


async def applied(domains: AsyncDomains, rows: list[Row[Domain | str]]) -> list[Row[Domain | str]]:
    """Find the rows with settings whose domains are there just as they say, by reading them back.

    A row that is nothing but a name is left alone: to provision it again changes nothing.

    Args:
        domains: The module to ask through.
        rows: Rows that an earlier run may have applied.

    Returns:
        Those that need not be sent again; none of those whose listing fails.

    Example:
        >>> done = await applied(client.domains, rows)

    Calls `GET /domains`.
    """
    asked = {row.position: domain for row in rows if (domain := _with_settings(row)) is not None}
    if not asked:
        return []
    names = sorted({domain.domain for domain in asked.values()})
    found: dict[str, Domain] = {}

    async def look_up(some: list[str]) -> None:
        # Those that cannot be listed are sent again, and judged by the API.
        with suppress(MailChannelsError):
            async for domain in domains.iter_list(domains=some):
                found[canonical_or_folded(domain.domain)] = domain

    async with anyio.create_task_group() as tasks:
        for first in range(0, len(names), _TOGETHER):
            tasks.start_soon(look_up, names[first : first + _TOGETHER])
    return [
        row
        for row in rows
        if (domain := asked.get(row.position)) is not None
        and domain.domain in found
        and is_applied(domain, found[domain.domain])
    ]


def _with_settings(row: Row[Domain | str]) -> Domain | None:
    try:
        domain = outgoing(row.value) if isinstance(row.value, Domain) else None
    except InvalidInput:
        return None
    if domain is None or domain == Domain(domain.domain, subscription_handle=domain.subscription_handle):
        return None
    return domain
