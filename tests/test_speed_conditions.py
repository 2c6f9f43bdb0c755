"""By way of aiohttp, the cases that the clients pass without it: on the request path and under real conditions."""

from __future__ import annotations

from typing import Any

import anyio
import conditions
import httpx
import pytest
import test_conditions_answers
import test_conditions_cancellation
import test_conditions_connections
import test_request_path
from conditions import Way
from sockets import RawServer, answering

# Imported, they run again, here.
from test_conditions_answers import *  # noqa: F403
from test_conditions_cancellation import cancel_at_every_step, echo
from test_conditions_connections import *  # noqa: F403
from test_request_path import (  # noqa: F401
    test_a_bulk_call_waits_for_its_own_queue_however_short_the_queue_timeout,
    test_a_call_cancelled_while_it_waits_for_a_connection_takes_none,
    test_a_call_gives_what_the_server_answered,
    test_a_call_that_must_not_be_repeated_is_not,
    test_a_cancelled_call_leaves_the_pool_its_full_capacity,
    test_a_cancelled_task_leaves_the_pool_its_full_capacity,
    test_a_connection_in_use_while_the_client_is_closed_closes_after_its_answer,
    test_a_directory_of_certificates_that_is_missing_is_named,
    test_a_failure_that_was_read_to_its_end_keeps_the_connection,
    test_a_file_of_certificates_that_cannot_be_loaded_is_named,
    test_a_gzip_answer_is_read,
    test_a_proxy_of_https_that_refuses_is_told_neither_the_key_nor_quoted_with_its_password,
    test_a_proxy_that_cannot_be_used_is_an_error_of_ours,
    test_a_proxy_without_a_scheme_is_taken_for_http,
    test_calls_one_after_another_share_a_connection,
    test_closing_the_client_closes_its_connections,
    test_no_error_shows_the_key,
    test_no_local_variable_of_ours_shows_the_key_in_a_traceback,
    test_no_more_than_max_connections_are_open,
    test_no_proxy_is_honoured,
    test_queue_timeout_covers_the_wait_for_a_connection,
    test_the_proxy_of_the_environment_is_used,
)

from mailchannels import AsyncMailChannels, MailChannels

pytest.importorskip("aiohttp", reason="the extra `speed` is not installed")

from mailchannels.speed import AiohttpTransport

pytestmark = pytest.mark.usefixtures("environment", "on_aiohttp")


@pytest.fixture
def on_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client of these cases sends through aiohttp, and none through httpx."""

    def open_async(*args: Any, **options: Any) -> AsyncMailChannels:
        return AsyncMailChannels(*args, transport=AiohttpTransport(), **options)

    def open_blocking(*args: Any, **options: Any) -> MailChannels:
        return MailChannels(*args, transport=AiohttpTransport(), **options)

    monkeypatch.setattr(conditions, "MailChannels", open_blocking)
    for module in (
        conditions,
        test_conditions_answers,
        test_conditions_cancellation,
        test_conditions_connections,
        test_request_path,
    ):
        monkeypatch.setattr(module, "AsyncMailChannels", open_async)
    monkeypatch.delattr(httpx, "AsyncHTTPTransport")


@pytest.fixture(params=["asyncio", "blocking", "threads"])
def way(request: pytest.FixtureRequest) -> Way:
    """Every way of using a client but trio."""
    return Way(request.param)


@pytest.fixture(params=["asyncio", "uvloop"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both event loops of asyncio."""
    if request.param == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="there is no uvloop for this system")
        run = anyio.run

        def run_on_uvloop(*args: Any, backend: str = "asyncio") -> Any:
            return run(*args, backend=backend, backend_options={"loop_factory": uvloop.new_event_loop})

        monkeypatch.setattr(anyio, "run", run_on_uvloop)
    return "asyncio"


@pytest.mark.parametrize("kind", ["task", "scope"])
def test_a_call_may_be_cancelled_at_every_await(kind: str) -> None:
    async def call(client: AsyncMailChannels) -> object:
        return await client.domains.list(limit=7)

    with RawServer(answering(echo)) as server:
        assert cancel_at_every_step("asyncio", kind, server, call) > 2


@pytest.mark.parametrize("kind", ["task", "scope"])
def test_a_bulk_stream_may_be_cancelled_at_every_await(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    test_conditions_cancellation.test_a_bulk_stream_may_be_cancelled_at_every_await_of_all_its_tasks(
        "asyncio", kind, monkeypatch
    )
