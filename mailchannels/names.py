"""One spelling for every domain name: A-labels, lower case, no trailing dot.

What this room refuses must never be sent: one name that fails RFC 5891 makes the API refuse a whole batch, and a name
with a slash in it would reach another endpoint.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import idna

from .errors import InvalidInput

__all__ = [
    "are_short_addresses",
    "are_short_names",
    "canonical_name",
    "canonical_names",
    "canonical_or_folded",
    "is_plain_address",
    "is_plain_name",
]

_MAX_NAME: Final = 253
# Plain ASCII names are nearly all of a million domains and must not pay for IDNA. Labels with hyphens in their third
# and fourth places are either A-labels or reserved, which the idna package tells apart. Nothing here can match in two
# ways, so that possessive quantifiers may say so: it halves the time.
_LABEL: Final = r"(?!..--)(?![^.]{64})[a-z0-9]++(?:-++[a-z0-9]++)*+"
_PLAIN: Final = rf"{_LABEL}(?:\.{_LABEL})*+"
_is_plain: Final = re.compile(_PLAIN).fullmatch
# Neither of the rules looked ahead for can be broken where no two hyphens meet and all of it is as short as a label.
_SHORT: Final = r"(?!.{64})[a-z0-9]++(?:[.-][a-z0-9]++)*+"
_is_short: Final = re.compile(_SHORT).fullmatch
_MAX_ADDRESS: Final = 254
_is_plain_address: Final = re.compile(rf"[A-Za-z0-9_.!#$%&'*+/=?^`{{|}}~-]{{1,64}}@{_PLAIN}").fullmatch

# Of thousands, one a line, only the kinds of characters are told apart: letters and digits (a), marks within a name
# (-), what else may stand before an @ (_), and what may stand nowhere (!).
_KINDS: Final = bytes(
    ord(
        "\n" if character == "\n"
        else "@" if character == "@"
        else "a" if character in string.ascii_lowercase + string.digits
        else "-" if character in ".-"
        else "_" if character in string.ascii_uppercase + "_!#$%&'*+/=?^`{|}~"
        else "!"
    )
    for character in map(chr, range(256))
)  # fmt: skip
_MAX_SHORT: Final = 63
_are_names: Final = re.compile(rb"\n(?:(?:a++-)*+a++\n)*+").fullmatch
_are_addresses: Final = re.compile(rb"\n(?:[a_-]++@(?:a++-)*+a++\n)*+").fullmatch

# What people hand in instead of names, told in other words than those of RFC 5891.
_OFTEN_GIVEN: Final = {
    "://": "looks like a URL; give its host alone",
    "@": "looks like an email address; give what follows the @",
    "/": "contains a slash",
    ":": "contains a colon; give a name without a port",
    "_": "contains an underscore",
    " ": "contains a space",
}


def canonical_name(name: str, argument: str = "domain") -> str:
    """Give the one spelling under which a domain name is sent and compared.

    Args:
        name: A domain name of at most 253 characters, its labels at most 63, in Unicode or as A-labels.
        argument: What to call it when it is refused.

    Returns:
        The name as A-labels in lower case without a trailing dot.

    Raises:
        InvalidInput: It is no text, is empty or too long, or a label of it fails RFC 5891.

    Example:
        >>> canonical_name("Bücher.Example.")
        'xn--bcher-kva.example'
    """
    if type(name) is str and _is_short(name):
        return name
    if not isinstance(name, str):
        raise InvalidInput(argument, f"must be text, not {type(name).__name__}")
    folded = name.lower().removesuffix(".")
    if is_plain_name(folded):
        return folded
    if not folded:
        raise InvalidInput(argument, "is empty; pass a domain name such as 'example.com'")
    for character, complaint in _OFTEN_GIVEN.items():
        if character in name:
            raise InvalidInput(argument, f"{_shortened(name)} is not a domain name: it {complaint}")
    try:
        # UTS 46 folds case and width the way browsers do before RFC 5891 judges what is left.
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidInput(argument, f"{_shortened(name)} is not a domain name (RFC 5891): {error}") from None
    return encoded


def is_plain_name(name: str) -> bool:
    """Whether a name is its own canonical form, told without IDNA; False may also mean that it takes IDNA to tell."""
    return len(name) <= _MAX_NAME and _is_plain(name) is not None


def is_plain_address(value: object) -> bool:
    """Whether a value is an email address at a plain name, told at once; False may also mean that it takes more."""
    return type(value) is str and len(value) <= _MAX_ADDRESS and _is_plain_address(value) is not None


def canonical_names(names: Sequence[str]) -> list[str]:
    """Give the canonical forms of many names.

    Raises:
        InvalidInput: One of them is no name.
    """
    if {*map(type, names)} <= {str} and are_short_names(names):
        return [*names]
    return [*map(canonical_name, names)]


def are_short_names(values: Iterable[str]) -> bool:
    """Whether many are all short names in canonical form, told at once; False may also mean that it takes more."""
    return _are_all(_are_names, values)


def are_short_addresses(values: Iterable[str]) -> bool:
    """Whether many are all short addresses at such names, told at once; False may also mean that it takes more."""
    return _are_all(_are_addresses, values)


def _are_all(are_right: Callable[[bytes], object], values: Iterable[str]) -> bool:
    listed = [*values]
    try:
        lines = "\n".join(["", *listed, ""])
        kinds = lines.encode("ascii").translate(_KINDS)
    except (TypeError, UnicodeEncodeError):
        return False
    is_one_a_line = lines.count("\n") == len(listed) + 1
    return is_one_a_line and max(map(len, listed), default=0) <= _MAX_SHORT and are_right(kinds) is not None


def canonical_or_folded(name: str) -> str:
    """Give the spelling to compare a name of the API's by, which may be one that we would refuse to send."""
    try:
        return canonical_name(name)
    except InvalidInput:
        return name.lower().removesuffix(".")


def _shortened(name: str) -> str:
    shown = repr(name)
    limit = 80
    return shown if len(shown) <= limit else f"{shown[:limit]}...' ({len(name)} characters)"
