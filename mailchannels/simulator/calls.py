"""One authenticated call as a handler sees it, and the answers it may give.

It reads paths, queries and bodies and knows nothing of any endpoint; what cannot be read is refused with a 400.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson
from starlette.responses import Response
from starlette.types import Scope

from .checks import Json, Refused, canonical_name
from .records import Customer, Domain
from .state import State

MAX_INTEGER = 2**31 - 1
_INTEGER = re.compile("[0-9]{1,10}")


@dataclass(slots=True)
class Received:
    """A request that was read: its path segments (decoded once), query values and body."""

    path: dict[str, str]
    query: dict[str, list[str]]
    body: bytes

    def json(self) -> Json:
        """Read the body, which must be a JSON object."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Refused(400, "the body is not valid JSON", [str(error)]) from None
        if type(value) is not dict:
            raise Refused(400, "the body must be a JSON object")
        return value

    def text(self, name: str) -> str:
        """Read a query value that is required."""
        values = self.query.get(name)
        if not values or not values[-1]:
            raise Refused(400, f"the query parameter {name} is required")
        return values[-1]

    def flag(self, name: str, *, required: bool = False) -> bool:
        """Read a boolean query value; False when it is missing, unless it is required."""
        values = self.query.get(name)
        if values is None and not required:
            return False
        values = values or [""]
        if values[-1] not in ("true", "false"):
            raise Refused(400, f"the query parameter {name} must be true or false")
        return values[-1] == "true"

    def number(self, name: str, *, default: int, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        """Read an integer query value."""
        values = self.query.get(name)
        if values is None:
            return default
        digits = values[-1]
        if not (_INTEGER.fullmatch(digits) and minimum <= int(digits) <= maximum):
            raise Refused(400, f"the query parameter {name} must be an integer from {minimum} to {maximum}")
        return int(digits)


@dataclass(slots=True)
class Call(Received):
    """An authenticated call: who asks, and with which key."""

    state: State
    customer: Customer
    key: str
    bulk_downstream_keys: Sequence[str]

    def domain(self, *, foreign: int = 403) -> Domain:
        """Find the domain that the path names, if this key may reach it."""
        name = canonical_name(self.path["domain"])
        return self.state.reach(name, self.customer, self.key, foreign=foreign)

    def batch(self, maximum: int) -> list[Json]:
        """Read the items of a body such as `{"domains": [{"domain": ...}]}`, at most `maximum` of them."""
        items = self.json().get("domains")
        if type(items) is not list or not set(map(type, items)) <= {dict}:
            raise Refused(400, "domains must be a list of objects")
        if len(items) > maximum:
            raise Refused(400, f"domains must have at most {maximum} items, not {len(items)}")
        return items


Handler = Callable[[Call], Response]
Routes = tuple[tuple[str, str, Handler], ...]
"""Method, path below the base path, and handler; what a file of handlers offers to `app.py`."""


Answer = Callable[[Scope, bytes], Response]
"""What answers a request, given its scope and its body; a refusal is raised."""


def header(scope: Scope, name: bytes) -> str:
    """Read a header of a request; empty when it is missing."""
    value: bytes = next((value for each, value in scope["headers"] if each == name), b"")
    return value.decode("latin-1")


def path_segments(scope: Scope) -> dict[str, str]:
    """Read the segments of a path, decoded once."""
    return {name: unquote(segment) for name, segment in scope["path_params"].items()}


def query_values(scope: Scope) -> dict[str, list[str]]:
    """Read a query, with the values that are empty."""
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def reply(status: int, body: Any) -> Response:
    """Make an answer with a JSON body."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def no_content() -> Response:
    """Make an answer without a body."""
    return Response(status_code=204)
