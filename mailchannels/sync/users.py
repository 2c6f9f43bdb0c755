"""The blocking form of `aio/users.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..aio.users import AsyncUsers
from ..models import Filter, ListEntry, ListName, User

if TYPE_CHECKING:
    from .client import MailChannelsClient


class Users:
    """Recipients, and the safelist and the blocklist of each.

    Every method takes `timeout` and raises what those of `Domains` do.

    Args:
        client: The client to send through.

    Example:
        >>> users = Users(MailChannelsClient("your-api-key"))
    """

    def __init__(self, client: MailChannelsClient) -> None:
        self._calls = client._calls

    def create(
        self,
        email: str,
        *,
        admin: bool = False,
        filter: Filter | None = None,
        list_entries: Mapping[ListName, Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> User:
        """Create a recipient.

        Creating is idempotent, so it is repeated where an answer is lost; `created` is then False although this call
        may have done it.

        Args:
            email: The recipient's email address.
            admin: Whether the recipient administers the domain; False by default.
            filter: True filters the recipient's mail or fails where the protected-addresses limit has no room, False
                does not filter it, `"compute"` filters it where there is room; None leaves the choice to the API.
            list_entries: Entries by list name, `safelist` and `blocklist`, to begin the recipient's lists with; None,
                the default, begins with none.
            timeout: Seconds; None takes the client's.

        Returns:
            The recipient; `created` is False where it existed before, and nothing was changed then.

        Raises:
            InvalidInput: The address is malformed, `filter` is none of these, or `list_entries` names no entry.
            BadRequest: The API takes the address for invalid.
            Forbidden: The domain is not this key's, or `filter=True` would exceed the protected-addresses limit.

        Example:
            >>> user = client.users.create("jane@example.com", list_entries={"safelist": ["partner.example"]})

        Endpoint: `PUT /users`; 200 and 201 tell an existing recipient from a new one (specification 1.2.0).
        """
        return self._calls.make(
            self._aio.create, email, admin=admin, filter=filter, list_entries=list_entries, timeout=timeout
        )

    def add_list_entry(self, email: str, list_name: ListName, item: str, *, timeout: float | None = None) -> ListEntry:
        """Put an entry on a recipient's safelist or blocklist.

        Args:
            email: The recipient's email address.
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            item: A domain, an email address or an IP address, at most 320 characters.
            timeout: Seconds; None takes the client's.

        Returns:
            The entry, with what the API took the item for.

        Raises:
            InvalidInput: The address, the list's name or the item cannot be right.
            BadRequest: The item is none of the three.
            NotFound: The recipient does not exist.
            Forbidden: The address's domain is associated with another API key or customer, or an alias.

        Example:
            >>> entry = client.users.add_list_entry("jane@example.com", "safelist", "friend@partner.example")

        Endpoint: `POST /users/{email}/lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.add_list_entry, email, list_name, item, timeout=timeout)

    def list_entries(self, email: str, list_name: ListName, *, timeout: float | None = None) -> list[ListEntry]:
        """Fetch a recipient's safelist or blocklist.

        Args:
            email: The recipient's email address.
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            timeout: Seconds; None takes the client's.

        Returns:
            The whole list.

        Raises:
            InvalidInput: The address or the list's name cannot be right.
            NotFound: The recipient does not exist.
            Forbidden: The address's domain is associated with another API key or customer, or an alias.

        Example:
            >>> entries = client.users.list_entries("jane@example.com", "blocklist")

        Endpoint: `GET /users/{email}/lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.list_entries, email, list_name, timeout=timeout)

    def delete_list_entry(self, email: str, list_name: ListName, item: str, *, timeout: float | None = None) -> None:
        """Take an entry off a recipient's safelist or blocklist.

        Args:
            email: The recipient's email address.
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            item: The entry's item.
            timeout: Seconds; None takes the client's.

        Returns:
            None, once the entry is gone.

        Raises:
            InvalidInput: The address, the list's name or the item cannot be right.
            NotFound: The recipient does not exist.
            Forbidden: The address's domain is associated with another API key or customer, or an alias.

        Example:
            >>> client.users.delete_list_entry("jane@example.com", "safelist", "friend@partner.example")

        Endpoint: `DELETE /users/{email}/lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.delete_list_entry, email, list_name, item, timeout=timeout)

    @property
    def _aio(self) -> AsyncUsers:
        return AsyncUsers(self._calls.client)
