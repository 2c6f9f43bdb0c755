"""Under real conditions: a key and a login link go through every failure and are seen nowhere on the way out.

Whoever reads `link` on purpose gets it; a log, a repr, a traceback or a pickle does not.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import logging
import os
import pickle
import socket
import ssl
import subprocess
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
from conditions import PATIENCE, PROJECT, Call, Outcome, Way, names
from programs import run
from sockets import RawServer, answer, answering, drip, endless, hang_up, refusing_url, reset, stall, truncated

from mailchannels import (
    AsyncMailChannels,
    BulkLoginLinkResult,
    ConfigurationError,
    InvalidInput,
    LoginLink,
    MailChannels,
    MailChannelsError,
)
from mailchannels.hybridbox import HybridBox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sockets import Behaviour

ACCOUNT: Final = "123e4567-e89b-12d3-a456-426614174000"
CANARY: Final = "c4n4ry"
KEY: Final = f"{CANARY}-key"
NEW_KEY: Final = f"{CANARY}-new-key"
LINK: Final = f"https://console.example/login?token={CANARY}-link"

pytestmark = pytest.mark.usefixtures("environment")

CALLS: Final[dict[str, Call]] = {
    "list": lambda client: client.domains.list(),
    "login link": lambda client: client.domains.create_login_link("a.example"),
    "login links": lambda client: client.domains.bulk_create_login_links(names(3)),
    "login links one by one": lambda client: client.domains.iter_bulk_create_login_links(iter(names(3))),
    "new key": lambda client: client.domains.update_api_key("a.example", NEW_KEY),
    "write": lambda client: client.domains.bulk_provision(names(3), subscription_handle="demo"),
}


def links(request: bytes) -> Any:
    """Answer with links wherever there can be one."""
    link = {"loginLink": LINK}
    if b"/batch" not in request.partition(b"\r\n")[0]:
        return link
    items = json.loads(request.partition(b"\r\n\r\n")[2])["domains"]
    return {"successes": [{"domain": item["domain"], "code": 200, **link} for item in items[:2]]}


def echoing(write: Callable[[str], Any], status: int, **headers: str) -> Behaviour:
    """Answer with the credentials that the request carried; of others a server cannot tell."""

    def behave(server: RawServer, connection: socket.socket) -> bool:
        request = server.latest[connection].decode()
        echo = " and ".join(key for key in (KEY, NEW_KEY) if f"{key}\r\n" in request or f'"{key}"' in request)
        return answer(write(f"not {echo}"), status=status, headers=headers)(server, connection)

    return behave


WITH_LINK: Final = json.dumps({"loginLink": LINK, "successes": [{"domain": "d0.example", "loginLink": LINK}]}).encode()


FAULTS: Final[dict[str, Behaviour]] = {
    "none": answering(links),
    "reset": reset(),
    "truncated": truncated(),
    "closed": hang_up(),
    "stall": stall(),
    "drip": drip(),
    "endless": endless(),
    "gzip bomb": answer(gzip.compress(WITH_LINK + bytes(3 * 2**20)), headers={"Content-Encoding": "gzip"}),
    "no gzip": answer(WITH_LINK, headers={"Content-Encoding": "gzip"}),
    "truncated body": answer(WITH_LINK, headers={"Content-Length": str(len(WITH_LINK) + 1)}, close=True),
    "truncated JSON": answer(WITH_LINK[:-2]),
    "HTML": answer(f"<a href='{LINK}'>{KEY}</a>".encode()),
    "invalid UTF-8": answer(WITH_LINK.replace(b"d0", b"\xff")),
    "wrong types": answer({"loginLink": [LINK], "successes": {"loginLink": LINK}, "domains": LINK, "total": KEY}),
    "missing fields": answer({"loginlink": LINK, "successes": [{"domain": "d0.example", "loginLink": LINK}]}),
    "a name that nobody asked for": answer({"successes": [{"domain": "x.example", "code": 200, "loginLink": LINK}]}),
    "nesting": answer(b"[" * 9_000 + json.dumps(LINK).encode() + b"]" * 9_000),
    "400 in JSON": echoing(lambda echo: {"message": echo, "errors": [echo, {"key": echo}]}, 400),
    "401 in HTML": echoing(lambda echo: f"<p>{echo}</p>".encode(), 401),
    "403 in other JSON": echoing(lambda echo: [{"key": echo}], 403),
    "403 cut off in the key": echoing(lambda echo: b"x" * (2_048 - 9) + echo.encode(), 403),
    "404": answer({"message": "no"}, status=404),
    "500": echoing(lambda echo: {"message": echo}, 500),
    "503": echoing(lambda echo: echo.encode(), 503),
    "503 for an hour": echoing(lambda echo: {"message": echo}, 503, **{"Retry-After": "3600"}),
}

ECHOED_IN_HEADERS: Final[dict[str, Behaviour]] = {
    "redirect": answer({}, status=307, headers={"Location": f"/?key={KEY}&link={LINK}"}),
    "request id": answer({}, status=400, headers={"X-Request-Id": KEY}),
    "cookie": answer({"message": "no"}, status=403, headers={"Set-Cookie": f"key={KEY}"}),
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Records of every logger at every level."""
    caplog.set_level(1)
    for name in ("mailchannels", "httpx", "httpcore", "anyio", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    return caplog


@pytest.fixture
def small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailchannels.bodies.MAX_BODY", 2**20)


def shown(outcome: Outcome) -> Iterator[str]:
    """Everything that a program shows of what came of a call without meaning to."""
    things: list[Any] = [outcome.value, outcome.error]
    for result in outcome.value if isinstance(outcome.value, list) else [outcome.value]:
        for item in [*getattr(result, "successes", []), *getattr(result, "errors", [])]:
            things += [item, item.error]
    for thing in things:
        yield f"{thing!r} {thing} {thing!s:>1}"
        if isinstance(thing, LoginLink):
            with pytest.raises(TypeError) as refused:
                pickle.dumps(thing)
            yield str(refused.value)
        else:
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                yield pickle.dumps(thing, protocol).decode("latin-1")
        if isinstance(thing, MailChannelsError):
            yield repr(vars(thing)) + repr(thing.args) + repr(copy.copy(thing))
            yield from tracebacks(thing)


def tracebacks(error: BaseException) -> Iterator[str]:
    """The text of a traceback with all that led to the error, and the local variables of our own functions in it."""
    yield "".join(traceback.format_exception(error))
    chain: BaseException | None = error
    while chain is not None:
        stack = traceback.TracebackException.from_exception(chain, capture_locals=True).stack
        yield from (str(frame.locals) for frame in stack if f"{os.sep}mailchannels{os.sep}" in frame.filename)
        yield repr(chain.args)
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)


