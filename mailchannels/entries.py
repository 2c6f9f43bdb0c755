"""Safelists and blocklists: three verbs, whoever's lists they are.

A module says whose lists it means by the beginning of a path; nothing here knows who has lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from . import checks, wire
from .models import ListEntry, ListName

if TYPE_CHECKING:
    from .transport import Transport


@define
class ListEntries:
    """The lists of everybody whose path begins in one way.

    Args:
        transport: What to send through.
        owner: The beginning of the path, with `{name}` for each segment to fill in.
    """

    transport: Transport
    owner: str

    async def add(self, segments: dict[str, str], list_name: ListName, item: str, timeout: float | None) -> ListEntry:
        """Put an entry on a list."""
        return await self.transport.send(
            "POST",
            self.owner + "/lists/{list}",
            {**segments, "list": checks.list_name(list_name)},
            body=wire.dump({"item": checks.text("item", item, at_most=checks.MAX_ITEM)}),
            returns=ListEntry,
            timeout=timeout,
        )

    async def fetch(self, segments: dict[str, str], list_name: ListName, timeout: float | None) -> list[ListEntry]:
        """Fetch a list."""
        return await self.transport.send(
            "GET",
            self.owner + "/lists/{list}",
            {**segments, "list": checks.list_name(list_name)},
            returns=list[ListEntry],
            timeout=timeout,
        )

    async def delete(self, segments: dict[str, str], list_name: ListName, item: str, timeout: float | None) -> None:
        """Take an entry off a list."""
        await self.transport.delete(
            self.owner + "/lists/{list}",
            {**segments, "list": checks.list_name(list_name)},
            query={"item": checks.text("item", item, at_most=checks.MAX_ITEM)},
            timeout=timeout,
        )
