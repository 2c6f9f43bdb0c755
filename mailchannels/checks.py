"""What a caller may pass: the specification's limits, held before any request and refused with the argument's name.

Names of domains are the business of `names`; nothing here knows of JSON or of what the API answers.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncIterable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, get_args
from uuid import UUID

import attrs

from .errors import InvalidInput
from .models import (
    AbusePolicy,
    Domain,
    DomainSettings,
    DownstreamAddress,
    Filter,
    ListName,
    ReportType,
    SmtpEnvelope,
)
from .names import canonical_name, is_plain_address, is_plain_name

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LISTED: Final = 5_000
MAX_DOWNSTREAM_ADDRESSES: Final = 10
MAX_TARGET: Final = 255
MAX_ALIAS: Final = 255
MAX_PORT: Final = 65_535
MAX_NUMBER: Final = 2**31 - 1
MAX_ITEM: Final = 320
"""Characters of an entry of a list at most: the longest email address."""
MAX_SECONDS: Final = 1e9
MAX_HANDLE: Final = 1_000
MAX_LOCAL_PART: Final = 64

_is_printable_ascii: Final = re.compile(r"[\x21-\x7e]+").fullmatch
_has_control_character: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_has_lone_surrogate: Final = re.compile(r"[\ud800-\udfff]").search
_LISTS: Final = {"safelist": "safelist", "blocklist": "blocklist", "whitelist": "safelist", "blacklist": "blocklist"}
_POLICIES: Final = get_args(AbusePolicy)
_FILTERS: Final = frozenset({"true", "false", "compute"})
_REPORTS: Final = get_args(ReportType)


def text(argument: str, value: str, *, at_most: int | None = None) -> str:
    """Hold that a value is text with something in it, no control characters and no more than its limit."""
    if not isinstance(value, str):
        raise InvalidInput(argument, f"must be text, not {type(value).__name__}")
    if not value.strip():
        raise InvalidInput(argument, "is empty")
    if _has_control_character(value):
        raise InvalidInput(argument, "contains control characters")
    if _has_lone_surrogate(value):
        raise InvalidInput(argument, "contains half of a surrogate pair, which UTF-8 cannot spell")
    if at_most is not None and len(value) > at_most:
        raise InvalidInput(argument, f"is {len(value)} characters long; at most {at_most} are allowed")
    return value


def fault_of_credential(value: object) -> str | None:
    """Say, without showing it, why a value cannot travel in a header as a key or token does; None where it can.

    It raises nothing, as a traceback may show the variables of this function.
    """
    if not isinstance(value, str):
        return f"must be text, not {type(value).__name__}"
    if not value:
        return "is empty"
    if not _is_printable_ascii(value):
        return "contains white space, control or non-ASCII characters, which no key has (a line break at the end?)"
    return None


def seconds(argument: str, value: float | None) -> float | None:
    """Hold that a value is a number of seconds above 0, or left out."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        raise InvalidInput(argument, f"{value!r} is not allowed; it must be a number of seconds above 0, or None")
    return value


def flag(argument: str, value: bool | None) -> bool | None:
    """Hold that a value is True, False or left out."""
    if value is not None and type(value) is not bool:
        raise InvalidInput(argument, f"must be True or False, not {value!r}")
    return value


def required_flag(argument: str, value: bool) -> bool:
    """Hold that a value is True or False."""
    if type(value) is not bool:
        raise InvalidInput(argument, f"must be True or False, not {value!r}")
    return value


