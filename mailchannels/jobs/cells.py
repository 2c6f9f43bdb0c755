"""A domain as the cells of a CSV row or a line of JSON, and back.

This is the one place that knows how lists, booleans and mail servers are written in a cell. It knows nothing of files,
and leaves judging the values to the checks that every request passes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs
import orjson

from .. import wire
from ..errors import InvalidInput
from ..models import Domain, DomainSettings, DownstreamAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..models import AbusePolicy

__all__ = [
    "COLUMNS",
    "KEYS",
    "domain_from_cells",
    "domain_to_cells",
    "line_to_cells",
    "model_from_line",
    "record_from_cell",
    "record_to_cell",
    "to_line",
]

T = TypeVar("T")

COLUMNS: Final = (
    "domain",
    "subscription_handle",
    "admins",
    "aliases",
    "downstream_addresses",
    "abuse_policy",
    "abuse_policy_override",
    "spam_header_name",
    "spam_header_value",
)
"""Every column that means something, in the order in which we write them."""

KEYS: Final = (
    "domain",
    "subscriptionHandle",
    "admins",
    "aliases",
    "downstreamAddresses",
    "settings",
    "settings.abusePolicy",
    "settings.abusePolicyOverride",
    "settings.spamHeaderName",
    "settings.spamHeaderValue",
)
"""Every key of a line of JSON that means something."""

_BOOLEANS: Final = {"true": True, "false": False}
_FLAGS: Final = {True: "true", False: "false", None: ""}
_is_record: Final = re.compile(r"([0-9]{1,9})\s+([0-9]{1,9})\s+([0-9]{1,9})\s+(\S+)").fullmatch


def domain_from_cells(cells: Mapping[str, str]) -> Domain:
    """Read a domain from the cells of a row; an empty cell leaves its field out.

    Args:
        cells: Stripped cells by column name; a list separates its members by `;` or is a JSON array of strings, so that
            `[]` is the list with nothing in it.

    Returns:
        The domain, its values not yet judged.

    Raises:
        InvalidInput: A cell is not written the way its column wants it.

    Example:
        >>> domain_from_cells({"domain": "example.com", "admins": "a@example.com; b@example.com"}).admins
        ['a@example.com', 'b@example.com']
    """
    settings = DomainSettings(
        abuse_policy=cast("AbusePolicy | None", cells.get("abuse_policy") or None),
        abuse_policy_override=_boolean("abuse_policy_override", cells.get("abuse_policy_override", "")),
        spam_header_name=cells.get("spam_header_name") or None,
        spam_header_value=cells.get("spam_header_value") or None,
    )
    records = _members("downstream_addresses", cells.get("downstream_addresses", ""))
    return Domain(
        cells.get("domain", ""),
        subscription_handle=cells.get("subscription_handle") or None,
        settings=None if settings == DomainSettings() else settings,
        admins=_members("admins", cells.get("admins", "")),
        downstream_addresses=None
        if records is None
        else [record_from_cell(f"downstream_addresses[{position}]", record) for position, record in enumerate(records)],
        aliases=_members("aliases", cells.get("aliases", "")),
    )


def domain_to_cells(domain: Domain) -> dict[str, str]:
    """Write a domain as the cells that `domain_from_cells` reads.

    Args:
        domain: Any domain.

    Returns:
        A cell for each of `COLUMNS`, empty where the domain leaves the field out.

    Example:
        >>> domain_to_cells(Domain("example.com", aliases=[]))["aliases"]
        '[]'
    """
    settings = domain.settings or DomainSettings()
    records = domain.downstream_addresses
    return {
        "domain": domain.domain,
        "subscription_handle": domain.subscription_handle or "",
        "admins": _joined(domain.admins),
        "aliases": _joined(domain.aliases),
        "downstream_addresses": _joined(None if records is None else [record_to_cell(record) for record in records]),
        "abuse_policy": settings.abuse_policy or "",
        "abuse_policy_override": ""
        if settings.abuse_policy_override is None
        else f"{settings.abuse_policy_override}".lower(),
        "spam_header_name": settings.spam_header_name or "",
        "spam_header_value": settings.spam_header_value or "",
    }


def model_from_line(line: str, model: type[T], called: str) -> tuple[T, dict[str, Any]]:
    """Read a model from a line of JSON.

    Args:
        line: One JSON object.
        model: The model.
        called: What a message calls it.

    Returns:
        The model, and the object that it was read from.

    Raises:
        InvalidInput: The line is not JSON, or not of the model's form.

    Example:
        >>> model_from_line('{"domain": "example.com"}', Domain, "domain")[1]
        {'domain': 'example.com'}
    """
    body = line.encode()
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("line", f"is not JSON: {error.msg} at character {error.pos}") from None
    try:
        return wire.load(body, model), document
    except wire.Misfit as misfit:
        raise InvalidInput("line", f"is not a {called}: {misfit}") from None


def to_line(model: object) -> str:
    """Write any model as one line of JSON in the vendor's spelling.

    Args:
        model: A domain, an entry of a list, or whatever else the API answers with.

    Returns:
        A JSON object without a line break; what is None is left out.

    Example:
        >>> to_line(ListEntry(action="safelist", item="partner.example", type="domain"))
        '{"action":"safelist","item":"partner.example","item_type":"domain"}'
    """
    return wire.dump(wire.unstructured(model)).decode()


def record_from_cell(here: str, cell: str) -> DownstreamAddress:
    """Read a downstream address from its cell.

    Args:
        here: What an error calls the cell.
        cell: `priority weight port target`, separated by white space.

    Returns:
        The address, its values not yet judged.

    Raises:
        InvalidInput: The cell is not written like that.

    Example:
        >>> record_from_cell("RECORD", "10 10 25 mx1.hosting.example.").port
        25
    """
    record = _is_record(cell)
    if record is None:
        raise InvalidInput(
            here, f"{cell!r} is not 'priority weight port target', such as '10 10 25 mx1.hosting.example.'"
        )
    priority, weight, port, target = record.groups()
    return DownstreamAddress(int(priority), int(weight), int(port), target)


def record_to_cell(record: DownstreamAddress) -> str:
    """Write a downstream address as the cell that `record_from_cell` reads."""
    return f"{record.priority} {record.weight} {record.port} {record.target}"


def line_to_cells(line: str, domain: Domain | str | None) -> dict[str, str]:
    """Give a domain as cells that read back as the same, or the line it was read from where none do."""
    if isinstance(domain, str):
        return {"domain": line}
    if domain is not None:
        cells = domain_to_cells(domain)
        stripped = {name: cell.strip() for name, cell in cells.items()}
        try:
            if domain_from_cells(stripped) == attrs.evolve(domain, settings=_set_ones(domain.settings)):
                return cells
        except InvalidInput:
            pass
    if not line and domain is not None:
        try:
            line = to_line(domain)
        except TypeError:  # what UTF-8 cannot spell
            line = domain.domain
    return {"domain": line.strip()}


def _set_ones(settings: DomainSettings | None) -> DomainSettings | None:
    return None if settings == DomainSettings() else settings


def _boolean(column: str, cell: str) -> bool | None:
    if not cell:
        return None
    try:
        return _BOOLEANS[cell.lower()]
    except KeyError:
        raise InvalidInput(column, f"{cell!r} is neither 'true' nor 'false'") from None


def _members(column: str, cell: str) -> list[str] | None:
    if not cell:
        return None
    if cell.startswith("["):
        try:
            members = orjson.loads(cell)
        except orjson.JSONDecodeError:
            members = None
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise InvalidInput(column, f"{cell!r} starts like a JSON array and is no array of strings")
        return members
    members = [member for part in cell.split(";") if (member := part.strip())]
    if not members:
        raise InvalidInput(column, f"{cell!r} has no members; leave the cell empty to keep what is stored, or write []")
    return members


def _joined(members: list[str] | None) -> str:
    if members is None:
        return ""
    plain = members and all(member and member == member.strip() and ";" not in member for member in members)
    # The cell starts like its first member, which must not look like an array.
    if plain and not members[0].startswith("["):
        return "; ".join(members)
    return orjson.dumps(members).decode()
