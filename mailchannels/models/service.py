"""The service itself: subscriptions, and reports of mail that was judged wrongly."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define

ReportType: TypeAlias = Literal["false_negative", "false_positive"]
"""What was wrong: spam that came through, or a good message that was taken for spam."""


@define
class Plan:
    """The plan of a subscription.

    Attributes:
        handle: Its identifier.
        name: Its name, for people.
    """

    handle: str
    name: str


@define
class Limit:
    """One limit of a subscription.

    Attributes:
        feature_handle: What is limited.
        value: The limit, as text, since some are numbers and some are switches.
    """

    feature_handle: str
    value: str


@define
class Subscription:
    """A subscription that domains are provisioned against.

    Attributes:
        handle: Its identifier, which provisioning asks for.
        active: Whether it is enabled.
        plan: The plan it is on.
        limits: Its limits.
        active_accounts_count: The domains provisioned against it at present.

    Example:
        >>> Subscription("basic", active=True, plan=Plan("p", "P"), limits=[], active_accounts_count=12).handle
        'basic'
    """

    handle: str
    active: bool
    plan: Plan
    limits: list[Limit]
    active_accounts_count: int


@define
class SmtpEnvelope:
    """What the sending server said before the message; each part is optional.

    Attributes:
        ehlo: The name it gave.
        mail_from: The sender.
        rcpt_to: The recipient.
    """

    ehlo: str | None = None
    mail_from: str | None = None
    rcpt_to: str | None = None
