"""The blocking form of `aio/client.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from __future__ import annotations

from types import TracebackType
from typing import NoReturn, Self

from ..aio.client import AsyncClient, AsyncMailChannelsClient
from ..blocking import Calls
from ..connections import AsyncBaseTransport
from ..pacing import Pacer, Statistics
from ..secrecy import in_confidence
from .domains import Domains
from .lists import Lists
from .service import Service
from .users import Users


class Client:
    """What the clients of all providers have in common: they know an address, are closed, and show no credential."""

    _calls: Calls[AsyncClient]

    @property
    def base_url(self) -> str:
        """The server's address."""
        return self._aio.base_url

    @property
    def statistics(self) -> Statistics:
        """What the client has done so far."""
        return self._aio.statistics

    @property
    def present_rate(self) -> float | None:
        """Requests per second at most, as it is now: lowered where the API said that there were too many."""
        return self._aio.present_rate

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a credential and connections and is not pickled; create another one"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the client's connections; closing it again does nothing, using it afterwards is refused.

        Returns:
            None, once the idle connections are closed.

        Raises:
            ConfigurationError: They belong to another event loop, which alone can close them.

        Example:
            >>> client.close()
        """
        self._calls.close()

    @property
    def _aio(self) -> AsyncClient:
        return self._calls.client


class MailChannelsClient(Client):
    """A connection to the MailChannels Inbound API, for use with modules of one's own choice.

    Create one and keep it: it holds the connections, the pace and the retry budget that its calls share. Nothing is
    opened before the first call.

    Args:
        api_key: The API key; None takes it from `$MAILCHANNELS_API_KEY`. No repr, log or error shows it.
        base_url: The server's address; None takes `$MAILCHANNELS_BASE_URL`, else `https://api.mailchannels.net`. Plain
            http is for loopback only.
        timeout: Seconds for one request with its retries, their back-off and the reading of the body; 30 by default.
            The wait for a turn comes before and is not counted.
            A server that says nothing for two thirds of what is left of them is asked once more, where that is safe.
        queue_timeout: Seconds a call may wait for its turn; None, the default, waits as long as it takes, 0 fails at
            once. The requests of a bulk call, which queue behind one another, always wait.
        max_connections: Connections, and so requests under way, at most; 100 by default. A blocking client counts those
            of its event loop by themselves.
        max_retries: Repeats of a request at most; 3 by default, 0 repeats nothing. Unless it is 0, a request of a bulk
            call that the server turns away (429, 503) is repeated for as long as `timeout` allows.
        rate_limit: Requests per second, evenly spaced; 95 by default, as the API refuses more than 100 of one customer.
            A `Pacer` may be shared by several clients; None paces nothing.
        transport: An httpx transport to send everything through, for tests, proxies and CA bundles of one's own; None
            connects directly, or through the proxy that the environment names.

    Raises:
        ConfigurationError: The key is missing, empty or contains what no key does, or another argument is not allowed.

    Example:
        >>> with MailChannelsClient("your-api-key") as client:
        ...     page = Domains(client).list(limit=100)
    """

    _calls: Calls[AsyncMailChannelsClient]

    @in_confidence
    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        queue_timeout: float | None = None,
        max_connections: int = 100,
        max_retries: int = 3,
        rate_limit: float | Pacer | None = 95.0,
        transport: AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = Calls(
            lambda: AsyncMailChannelsClient(
                api_key,
                base_url=base_url,
                timeout=timeout,
                queue_timeout=queue_timeout,
                max_connections=max_connections,
                max_retries=max_retries,
                rate_limit=rate_limit,
                transport=transport,
            )
        )


class MailChannels(MailChannelsClient):
    """The MailChannels Inbound API with its modules attached.

    It takes the arguments of `MailChannelsClient`.

    Attributes:
        domains: Provision, list and delete domains, and everything that belongs to one.
        lists: The safelist and the blocklist of the whole account.
        users: Recipients, and the lists of each.
        service: The service's condition, subscriptions, and reports of misjudged mail.

    Example:
        >>> with MailChannels("your-api-key") as client:
        ...     client.domains.provision(Domain("example.com", subscription_handle="basic"))
    """

    @in_confidence
    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 30.0,
        queue_timeout: float | None = None,
        max_connections: int = 100,
        max_retries: int = 3,
        rate_limit: float | Pacer | None = 95.0,
        transport: AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(
            api_key,
            base_url=base_url,
            timeout=timeout,
            queue_timeout=queue_timeout,
            max_connections=max_connections,
            max_retries=max_retries,
            rate_limit=rate_limit,
            transport=transport,
        )
        self.domains: Domains = Domains(self)
        self.lists: Lists = Lists(self)
        self.users: Users = Users(self)
        self.service: Service = Service(self)
