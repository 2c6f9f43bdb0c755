"""A simulator over a real socket, and the check of its answers against the vendor's document where that is at hand."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped,unused-ignore]
import pytest

from mailchannels.simulator import Simulator

BASE = "/inbound/v1"
SPECIFICATION = Path(__file__).resolve().parents[3] / "shared/spec/inbound-api.json"

Matches = Callable[[httpx.Response], None]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    with client_of(simulator) as client:
        yield client


def client_of(simulator: Simulator, key: str | None = None) -> httpx.Client:
    headers = {"X-API-Key": simulator.api_key if key is None else key}
    return httpx.Client(base_url=simulator.base_url + BASE, headers=headers, trust_env=False)


def provision(client: httpx.Client, name: str, handle: str = "demo", **sections: Any) -> httpx.Response:
    return client.post("/domains", json={"domain": name, "subscriptionHandle": handle, **sections})


def bulk(client: httpx.Client, *items: Any, handle: str = "demo", **query: str) -> httpx.Response:
    domains = [{"domain": item} if isinstance(item, str) else item for item in items]
    return client.post("/domains/batch", params={"subscriptionHandle": handle, **query}, json={"domains": domains})


@pytest.fixture
def matches_specification() -> Matches:
    """Check an answer against the schema that the document gives for its method, path and status, where it is here."""
    if not SPECIFICATION.exists():
        return lambda _: None
    document = json.loads(SPECIFICATION.read_text())
    definitions = {name: _schema(schema) for name, schema in document["definitions"].items()}
    # The document lists 201 for a bulk item, and the same operation's 200 for a single one that existed already.
    definitions["CommentedDomain"]["properties"]["code"]["enum"].append(200)

    def check(response: httpx.Response) -> None:
        path = response.request.url.raw_path.split(b"?")[0].decode().removeprefix(BASE)
        operation = _operation(document["paths"], path)[response.request.method.lower()]
        answer = operation["responses"][str(response.status_code)]
        if "schema" not in answer:
            assert response.content == b""
            return
        schema = {**_schema(answer["schema"]), "definitions": definitions}
        jsonschema.validate(response.json(), schema, jsonschema.Draft4Validator)

    return check


def _operation(paths: dict[str, Any], path: str) -> Any:
    if path in paths:
        return paths[path]
    for template, operations in paths.items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return operations
    raise AssertionError(f"{path} is not in the specification")


def _schema(node: Any) -> Any:
    """Make a Swagger schema one that JSON Schema understands.

    An array may be null: the vendor answers null for a list that was never set, although the document does not say so.
    A `$ref` stands alone in JSON Schema, its siblings are dropped.
    """
    if isinstance(node, list):
        return [_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    schema = {name: _schema(value) for name, value in node.items()}
    if schema.get("type") == "array" or schema.pop("x-nullable", False) is True:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema
