"""The blocking form of `aio/service.py`, made of it by `python mailchannels/_codegen.py`; not to be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..aio.service import AsyncService
from ..models import ReportType, SmtpEnvelope, Subscription

if TYPE_CHECKING:
    from .client import MailChannelsClient


class Service:
    """What concerns the account or the service as a whole.

    Every method takes `timeout` and raises what those of `Domains` do.

    Args:
        client: The client to send through.

    Example:
        >>> service = Service(MailChannelsClient("your-api-key"))
    """

    def __init__(self, client: MailChannelsClient) -> None:
        self._calls = client._calls

    def status(self, *, timeout: float | None = None) -> None:
        """Ask whether the service is in good condition.

        Args:
            timeout: Seconds; None takes the client's.

        Returns:
            None where it is.

        Raises:
            APIError: It is not.

        Example:
            >>> client.service.status()

        Endpoint: `GET /status` (specification 1.2.0).
        """
        return self._calls.make(self._aio.status, timeout=timeout)

    def subscriptions(self, *, timeout: float | None = None) -> list[Subscription]:
        """Fetch the customer's subscriptions.

        Args:
            timeout: Seconds; None takes the client's.

        Returns:
            The subscriptions, each with its limits and the number of domains provisioned against it.

        Raises:
            NotFound: The API knows no customer for this key.

        Example:
            >>> for subscription in client.service.subscriptions():
            ...     print(subscription.handle, subscription.active_accounts_count)

        Endpoint: `GET /subscriptions` (specification 1.2.0).
        """
        return self._calls.make(self._aio.subscriptions, timeout=timeout)

    def report(
        self,
        type: ReportType,
        message_content: str,
        *,
        smtp_envelope: SmtpEnvelope | None = None,
        sending_host: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Report a message that was judged wrongly.

        A report whose answer was lost is not repeated: it may have been taken.

        Args:
            type: `false_negative` for spam that came through, `false_positive` for a good message taken for spam.
            message_content: The whole, unaltered message (RFC 2822), without dot stuffing.
            smtp_envelope: What the sending server said, where it is known.
            sending_host: The name of the sending server, where it is known.
            timeout: Seconds; None takes the client's.

        Returns:
            None, once the report is submitted.

        Raises:
            InvalidInput: The type is none of the two, or the content is empty or not text.
            BadRequest: The content is no message.
            Unauthorized: The message is not this customer's.
            Forbidden: The message's domain is associated with another customer or API key.
            NotFound: The API does not know the message.

        Example:
            >>> client.service.report("false_positive", message.as_string())

        Endpoint: `POST /report` (specification 1.2.0).
        """
        return self._calls.make(
            self._aio.report,
            type,
            message_content,
            smtp_envelope=smtp_envelope,
            sending_host=sending_host,
            timeout=timeout,
        )

    @property
    def _aio(self) -> AsyncService:
        return AsyncService(self._calls.client)
