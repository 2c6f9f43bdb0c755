"""Under real conditions: Ctrl-C in a blocking call, in a bulk iteration, and in a program."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from contextlib import closing
from textwrap import dedent
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

import pytest
from conditions import DOMAIN, PATIENCE, PROJECT, blocking_client_for, list_on_event_loop, names, tasks_of
from programs import without_uvloop
from sockets import EMPTY_PAGE, RawServer, answer, stall

from mailchannels.event_loop import EventLoop

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from mailchannels import MailChannels

PAGE = {"successes": [{"domain": {"domain": name}, "code": 201} for name in names(1_000)], "errors": []}

pytestmark = [
    pytest.mark.usefixtures("environment", "each_event_loop", "no_thread_is_left"),
    pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signal can be sent to a thread here"),
]


class CtrlC:
    """Presses Ctrl-C in the main thread once something has happened, and holds that it takes effect in half a second.

    What a call takes beforehand says how busy the machine is.
    """

    def __init__(self, client: MailChannels, is_time: Callable[[], None]) -> None:
        started = monotonic()
        for _ in range(3):
            tasks_of(client)
        self._patience = 0.5 + 2 * (monotonic() - started)
        self._pressed = 0.0
        self._is_time = is_time
        self._thread = threading.Thread(target=self._press, daemon=True)

    def _press(self) -> None:
        self._is_time()
        main = threading.main_thread().ident
        assert main is not None
        self._pressed = monotonic()
        signal.pthread_kill(main, signal.SIGINT)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        took = monotonic() - self._pressed
        self._thread.join(PATIENCE)
        assert kind is KeyboardInterrupt
        assert took < self._patience
        return True


def test_ctrl_c_cancels_a_call_within_half_a_second_and_the_client_works_on() -> None:
    with RawServer(stall(), answer(EMPTY_PAGE)) as server, blocking_client_for(server.url) as client:
        with CtrlC(client, lambda: server.wait_for_requests(1)):
            client.domains.provision(DOMAIN)

        server.wait_for_hang_ups(1)
        assert client.domains.list().total == 0
        assert server.lines == ["POST /inbound/v1/domains HTTP/1.1", "GET /inbound/v1/domains HTTP/1.1"]


@pytest.mark.parametrize("is_sent", [False, True], ids=["before", "after"])
def test_ctrl_c_just_before_or_after_a_call_is_handed_over_stops_it_and_the_client_works_on(
    is_sent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake = EventLoop._wake

    def interrupted(event_loop: EventLoop, function: Callable[[], None]) -> bool:
        monkeypatch.setattr(EventLoop, "_wake", wake)
        if is_sent:
            wake(event_loop, function)
        raise KeyboardInterrupt

    async def count() -> int:
        return len(asyncio.all_tasks())  # without waiting until they have come to rest

    with RawServer(answer(EMPTY_PAGE), stall()) as server, blocking_client_for(server.url) as client:
        list_on_event_loop(client)
        before = client._calls.make_on_event_loop(count)
        monkeypatch.setattr(EventLoop, "_wake", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.domains.bulk_provision(["a.example"], subscription_handle="demo")

        assert client._calls.make_on_event_loop(count) == before
        assert is_sent or len(server.requests) == 1  # once sent, it may have left before it was stopped


def test_ctrl_c_during_a_back_off_sends_no_retry() -> None:
    busy = answer(status=503, headers={"Retry-After": "20"})
    with RawServer(busy, answer(EMPTY_PAGE)) as server, blocking_client_for(server.url) as client:
        before = tasks_of(client)
        with CtrlC(client, lambda: server.wait_for_requests(1)):
            client.domains.list()

        assert tasks_of(client) == before
        assert len(server.requests) == 1
        assert client.domains.list().total == 0


@pytest.mark.parametrize("lend", [list, iter], ids=["collection", "iterator"])
def test_ctrl_c_during_a_bulk_iteration_stops_it_within_half_a_second_and_the_client_works_on(
    lend: Callable[[list[str]], Any],
) -> None:
    with RawServer(stall(), answer(EMPTY_PAGE)) as server, blocking_client_for(server.url) as client:
        before = tasks_of(client)
        inputs = lend(names(9_000))
        with CtrlC(client, lambda: server.wait_for_requests(1)):
            for _ in client.domains.iter_bulk_provision(inputs, subscription_handle="demo", concurrency=1):
                pass

        server.wait_for_hang_ups(1)
        assert tasks_of(client) == before
        assert client.domains.list().total == 0
        assert len(server.requests) == 2


def test_ctrl_c_during_a_bulk_call_stops_it_within_half_a_second_and_the_client_works_on() -> None:
    with RawServer(stall(), stall(), answer(EMPTY_PAGE)) as server, blocking_client_for(server.url) as client:
        before = tasks_of(client)
        with CtrlC(client, lambda: server.wait_for_requests(2)):
            client.domains.bulk_provision(iter(names(9_000)), subscription_handle="demo", concurrency=2)

        server.wait_for_hang_ups(2)
        assert tasks_of(client) == before
        assert len(server.requests) == 2
        assert client.domains.list().total == 0


def test_ctrl_c_in_the_body_of_a_loop_stops_the_job_too() -> None:
    with RawServer(answer(PAGE), stall()) as server, blocking_client_for(server.url) as client:
        before = tasks_of(client)
        results = client.domains.iter_bulk_provision(names(9_000), subscription_handle="demo", concurrency=1)
        with pytest.raises(KeyboardInterrupt), closing(results):  # noqa: PT012  # the loop is what is interrupted
            for _ in results:
                server.wait_for_requests(2)
                signal.raise_signal(signal.SIGINT)

        server.wait_for_hang_ups(1)
        assert tasks_of(client) == before


def test_ctrl_c_ends_a_program() -> None:
    with RawServer(stall()) as server:
        script = f"""
        from mailchannels import MailChannels
        MailChannels("demo-key", base_url={server.url!r}).domains.list()
        """
        program = subprocess.Popen(
            [sys.executable, "-c", without_uvloop() + dedent(script)], cwd=PROJECT, stderr=subprocess.PIPE, text=True
        )
        server.wait_for_requests(1)
        program.send_signal(signal.SIGINT)
        _, printed = program.communicate(timeout=PATIENCE)

    assert program.returncode in {-signal.SIGINT, 130}
    assert printed.endswith("KeyboardInterrupt\n")
    assert len(server.requests) == 1
