"""The vendor's specification as a judge: does a request fit it, and does an answer?

The document lies outside the project; where it is missing, nothing is judged, and the tests that are about it are
skipped.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import jsonschema
import pytest

if TYPE_CHECKING:
    import httpx

PATH = Path(__file__).resolve().parents[2] / "shared" / "spec" / "inbound-api.json"
ROOT = "/inbound/v1"

needs_specification = pytest.mark.skipif(
    not PATH.exists(), reason="the vendor's specification (shared/spec/inbound-api.json) is not here"
)


@cache
def document() -> dict[str, Any]:
    """Read the specification."""
    loaded: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
    return loaded


def operations() -> set[tuple[str, str]]:
    """List every operation as its method and path template."""
    return {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}


def operation_of(request: httpx.Request) -> tuple[str, str]:
    """Find the operation that a request calls; more literal paths win, as in the server."""
    raw = request.url.raw_path.decode("ascii").partition("?")[0]
    assert raw.startswith(ROOT + "/"), f"{raw} is not below {ROOT}"
    path = raw.removeprefix(ROOT)
    for method, template in sorted(operations(), key=lambda operation: operation[1].count("{")):
        if method == request.method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return method, template
    raise AssertionError(f"the specification has no {request.method} {path}")


def judge_request(request: httpx.Request, body: bytes) -> tuple[str, str]:
    """Hold a request against the specification: path, query and body; gives the operation."""
    method, template = operation_of(request)
    specified = {
        (parameter["in"], parameter["name"]): parameter
        for parameter in document()["paths"][template][method.lower()].get("parameters", [])
    }
    raw_path, _, raw_query = request.url.raw_path.decode("ascii").partition("?")
    names = re.findall(r"\{(\w+)\}", template)
    values = re.fullmatch(re.sub(r"\{\w+\}", "([^/]+)", template), raw_path.removeprefix(ROOT))
    assert values is not None
    for name, value in zip(names, values.groups(), strict=True):
        _judge_text(specified["path", name], unquote(value))
    query = dict(parse_qsl(raw_query, keep_blank_values=True, strict_parsing=bool(raw_query)))
    for name, value in query.items():
        assert ("query", name) in specified, f"{method} {template} has no query parameter {name}"
        _judge_text(specified["query", name], value)
    bodies = [parameter for (place, _), parameter in specified.items() if place == "body"]
    for (place, name), parameter in specified.items():
        if parameter.get("required") and place == "query":
            assert name in query, f"{method} {template} needs the query parameter {name}"
    if body:
        assert bodies, f"{method} {template} takes no body"
        assert request.headers["content-type"] == "application/json"
        _validate(json.loads(body), bodies[0]["schema"], nullable=False)
    else:
        assert not any(parameter.get("required") for parameter in bodies), f"{method} {template} needs a body"
    return method, template


def judge_answer(request: httpx.Request, status: int, body: bytes) -> None:
    """Hold an answer against the specification: its status and its body."""
    method, template = operation_of(request)
    responses = document()["paths"][template][method.lower()]["responses"]
    if status in {401, 503}:  # any call may be refused for its key or its rate, which the document says elsewhere
        return
    assert str(status) in responses, f"{method} {template} does not answer {status}"
    schema = responses[str(status)].get("schema")
    if schema is None:
        assert not body, f"{method} {template} promises no body for {status}"
    else:
        _validate(json.loads(body), schema, nullable=True)


def _judge_text(parameter: dict[str, Any], value: str) -> None:
    kind = parameter["type"]
    read: Any = value
    if kind == "integer":
        read = int(value)
    elif kind == "boolean":
        assert value in {"true", "false"}, f"{parameter['name']}={value}"
        read = value == "true"
    elif kind == "array":
        read = value.split(",")
    checked = {key: parameter[key] for key in ("type", "enum", "minimum", "maximum", "maxLength") if key in parameter}
    jsonschema.Draft4Validator(checked).validate(read)


def _validate(value: Any, schema: dict[str, Any], *, nullable: bool) -> None:
    definitions = _relaxed(document()["definitions"], nullable=nullable)
    jsonschema.Draft4Validator({**_relaxed(schema, nullable=nullable), "definitions": definitions}).validate(value)


def _relaxed(schema: Any, *, nullable: bool) -> Any:
    """Allow null where the vendor marks it, and, in answers, for lists, which the vendor's server sends as null."""
    if isinstance(schema, list):
        return [_relaxed(part, nullable=nullable) for part in schema]
    if not isinstance(schema, dict):
        return schema
    relaxed = {key: _relaxed(part, nullable=nullable) for key, part in schema.items() if key != "description"}
    if schema.get("x-nullable") or (nullable and schema.get("type") == "array"):
        relaxed["type"] = [schema["type"], "null"]
        if "enum" in relaxed:
            relaxed["enum"] = [*relaxed["enum"], None]
    if nullable and "$ref" in relaxed:  # the server sends null for settings that were never made
        return {"anyOf": [relaxed, {"type": "null"}]}
    return relaxed
