"""A server that answers at once with what was prepared before: it must never be what is measured.

It checks nothing, keeps nothing and imports nothing of the package. It prints its address and runs until its standard
input ends, so that it never outlives the program that started it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import uvicorn

from . import workloads

Event: TypeAlias = MutableMapping[str, Any]

_HANDLE: Final = b"subscriptionHandle="
_NAME: Final = b'{"domain":"'


class Answers:
    """An ASGI application: a look-up by path, and for a stream some text replaced."""

    def __init__(self) -> None:
        page = {"domains": [workloads.full_domain(i) for i in range(workloads.PAGE)], "total": workloads.PAGE}
        self._pages = {
            f"{workloads.ROOT}/domains/{workloads.name(0)}/login-link": _json({"loginLink": workloads.LINK}),
            f"{workloads.ROOT}/domains": _json(page),
        }
        self._provisioned = _json({**workloads.full_domain(0), "subscriptionHandle": "single"})
        self._batches: dict[bytes, bytes] = {}
        # The peer is written in another language and fetches what it is to send.
        for workload in ("batch-full", "batch-names"):
            domains = workloads.batch_domains(workload)
            self._batches[workload.encode()] = _json(
                {"successes": [{"code": 201, "domain": domain} for domain in domains], "errors": []}
            )
            self._pages[f"/{workload}"] = _json(domains)

    async def __call__(
        self,
        scope: Event,
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        status, body = 200, b""
        if scope["method"] == "GET":
            body = self._pages[scope["path"]]
        else:
            asked = await _read(receive)
            handle = scope["query_string"].partition(_HANDLE)[2].partition(b"&")[0]
            if not handle:
                status, body = 201, self._provisioned
            else:
                body = self._batches.get(handle) or _echo(asked)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _read(receive: Callable[[], Awaitable[Event]]) -> bytes:
    parts = []
    more = True
    while more:
        event = await receive()
        parts.append(event["body"])
        more = event["more_body"]
    return b"".join(parts)


def _echo(asked: bytes) -> bytes:
    """Answer names with names; only a contender that writes JSON with spaces in it has them parsed."""
    if asked.startswith(b'{"domains":[' + _NAME):
        items = asked.removeprefix(b'{"domains":').removesuffix(b"}")
        items = items.replace(_NAME, b'{"code":201,"domain":' + _NAME).replace(b'"}', b'"}}')
        return b'{"successes":' + items + b',"errors":[]}'
    domains = json.loads(asked)["domains"]
    return _json({"successes": [{"code": 201, "domain": domain} for domain in domains], "errors": []})


def _json(document: workloads.Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _end_with_the_program() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve on a free loopback port, which the first line of the output names."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    threading.Thread(target=_end_with_the_program, daemon=True).start()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        Answers(), lifespan="off", ws="none", access_log=False, log_level="warning", timeout_keep_alive=600
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
