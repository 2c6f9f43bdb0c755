"""Models to JSON and back: the vendor's spelling on the wire, ours in Python, and nothing taken on trust.

This is the one place that knows how a field is spelt in JSON. It knows nothing of requests: a document that does not
fit becomes a `Misfit`, which says where in the document, and the request path turns that into an error with a name.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

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
    """The answer to a batch of domains; its successes are nearly always what was asked for, see `is_echo`."""

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


def spell_once(success: Json) -> None:
    """Take a success's mail servers under whichever of the two keys they come, as `batch_item` sends both."""
    stored = success.get("domain") if type(success) is dict else None
    if type(stored) is dict and "downstreamAddress" in stored:
        stored.setdefault("downstreamAddresses", stored["downstreamAddress"])


def is_echo(stored: Json, asked: Domain) -> bool:
    """Whether a document of a domain says exactly what the model says, so that it need not be read.

    Nearly all successes of a batch are such echoes, and reading one costs several times what comparing it does.
    """
    settings, raw = asked.settings, stored.get("settings")
    if settings is None or raw is None:
        if settings is not raw:
            return False
    elif not (
        raw.get("abusePolicy") == settings.abuse_policy
        and raw.get("abusePolicyOverride") is settings.abuse_policy_override
        and raw.get("spamHeaderName") == settings.spam_header_name
        and raw.get("spamHeaderValue") == settings.spam_header_value
    ):
        return False
    if stored.get("admins") != asked.admins or stored.get("aliases") != asked.aliases:
        return False
    servers, records = asked.downstream_addresses, stored.get("downstreamAddresses")
    if servers is None or records is None or len(servers) != len(records):
        return servers is records
    for server, record in zip(servers, records, strict=True):
        if (
            record["target"] != server.target
            or record["port"] != server.port
            or record["priority"] != server.priority
            or record["weight"] != server.weight
        ):
            return False
    return True


def dump(document: Json) -> bytes:
    """Write a JSON document."""
    return orjson.dumps(document)


def fragment(document: Json) -> bytes:
    """Write a small document of which thousands are kept: orjson leaves each that it writes a block of 4 kB."""
    return b"%b" % orjson.dumps(document)


def unstructured(model: object) -> Json:
    """Give a model as the API spells it; None is left out, so that it overwrites nothing."""
    return _converter().unstructure(model)


def batch_item(domain: Domain) -> Json:
    """Give a domain as an item of a batch: its subscription stands in the query, its mail servers under two keys.

    The specification of the batch spells the key `downstreamAddress` and every other place `downstreamAddresses`; the
    schema allows more keys than it names, so both are sent.
    """
    item = unstructured(domain)
    item.pop("subscriptionHandle", None)
    if "downstreamAddresses" in item:
        item["downstreamAddress"] = item["downstreamAddresses"]
    return item


def settings_update(wanted: Domain, reset: Sequence[str]) -> Json:
    """Give what an update changes, which the API takes without the layer `settings`, with null for what is reset."""
    document = unstructured(wanted)
    del document["domain"]
    document |= document.pop("settings", {})
    return document | {SPELLING[DomainSettings][name]: None for name in reset}


def _parsed(body: bytes) -> tuple[Json, str | None]:
    try:
        return orjson.loads(body), None
    except orjson.JSONDecodeError as error:
        return None, f"the body is not JSON: {error.msg} at character {error.pos}"


@cache
def _converter() -> cattrs.Converter:
    from .conversion import converter  # noqa: PLC0415  # cattrs takes its time, and the first document is soon enough

    return converter(SPELLING)