def inputs(argument: str, values: object) -> None:
    """Hold that a bulk call is given something to go through, and not one name, which would be read as its letters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, (Iterable, AsyncIterable)):
        raise InvalidInput(argument, f"must be a list or another iterable, not {type(values).__name__}")


def whole_number(argument: str, value: int, *, at_least: int, at_most: int | None = None) -> int:
    """Hold that a value is a whole number within its limits."""
    if type(value) is not int:
        raise InvalidInput(argument, f"must be a whole number, not {type(value).__name__}")
    if value < at_least or (at_most is not None and value > at_most):
        allowed = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"
        raise InvalidInput(argument, f"is {value}; it must be {allowed}")
    return value


def page(limit: int | None, offset: int | None, *, at_most: int | None = None) -> dict[str, int | None]:
    """Hold the window of a listing and give it as query parameters."""
    if limit is not None:
        whole_number("limit", limit, at_least=1, at_most=at_most)
    if offset is not None:
        whole_number("offset", offset, at_least=0)
    return {"limit": limit, "offset": offset}


def list_name(value: str, argument: str = "list_name") -> str:
    """Give the list's current name, with a warning where the caller used the deprecated one."""
    name = _LISTS.get(value) if isinstance(value, str) else None
    if name is None:
        raise InvalidInput(argument, f"{value!r} is no list; use 'safelist' or 'blocklist'")
    if name != value:
        # Three frames up: the endpoint and the room of the lists lie between here and whoever calls.
        warnings.warn(f"{value!r} is deprecated by the API; use {name!r}", DeprecationWarning, stacklevel=4)
    return name


def list_items(argument: str, value: Mapping[ListName, Sequence[str]]) -> dict[str, list[str]]:
    """Hold that entries stand under names of lists and that there is at least one; give them under current names."""
    if not isinstance(value, Mapping):
        raise InvalidInput(argument, f"must map list names to lists of items, not be {type(value).__name__}")
    entries: dict[str, list[str]] = {}
    for name, items in value.items():
        here = f"{argument}[{name!r}]"
        current = list_name(name, argument)
        _members(here, items, str)
        checked = [text(f"{here}[{position}]", item, at_most=MAX_ITEM) for position, item in enumerate(items)]
        entries.setdefault(current, []).extend(checked)
    if not any(entries.values()):
        raise InvalidInput(argument, "holds no entry; leave it out, or name one under 'safelist' or 'blocklist'")
    return entries


def filter_name(argument: str, value: Filter | None) -> str | None:
    """Give a filter in the API's words."""
    if value is None or (isinstance(value, str) and value in _FILTERS):
        return value
    if type(value) is bool:
        return str(value).lower()
    raise InvalidInput(argument, f"{value!r} is no filter; use True, False or 'compute'")


def report_type(argument: str, value: ReportType) -> str:
    """Hold that a report says what was wrong in the API's words."""
    if value not in _REPORTS:
        raise InvalidInput(argument, f"{value!r} is no kind of report; use 'false_negative' or 'false_positive'")
    return value


def message(argument: str, value: str) -> str:
    """Hold that a message is text with something in it; line ends and other control characters belong to it."""
    if not isinstance(value, str):
        raise InvalidInput(argument, f"must be text, not {type(value).__name__}; decode the message first")
    if not value.strip():
        raise InvalidInput(argument, "is empty; pass the whole message, its headers included")
    if _has_lone_surrogate(value):
        raise InvalidInput(argument, "contains half of a surrogate pair, which UTF-8 cannot spell")
    return value


def envelope(argument: str, value: SmtpEnvelope) -> SmtpEnvelope:
    """Hold that the parts of an envelope are text, where they are known."""
    if not isinstance(value, SmtpEnvelope):
        raise InvalidInput(argument, f"must be SmtpEnvelope, not {type(value).__name__}")
    for name, part in attrs.asdict(value).items():
        if part is not None:
            text(f"{argument}.{name}", part)
    return value


def downstream_addresses(argument: str, records: Sequence[DownstreamAddress]) -> None:
    """Hold that downstream addresses are ones the API can store, no more than 10 of them."""
    _list(argument, records, DownstreamAddress)
    if len(records) > MAX_DOWNSTREAM_ADDRESSES:
        raise InvalidInput(argument, f"has {len(records)} entries; at most {MAX_DOWNSTREAM_ADDRESSES} are allowed")
    for position, record in enumerate(records):
        if not _is_in_order(record):
            _member(argument, position, record, DownstreamAddress)
            _explain(f"{argument}[{position}]", record)


def _is_in_order(record: object) -> bool:
    """Tell quickly: a batch has thousands of addresses, nearly all of them in order, and many of them the same."""
    if not isinstance(record, DownstreamAddress):
        return False
    try:
        return _are_in_order(record.priority, record.weight, record.port, record.target)
    except TypeError:  # something that no cache can keep, and no address either
        return False