def hold_that_nothing_shows_a_secret(outcomes: list[Outcome], records: list[logging.LogRecord]) -> None:
    assert outcomes
    assert not [text for outcome in outcomes for text in shown(outcome) if CANARY in text]
    assert not [record for record in records if CANARY in f"{record.getMessage()} {record.__dict__}"]


@pytest.mark.usefixtures("small_bodies", "waits")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_key_and_a_link_are_seen_nowhere_whatever_goes_wrong(
    fault: Behaviour, way: Way, logged: pytest.LogCaptureFixture
) -> None:
    with RawServer(fault) as server:
        outcomes = way.make(server.url, *CALLS.values(), api_key=KEY, timeout=0.15, max_retries=1)

    assert all(KEY.encode() in request for request in server.requests)
    assert any(record.name.startswith("httpcore") for record in logged.records)
    hold_that_nothing_shows_a_secret(outcomes, logged.records)


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("fault", ECHOED_IN_HEADERS.values(), ids=ECHOED_IN_HEADERS)
def test_a_key_that_the_server_sends_back_in_a_header_is_seen_nowhere_in_what_is_ours(
    fault: Behaviour, way: Way, logged: pytest.LogCaptureFixture
) -> None:
    with RawServer(fault) as server:
        outcomes = way.make(server.url, *CALLS.values(), api_key=KEY, max_retries=1)

    # httpcore writes down every header of an answer on the level DEBUG; SECURITY.md says so.
    ours = [record for record in logged.records if record.name.startswith(("mailchannels", "httpx"))]
    hold_that_nothing_shows_a_secret(outcomes, ours)


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize("trouble", ["refused", "DNS", "certificate", "queue"])
def test_a_key_is_seen_nowhere_where_nothing_is_sent(
    trouble: str,
    way: Way,
    tls: ssl.SSLContext,
    logged: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "name or service not known")

    settings: dict[str, Any] = {"api_key": KEY, "max_retries": 1}
    with RawServer(answer({}), tls=tls) as server, refusing_url() as nobody:
        url = {"refused": nobody, "DNS": "https://api.invalid", "certificate": server.url, "queue": nobody}[trouble]
        if trouble == "DNS":
            monkeypatch.setattr(socket, "getaddrinfo", fail)
        if trouble == "queue":
            settings |= {"rate_limit": 0.01, "queue_timeout": 0}
        # A bulk call would wait for its turns.
        calls = [
            call for name, call in CALLS.items() if trouble != "queue" or name in {"list", "login link", "new key"}
        ]
        outcomes = way.make(url, *calls, **settings)

    assert server.requests == []
    hold_that_nothing_shows_a_secret(outcomes, logged.records)


def test_a_key_is_seen_nowhere_in_a_client_open_or_closed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MAILCHANNELS_API_KEY", KEY)
    with MailChannels(KEY) as blocking:
        asynchronous = [AsyncMailChannels(KEY), AsyncMailChannels()]
        clients: list[object] = [*asynchronous, blocking]
        parts = [part for client in clients for part in (client, *vars(client).values())]
        parts += [part for client in asynchronous for part in vars(client._transport).values()]
        text = [form(part) for part in parts for form in (repr, str)]
        for client in clients:
            with pytest.raises(TypeError) as refused:
                pickle.dumps(client)
            text += tracebacks(refused.value)

    with pytest.raises(MailChannelsError) as closed:
        blocking.domains.list()
    text += tracebacks(closed.value)
    assert not [each for each in text if CANARY in each]


