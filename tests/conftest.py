"""What all tests share: a simulator on a free port, clients for it, and the specification as a silent judge."""

from __future__ import annotations

import random
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import httpcore
import httpx
import pytest
import pytest_asyncio
import respx
import specification
from conditions import PATIENCE, Way, loop_threads
from contract.case import KEY

from mailchannels import AsyncMailChannels, Domain, MailChannels
from mailchannels.direct import DirectTransport
from mailchannels.lines import Lines
from mailchannels.network import Network
from mailchannels.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

HERE = "http://127.0.0.1:9"  # nothing listens there: what respx does not answer fails


def refilled(names: Iterable[str]) -> Iterator[Domain]:
    """Give one domain again and again, each time another; the first has an empty list that is filled for the others."""
    domain = Domain("", admins=[])
    assert domain.admins is not None
    for number, name in enumerate(names):
        domain.domain = name
        domain.admins[:] = [f"owner@{name}"] * (number > 0)
        yield domain


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Hold each request against the specification, whoever answers it, and each answer of the simulator."""
    seen: set[tuple[str, str]] = set()
    if not specification.PATH.exists():
        return seen
    handle_blocking = httpcore.HTTPConnection.handle_request
    kinds: list[type[httpx.AsyncBaseTransport]] = [DirectTransport, httpx.AsyncHTTPTransport]
    handlers = {kind: kind.handle_async_request for kind in kinds}

    async def judge(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
        handle = handlers[type(transport)]
        if not request.url.path.startswith(specification.ROOT):
            return await handle(transport, request)
        seen.add(specification.judge_request(request, request.content))
        response = await handle(transport, request)
        if response.headers.get("server") == "mailchannels-simulator":
            specification.judge_answer(request, response.status_code, await response.aread())
        return response

    # Under this name respx finds it.
    def handle_request(connection: httpcore.HTTPConnection, request: httpcore.Request) -> httpcore.Response:
        ours = isinstance(connection._network_backend, Network)
        if not ours or not request.url.target.startswith(specification.ROOT.encode()):
            return handle_blocking(connection, request)
        assert isinstance(request.stream, Iterable)
        pieces = [*request.stream]
        request.stream = iter(pieces)
        url = httpx.URL(scheme="http", host=request.url.host.decode(), raw_path=request.url.target)
        same = httpx.Request(request.method.decode(), url, headers=request.headers)
        seen.add(specification.judge_request(same, b"".join(pieces)))
        response = handle_blocking(connection, request)
        if httpx.Headers(response.headers).get("server") == "mailchannels-simulator":
            specification.judge_answer(same, response.status, response.read())
            response.close()
            return httpcore.Response(response.status, headers=response.headers, content=response.content)
        return response

    for kind in kinds:
        monkeypatch.setattr(kind, "handle_async_request", judge)
    monkeypatch.setattr(httpcore.HTTPConnection, "handle_request", handle_request)
    return seen


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that says nothing of keys, addresses or proxies."""
    for name in ("MAILCHANNELS_API_KEY", "MAILCHANNELS_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator with one customer, key `demo-key` and subscription `demo`."""
    with Simulator() as running:
        yield running


@pytest_asyncio.fixture
async def client(simulator: Simulator) -> AsyncIterator[AsyncMailChannels]:
    """An async client for the simulator, unpaced."""
    async with AsyncMailChannels(simulator.api_key, base_url=simulator.base_url, rate_limit=None) as opened:
        yield opened


@pytest.fixture
def blocking_client(simulator: Simulator) -> Iterator[MailChannels]:
    """A blocking client for the simulator, unpaced."""
    with MailChannels(simulator.api_key, base_url=simulator.base_url, rate_limit=None) as opened:
        yield opened


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """The event loops that the core cases run on, by way of `anyio.run`."""
    name: str = request.param
    return name


@pytest.fixture(params=["asyncio", "uvloop"])
def each_event_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loops that blocking clients run on: asyncio's own, and uvloop's where that is installed."""
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    else:
        pytest.importorskip("uvloop", reason="there is no uvloop for this system")


@pytest.fixture
def api(environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.Route]:
    """Answers whatever is sent; every test says with what. Repeats are sent without a pause."""
    monkeypatch.setattr("mailchannels.transport.back_off", lambda _: 0.0)
    with respx.mock(assert_all_called=False) as router:
        yield router.route()


@pytest_asyncio.fixture
async def once(api: respx.Route) -> AsyncIterator[AsyncMailChannels]:
    """A client for `api` that repeats nothing."""
    async with AsyncMailChannels(KEY, base_url=HERE, rate_limit=None, max_retries=0) as opened:
        yield opened


@pytest_asyncio.fixture
async def repeating(api: respx.Route) -> AsyncIterator[AsyncMailChannels]:
    """A client for `api` that repeats what may be repeated."""
    async with AsyncMailChannels(KEY, base_url=HERE, rate_limit=None) as opened:
        yield opened


@pytest.fixture(params=["asyncio", "trio", "blocking", "threads"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Every way of using a client; a blocking one runs on uvloop, where there is one, unless threads share it."""
    if request.param == "threads":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    return Way(request.param)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the waits of the request path instead of waiting; a drawn wait is the longest that could be drawn."""
    recorded: list[float] = []

    async def sleep(seconds: float) -> None:
        recorded.append(seconds)
        await anyio.lowlevel.checkpoint()

    async def sleep_blocking(_: Lines, seconds: float) -> None:
        recorded.append(seconds)

    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(Lines, "sleep", sleep_blocking)
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    return recorded


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_name("both.pem.crt").read_bytes())
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """What a server needs to show that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Hold that a test ends the threads of its blocking clients."""
    yield
    for thread in loop_threads():
        thread.join(PATIENCE)
    assert loop_threads() == []