@lru_cache(maxsize=1_024, typed=True)
def _are_in_order(priority: int, weight: int, port: int, target: str) -> bool:
    return (
        type(priority) is type(weight) is type(port) is int
        and 0 <= priority <= MAX_NUMBER
        and 0 <= weight <= MAX_NUMBER
        and 1 <= port <= MAX_PORT
        and type(target) is str
        and target.endswith(".")
        and is_plain_name(target[:-1])
    )


def _explain(here: str, record: DownstreamAddress) -> None:
    whole_number(f"{here}.priority", record.priority, at_least=0, at_most=MAX_NUMBER)
    whole_number(f"{here}.weight", record.weight, at_least=0, at_most=MAX_NUMBER)
    whole_number(f"{here}.port", record.port, at_least=1, at_most=MAX_PORT)
    target = text(f"{here}.target", record.target, at_most=MAX_TARGET)
    if not target.endswith("."):
        raise InvalidInput(f"{here}.target", f"{target!r} must end in a dot: {target + '.'!r}")
    canonical_name(target, f"{here}.target")


def settings(argument: str, value: DomainSettings) -> None:
    """Hold that settings are ones the API knows."""
    if not isinstance(value, DomainSettings):
        raise InvalidInput(argument, f"must be DomainSettings, not {type(value).__name__}")
    fields = (value.abuse_policy, value.abuse_policy_override, value.spam_header_name, value.spam_header_value)
    try:
        _setting(argument, *fields)
    except TypeError:  # something that no cache can keep
        _setting.__wrapped__(argument, *fields)


@lru_cache(maxsize=1_024, typed=True)
def _setting(argument: str, policy: str | None, override: bool | None, *header: str | None) -> None:
    """Hold settings, which are often the same for thousands of domains."""
    if policy is not None and policy not in _POLICIES:
        known = ", ".join(repr(policy) for policy in _POLICIES)
        raise InvalidInput(f"{argument}.abuse_policy", f"{policy!r} is no policy; use one of {known}")
    flag(f"{argument}.abuse_policy_override", override)
    for name, value in zip(("spam_header_name", "spam_header_value"), header, strict=True):
        if value is not None:
            text(f"{argument}.{name}", value)


def email(argument: str, value: str) -> str:
    """Hold that a value has the shape of an email address: something, an @, and a domain name."""
    if is_plain_address(value):
        return value
    text(argument, value, at_most=MAX_ITEM)
    local, at, domain = value.rpartition("@")
    quoted = len(local) > 1 and local[0] == local[-1] == '"'
    if not at or not local or re.search(r"\s", value) or ("@" in local and not quoted):
        raise InvalidInput(argument, f"{value!r} is no email address")
    canonical_name(domain, argument)
    return value


def outgoing(domain: Domain | str) -> Domain:
    """Hold everything a domain carries and give it under its canonical name; the caller's object is left alone."""
    if isinstance(domain, str):
        return Domain(canonical_name(domain))
    if not isinstance(domain, Domain):
        raise InvalidInput("domain", f"must be a Domain or a name, not {type(domain).__name__}")
    name = canonical_name(domain.domain)
    admins, servers, aliases = domain.admins, domain.downstream_addresses, domain.aliases
    if domain.subscription_handle is not None:
        handle("subscription_handle", domain.subscription_handle)
    if domain.settings is not None:
        settings("settings", domain.settings)
    if admins is not None:
        _list("admins", admins, str)
        for position, admin in enumerate(admins):
            if not is_plain_address(admin):
                _member("admins", position, admin, str)
                email(f"admins[{position}]", admin)
        admins = [*admins]
    if servers is not None:
        downstream_addresses("downstream_addresses", servers)
        servers = [*servers]
    if aliases is not None:
        _list("aliases", aliases, str)
        aliases = [_alias("aliases", position, value) for position, value in enumerate(aliases)]
    # Always another object: a caller who fills one Domain again and again must not rename what was sent before.
    return Domain(name, domain.subscription_handle, domain.settings, admins, servers, aliases)


