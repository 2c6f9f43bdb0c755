"""How a fault is carried out on a request: what is sent instead of the answer, or done to it and its connection.

It knows ASGI and what a server can do to a connection, and nothing of the API. Which request meets which fault is
decided in `faults.py`.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Protocol

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .faults import Fault

CONNECTION = "mailchannels.connection"
"""The key of a scope under which a server offers the `Connection` of a request."""

_TOO_BUSY = b"<html><head><title>503</title></head><body><h1>Too busy, try again</h1></body></html>\n"
_NOT_FOR_PROGRAMS = b"<html><head><title>Welcome</title></head><body><h1>Please log in</h1></body></html>\n"


class Connection(Protocol):
    """What a server can do to the connection that a request came by."""

    def reset(self) -> None:
        """Break it off at once."""

    def close(self) -> None:
        """Close it, once all that was sent is on its way."""

    def close_if_idle(self) -> None:
        """Close it unless a request is under way."""


def too_busy() -> Response:
    """Make the 503 of a front proxy, which does not speak JSON."""
    return Response(_TOO_BUSY, 503, media_type="text/html")


async def instead(fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
    """Do what is done instead of applying a request; False when the fault is of the other kind."""
    match fault.kind:
        case "drop-before":
            await _reset(scope, receive)
        case "status":
            await _named(_with_status(int(fault.value or 0)), fault)(scope, receive, send)
        case "redirect":
            answer = Response(status_code=307, headers={"location": fault.value or ""})
            await _named(answer, fault)(scope, receive, send)
        case _:
            return False
    return True


async def answer(fault: Fault, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that was applied, in the way the fault has it."""
    body = bytes(response.body)
    match fault.kind:
        case "truncate" if body:
            await _send_start(_named(response, fault), send)
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            _connection(scope).close()
            await _gone(receive)
        case "drop-after" | "truncate":
            await _reset(scope, receive)
        case "drip":
            await _drip(fault.interval, _named(response, fault), receive, send)
        case "stall":
            await _gone(receive)
        case "garbage":
            await _named(_garbage(fault.value, response, body), fault)(scope, receive, send)
        case _:
            connection = _connection(scope)
            await response(scope, receive, send)
            asyncio.get_running_loop().call_later(fault.after, connection.close_if_idle)


def _connection(scope: Scope) -> Connection:
    if CONNECTION not in scope:
        raise RuntimeError("this fault needs a connection: run a Simulator, not the bare application")
    connection: Connection = scope[CONNECTION]
    return connection


async def _reset(scope: Scope, receive: Receive) -> None:
    _connection(scope).reset()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    # To return earlier would be to leave the request to the server, which answers it with a 500. The request has been
    # read to its end, so the end of the connection is all that can come.
    await receive()


async def _drip(interval: float, response: Response, receive: Receive, send: Send) -> None:
    await _send_start(response, send)
    for byte in bytes(response.body):
        await send({"type": "http.response.body", "body": bytes((byte,)), "more_body": True})
        try:
            async with asyncio.timeout(interval):
                await _gone(receive)
        except TimeoutError:
            continue
        return
    await send({"type": "http.response.body"})


async def _send_start(response: Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})


def _named(response: Response, fault: Fault) -> Response:
    """Let an answer that is not as the API would give it say so."""
    response.headers["server"] = f"mailchannels-simulator ({fault.kind})"
    return response


def _with_status(status: int) -> Response:
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return too_busy()
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return Response(status_code=status)
    body = {"code": status, "message": "a fault of the simulator asked for this answer", "errors": []}
    return Response(orjson.dumps(body), status, media_type="application/json")


def _garbage(kind: str | None, response: Response, body: bytes) -> Response:
    status = response.status_code if body else 200
    match kind:
        case "html":
            return Response(_NOT_FOR_PROGRAMS, 200, media_type="text/html")
        case "types":
            spoilt = orjson.dumps(
                _other_type(orjson.loads(body) if response.media_type == "application/json" else None)
            )
        case "utf8":
            spoilt = body.replace(b'":"', b'":"\xff', 1) if b'":"' in body else b'"\xff"'
        case _:
            spoilt = b"this is not JSON"
    return Response(spoilt, status, media_type="application/json")


def _other_type(value: Any) -> Any:
    """Keep the outermost keys, so that it looks right at first, and give each value below them another type."""
    match value:
        case dict() if value:
            return {name: _other_type(each) for name, each in value.items()}
        case list() if value:
            return [_other_type(each) for each in value]
        case str():
            return len(value)
        case None:
            return "null"
        case bool() | int() | float():
            return str(value)
        case _:
            return 0
