"""Recipients: the people whose mail is filtered."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define

from .lists import ListEntry

Filter: TypeAlias = bool | Literal["true", "false", "compute"]
"""Whether a recipient's mail is filtered; `compute` filters it as long as the protected-addresses limit has room."""


@define
class User:
    """A recipient.

    Attributes:
        email: The recipient's email address.
        roles: What the recipient may do; None where the recipient existed before, of which the API tells nothing.
        filter: Whether the recipient's mail is filtered; None where the API does not say.
        list_entries: The safelist and blocklist entries that were added; None where the recipient existed before.
        created: False where the recipient existed before: nothing was changed then.

    Example:
        >>> User("jane@example.com", roles=["user"], filter=True, list_entries=[], created=True).created
        True
    """

    email: str
    roles: list[str] | None
    filter: bool | None
    list_entries: list[ListEntry] | None
    created: bool
