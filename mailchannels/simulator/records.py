"""The things the simulator keeps: subscriptions, customers, recipients, domains.

Plain records, small enough for a million domains; the rules for changing them stand in `state.py`.
"""

from dataclasses import dataclass, field

import orjson
from orjson import Fragment

from .checks import Json

_NULL = "null"

DEFAULT_DOMAIN_LIMIT = 10_000_000

Lists = dict[str, dict[str, str]]
"""Safelist and blocklist entries: the name of a list -> item -> the item's type."""


def list_entry_as_json(action: str, item: str, kind: str) -> Json:
    """Spell a list entry as the API does."""
    return {"action": action, "item": item, "item_type": kind}


@dataclass(slots=True, eq=False)
class Subscription:
    """What domains are provisioned against: a plan with its limits, and how much of each is in use.

    Limits are on domains and on protected addresses, the recipients whose mail is filtered; None for no limit.
    """

    handle: str
    domain_limit: int = DEFAULT_DOMAIN_LIMIT
    address_limit: int | None = None
    active: bool = True
    plan_handle: str = "inbound"
    plan_name: str = "Inbound"
    count: int = 0
    protected_addresses: int = 0

    def as_json(self) -> Json:
        """Spell the subscription as the API does: a limit is text, and there is none where there is no limit."""
        limits = [{"featureHandle": "domains", "value": str(self.domain_limit)}]
        if self.address_limit is not None:
            limits.append({"featureHandle": "protected-addresses", "value": str(self.address_limit)})
        return {
            "handle": self.handle,
            "active": self.active,
            "plan": {"handle": self.plan_handle, "name": self.plan_name},
            "limits": limits,
            "activeAccountsCount": self.count,
        }

    def protects_one_more(self) -> bool:
        """Whether there is room to filter the mail of one more recipient."""
        return self.address_limit is None or self.protected_addresses < self.address_limit


@dataclass(slots=True, eq=False)
class Customer:
    """An account: its API keys, its subscriptions, and per key the domains that key may reach, in order of creation.

    A view is built the first time its key lists domains, then kept up to date, so that a page costs its own length.
    """

    name: str
    keys: list[str] = field(default_factory=list)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    lists: Lists | None = None
    views: dict[str, "list[Domain]"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Recipient:
    """Somebody with an address in a domain; `filtered` says whether policy is applied to their mail."""

    address: str
    role: str
    filtered: bool
    lists: Lists | None = None

    def as_json(self) -> Json:
        """Spell the recipient as the API does, which here is snake_case."""
        return {"email_address": self.address, "roles": [self.role], "filter": self.filtered}


class Domain:
    """A provisioned domain; a section that was never set is None and takes no memory beyond its slot.

    The sections are kept as JSON text: a fraction of the size of lists and dicts, ready to be sent, and nothing for
    the garbage collector to walk through. The properties read them.
    """

    __slots__ = (
        "admins_text",
        "aliases_text",
        "customer",
        "downstream_addresses_text",
        "key",
        "lists",
        "name",
        "recipients",
        "serial",
        "settings_text",
        "subscription",
    )

    def __init__(self, name: str, serial: int, customer: Customer, subscription: Subscription, key: str | None) -> None:
        self.name: str = name
        self.serial: int = serial
        self.customer: Customer = customer
        self.subscription: Subscription = subscription
        self.key: str | None = key
        self.lists: Lists | None = None
        self.recipients: dict[str, Recipient] | None = None
        self.settings_text: str | None = None
        self.admins_text: str | None = None
        self.aliases_text: str | None = None
        self.downstream_addresses_text: str | None = None

    @property
    def settings(self) -> Json | None:
        """The settings that were set, as the API spells them."""
        return None if self.settings_text is None else orjson.loads(self.settings_text)

    @property
    def admins(self) -> list[str] | None:
        """The email addresses of the domain's administrators."""
        return None if self.admins_text is None else orjson.loads(self.admins_text)

    @property
    def aliases(self) -> list[str] | None:
        """The canonical names of the domain's aliases."""
        return None if self.aliases_text is None else orjson.loads(self.aliases_text)

    @property
    def downstream_addresses(self) -> list[Json] | None:
        """The downstream addresses, as the API spells them."""
        text = self.downstream_addresses_text
        return None if text is None else orjson.loads(text)

    def as_json(self) -> Json:
        """Spell the domain as the API does: null for a list that was never set, no settings where there are none."""
        body: Json = {
            "domain": self.name,
            "subscriptionHandle": self.subscription.handle,
            "admins": Fragment(self.admins_text or _NULL),
            "downstreamAddresses": Fragment(self.downstream_addresses_text or _NULL),
            "aliases": Fragment(self.aliases_text or _NULL),
        }
        if self.settings_text is not None:
            body["settings"] = Fragment(self.settings_text)
        return body

    def reachable_with(self, key: str) -> bool:
        """Whether the key may act on this domain, given that it is one of its customer's."""
        return self.key is None or self.key == key
