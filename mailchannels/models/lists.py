"""Entries of safelists and blocklists, whoever's list it is."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define

ListName: TypeAlias = Literal["safelist", "blocklist", "whitelist", "blacklist"]
"""`safelist` or `blocklist`; the API calls the other two deprecated, and so do we."""


@define
class ListEntry:
    """One entry of a safelist or a blocklist.

    Attributes:
        action: The list it stands on, `safelist` or `blocklist`.
        item: A domain, an email address or an IP address.
        type: What the API took the item for: `domain`, `email_address` or `ip_address`.

    Example:
        >>> ListEntry(action="safelist", item="partner.example", type="domain").item
        'partner.example'
    """

    action: str
    item: str
    type: str
