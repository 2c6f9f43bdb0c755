"""Models to JSON and back: the vendor's spelling on the wire, ours in Python, and nothing taken on trust.

This is the one place that knows how a field is spelt in JSON. It knows nothing of requests: a document that does not
fit becomes a `Misfit`, which says where in the document, and the request path turns that into an error with a name.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

import attrs
import orjson
from attrs import define

from . import misfit
from .misfit import Json as Json  # noqa: PLC0414  # for those who pass parts of a document on
from .models import (
    Domain,
    DomainSettings,
    DownstreamAddress,
    Limit,
    ListEntry,
    LoginLink,
    SmtpEnvelope,
    Subscription,
)
from .models.domains import mask
from .secrecy import in_confidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    import cattrs

T = TypeVar("T")


class Misfit(Exception):
    """A document is not what was promised; the message says where, and never quotes it: it may hold a credential."""


@define
class CommentedDomain:
    """One domain of a batch's answer, with the API's code for it."""

    domain: Domain
    code: int
    comment: str | None = None


@define
class CommentedLoginLink:
    """One login link of a batch's answer, or why there is none."""

    domain: str
    code: int
    comment: str | None = None
    login_link: str | None = attrs.field(default=None, repr=mask)


@define
class ProvisionedBatch:
    """The answer to a batch of domains; its successes are nearly always what was asked for, see `echoes`."""

    successes: list[Json] | None = None
    errors: list[CommentedDomain] | None = None


@define
class LoginLinkBatch:
    """The answer to a batch of login link requests."""

    successes: list[CommentedLoginLink] | None = None
    errors: list[CommentedLoginLink] | None = None


@define
class DownstreamRecords:
    """Downstream addresses as they are stored."""

    records: list[DownstreamAddress] | None = None


@define
class Recipient:
    """A recipient as the API tells of one."""

    email: str
    roles: list[str]
    filter: bool | None = None


@define
class CreatedRecipient:
    """The answer to the creation of a recipient."""

    recipient: Recipient | None = None
    list_entries: list[ListEntry] | None = None


class Sent(NamedTuple):
    """What is sent of the domains of a batch, in columns; None where a domain has no such section.

    Attributes:
        names: Their names.
        settings: Their settings, written as JSON, keys in order.
        admins: Their administrators.
        servers: Their mail servers, likewise.
        aliases: Their aliases.
    """

    names: Sequence[str]
    settings: Sequence[Json]
    admins: Sequence[Sequence[str] | None]
    servers: Sequence[Json]
    aliases: Sequence[Sequence[str] | None]

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Self:
        """Give domains that are nothing but their names."""
        nothing = [None] * len(names)
        return cls(names, nothing, nothing, nothing, nothing)


BATCH: Final = (b'{"domains":[', b"]}")
"""What stands before and after the items of a batch."""

# A field that is not named here is spelt on the wire as it is in Python.
SPELLING: Final[misfit.Spelling] = {
    DomainSettings: {
        "abuse_policy": "abusePolicy",
        "abuse_policy_override": "abusePolicyOverride",
        "spam_header_name": "spamHeaderName",
        "spam_header_value": "spamHeaderValue",
    },
    Domain: {"subscription_handle": "subscriptionHandle", "downstream_addresses": "downstreamAddresses"},
    ListEntry: {"type": "item_type"},
    LoginLink: {"link": "loginLink"},
    CommentedLoginLink: {"login_link": "loginLink"},
    Limit: {"feature_handle": "featureHandle"},
    Recipient: {"email": "email_address"},
    SmtpEnvelope: {"mail_from": "mailFrom", "rcpt_to": "rcptTo"},
    Subscription: {"active_accounts_count": "activeAccountsCount"},
}


@in_confidence  # Ctrl-C may strike while it is read
def load(body: bytes, kind: type[T]) -> T:
    """Read a JSON document as a model, or as a list of models.

    Raises:
        Misfit: It is no JSON, or not of the promised form.
    """
    document, trouble = _parsed(body)
    if trouble is not None:
        # Out here: an error raised where it is found would carry along the one that quotes the document.
        raise Misfit(trouble)
    return structure(document, kind, "$")


def structure(document: Json, kind: type[T], where: str) -> T:
    """Read a part of a document that stands at `where` in it.

    Raises:
        Misfit: It is not of the promised form.
    """
    found: str
    try:
        return _converter().structure(document, kind)
    except (AttributeError, KeyError, TypeError, ValueError):
        # Only a document that does not fit pays for finding out where.
        found = misfit.find(document, kind, where, SPELLING) or f"{where}: does not fit"
    # Out here: an error raised inside the handler would carry along the one that quotes the document.
    raise Misfit(found)


def dump(document: Json) -> bytes:
    """Write a JSON document."""
    return orjson.dumps(document)


def fragment(document: Json) -> bytes:
    """Write a small document of which thousands are kept, its keys in order."""
    # A copy: orjson leaves each document that it writes a block of 4 kB.
    return b"%b" % orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def unstructured(model: object) -> Json:
    """Give a model as the API spells it; None is left out, so that it overwrites nothing."""
    return _converter().unstructure(model)


def batch_items(sent: Sent) -> list[bytes]:
    """Write domains as items of a batch: the subscription stands in the query, mail servers under two keys.

    The specification of the batch spells the key `downstreamAddress` and every other place `downstreamAddresses`; the
    schema allows more keys than it names, so both are sent.

    Returns:
        The items; nothing for what is only a name.
    """
    # The keys stand in order, as `echoes` needs them: to have orjson sort them takes as long as to write them. What it
    # writes is copied, as it leaves each document a block of 4 kB.
    if not any(None in column for column in sent[1:]):
        return [
            b"%b"
            % orjson.dumps(
                {
                    "admins": admins,
                    "aliases": aliases,
                    "domain": name,
                    "downstreamAddress": servers,
                    "downstreamAddresses": servers,
                    "settings": settings,
                }
            )
            for name, settings, admins, servers, aliases in zip(*sent, strict=True)
        ]
    keys = ("admins", "aliases", "domain", "downstreamAddress", "downstreamAddresses", "settings")
    columns = (sent.admins, sent.aliases, sent.names, sent.servers, sent.servers, sent.settings)
    documents = [without_null(dict(zip(keys, row, strict=True))) for row in zip(*columns, strict=True)]
    return [b"" if len(document) == 1 else b"%b" % orjson.dumps(document) for document in documents]


def settings_update(wanted: Domain, reset: Sequence[str]) -> Json:
    """Give what an update changes, which the API takes without the layer `settings`, with null for what is reset."""
    document = unstructured(wanted)
    del document["domain"]
    document |= document.pop("settings", {})
    return document | {SPELLING[DomainSettings][name]: None for name in reset}


def without_null(document: Json) -> Json:
    """Leave out what is null."""
    if None not in document.values():
        return document
    return {key: value for key, value in document.items() if value is not None}


def _parsed(body: bytes) -> tuple[Json, str | None]:
    try:
        return orjson.loads(body), None
    except orjson.JSONDecodeError as error:
        return None, f"the body is not JSON: {error.msg} at character {error.pos}"


@cache
def _converter() -> cattrs.Converter:
    from .conversion import converter  # noqa: PLC0415  # cattrs takes its time, and the first document is soon enough

    return converter(SPELLING)
