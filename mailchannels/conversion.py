"""How cattrs reads and writes the models: strictly, and without a call for what is the same in Python and in JSON.

It is imported with the first document, since cattrs takes longer to import than all that it is imported for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from .misfit import PRIMITIVES, Json, is_maybe
from .models import AbusePolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from .misfit import Spelling

T = TypeVar("T")


def converter(spelling: Spelling) -> cattrs.Converter:
    """Make a converter for models whose fields are spelt differently in JSON."""
    made = cattrs.Converter(detailed_validation=False)
    for kind in (str, int, bool):
        made.register_structure_hook(kind, _exactly(kind))
    # A policy that the API adds must not make a page of domains unreadable.
    made.register_structure_hook_func(lambda kind: kind == AbusePolicy, _exactly(str))
    made.register_structure_hook_factory(_is_list, _list_hook)
    made.register_structure_hook_factory(is_maybe, _maybe_hook)
    made.register_structure_hook_factory(_is_maybe_primitive, _maybe_primitive_hook)
    # What JSON knows as it is needs no call to become JSON.
    made.register_unstructure_hook_func(_is_json_already, identity)

    def structure_model(model: Any) -> Callable[[Any, Any], Any]:
        structure: Callable[[Any, Any], Any] = make_dict_structure_fn(model, made, **_overrides(model, spelling))
        return _object_hook(structure) if _all_optional(model) else structure

    def unstructure_model(model: Any) -> Callable[[Any], Any]:
        # What a subclass adds, such as whether a domain was created, is nothing that the API takes.
        model = next((known for known in model.__mro__ if known in spelling), model)
        return make_dict_unstructure_fn(model, made, **_overrides(model, spelling))

    made.register_structure_hook_factory(attrs.has, structure_model)
    made.register_unstructure_hook_factory(attrs.has, unstructure_model)
    return made


def _overrides(model: type, spelling: Spelling) -> dict[str, Any]:
    names = spelling.get(model, {})
    return {
        field.name: override(rename=names.get(field.name), omit_if_default=field.default is None)
        for field in attrs.fields(model)
    }


def _exactly(kind: type[T]) -> Callable[[Json, type], T]:
    """Take a value only where it is of the very type: cattrs would turn null into 'None' and True into 1."""

    def hook(value: Json, _: type) -> T:
        if type(value) is not kind:
            raise TypeError
        return value

    return hook


def _is_maybe_primitive(kind: Any) -> bool:
    return is_maybe(kind) and get_args(kind)[0] in PRIMITIVES


def _maybe_hook(kind: Any, converter: cattrs.BaseConverter) -> Callable[[Json, type], Any]:
    """Take null or what the type takes otherwise, whose hook cattrs would look up for each value."""
    expected = get_args(kind)[0]
    structure = converter.get_structure_hook(expected)

    def hook(value: Json, _: type) -> Any:
        return None if value is None else structure(value, expected)

    return hook


def _maybe_primitive_hook(kind: Any, _: cattrs.BaseConverter) -> Callable[[Json, type], Any]:
    """Take null or a value of the very type, in one call: nearly all fields are of this kind."""
    expected = str if get_args(kind)[0] == AbusePolicy else get_args(kind)[0]

    def hook(value: Json, _: type) -> Any:
        if value is not None and type(value) is not expected:
            raise TypeError
        return value

    return hook


def _is_json_already(kind: Any) -> bool:
    return kind in PRIMITIVES or ((is_maybe(kind) or _is_list(kind)) and _is_json_already(get_args(kind)[0]))


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list


def _list_hook(kind: Any, converter: cattrs.BaseConverter) -> Callable[[Json, Any], list[Any]]:
    """Take null for an empty list, as the API sends it, and nothing else that merely iterates."""
    (member,) = get_args(kind)
    structure = converter.get_structure_hook(member)

    def hook(value: Json, _: type) -> list[Any]:
        if value is None:
            return []
        if type(value) is not list:
            raise TypeError
        # What is read later, if at all, stays what it is.
        return value if member is Any else [structure(item, member) for item in value]

    return hook


def _object_hook(structure: Callable[[Any, type[T]], T]) -> Callable[[Json, type[T]], T]:
    """Take only an object: a model without required keys would read any other value as one with nothing in it."""

    def hook(value: Json, kind: type[T]) -> T:
        if type(value) is not dict:
            raise TypeError
        return structure(value, kind)

    return hook


def _all_optional(model: type) -> bool:
    return all(field.default is not attrs.NOTHING for field in attrs.fields(model))
