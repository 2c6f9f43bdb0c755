"""The memory of the simulator and the rules for changing it: which domain and alias is whose, and what it has.

It knows nothing of HTTP; what is refused is raised as `Refused`. Every public method of `State` takes the lock, so a
test may look and change from another thread while the server is answering.
"""

import secrets
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Collection
from operator import attrgetter

import orjson

from .accounts import Accounts
from .checks import InvalidName, Refused, Sections, canonical_name, mailboxes
from .mailboxes import HybridBox
from .records import DEFAULT_DOMAIN_LIMIT, Customer, Domain, Subscription

_serial = attrgetter("serial")


class State(Accounts):
    """Everything a simulator remembers; it starts with one customer, whose key is `demo-key`.

    Args:
        domain_limit: The quota of the subscription `demo`, in domains. Default 10,000,000.
        address_limit: How many recipients' mail the subscription `demo` filters. Default None, no limit.

    Example:
        >>> state = State(domain_limit=2)
        >>> other = state.add_customer("other", keys=["other-key"], subscriptions=["other"])
        >>> state.domain_count()
        0
    """

    def __init__(self, *, domain_limit: int = DEFAULT_DOMAIN_LIMIT, address_limit: int | None = None) -> None:
        super().__init__(domain_limit=domain_limit, address_limit=address_limit)
        self.hybridbox: HybridBox = HybridBox(self.lock)
        self.login_links: deque[tuple[str, str]] = deque(maxlen=10_000)
        self.messages: dict[str, Customer] = {}
        self.reports: deque[tuple[str, str]] = deque(maxlen=10_000)
        self._domains: dict[str, Domain] = {}
        self._aliases: dict[str, Domain] = {}
        self._failures: dict[str, int] = {}
        self._created = 0

    # For tests: arrange and look.

    def fail_next(self, name: str, times: int = 1) -> None:
        """Let the next `times` attempts to provision this domain or to link to it end in a 500."""
        with self.lock:
            self._failures[canonical_name(name)] = times

    def domain(self, name: str) -> Domain | None:
        """Find the domain of this name, in any spelling that names it, or None."""
        with self.lock:
            return self._domains.get(canonical_name(name))

    def domain_count(self) -> int:
        """How many domains there are, those of all customers together."""
        with self.lock:
            return len(self._domains)

    # For the handlers: what the API does.

    def check_quota(self, subscription: Subscription, names: Collection[str]) -> None:
        """Refuse with 403 when provisioning these names would exceed the subscription's quota."""
        with self.lock:
            free = subscription.domain_limit - subscription.count
            if len(names) <= free:
                return
            new = {name for name in names if name not in self._domains and name not in self._aliases}
            if new and len(new) > free:
                raise Refused(403, f"the subscription {subscription.handle!r} has reached its limit on domains")

    def provision(
        self,
        name: str,
        customer: Customer,
        key: str,
        subscription: Subscription,
        sections: Sections,
        *,
        associate: bool,
        overwrite: bool,
    ) -> tuple[Domain, bool, list[str]]:
        """Create a domain, or find it and set its sections when `overwrite` says so.

        Returns:
            The domain, whether it is new, and what could not be set and was therefore carried forward.

        Raises:
            Refused: 409 for another customer's domain or a name in use as an alias, 403 for a domain that is
                associated with another key, 500 when a test asked for it.
        """
        with self.lock:
            if self._failures:
                self._fail(name)
            domain = self._domains.get(name)
            if domain is not None:
                if domain.customer is not customer:
                    raise Refused(409, f"{name} is already provisioned by a different customer")
                if not domain.reachable_with(key):
                    raise Refused(403, f"{name} is associated with a different api key")
                return domain, False, self._set_sections(domain, sections) if overwrite else []
            if name in self._aliases:
                raise Refused(409, f"{name} is already in use as an alias")
            self._created += 1
            domain = Domain(name, self._created, customer, subscription, key if associate else None)
            self._domains[name] = domain
            subscription.count += 1
            for viewer, view in customer.views.items():
                if domain.reachable_with(viewer):
                    view.append(domain)
            return domain, True, self._set_sections(domain, sections)

    def reach(self, name: str, customer: Customer, key: str, *, foreign: int = 403) -> Domain:
        """Find the domain to act on; refused with 404, 403, or `foreign` when it is another customer's."""
        with self.lock:
            domain = self._domains.get(name)
            if domain is None:
                if name in self._aliases:
                    raise Refused(403, f"{name} is an alias domain")
                raise Refused(404, f"{name} does not exist")
            if domain.customer is not customer:
                raise Refused(foreign, f"{name} does not belong to this customer")
            if not domain.reachable_with(key):
                raise Refused(403, f"{name} is associated with a different api key")
            return domain

    def remove(self, domain: Domain) -> None:
        """De-provision a domain; it no longer counts towards its subscription's limit."""
        with self.lock:
            del self._domains[domain.name]
            for alias in domain.aliases or ():
                del self._aliases[alias]
            domain.subscription.count -= 1
            filtered = [recipient.filtered for recipient in (domain.recipients or {}).values()]
            domain.subscription.protected_addresses -= sum(filtered)
            for viewer, view in domain.customer.views.items():
                if domain.reachable_with(viewer):
                    del view[bisect_left(view, domain.serial, key=_serial)]

    def add_alias(self, domain: Domain, alias: str) -> None:
        """Add one alias to a domain; 409 when the name is in use, even as this domain's alias already."""
        with self.lock:
            if alias in self._domains or alias in self._aliases:
                raise Refused(409, f"{alias} is already in use")
            self._set_aliases(domain, [*(domain.aliases or ()), alias])

    def remove_alias(self, domain: Domain, alias: str) -> None:
        """Take one alias from a domain; 404 when it has no such alias."""
        with self.lock:
            if self._aliases.get(alias) is not domain:
                raise Refused(404, f"{domain.name} has no alias {alias}")
            self._set_aliases(domain, [name for name in domain.aliases or () if name != alias])

    def update(self, domain: Domain, sections: Sections) -> None:
        """Set the sections that are present, and single settings over what is there; all, or nothing and a 400."""
        with self.lock:
            if sections.admins is not None and mailboxes(orjson.dumps(sections.admins)) is None:
                raise Refused(400, "one of the admins is not an email address")
            problem = None if sections.aliases is None else self._set_aliases(domain, sections.aliases)
            if problem is not None:
                raise Refused(400, problem)
            merged = {**(domain.settings or {}), **orjson.loads(sections.settings or "{}")}
            settings = orjson.dumps(merged).decode() if merged else None
            self._set_sections(domain, Sections(settings, sections.downstream_addresses, sections.admins))

    def associate(self, domain: Domain, key: str) -> None:
        """Let only this key reach the domain; a key not seen before becomes one of the same customer's."""
        with self.lock:
            try:
                self.add_key(domain.customer, key)
            except ValueError as error:
                raise Refused(403, str(error)) from None
            for viewer, view in domain.customer.views.items():
                had, has = domain.reachable_with(viewer), viewer == key
                if had and not has:
                    del view[bisect_left(view, domain.serial, key=_serial)]
                elif has and not had:
                    insort(view, domain, key=_serial)
            domain.key = key

    def page(
        self, customer: Customer, key: str, names: Collection[str] | None, limit: int, offset: int
    ) -> tuple[list[Domain], int]:
        """Cut a page from the domains that the key may reach, oldest first, and count them all."""
        with self.lock:
            if names is None:
                view = customer.views.get(key)
                if view is None:
                    every = self._domains.values()
                    view = [x for x in every if x.customer is customer and x.reachable_with(key)]
                    customer.views[key] = view
            else:
                asked = (self._domains.get(name) for name in set(names))
                view = [x for x in asked if x is not None and x.customer is customer and x.reachable_with(key)]
                view.sort(key=_serial)
            return view[offset : offset + limit], len(view)

    def mint_login_link(self, domain: Domain) -> str:
        """Make a fresh login link, a different one each time; the latest 10,000 are kept in `login_links`."""
        with self.lock:
            if self._failures:
                self._fail(domain.name)
            link = f"https://console.example/login?token={secrets.token_urlsafe(24)}"
            self.login_links.append((domain.name, link))
            return link

    def _fail(self, name: str) -> None:
        remaining = self._failures.pop(name, 0)
        if remaining > 1:
            self._failures[name] = remaining - 1
        if remaining > 0:
            raise Refused(500, f"{name} could not be processed")

    def _set_sections(self, domain: Domain, sections: Sections) -> list[str]:
        """Set what is present and can be set; what cannot leaves its section as it was and is named."""
        problems = []
        if sections.settings is not None:
            domain.settings_text = sections.settings
        if sections.downstream_addresses is not None:
            domain.downstream_addresses_text = sections.downstream_addresses
        if sections.admins is not None:
            text = mailboxes(orjson.dumps(sections.admins))
            if text is None:
                problems.append("admins were not set: one is not an email address")
            else:
                domain.admins_text = text
        if sections.aliases is not None:
            problem = self._set_aliases(domain, sections.aliases)
            if problem is not None:
                problems.append(problem)
        return problems

    def _set_aliases(self, domain: Domain, aliases: list[str]) -> str | None:
        try:
            names = [canonical_name(alias) for alias in aliases]
        except InvalidName:
            return "aliases were not set: one is not a valid domain name"
        if len(names) > 1:
            names = list(dict.fromkeys(names))
        for name in names:
            if name in self._domains or self._aliases.get(name, domain) is not domain:
                return f"aliases were not set: {name} is already in use"
        text = orjson.dumps(names).decode()
        if domain.aliases_text != text:
            for name in domain.aliases or ():
                del self._aliases[name]
            for name in names:
                self._aliases[name] = domain
            domain.aliases_text = text
        return None
