"""The blocking form of `aio/lists.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..aio.lists import AsyncLists
from ..models import ListEntry, ListName

if TYPE_CHECKING:
    from .client import MailChannelsClient


class Lists:
    """The safelist and the blocklist that hold for every domain of the account.

    Every method takes `timeout` and raises what those of `Domains` do.

    Args:
        client: The client to send through.

    Example:
        >>> lists = Lists(MailChannelsClient("your-api-key"))
    """

    def __init__(self, client: MailChannelsClient) -> None:
        self._calls = client._calls

    def add_list_entry(self, list_name: ListName, item: str, *, timeout: float | None = None) -> ListEntry:
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
            >>> entry = client.lists.add_list_entry("blocklist", "203.0.113.7")

        Endpoint: `POST /lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.add_list_entry, list_name, item, timeout=timeout)

    def list_entries(self, list_name: ListName, *, timeout: float | None = None) -> list[ListEntry]:
        """Fetch the account's safelist or blocklist.

        Args:
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            timeout: Seconds; None takes the client's.

        Returns:
            The whole list.

        Raises:
            InvalidInput: The list has no such name.

        Example:
            >>> entries = client.lists.list_entries("safelist")

        Endpoint: `GET /lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.list_entries, list_name, timeout=timeout)

    def delete_list_entry(self, list_name: ListName, item: str, *, timeout: float | None = None) -> None:
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
            >>> client.lists.delete_list_entry("blocklist", "203.0.113.7")

        Endpoint: `DELETE /lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.delete_list_entry, list_name, item, timeout=timeout)

    @property
    def _aio(self) -> AsyncLists:
        return AsyncLists(self._calls.client)
