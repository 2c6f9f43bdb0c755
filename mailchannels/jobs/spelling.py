"""Names of columns and keys: which mean nothing, and which one was meant by another.

It is told the names that mean something, a nested key as `settings.abusePolicy`, and knows nothing of what they mean.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["hold_keys", "ignored_text", "meant", "unknown_keys"]

# As the API's batches call it.
_ALSO: Final = {"downstreamaddress": "downstreamaddresses"}


def unknown_keys(document: object, known: tuple[str, ...]) -> set[str]:
    """Name the keys of a parsed line of JSON that mean nothing; none where it is no object."""
    if not isinstance(document, dict):
        return set()
    keys, parents = _levels(known)
    unknown = document.keys() - keys
    for parent in parents:
        nested: Any = document.get(parent)
        if isinstance(nested, dict):
            unknown |= {f"{parent}.{key}" for key in nested} - keys
    return unknown


def meant(name: str, known: tuple[str, ...]) -> str | None:
    """Give the name that is meant by one in another spelling or place, such as `abuse_policy` for a key."""
    letters = _letters(name)
    return _by_letters(known).get(_ALSO.get(letters, letters))


def hold_keys(unknown: Iterable[str], known: tuple[str, ...]) -> None:
    """Hold that none of these keys, which mean nothing, is one of ours in another spelling or place."""
    for key in sorted(unknown):
        right = meant(key, known)
        if right is not None:
            raise InvalidInput(key, f"is not read under this name; write {right}")


def ignored_text(ignored: Sequence[str], known: Sequence[str]) -> str:
    """Say which names are ignored, what may have been meant by them, and which there are."""
    shown = ", ".join(f"{name!r}{_guess(name, known)}" for name in ignored)
    return f"ignored {shown}, which is none of {', '.join(known)}"


def _guess(name: str, known: Sequence[str]) -> str:
    by_folded = {key.lower(): key for key in known}
    close = get_close_matches(name.lower(), by_folded, n=1, cutoff=0.75)
    return f" (did you mean {by_folded[close[0]]!r}?)" if close else ""


@cache
def _levels(known: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(known), frozenset(parent for key in known if (parent := key.rpartition(".")[0]))


@cache
def _by_letters(known: tuple[str, ...]) -> dict[str, str]:
    return {_letters(key): key for key in known}


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name.rpartition(".")[2])).lower()
