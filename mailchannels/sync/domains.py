"""The blocking form of `aio/domains.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from __future__ import annotations

import builtins
from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING

from ..aio.domains import AsyncDomains
from ..models import (
    Alias,
    BulkLoginLinkResult,
    BulkProvisionResult,
    Domain,
    DomainPage,
    DomainSettings,
    DownstreamAddress,
    ListEntry,
    ListName,
    LoginLink,
    ProvisionedDomain,
)

if TYPE_CHECKING:
    from .client import MailChannelsClient


class Domains:
    """Everything the API does with domains.

    Every method takes `timeout`, which replaces the client's for that call (for a bulk call: for each of its requests),
    and raises, besides what it names itself:

    - `InvalidInput` where an argument cannot be right; nothing is sent then,
    - `ConfigurationError` where the client is closed,
    - `RequestError` where no answer came, `UnexpectedResponse` where it was none the API promises,
    - `APIError`, by its subclasses, where the API says no: `Unauthorized` for a refused key, `RateLimited` and
      `ServerError` once the retries are used up.

    Args:
        client: The client to send through.

    Example:
        >>> domains = Domains(MailChannelsClient("your-api-key"))
    """

    def __init__(self, client: MailChannelsClient) -> None:
        self._calls = client._calls

    def provision(
        self,
        domain: Domain,
        *,
        associate_key: bool | None = None,
        overwrite: bool | None = None,
        timeout: float | None = None,
    ) -> ProvisionedDomain:
        """Provision one domain.

        Provisioning is idempotent, so it is repeated where an answer is lost.

        Args:
            domain: The domain with its `subscription_handle`; sections left None keep what is stored, `[]` empties.
            associate_key: True lets only this API key manage the domain from now on; None, the default, leaves it out.
            overwrite: True replaces the settings of a domain that exists already; without it they stay as they are.
            timeout: Seconds; None takes the client's.

        Returns:
            The domain as the API stored it; `created` is False where it existed before.

        Raises:
            InvalidInput: The domain, or a part of it, cannot be right, or it has no `subscription_handle`.
            Forbidden: The subscription is full or not yours.
            Conflict: The domain belongs to another customer.

        Example:
            >>> stored = client.domains.provision(Domain("example.com", subscription_handle="basic"))

        Endpoint: `POST /domains`; 200 and 201 tell an existing domain from a new one (specification 1.2.0).
        """
        return self._calls.make(
            self._aio.provision, domain, associate_key=associate_key, overwrite=overwrite, timeout=timeout
        )

    def bulk_provision(
        self,
        domains: Iterable[Domain | str],
        *,
        subscription_handle: str,
        associate_key: bool | None = None,
        overwrite: bool | None = None,
        concurrency: int = 16,
        timeout: float | None = None,
    ) -> BulkProvisionResult:
        """Provision any number of domains and wait for all of them.

        Args:
            domains: Domains or names, in any iterable of any length; 1,000 go into a request.
            subscription_handle: The subscription to provision against.
            associate_key: True lets only this API key manage the domains from now on; None leaves it out.
            overwrite: True replaces the settings of domains that exist already; without it they stay as they are.
            concurrency: Requests under way at most; 16 by default, from 1.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            Every input once, in `successes` or in `errors`, with its position. A name that repeats among 50,000 inputs
            is sent once: with the same settings it shares the outcome, with others it is an error.

        Raises:
            InvalidInput: `subscription_handle` or `concurrency` cannot be right. A bad domain raises nothing: it is an
                item of `errors`, and so is whatever the API refuses.
            Exception: What `domains` itself raises, once everything read before it is answered; `iter_bulk_provision`
                gives those results first.

        Example:
            >>> result = client.domains.bulk_provision(["a.example", "b.example"], subscription_handle="basic")
            >>> result.raise_for_errors()

        Endpoint: `POST /domains/batch`, at most 1,000 domains a request (specification 1.2.0).
        """
        return self._calls.make_on_event_loop(
            self._aio.bulk_provision,
            domains,
            subscription_handle=subscription_handle,
            associate_key=associate_key,
            overwrite=overwrite,
            concurrency=concurrency,
            timeout=timeout,
        )

    def iter_bulk_provision(
        self,
        domains: Iterable[Domain | str],
        *,
        subscription_handle: str,
        associate_key: bool | None = None,
        overwrite: bool | None = None,
        concurrency: int = 16,
        timeout: float | None = None,
    ) -> Generator[BulkProvisionResult, None, None]:
        """Provision any number of domains and give the outcomes as they come, in flat memory.

        Leaving the loop early stops reading and cancels the requests under way; what they had sent is then unknown.

        Args:
            domains: As for `bulk_provision`; it is read no faster than the results are.
            subscription_handle: The subscription to provision against.
            associate_key: True lets only this API key manage the domains from now on; None leaves it out.
            overwrite: True replaces the settings of domains that exist already; without it they stay as they are.
            concurrency: Requests under way at most; 16 by default, from 1.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            An iterator of results, one for each answered request, in the order of the answers.

        Raises:
            InvalidInput: `subscription_handle` or `concurrency` cannot be right.

        Example:
            >>> for result in client.domains.iter_bulk_provision(names, subscription_handle="basic"):
            ...     print(len(result.successes), "provisioned")

        Endpoint: `POST /domains/batch`, at most 1,000 domains a request (specification 1.2.0).
        """
        return self._calls.iterate(
            self._aio.iter_bulk_provision,
            domains,
            subscription_handle=subscription_handle,
            associate_key=associate_key,
            overwrite=overwrite,
            concurrency=concurrency,
            timeout=timeout,
        )

    def list(
        self,
        *,
        domains: Sequence[str] | None = None,
        limit: int | None = None,
        offset: int | None = None,
        timeout: float | None = None,
    ) -> DomainPage:
        """Fetch one page of the domains that this API key can see.

        Args:
            domains: Only these names; None asks for all, an empty list for none, which takes no request. Many names
                are asked for in several requests.
            limit: Domains at most, 1 to 5,000; the API's default is 10.
            offset: Domains to skip, from 0; the API's default is 0.
            timeout: Seconds; None takes the client's.

        Returns:
            The page's domains, and how many there are in all.

        Raises:
            InvalidInput: A name, `limit` or `offset` cannot be right.

        Example:
            >>> page = client.domains.list(limit=100)
            >>> print(page.total)

        Endpoint: `GET /domains` (specification 1.2.0).
        """
        return self._calls.make(self._aio.list, domains=domains, limit=limit, offset=offset, timeout=timeout)

    def iter_list(
        self, *, domains: Sequence[str] | None = None, page_size: int = 1000, timeout: float | None = None
    ) -> Generator[Domain, None, None]:
        """Go through all the domains that this API key can see.

        The API pages by position: a domain that is added or deleted meanwhile shifts the others, so that one may be
        missed; one that turns up again among the next 10,000 is given once.

        Args:
            domains: Only these names; None asks for all, an empty list for none.
            page_size: Domains a request, 1 to 5,000; 1,000 by default.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            An iterator of domains, in the API's order.

        Raises:
            InvalidInput: A name or `page_size` cannot be right.

        Example:
            >>> for domain in client.domains.iter_list():
            ...     print(domain.domain)

        Endpoint: `GET /domains` (specification 1.2.0).
        """
        return self._calls.iterate(self._aio.iter_list, domains=domains, page_size=page_size, timeout=timeout)

    def delete(self, domain: str, *, timeout: float | None = None) -> None:
        """Stop protecting a domain.

        Args:
            domain: The domain's name.
            timeout: Seconds; None takes the client's.

        Returns:
            None; also where an answer was lost and the repeat finds the domain gone.

        Raises:
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key, or an alias.

        Example:
            >>> client.domains.delete("example.com")

        Endpoint: `DELETE /domains/{domain}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.delete, domain, timeout=timeout)

    def add_list_entry(self, domain: str, list_name: ListName, item: str, *, timeout: float | None = None) -> ListEntry:
        """Put an entry on a domain's safelist or blocklist.

        Args:
            domain: The domain's name.
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            item: A domain, an email address or an IP address, at most 320 characters.
            timeout: Seconds; None takes the client's.

        Returns:
            The entry, with what the API took the item for.

        Raises:
            BadRequest: The item is none of the three.
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> entry = client.domains.add_list_entry("example.com", "safelist", "partner.example")

        Endpoint: `POST /domains/{domain}/lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.add_list_entry, domain, list_name, item, timeout=timeout)

    def list_entries(
        self, domain: str, list_name: ListName, *, timeout: float | None = None
    ) -> builtins.list[ListEntry]:
        """Fetch a domain's safelist or blocklist.

        Args:
            domain: The domain's name.
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            timeout: Seconds; None takes the client's.

        Returns:
            The whole list.

        Raises:
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> entries = client.domains.list_entries("example.com", "blocklist")

        Endpoint: `GET /domains/{domain}/lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.list_entries, domain, list_name, timeout=timeout)

    def delete_list_entry(self, domain: str, list_name: ListName, item: str, *, timeout: float | None = None) -> None:
        """Take an entry off a domain's safelist or blocklist.

        Args:
            domain: The domain's name.
            list_name: `safelist` or `blocklist`; `whitelist` and `blacklist` are deprecated.
            item: The entry's item.
            timeout: Seconds; None takes the client's.

        Returns:
            None, once the entry is gone.

        Raises:
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> client.domains.delete_list_entry("example.com", "safelist", "partner.example")

        Endpoint: `DELETE /domains/{domain}/lists/{listname}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.delete_list_entry, domain, list_name, item, timeout=timeout)

    def create_login_link(self, domain: str, *, timeout: float | None = None) -> LoginLink:
        """Mint a link that logs its bearer in as the domain's administrator.

        Args:
            domain: The domain's name.
            timeout: Seconds; None takes the client's.

        Returns:
            The link, which is a credential: its repr is masked, and it is in no log.

        Raises:
            Unauthorized: The domain is not this customer's, or the API key was refused.
            Forbidden: It is associated with another API key or customer, or an alias.
            NotFound: The domain does not exist.

        Example:
            >>> link = client.domains.create_login_link("example.com")
            >>> hand_over(link.link)

        Endpoint: `GET /domains/{domain}/login-link` (specification 1.2.0).
        """
        return self._calls.make(self._aio.create_login_link, domain, timeout=timeout)

    def bulk_create_login_links(
        self, domains: Iterable[str], *, concurrency: int = 16, timeout: float | None = None
    ) -> BulkLoginLinkResult:
        """Mint login links for any number of domains and wait for all of them.

        Args:
            domains: Names, in any iterable of any length; 1,000 go into a request.
            concurrency: Requests under way at most; 16 by default, from 1.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            Every input once, in `successes` with its link or in `errors`, with its position.

        Raises:
            InvalidInput: `concurrency` cannot be right. A bad name raises nothing: it is an item of `errors`.

        Example:
            >>> result = client.domains.bulk_create_login_links(["a.example", "b.example"])
            >>> links = {item.domain: item.login_link for item in result.successes}

        Endpoint: `POST /domains/batch/login-link`, at most 1,000 domains a request (specification 1.2.0).
        """
        return self._calls.make_on_event_loop(
            self._aio.bulk_create_login_links, domains, concurrency=concurrency, timeout=timeout
        )

    def iter_bulk_create_login_links(
        self, domains: Iterable[str], *, concurrency: int = 16, timeout: float | None = None
    ) -> Generator[BulkLoginLinkResult, None, None]:
        """Mint login links for any number of domains and give them as they come, in flat memory.

        Args:
            domains: As for `bulk_create_login_links`; it is read no faster than the results are.
            concurrency: Requests under way at most; 16 by default, from 1.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            An iterator of results, one for each answered request, in the order of the answers.

        Raises:
            InvalidInput: `concurrency` cannot be right.

        Example:
            >>> for result in client.domains.iter_bulk_create_login_links(names):
            ...     store(result.successes)

        Endpoint: `POST /domains/batch/login-link`, at most 1,000 domains a request (specification 1.2.0).
        """
        return self._calls.iterate(
            self._aio.iter_bulk_create_login_links, domains, concurrency=concurrency, timeout=timeout
        )

    def set_downstream_address(
        self, domain: str, records: Sequence[DownstreamAddress], *, timeout: float | None = None
    ) -> builtins.list[DownstreamAddress]:
        """Replace the mail servers that a domain's filtered mail is delivered to.

        Args:
            domain: The domain's name.
            records: The new addresses, at most 10; an empty list deletes them all.
            timeout: Seconds; None takes the client's.

        Returns:
            The addresses as they are stored now.

        Raises:
            InvalidInput: There are more than 10, or one of them cannot be right.
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> mail_server = DownstreamAddress(priority=10, weight=10, port=25, target="mx1.hosting.example.")
            >>> stored = client.domains.set_downstream_address("example.com", [mail_server])

        Endpoint: `PUT /domains/{domain}/downstream-address` (specification 1.2.0).
        """
        return self._calls.make(self._aio.set_downstream_address, domain, records, timeout=timeout)

    def list_downstream_addresses(
        self, domain: str, *, limit: int | None = None, offset: int | None = None, timeout: float | None = None
    ) -> builtins.list[DownstreamAddress]:
        """Fetch one page of the mail servers that a domain's filtered mail is delivered to.

        Args:
            domain: The domain's name.
            limit: Addresses at most, from 1; the API's default is 10.
            offset: Addresses to skip, from 0; the API's default is 0.
            timeout: Seconds; None takes the client's.

        Returns:
            The page's addresses.

        Raises:
            InvalidInput: The name, `limit` or `offset` cannot be right.
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> addresses = client.domains.list_downstream_addresses("example.com")

        Endpoint: `GET /domains/{domain}/downstream-address` (specification 1.2.0).
        """
        return self._calls.make(
            self._aio.list_downstream_addresses, domain, limit=limit, offset=offset, timeout=timeout
        )

    def iter_list_downstream_addresses(
        self, domain: str, *, page_size: int = 100, timeout: float | None = None
    ) -> Generator[DownstreamAddress, None, None]:
        """Go through all the mail servers that a domain's filtered mail is delivered to.

        Args:
            domain: The domain's name.
            page_size: Addresses a request, from 1; 100 by default.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            An iterator of addresses, in the API's order.

        Raises:
            InvalidInput: The name or `page_size` cannot be right.
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> for address in client.domains.iter_list_downstream_addresses("example.com"):
            ...     print(address.target)

        Endpoint: `GET /domains/{domain}/downstream-address` (specification 1.2.0).
        """
        return self._calls.iterate(
            self._aio.iter_list_downstream_addresses, domain, page_size=page_size, timeout=timeout
        )

    def update_api_key(self, domain: str, key: str, *, timeout: float | None = None) -> None:
        """Hand a domain over to another API key, which alone manages it from then on.

        Args:
            domain: The domain's name.
            key: The new API key, printable ASCII without white space; no repr, log or error shows it.
            timeout: Seconds; None takes the client's.

        Returns:
            None, once the new key is in force.

        Raises:
            Forbidden: The domain is associated with another API key or customer, or an alias. Where `maybe_applied` is
                true, an earlier attempt may have succeeded and locked this client's key out.
            NotFound: The domain does not exist.

        Example:
            >>> client.domains.update_api_key("example.com", "the-new-api-key")

        Endpoint: `PUT /domains/{domain}/api-key` (specification 1.2.0).
        """
        call = self._calls.prepared(self._aio.update_api_key, domain, key, timeout=timeout)
        del key
        return call()

    def create_alias(self, domain: str, alias: str, *, timeout: float | None = None) -> Alias:
        """Give a domain another name, whose mail is treated as the domain's own.

        Args:
            domain: The domain's name.
            alias: The other name, at most 255 characters; Unicode is accepted and sent as A-labels.
            timeout: Seconds; None takes the client's.

        Returns:
            The alias, with the domain as the API stores it.

        Raises:
            InvalidInput: One of the names cannot be right.
            Conflict: The alias is a domain already, or an alias of this or another one. Where `maybe_applied` is true,
                an earlier attempt, whose answer was lost, may have created it.
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer.

        Example:
            >>> alias = client.domains.create_alias("example.com", "example.net")

        Endpoint: `POST /domains/{domain}/alias/{alias}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.create_alias, domain, alias, timeout=timeout)

    def delete_alias(self, domain: str, alias: str, *, timeout: float | None = None) -> None:
        """Take an alias from a domain.

        Args:
            domain: The domain's name.
            alias: The alias, at most 255 characters.
            timeout: Seconds; None takes the client's.

        Returns:
            None; also where an answer was lost and the repeat finds the alias gone.

        Raises:
            InvalidInput: One of the names cannot be right.
            NotFound: The domain or the alias does not exist.
            Forbidden: The domain is associated with another API key or customer.

        Example:
            >>> client.domains.delete_alias("example.com", "example.net")

        Endpoint: `DELETE /domains/{domain}/alias/{alias}` (specification 1.2.0).
        """
        return self._calls.make(self._aio.delete_alias, domain, alias, timeout=timeout)

    def update_settings(
        self,
        domain: str,
        settings: DomainSettings | None = None,
        *,
        admins: Sequence[str] | None = None,
        downstream_addresses: Sequence[DownstreamAddress] | None = None,
        aliases: Sequence[str] | None = None,
        reset: Sequence[str] = (),
        timeout: float | None = None,
    ) -> None:
        """Change the settings of a domain, and its administrators, mail servers and aliases.

        Args:
            domain: The domain's name.
            settings: Settings to change; those that are None stay as they are.
            admins: Email addresses to replace the administrators with; None keeps them, `[]` removes them all.
            downstream_addresses: Mail servers to replace the present ones with, at most 10; None keeps them, `[]`
                removes them all.
            aliases: Names to replace the aliases with, each at most 255 characters; None keeps them, `[]` removes all.
            reset: Names of settings, such as `"abuse_policy"`, to set back to null.
            timeout: Seconds; None takes the client's.

        Returns:
            None, once the change is made.

        Raises:
            InvalidInput: A part cannot be right, a setting is unknown, or both given and reset, or nothing is changed.
            NotFound: The domain does not exist.
            Forbidden: It is associated with another API key or customer, or an alias.

        Example:
            >>> client.domains.update_settings("example.com", DomainSettings("flag"), reset=["spam_header_name"])

        Endpoint: `PUT /domains/{domain}/settings` (specification 1.2.0).
        """
        return self._calls.make(
            self._aio.update_settings,
            domain,
            settings,
            admins=admins,
            downstream_addresses=downstream_addresses,
            aliases=aliases,
            reset=reset,
            timeout=timeout,
        )

    @property
    def _aio(self) -> AsyncDomains:
        return AsyncDomains(self._calls.client)
