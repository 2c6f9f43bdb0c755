"""Domains, their settings, where their mail is delivered, and the links that administer them."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, TypeAlias

from attrs import define, field

AbusePolicy: TypeAlias = Literal["block", "flag", "quarantine"]
"""What happens to spam: it is refused, marked with a header, or held."""


def mask(link: str | None) -> str:
    """Stand in for a login link in a repr: whoever reads the link is logged in."""
    return "None" if link is None else "'***'"


@define
class DownstreamAddress:
    """A mail server that filtered messages are delivered to; the fields are those of a DNS SRV record.

    Attributes:
        priority: 0 or more; only the addresses with the lowest number are used.
        weight: 0 or more; addresses of the same priority share the mail in proportion to it.
        port: The TCP port of the mail server, 1 to 65,535.
        target: The server's canonical host name, at most 255 characters, ending in a dot.

    Example:
        >>> DownstreamAddress(priority=10, weight=10, port=25, target="mx1.hosting.example.").port
        25
    """

    priority: int
    weight: int
    port: int
    target: str


@define
class DomainSettings:
    """How a domain's spam is handled; None means not set.

    Attributes:
        abuse_policy: `block`, `flag` or `quarantine`.
        abuse_policy_override: True makes this policy win over the recipient's own.
        spam_header_name: The header that marks spam under the policy `flag`.
        spam_header_value: That header's value.

    Example:
        >>> DomainSettings(abuse_policy="quarantine").abuse_policy
        'quarantine'
    """

    abuse_policy: AbusePolicy | None = None
    abuse_policy_override: bool | None = None
    spam_header_name: str | None = None
    spam_header_value: str | None = None


@define
class Domain:
    """A domain that MailChannels Inbound protects, or is about to.

    Attributes:
        domain: The name; Unicode is accepted and sent as A-labels.
        subscription_handle: The subscription it counts towards; a bulk call gives one for all its domains.
        settings: How spam is handled.
        admins: Email addresses of the domain's administrators.
        downstream_addresses: The mail servers that filtered messages are delivered to, 10 at most.
        aliases: Names whose mail is treated as this domain's, each at most 255 characters.

    None leaves a section out, which keeps what is stored; an empty list is sent, which empties it.

    Example:
        >>> Domain("example.com", subscription_handle="basic").domain
        'example.com'
    """

    domain: str
    subscription_handle: str | None = None
    settings: DomainSettings | None = None
    admins: list[str] | None = None
    downstream_addresses: list[DownstreamAddress] | None = None
    aliases: list[str] | None = None


@define
class ProvisionedDomain(Domain):
    """A domain as the API stored it.

    Attributes:
        created: False where the domain existed before: its settings then changed only with `overwrite`. It may also be
            an earlier attempt of the same call that created it, whose answer was lost.
    """

    created: bool = field(kw_only=True)


@define
class Alias:
    """Another name of a domain: its mail is treated as the domain's own.

    Attributes:
        domain: The domain it belongs to.
        alias: The name.

    Example:
        >>> Alias(Domain("example.com"), "example.net").alias
        'example.net'
    """

    domain: Domain
    alias: str


@define
class DomainPage:
    """One page of a listing.

    Attributes:
        domains: The page's domains.
        total: How many domains the whole listing has.
    """

    domains: list[Domain]
    total: int


@define
class LoginLink:
    """A link that logs its bearer in as the administrator of a domain.

    It is a credential: its repr is masked and it refuses to be pickled; hand on `.link` where that is meant.

    Attributes:
        link: The address to open in a browser.

    Example:
        >>> LoginLink("https://console.example/login?token=secret")
        LoginLink(link='***')
    """

    link: str = field(repr=mask)

    def __copy__(self) -> LoginLink:
        return LoginLink(self.link)

    def __deepcopy__(self, memo: dict[int, Any]) -> LoginLink:
        return LoginLink(self.link)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a LoginLink is a credential and is not pickled; pass its .link on where that is meant")
