"""Who may call the simulated API: customers, their API keys and their subscriptions.

It knows nothing of what they provision, and nothing of HTTP; what is refused is raised as `Refused`.
"""

import threading
from collections.abc import Iterable

from .checks import Refused
from .records import DEFAULT_DOMAIN_LIMIT, Customer, Subscription

DEMO_KEY = "demo-key"
DEMO_SUBSCRIPTION = "demo"


class Accounts:
    """The customers; it starts with one, whose key is `demo-key` and whose subscription is `demo`."""

    def __init__(self, *, domain_limit: int, address_limit: int | None) -> None:
        self.lock: threading.RLock = threading.RLock()
        self._owners: dict[str, Customer] = {}
        self._subscriptions: dict[str, Subscription] = {}
        demo = self.add_customer("demo", keys=[DEMO_KEY])
        self.add_subscription(demo, DEMO_SUBSCRIPTION, domain_limit=domain_limit, address_limit=address_limit)

    # For tests: arrange and look.

    def add_customer(
        self,
        name: str,
        *,
        keys: Iterable[str],
        subscriptions: Iterable[str] = (),
        domain_limit: int = DEFAULT_DOMAIN_LIMIT,
    ) -> Customer:
        """Add a customer with its API keys and subscriptions.

        Args:
            name: What to call the customer; only tests see it.
            keys: API keys, each used by no other customer.
            subscriptions: Handles of subscriptions, each used by no other customer. Default none.
            domain_limit: The quota of each of these subscriptions, in domains. Default 10,000,000.

        Returns:
            The customer, which `add_key` and `add_subscription` take.

        Raises:
            ValueError: A key or a handle is already taken.
        """
        with self.lock:
            customer = Customer(name)
            for key in keys:
                self.add_key(customer, key)
            for handle in subscriptions:
                self.add_subscription(customer, handle, domain_limit=domain_limit)
            return customer

    def add_key(self, customer: Customer, key: str) -> None:
        """Give a customer one more API key; ValueError when another customer has it."""
        with self.lock:
            owner = self._owners.setdefault(key, customer)
            if owner is not customer:
                raise ValueError("this API key belongs to another customer")
            if key not in customer.keys:
                customer.keys.append(key)

    def add_subscription(
        self,
        customer: Customer,
        handle: str,
        *,
        domain_limit: int = DEFAULT_DOMAIN_LIMIT,
        address_limit: int | None = None,
        active: bool = True,
    ) -> Subscription:
        """Give a customer one more subscription; ValueError when the handle is taken."""
        with self.lock:
            if handle in self._subscriptions:
                raise ValueError(f"the subscription {handle!r} exists already")
            subscription = Subscription(handle, domain_limit, address_limit, active)
            self._subscriptions[handle] = customer.subscriptions[handle] = subscription
            return subscription

    def set_domain_limit(self, handle: str, limit: int) -> None:
        """Change the quota of a subscription, in domains; KeyError when there is no such subscription."""
        with self.lock:
            self._subscriptions[handle].domain_limit = limit

    def set_address_limit(self, handle: str, limit: int | None) -> None:
        """Change how many recipients' mail a subscription filters, None for any; KeyError when there is none such."""
        with self.lock:
            self._subscriptions[handle].address_limit = limit

    def subscription(self, handle: str = DEMO_SUBSCRIPTION) -> Subscription:
        """Find the subscription with this handle; KeyError when there is none."""
        with self.lock:
            return self._subscriptions[handle]

    def owner_of(self, key: str) -> Customer:
        """Find the customer whose API key this is; 401 when there is none."""
        with self.lock:
            customer = self._owners.get(key)
            if customer is None:
                raise Refused(401, "the api key is missing or not valid")
            return customer

    def own_subscription(self, customer: Customer, handle: str) -> Subscription:
        """Find the customer's active subscription with this handle; 403 otherwise."""
        with self.lock:
            subscription = customer.subscriptions.get(handle)
            if subscription is None or not subscription.active:
                raise Refused(403, f"the subscription {handle[:255]!r} is not one of yours")
            return subscription
