"""Where in a document the first thing stands that is not as promised; it never quotes the document."""

from __future__ import annotations

from types import UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

import attrs

from .models import AbusePolicy

Json = Any  # what orjson gives: the one place where nothing is known yet
Spelling: TypeAlias = dict[type, dict[str, str]]
"""How fields are spelt in JSON, by model; a field that is not named is spelt as it is in Python."""


def is_maybe(kind: Any) -> bool:
    """Whether a type is `something | None`, the only union there is here."""
    return get_origin(kind) in {UnionType, Union}


def find(value: Json, kind: Any, where: str, spelling: Spelling) -> str | None:  # noqa: PLR0911  # one for each kind of misfit
    """Say where in a document the first thing stands that is not as promised."""
    if is_maybe(kind):
        return None if value is None else find(value, get_args(kind)[0], where, spelling)
    if kind is Json:
        return None
    if get_origin(kind) is list:
        if value is None:
            return None
        if type(value) is not list:
            return f"{where}: expected array, found {_json_type(value)}"
        found = (find(item, get_args(kind)[0], f"{where}[{i}]", spelling) for i, item in enumerate(value))
    elif attrs.has(kind):
        if type(value) is not dict:
            return f"{where}: expected object, found {_json_type(value)}"
        found = (_in_member(value, kind, field, where, spelling) for field in attrs.fields(kind))
    else:
        expected = str if kind == AbusePolicy else kind
        if type(value) is expected:
            return None
        return f"{where}: expected {_JSON_TYPES[expected]}, found {_json_type(value)}"
    return next(filter(None, found), None)


def _in_member(
    value: dict[str, Json], model: Any, field: attrs.Attribute[Any], where: str, spelling: Spelling
) -> str | None:
    key = spelling.get(model, {}).get(field.name, field.name)
    if key in value:
        return find(value[key], get_type_hints(model)[field.name], f"{where}.{key}", spelling)
    return f"{where}.{key}: is missing" if field.default is attrs.NOTHING else None


PRIMITIVES: Final = (str, int, bool, AbusePolicy)
_JSON_TYPES: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "whole number",
    float: "number",
    type(None): "null",
}


def _json_type(value: Json) -> str:
    return _JSON_TYPES[type(value)]