def changes(
    domain: str,
    settings: DomainSettings | None,
    *,
    admins: Sequence[str] | None,
    downstream_addresses: Sequence[DownstreamAddress] | None,
    aliases: Sequence[str] | None,
    reset: Sequence[str],
) -> Domain:
    """Hold everything that an update changes and resets, and give what it changes as a domain."""
    _members("reset", reset, str)
    known = [field.name for field in attrs.fields(DomainSettings)]
    for position, name in enumerate(reset):
        if name not in known:
            raise InvalidInput(f"reset[{position}]", f"{name!r} is no setting; use one of {', '.join(known)}")
        if getattr(settings, name, None) is not None:
            raise InvalidInput(f"reset[{position}]", f"{name} is both given and reset; leave one of the two out")
    given = (settings, admins, downstream_addresses, aliases)
    if not reset and all(section is None or section == DomainSettings() for section in given):
        raise InvalidInput("settings", "nothing is to be changed; pass settings, a section or reset")
    return outgoing(Domain(domain, None, *given))  # type: ignore[arg-type]  # a tuple does as well as a list


def uuid(argument: str, value: str) -> str:
    """Hold that a value is a UUID, and give its usual form."""
    try:
        return str(UUID(value))
    except (AttributeError, TypeError, ValueError):
        raise InvalidInput(
            argument, f"{value!r} is no UUID; it looks like 123e4567-e89b-12d3-a456-426614174000"
        ) from None


def account(argument: str, value: str) -> str:
    """Hold that an account is named by a UUID, and give its usual form; no message shows it, as it may be the token."""
    with suppress(InvalidInput):
        return uuid(argument, value)
    raise InvalidInput(argument, "is no UUID; it looks like 123e4567-e89b-12d3-a456-426614174000")


def domain_or_uuid(argument: str, value: str) -> str:
    """Hold that a domain is named by its UUID or its name, and give it in its usual form."""
    try:
        return uuid(argument, value)
    except InvalidInput:
        return canonical_name(value, argument)


def mailbox_query(domain: str | None, workspace_id: str | None, search: str | None) -> dict[str, str | int | None]:
    """Hold what a listing of mailboxes is narrowed by, and give it as query parameters."""
    return {
        "domain": None if domain is None else domain_or_uuid("domain", domain),
        "workspace_id": None if workspace_id is None else uuid("workspace_id", workspace_id),
        "search": None if search is None else text("search", search, at_most=MAX_ITEM),
    }


def local_part(argument: str, value: str) -> str:
    """Hold that a value can stand before the @ of an address, and give it in lower case."""
    text(argument, value, at_most=MAX_LOCAL_PART)
    if "@" in value:
        raise InvalidInput(argument, f"{value!r} contains an @; give what stands before it, and the domain as `domain`")
    if re.search(r"\s", value):
        raise InvalidInput(argument, f"{value!r} contains white space")
    return value.lower()


def segment(argument: str, value: str) -> str:
    """Hold that a value can be one segment of a path, which . and .. are not, however they are escaped."""
    if text(argument, value, at_most=MAX_ITEM) in {".", ".."}:
        raise InvalidInput(argument, f"{value!r} names nothing")
    return value


def handle(argument: str, value: str) -> str:
    """Hold that a value may be the handle of a subscription."""
    return text(argument, value, at_most=MAX_HANDLE)


def alias(argument: str, value: str) -> str:
    """Hold that a value is a domain name short enough for an alias, and give its canonical form."""
    return canonical_name(text(argument, value, at_most=MAX_ALIAS), argument)


def _alias(argument: str, position: int, value: str) -> str:
    if type(value) is str and is_plain_name(value):
        return value
    _member(argument, position, value, str)
    return alias(f"{argument}[{position}]", value)


def _members(argument: str, values: Sequence[object], kind: type) -> None:
    _list(argument, values, kind)
    for position, value in enumerate(values):
        _member(argument, position, value, kind)


def _list(argument: str, values: Sequence[object], kind: type) -> None:
    if not isinstance(values, (list, tuple)):
        raise InvalidInput(argument, f"must be a list of {kind.__name__}, not {type(values).__name__}")


def _member(argument: str, position: int, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise InvalidInput(f"{argument}[{position}]", f"must be {kind.__name__}, not {type(value).__name__}")
