"""Starting and stopping: in a thread and as a process of its own."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import BASE, client_of


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
