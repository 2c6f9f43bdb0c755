"""The lists module: the safelist and the blocklist of the whole account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..entries import ListEntries
from ..models import ListEntry, ListName

if TYPE_CHECKING:
    from .client import AsyncMailChannelsClient


class AsyncLists:
    """The safelist and the blocklist that hold for every domain of the account.

    Every method takes `timeout` and raises what those of `AsyncDomains` do.

    Args:
        client: The client to send through.

    Example:
        >>> lists = AsyncLists(AsyncMailChannelsClient("your-api-key"))
    """

    def __init__(self, client: AsyncMailChannelsClient) -> None:
        self._entries = ListEntries(client._transport, "")  # noqa: SLF001  # the one thing a module takes

    async def add_list_entry(self, list_name: ListName, item: str, *, timeout: float | None = None) -> ListEntry:
        """Put an entry on the account's safelist or blocklist.

        Args:
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            item: A domain, an email address or an IP address, at most 320 characters.
            timeout: Seconds; None takes the client's.

        Returns:
            The entry, with what the API took the item for.

        Raises:
            InvalidInput: The list has no such name, or the item cannot be right.
            BadRequest: The item is none of the three.

        Example:
            >>> entry = await client.lists.add_list_entry("blocklist", "203.0.113.7")

        Endpoint: `POST /lists/{listname}` (specification 1.2.0).
        """
        return await self._entries.add({}, list_name, item, timeout)

    async def list_entries(self, list_name: ListName, *, timeout: float | None = None) -> list[ListEntry]:
        """Fetch the account's safelist or blocklist.

        Args:
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            timeout: Seconds; None takes the client's.

        Returns:
            The whole list.

        Raises:
            InvalidInput: The list has no such name.

        Example:
            >>> entries = await client.lists.list_entries("safelist")

        Endpoint: `GET /lists/{listname}` (specification 1.2.0).
        """
        return await self._entries.fetch({}, list_name, timeout)

    async def delete_list_entry(self, list_name: ListName, item: str, *, timeout: float | None = None) -> None:
        """Take an entry off the account's safelist or blocklist.

        Args:
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            item: The entry's item.
            timeout: Seconds; None takes the client's.

        Returns:
            None, once the entry is gone.

        Raises:
            InvalidInput: The list has no such name, or the item cannot be right.

        Example:
            >>> await client.lists.delete_list_entry("blocklist", "203.0.113.7")

        Endpoint: `DELETE /lists/{listname}` (specification 1.2.0).
        """
        await self._entries.delete({}, list_name, item, timeout)
