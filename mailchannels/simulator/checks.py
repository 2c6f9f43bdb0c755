"""What the API accepts as a name, a list entry, an API key and a section of a domain.

Pure functions from what was sent to what is stored. They raise `Refused` and must not know the stored domains, and
nothing of HTTP but the status numbers that the API itself puts into its answers.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import idna
import orjson

Json = dict[str, Any]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOSTNAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_LOCAL_PART = r"[^\s@\x00-\x1f\x7f]{1,64}"
_MAILBOX = re.compile(rf"{_LOCAL_PART}@[^\s@\x00-\x1f\x7f]{{1,255}}")
# Most names are canonical already. Of at most 63 characters and without two hyphens in a row, no label is too long and
# none can be an A-label, so that one short pattern decides.
_PLAIN = r"[a-z0-9]++(?:[.-][a-z0-9]++)*+"
_PLAIN_HOSTNAME = re.compile(_PLAIN)
_PLAIN_MAILBOX = re.compile(rf"{_LOCAL_PART}@{_PLAIN}")
_MAX_PLAIN = 63
_API_KEY = re.compile(r"[\x21-\x7e]{1,1024}")

LIST_NAMES = {"safelist": "safelist", "blocklist": "blocklist", "whitelist": "safelist", "blacklist": "blocklist"}
ABUSE_POLICIES = frozenset(("block", "flag", "quarantine"))
DOWNSTREAM_FIELDS = ("priority", "weight", "port", "target")
MAX_TARGET = 255
_MAX_NAME = 253
_MAX_INPUT = 1000  # characters that are worth converting


class Refused(Exception):
    """What was asked is refused, with the status and the text of the answer."""

    def __init__(self, status: int, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors: list[str] = list(errors)

    def body(self) -> Json:
        """Spell the body of an error answer."""
        return {"code": self.status, "message": self.message, "errors": self.errors}


class InvalidName(Refused):
    """A domain name that RFC 5891 forbids; `undecodable` when its only fault is an A-label that cannot be decoded."""

    def __init__(self, name: str, *, undecodable: bool = False) -> None:
        super().__init__(400, f"{name[:255]!r} is not a valid domain name")
        self.undecodable = undecodable


@dataclass(slots=True)
class Sections:
    """The four sections of a domain that a request may carry; None for one that was left out.

    Settings and downstream addresses are JSON text, checked and ready to be kept.
    """

    settings: str | None = None
    downstream_addresses: str | None = None
    admins: list[str] | None = None
    aliases: list[str] | None = None


def canonical_name(name: object) -> str:
    """Bring a name into the form in which names are compared and answered: A-labels, lower case, no trailing dot."""
    if type(name) is not str:
        raise Refused(400, "a domain name must be a string")
    if len(name) <= _MAX_PLAIN and _PLAIN_HOSTNAME.fullmatch(name):
        return name
    lowered = name.lower().removesuffix(".")
    if not lowered or len(lowered) > _MAX_INPUT:
        raise InvalidName(name)
    if "--" not in lowered and lowered.isascii():
        if len(lowered) <= _MAX_NAME and _HOSTNAME.fullmatch(lowered):
            return lowered
        raise InvalidName(name)
    try:
        return idna.encode(unicodedata.normalize("NFC", lowered)).decode("ascii").removesuffix(".")
    except UnicodeError:
        labels = lowered.split(".")
        plausible = len(lowered) <= _MAX_NAME and _HOSTNAME.fullmatch(lowered) is not None
        raise InvalidName(name, undecodable=plausible and any(x.startswith("xn--") for x in labels)) from None


def is_mailbox(text: str) -> bool:
    """Whether the text has the shape of an email address."""
    if len(text) <= _MAX_PLAIN and _PLAIN_MAILBOX.fullmatch(text):
        return True
    if not _MAILBOX.fullmatch(text):
        return False
    try:
        canonical_name(text.rpartition("@")[2])
    except InvalidName:
        return False
    return True


def list_name(name: str) -> str:
    """Find the current name of a list, given that or its deprecated one."""
    try:
        return LIST_NAMES[name]
    except KeyError:
        raise Refused(400, f"{name[:255]!r} is not the name of a list") from None


def list_entry(item: object) -> tuple[str, str]:
    """Bring a list item into its stored form and tell its type: `ip_address`, `email_address` or `domain`."""
    if type(item) is not str:
        raise Refused(400, "item must be a string")
    try:
        return str(ipaddress.ip_address(item)), "ip_address"
    except ValueError:
        pass
    if is_mailbox(item):
        local_part, _, host = item.rpartition("@")
        return f"{local_part}@{canonical_name(host)}", "email_address"
    try:
        name = canonical_name(item)
    except InvalidName:
        name = ""
    if "." not in name:
        raise Refused(400, f"{item[:255]!r} is not a valid ip address, email address or domain")
    return name, "domain"


def api_key(value: object) -> str:
    """Check that an API key is one that can be sent in a header."""
    if type(value) is not str or not _API_KEY.fullmatch(value):
        raise Refused(400, "apiKey must be a non-empty string of printable ASCII characters")
    return value


def sections(source: Json, downstream_keys: Sequence[str] = ("downstreamAddresses",)) -> Sections:
    """Read the sections of one domain; the first of `downstream_keys` that is present counts."""
    settings = source.get("settings")
    addresses = None
    for spelling in downstream_keys:
        addresses = source.get(spelling)
        if addresses is not None:
            break
    return Sections(
        None if settings is None else _settings(orjson.dumps(settings)),
        None if addresses is None else downstream_addresses(addresses),
        _strings(source.get("admins"), "admins"),
        _strings(source.get("aliases"), "aliases"),
    )


def downstream_addresses(value: object) -> str:
    """Check a list of downstream addresses and drop the keys that the API does not know; the result is JSON text."""
    return _downstream_addresses(orjson.dumps(value))


# Most domains of a batch have the same settings, mail servers and admins. Each text is checked once and its result
# shared.


@lru_cache(maxsize=4096)
def mailboxes(text: bytes) -> str | None:
    """Check that a JSON list of strings holds email addresses only; the same text, or None when it does not."""
    return text.decode() if all(map(is_mailbox, orjson.loads(text))) else None


@lru_cache(maxsize=4096)
def _downstream_addresses(text: bytes) -> str:
    records = orjson.loads(text)
    if type(records) is not list:
        raise Refused(400, "downstream addresses must be a list")
    for record in records:
        if type(record) is not dict:
            raise Refused(400, "a downstream address must be an object")
        for field in ("priority", "weight", "port"):
            number = record.get(field)
            if type(number) is not int or number < 0:
                raise Refused(400, f"{field} of a downstream address must be an integer of 0 or more")
        target = record.get("target")
        if type(target) is not str or not target or len(target) > MAX_TARGET:
            raise Refused(400, f"target of a downstream address must be a name of at most {MAX_TARGET} characters")
    return orjson.dumps([{field: record[field] for field in DOWNSTREAM_FIELDS} for record in records]).decode()


@lru_cache(maxsize=4096)
def _settings(text: bytes) -> str:
    settings = orjson.loads(text)
    if type(settings) is not dict:
        raise Refused(400, "settings must be an object")
    known: Json = {}
    for name, setting in settings.items():
        if name == "abusePolicy":
            if setting is not None and (type(setting) is not str or setting not in ABUSE_POLICIES):
                raise Refused(400, "abusePolicy must be one of block, flag and quarantine")
        elif name == "abusePolicyOverride":
            if setting is not None and type(setting) is not bool:
                raise Refused(400, "abusePolicyOverride must be true or false")
        elif name in ("spamHeaderName", "spamHeaderValue"):
            if setting is not None and (type(setting) is not str or not setting):
                raise Refused(400, f"{name} must be a non-empty string")
        else:
            continue
        known[name] = setting
    return orjson.dumps(known).decode()


def _strings(value: object, name: str) -> list[str] | None:
    if value is None:
        return None
    if type(value) is not list or not set(map(type, value)) <= {str}:
        raise Refused(400, f"{name} must be a list of strings")
    return value