BAD_KEYS: Final = [f"{KEY}\n", f"{KEY} ", f"{KEY}\N{PILE OF POO}", f"\x00{KEY}"]


@pytest.mark.parametrize("bad", BAD_KEYS)
@pytest.mark.parametrize("make", [AsyncMailChannels, MailChannels, partial(HybridBox, ACCOUNT)])
def test_a_key_that_cannot_be_one_is_refused_without_being_quoted(make: Callable[[str], object], bad: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make(bad)

    assert CANARY not in "".join(tracebacks(refused.value))
    assert CANARY not in repr((refused.value, refused.value.args, vars(refused.value)))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"timeout": 0}, ConfigurationError),
        ({"rate_limit": -1}, ConfigurationError),
        ({"transport": "none"}, ConfigurationError),
        ({"base_url": "http://api.example"}, ConfigurationError),
        ({"time_out": 3}, TypeError),
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [AsyncMailChannels, MailChannels, partial(HybridBox, ACCOUNT)])
def test_a_key_is_seen_nowhere_where_another_argument_is_refused(
    make: Callable[..., object], wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        make(KEY, **wrong)

    assert CANARY not in "".join(tracebacks(refused.value))


@pytest.mark.parametrize("make", [AsyncMailChannels, MailChannels, partial(HybridBox, ACCOUNT)])
def test_a_key_is_seen_nowhere_where_ctrl_c_strikes_as_a_client_is_made(
    make: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailchannels.configuration.Connections", mock.Mock(side_effect=KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt) as struck:
        make(KEY)

    assert CANARY not in "".join(tracebacks(struck.value))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_key_is_seen_nowhere_where_a_forked_child_cannot_make_its_client() -> None:
    script = f"""
        import traceback
        client = MailChannels({KEY!r})
        if os.fork() == 0:
            os.environ["MAILCHANNELS_BASE_URL"] = "no address"
            try:
                client.domains.list()
            except Exception as error:
                ours = [frame for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
                values = [value for frame in ours for name, value in frame.f_locals.items() if name != "self"]
                print(type(error).__name__, len(ours) > 2, values, flush=True)
            os._exit(0)
        os.wait()
    """
    program = run(script, "http://127.0.0.1:9", "-W", "ignore::DeprecationWarning")

    assert program.stdout.startswith("ConfigurationError True")
    assert CANARY not in program.stdout


@pytest.mark.filterwarnings("error")
def test_a_new_key_is_seen_nowhere_where_a_warning_is_an_error() -> None:
    async def main() -> None:
        with MailChannels(KEY) as client:
            client.domains.update_api_key("a.example", NEW_KEY)

    with pytest.raises(RuntimeWarning) as raised:
        asyncio.run(main())

    assert CANARY not in "".join(tracebacks(raised.value))


@pytest.mark.parametrize(
    ("domain", "key"), [("a.example", bad.replace(KEY, NEW_KEY)) for bad in BAD_KEYS] + [("", KEY)]
)
def test_a_new_key_is_seen_nowhere_where_it_or_its_domain_is_refused(domain: str, key: str, way: Way) -> None:
    outcomes = way.make("http://127.0.0.1:9", lambda client: client.domains.update_api_key(domain, key))

    assert [type(outcome.error) for outcome in outcomes] == [InvalidInput] * way.users
    assert not [text for outcome in outcomes for text in shown(outcome) if CANARY in text]


def test_a_link_is_there_for_whoever_asks_for_it(way: Way) -> None:
    with RawServer(answering(links)) as server:
        outcomes = way.make(server.url, CALLS["login link"], CALLS["login links"])

    for outcome in outcomes:
        if isinstance(outcome.value, BulkLoginLinkResult):
            assert [item.login_link for item in outcome.value.successes] == [LINK, LINK]
            assert [item.domain for item in outcome.value.errors] == ["d2.example"]
        else:
            assert outcome.value.link == LINK


@pytest.mark.parametrize("fault", ["400 in JSON", "401 in HTML", "500", "HTML", "wrong types"])
@pytest.mark.parametrize("command", ["provision", "login-links"])
def test_a_key_and_a_link_are_seen_in_no_output_and_no_report_of_a_command(
    command: str, fault: str, tmp_path: Path
) -> None:
    rows, errors, output = tmp_path / "rows.csv", tmp_path / "errors.csv", tmp_path / "links.csv"
    rows.write_text("\n".join(["domain", *names(3)]) + "\n")
    options = {
        "provision": ["--subscription", "demo", "--errors", str(errors)],
        "login-links": ["--output", str(output), "--errors", str(errors)],
    }
    with RawServer(FAULTS[fault]) as server:
        program = subprocess.run(
            [sys.executable, "-m", "mailchannels", "domains", command, str(rows), *options[command]],
            cwd=PROJECT,
            env={**os.environ, "MAILCHANNELS_API_KEY": KEY, "MAILCHANNELS_BASE_URL": server.url, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert any(KEY.encode() in request for request in server.requests), program.stderr

    assert program.returncode != 0
    assert CANARY not in program.stdout + program.stderr
    written = [path.read_text() for path in tmp_path.iterdir()]
    assert not [text for text in written if CANARY in text]
