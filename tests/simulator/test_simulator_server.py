"""Starting and stopping: in a thread and as a process of its own."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from unittest import mock

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mailchannels.simulator import Simulator
from mailchannels.simulator.listening import Server, bind
from mailchannels.simulator.mishaps import CONNECTION

from .conftest import BASE, client_of


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_without_its_extra_the_import_says_what_to_install(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import mailchannels.simulator"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert done.stderr.endswith('mailchannels.simulator needs more: pip install "mailchannels-sdk[simulator]"\n')


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::", ""])
def test_it_listens_on_loopback_only(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_it_listens_on_any_name_of_loopback(host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    with Simulator(host=host) as simulator, client_of(simulator) as client:
        assert client.get("/domains").status_code == 200


def test_it_has_no_address_before_it_runs() -> None:
    with pytest.raises(RuntimeError):
        _ = Simulator().base_url


def test_a_port_that_is_taken_is_an_error() -> None:
    with Simulator() as simulator:
        port = int(simulator.base_url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            Simulator(port=port).__enter__()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the thread's own end
def test_a_simulator_that_cannot_start_says_so_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = Simulator()

    with monkeypatch.context() as exhausted:
        error = OSError("Too many open files")
        exhausted.setattr("asyncio.base_events.BaseEventLoop.create_server", mock.AsyncMock(side_effect=error))
        with pytest.raises(RuntimeError, match="could not start"):
            simulator.__enter__()

    assert "mailchannels-simulator" not in [thread.name for thread in threading.enumerate()]
    with simulator, client_of(simulator) as client:
        assert client.get("/domains").status_code == 200


def test_breaking_off_a_connection_that_has_gone_leaves_the_others_alone() -> None:
    broken_off = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/leave":
            while (await receive())["type"] != "http.disconnect":
                pass
            scope[CONNECTION].reset()
            scope[CONNECTION].close()
            broken_off.set()
        else:
            await Response("here")(scope, receive, send)

    listener = bind("127.0.0.1", 0)
    server = Server(app)
    thread = threading.Thread(target=server.run_on, args=(listener,))
    thread.start()
    assert server.ready.wait(30)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", trust_env=False) as staying:
            assert staying.get("/").text == "here"
            with socket.create_connection(listener.getsockname()) as leaving:
                leaving.sendall(b"GET /leave HTTP/1.1\r\nHost: simulator\r\n\r\n")
            assert broken_off.wait(30)

            assert staying.get("/").text == "here"
            assert len(server.server_state.connections) == 1
    finally:
        server.stop()
        thread.join()


def test_leaving_frees_the_port_and_the_thread_even_with_open_connections() -> None:
    simulator = Simulator()
    with simulator, client_of(simulator) as client:
        port = int(simulator.base_url.rpartition(":")[2])
        assert client.get("/domains").status_code == 200
        simulator.__exit__(None, None, None)

        assert "mailchannels-simulator" not in [thread.name for thread in threading.enumerate()]
        with pytest.raises(httpx.TransportError):
            client.get("/domains")
    with Simulator(port=port) as again, client_of(again) as client:
        assert client.get("/domains").status_code == 200


def test_it_can_be_entered_again_but_not_twice_at_once() -> None:
    simulator = Simulator()
    for _ in range(2):
        with simulator, client_of(simulator) as client:
            assert client.get("/domains").status_code == 200
            with pytest.raises(RuntimeError):
                simulator.__enter__()


@pytest.mark.asyncio
async def test_delayed_requests_overlap_and_do_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with Simulator(latency=3600.0) as simulator:
        headers = {"X-API-Key": simulator.api_key}
        async with httpx.AsyncClient(base_url=simulator.base_url + BASE, headers=headers, trust_env=False) as client:
            calls = [asyncio.create_task(client.get("/domains", timeout=None)) for _ in range(50)]
            while simulator.requests < 50:  # noqa: ASYNC110 - the count is another thread's, nothing can be awaited
                await asyncio.sleep(0.001)
            assert not simulator.recent

            simulator.__exit__(None, None, None)
            results = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(result, httpx.TransportError) for result in results)
    assert caplog.records == []


def test_it_limits_the_rate_over_a_real_socket() -> None:
    with Simulator(rate_limit=1) as simulator, client_of(simulator) as client:
        statuses = set()
        for _ in range(1000):
            statuses.add(client.get("/domains").status_code)
            if statuses == {200, 503}:
                return
    pytest.fail(f"only {statuses} in a thousand requests")


def test_served_from_another_thread_it_leaves_signals_to_the_program() -> None:
    code = (
        "import json, queue, signal, sys, threading\n"
        "from types import SimpleNamespace\n"
        "from mailchannels.simulator import serve\n"
        "handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
        "lines, out = queue.SimpleQueue(), sys.stdout\n"
        "sys.stdout = SimpleNamespace(write=lines.put, flush=lambda: None)\n"
        "threading.Thread(target=serve, kwargs={'port': 0}, daemon=True).start()\n"
        "about = json.loads(lines.get(timeout=30))\n"
        "sys.stdout = out\n"
        "print(about['api_key'], handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stdout, done.stderr) == (0, "demo-key True\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_served_in_the_foreground_it_says_where_it_is_and_stops_quietly(number: signal.Signals) -> None:
    code = "from mailchannels.simulator import serve; serve(port=0, latency=0.0, rate_limit=None)"
    command = [sys.executable, "-W", "error", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        about = json.loads(process.stdout.readline())
        headers = {"X-API-Key": about["api_key"]}
        with httpx.Client(base_url=about["base_url"] + BASE, headers=headers, trust_env=False) as client:
            query = {"subscriptionHandle": about["subscription"]}
            body = {"domains": [{"domain": "example.com"}]}
            assert client.post("/domains/batch", params=query, json=body).status_code == 200
            process.send_signal(number)
            rest = process.communicate(timeout=30)

    assert set(about) == {"base_url", "api_key", "subscription", "hybridbox_account", "hybridbox_token"}
    assert (process.returncode, rest) == (0, ("", ""))


def test_it_imports_nothing_else_of_this_package() -> None:
    code = (
        "import sys, mailchannels; before = set(sys.modules); import mailchannels.simulator;"
        "print([n for n in set(sys.modules) - before"
        " if n.startswith('mailchannels') and not n.startswith('mailchannels.simulator')])"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert output.strip() == "[]"


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_faults_that_are_a_text_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"Faults.parse"):
        Simulator(faults="drop-after")  # type: ignore[arg-type]
