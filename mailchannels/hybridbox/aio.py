"""The async surface of HybridBox, written by hand; the blocking one in `sync.py` is generated from it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from .. import batches, checks, configuration, wire
from ..aio.client import AsyncClient
from ..connections import AsyncBaseTransport
from ..errors import InvalidInput
from ..inputs import AnyIterable
from ..pacing import Pacer
from ..secrecy import in_confidence
from .creation import Creation, listed
from .models import BulkMailboxResult, Mailbox, MailboxAlias, MailboxPage, NewMailbox


class AsyncHybridBox(AsyncClient):
    """A connection to one account of the HybridBox public API.

    Create one and keep it: it holds the connections, the pace and the retry budget that its calls share. Nothing is
    opened before the first call.

    Args:
        account_id: The account's identifier, a UUID.
        token: An OAuth access token or the token of a service account; None takes it from `$HYBRIDBOX_TOKEN`. No repr,
            log or error shows it.
        base_url: The server's address; None takes `$HYBRIDBOX_BASE_URL`, else `https://api.hybridbox.io`. Plain http is
            for loopback only.
        timeout: Seconds for one request with its retries, their back-off and the reading of the body; 30 by default.
            The wait for a turn comes before and is not counted.
            A server that says nothing for two thirds of what is left of them is asked once more, where that is safe.
        queue_timeout: Seconds a call may wait for its turn; None, the default, waits as long as it takes, 0 fails at
            once. The requests of a bulk call, which queue behind one another, always wait.
        max_connections: Connections, and so requests under way, at most; 100 by default. A blocking client counts those
            of its event loop by themselves.
        max_retries: Repeats of a request at most; 3 by default, 0 repeats nothing. Unless it is 0, a request of a bulk
            call that the server turns away (429, 503) is repeated for as long as `timeout` allows.
        rate_limit: Requests per second, evenly spaced; 10 by default, as HybridBox documents no limit. A `Pacer` may be
            shared by several clients; None paces nothing.
        transport: An httpx transport to send everything through, for tests, proxies and CA bundles of one's own; None
            connects directly, or through the proxy that the environment names.

    Attributes:
        mailboxes: Create, list and change mailboxes.

    Raises:
        ConfigurationError: The account is no UUID, the token is missing, empty or contains what no token does, or
            another argument is not allowed.

    Example:
        >>> async with AsyncHybridBox("123e4567-e89b-12d3-a456-426614174000", "your-token") as hybridbox:
        ...     mailbox = await hybridbox.mailboxes.get("jane@example.com")
    """

    @in_confidence
    def __init__(
        self,
        account_id: str,
        token: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        queue_timeout: float | None = None,
        max_connections: int = 100,
        max_retries: int = 3,
        rate_limit: float | Pacer | None = 10.0,
        transport: AsyncBaseTransport | None = None,
    ) -> None:
        account = configuration.account("account_id", account_id)
        secret = configuration.credential("token", token, "HYBRIDBOX_TOKEN")
        address = configuration.address(base_url, "HYBRIDBOX_BASE_URL", "https://api.hybridbox.io")
        opened = configuration.open_transport(
            base_url=address,
            root=f"/v1/public/accounts/{account}",
            header=("Authorization", f"Bearer {secret}"),
            secret=secret,
            timeout=timeout,
            queue_timeout=queue_timeout,
            max_connections=max_connections,
            max_retries=max_retries,
            rate_limit=rate_limit,
            transport=transport,
        )
        super().__init__(address, opened)
        self.mailboxes: AsyncMailboxes = AsyncMailboxes(self)


class AsyncMailboxes:
    """The mailboxes of an account.

    Every method takes `timeout`, which replaces the client's for that call (for a bulk call: for each of its requests),
    and raises, besides what it names itself, `InvalidInput` where an argument cannot be right, `RequestError` where no
    answer came, `UnexpectedResponse` where it was none the API promises, and `APIError` where the API says no. How the
    API says no is not documented; whatever it answers stands in the error.

    Args:
        client: The client to send through.

    Example:
        >>> mailboxes = AsyncMailboxes(AsyncHybridBox("123e4567-e89b-12d3-a456-426614174000", "your-token"))
    """

    def __init__(self, client: AsyncHybridBox) -> None:
        self._transport = client._transport  # noqa: SLF001  # the one thing a module takes from its client

    async def bulk_create(
        self,
        items: AnyIterable[NewMailbox],
        *,
        domain: str,
        batch_size: int = 100,
        concurrency: int = 4,
        timeout: float | None = None,
    ) -> BulkMailboxResult:
        """Create any number of mailboxes in one domain and wait for all of them.

        A mailbox is billed, so a request whose answer was lost is not simply repeated: the domain's mailboxes are
        listed, matched by their primary addresses, and only those that are missing are asked for again. A mailbox that
        existed before counts as created then; otherwise the API refuses it.

        Args:
            items: Mailboxes, in any iterable or async iterable of any length.
            domain: The domain's name, or its UUID.
            batch_size: Mailboxes in one request at most, from 1; 100 by default, as the API's limit is not documented.
            concurrency: Requests under way at most; 4 by default, from 1.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            Every input once, in `created` or in `failed`, with its position. A local part that repeats, in whatever
            case, is created once: a repeat letter for letter, names included, shares the outcome, others are errors.

        Raises:
            InvalidInput: `domain`, `batch_size` or `concurrency` cannot be right. A bad item raises nothing: it is an
                item of `failed`, and so is whatever the API refuses.

        Example:
            >>> new = [NewMailbox("jane", "Jane", "Doe"), NewMailbox("john", "John", "Doe")]
            >>> result = await hybridbox.mailboxes.bulk_create(new, domain="example.com")
            >>> result.raise_for_errors()

        Endpoint: `POST /v1/public/accounts/{account_id}/mailboxes/bulk` (HybridBox public API).
        """
        results = self.iter_bulk_create(
            items, domain=domain, batch_size=batch_size, concurrency=concurrency, timeout=timeout
        )
        async with aclosing(results):
            return BulkMailboxResult.merge([result async for result in results])

    async def iter_bulk_create(
        self,
        items: AnyIterable[NewMailbox],
        *,
        domain: str,
        batch_size: int = 100,
        concurrency: int = 4,
        timeout: float | None = None,
    ) -> AsyncGenerator[BulkMailboxResult, None]:
        """Create any number of mailboxes in one domain and give the outcomes as they come.

        Leaving the loop early stops reading and cancels the requests under way; what they had sent is then unknown.

        Args:
            items: As for `bulk_create`; it is read no faster than the results are.
            domain: The domain's name, or its UUID.
            batch_size: Mailboxes in one request at most, from 1; 100 by default.
            concurrency: Requests under way at most; 4 by default, from 1.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            An iterator of results, one for each answered request, in the order of the answers.

        Raises:
            InvalidInput: `domain`, `batch_size` or `concurrency` cannot be right.

        Example:
            >>> async for result in hybridbox.mailboxes.iter_bulk_create(new, domain="example.com"):
            ...     print(len(result.created), "created")

        Endpoint: `POST /v1/public/accounts/{account_id}/mailboxes/bulk` (HybridBox public API).
        """
        operation = Creation(
            self._transport,
            domain=checks.domain_or_uuid("domain", domain),
            batch_size=checks.whole_number("batch_size", batch_size, at_least=1),
            timeout=checks.seconds("timeout", timeout),
        )
        async with aclosing(batches.results(self._transport, operation, concurrency, "items", items)) as results:
            async for outcomes in results:
                yield BulkMailboxResult.of(outcomes, stopped_by=results.stopped_by)

    async def create(
        self, local_part: str, *, domain: str, first_name: str, last_name: str, timeout: float | None = None
    ) -> Mailbox:
        """Create one mailbox.

        A mailbox is billed, so a request whose answer was lost is not repeated: look the address up before trying
        again.

        Args:
            local_part: What stands before the @, at most 64 characters.
            domain: The domain's name, or its UUID.
            first_name: The owner's first name.
            last_name: The owner's last name.
            timeout: Seconds; None takes the client's.

        Returns:
            The mailbox as it is stored.

        Raises:
            InvalidInput: An argument cannot be right.
            RequestError: No answer came; where `maybe_applied` is true, the mailbox may exist.

        Example:
            >>> mailbox = await hybridbox.mailboxes.create(
            ...     "jane", domain="example.com", first_name="Jane", last_name="Doe"
            ... )

        Endpoint: `POST /v1/public/accounts/{account_id}/mailboxes` (HybridBox public API).
        """
        checks.local_part("local_part", local_part)
        document = {
            "domain": checks.domain_or_uuid("domain", domain),
            "first_name": checks.text("first_name", first_name),
            "last_name": checks.text("last_name", last_name),
            "local_part": local_part,
        }
        return await self._transport.send(
            "POST", "/mailboxes", body=wire.dump(document), returns=Mailbox, repeatable=False, timeout=timeout
        )

    async def list(
        self,
        *,
        domain: str | None = None,
        workspace_id: str | None = None,
        search: str | None = None,
        page: int | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> MailboxPage:
        """Fetch one page of the account's mailboxes.

        Args:
            domain: Only those of this domain, by its name or its UUID; None asks for all.
            workspace_id: Only those of this workspace, by its UUID; None asks for all.
            search: Only those that the API finds by this text; None asks for all.
            page: Which page, from 1; the API's default is 1.
            page_size: Mailboxes on a page, from 1; the API's default is 25.
            timeout: Seconds; None takes the client's.

        Returns:
            The page's mailboxes, and how many there are in all.

        Raises:
            InvalidInput: An argument cannot be right.

        Example:
            >>> page = await hybridbox.mailboxes.list(domain="example.com")
            >>> print(page.total)

        Endpoint: `GET /v1/public/accounts/{account_id}/mailboxes` (HybridBox public API).
        """
        query = checks.mailbox_query(domain, workspace_id, search)
        for name, value in (("page", page), ("page_size", page_size)):
            query[name] = None if value is None else checks.whole_number(name, value, at_least=1)
        return await self._transport.send("GET", "/mailboxes", query=query, returns=MailboxPage, timeout=timeout)

    async def iter_list(
        self,
        *,
        domain: str | None = None,
        workspace_id: str | None = None,
        search: str | None = None,
        page_size: int = 100,
        timeout: float | None = None,
    ) -> AsyncGenerator[Mailbox, None]:
        """Go through all the account's mailboxes.

        The API pages by position: a mailbox that is created or deleted meanwhile shifts the others, so that one may be
        missed; one that turns up again among the next 10,000 is given once.

        Args:
            domain: Only those of this domain, by its name or its UUID; None asks for all.
            workspace_id: Only those of this workspace, by its UUID; None asks for all.
            search: Only those that the API finds by this text; None asks for all.
            page_size: Mailboxes a request, from 1; 100 by default.
            timeout: Seconds for each request; None takes the client's.

        Returns:
            An iterator of mailboxes, in the API's order.

        Raises:
            InvalidInput: An argument cannot be right.

        Example:
            >>> async for mailbox in hybridbox.mailboxes.iter_list(domain="example.com"):
            ...     print(mailbox.primary_email)

        Endpoint: `GET /v1/public/accounts/{account_id}/mailboxes` (HybridBox public API).
        """
        query = checks.mailbox_query(domain, workspace_id, search)
        checks.whole_number("page_size", page_size, at_least=1)
        async with aclosing(listed(self._transport, query, page_size, timeout)) as mailboxes:
            async for mailbox in mailboxes:
                yield mailbox

    async def get(self, mailbox: str, *, timeout: float | None = None) -> Mailbox:
        """Fetch one mailbox.

        Args:
            mailbox: What the API knows it by, such as its UUID.
            timeout: Seconds; None takes the client's.

        Returns:
            The mailbox as it is stored.

        Raises:
            InvalidInput: `mailbox` cannot be right.
            NotFound: There is no such mailbox.

        Example:
            >>> mailbox = await hybridbox.mailboxes.get("123e4567-e89b-12d3-a456-426614174000")

        Endpoint: `GET /v1/public/accounts/{account_id}/mailboxes/{mailbox}` (HybridBox public API).
        """
        return await self._transport.send(
            "GET",
            "/mailboxes/{mailbox}",
            {"mailbox": checks.segment("mailbox", mailbox)},
            returns=Mailbox,
            timeout=timeout,
        )

    async def update(
        self,
        mailbox: str,
        *,
        first_name: str | None = None,
        last_name: str | None = None,
        timeout: float | None = None,
    ) -> Mailbox:
        """Change the name of a mailbox's owner.

        Args:
            mailbox: What the API knows it by, such as its UUID.
            first_name: The owner's first name; None keeps it.
            last_name: The owner's last name; None keeps it.
            timeout: Seconds; None takes the client's.

        Returns:
            The mailbox as it is stored then.

        Raises:
            InvalidInput: An argument cannot be right, or nothing is to be changed.
            NotFound: There is no such mailbox.

        Example:
            >>> mailbox = await hybridbox.mailboxes.update(mailbox.id, last_name="Roe")

        Endpoint: `PATCH /v1/public/accounts/{account_id}/mailboxes/{mailbox}` (HybridBox public API).
        """
        names = {"first_name": first_name, "last_name": last_name}
        document = {name: checks.text(name, value) for name, value in names.items() if value is not None}
        if not document:
            raise InvalidInput("first_name", "nothing is to be changed; pass first_name, last_name or both")
        return await self._transport.send(
            "PATCH",
            "/mailboxes/{mailbox}",
            {"mailbox": checks.segment("mailbox", mailbox)},
            body=wire.dump(document),
            returns=Mailbox,
            timeout=timeout,
        )

    async def create_alias(
        self, mailbox: str, alias: str, *, is_catch_all: bool = False, timeout: float | None = None
    ) -> MailboxAlias:
        """Give a mailbox another address.

        Whether a repeat would be refused is not documented, so a request whose answer was lost is not repeated.

        Args:
            mailbox: What the API knows it by, such as its UUID.
            alias: The alias, at most 320 characters.
            is_catch_all: Whether it takes the mail of every address that nobody else has; False by default.
            timeout: Seconds; None takes the client's.

        Returns:
            The alias as it is stored.

        Raises:
            InvalidInput: An argument cannot be right.
            NotFound: There is no such mailbox.
            RequestError: No answer came; where `maybe_applied` is true, the alias may exist.

        Example:
            >>> alias = await hybridbox.mailboxes.create_alias(mailbox.id, "sales")

        Endpoint: `POST /v1/public/accounts/{account_id}/mailboxes/{mailbox}/aliases` (HybridBox public API).
        """
        document = {
            "alias": checks.text("alias", alias, at_most=checks.MAX_ITEM),
            "is_catch_all": checks.required_flag("is_catch_all", is_catch_all),
        }
        return await self._transport.send(
            "POST",
            "/mailboxes/{mailbox}/aliases",
            {"mailbox": checks.segment("mailbox", mailbox)},
            body=wire.dump(document),
            returns=MailboxAlias,
            repeatable=False,
            timeout=timeout,
        )
