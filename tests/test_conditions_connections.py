"""Under real conditions: connections that do not come about, break, stall or lead elsewhere."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from conditions import Call, Way, bulk_provision, list_domains, provision, report
from contract import each_case
from contract.case import KEY
from sockets import (
    EMPTY_PAGE,
    RawServer,
    answer,
    falling_silent,
    hang_up,
    hesitating,
    refusing_url,
    reset,
    stall,
    truncated,
)

from mailchannels import (
    AsyncMailChannels,
    Conflict,
    ConnectError,
    ConnectionLost,
    ConnectionStalled,
    MailChannelsError,
    Outcome,
    RequestTimeout,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.case import Case
    from sockets import Behaviour

SILENCE = 1.5  # seconds, for what must have been sent, twice where it may be, before it times out

pytestmark = pytest.mark.usefixtures("environment")

breaking = pytest.mark.parametrize(
    "broken", [reset(), truncated(), hang_up()], ids=["reset", "truncated", "stalled and closed"]
)


# No address, no connection


@pytest.fixture(params=["DNS failure", "connection refused"])
def unreachable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address that no connection comes about to."""
    with refusing_url() as url:
        if request.param == "connection refused":
            yield url
        else:

            def fail(*_: object, **__: object) -> None:
                raise socket.gaierror(socket.EAI_NONAME, "name or service not known")

            monkeypatch.setattr(socket, "getaddrinfo", fail)
            yield "https://api.invalid"


@pytest.mark.parametrize("call", [list_domains, provision, report])
def test_where_no_connection_comes_about_it_is_tried_again_and_then_nothing_was_sent(
    call: Call, unreachable: str, way: Way, waits: list[float]
) -> None:
    outcomes = way.make(unreachable, call)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectError] * way.users
    assert [getattr(outcome.error, "maybe_applied", None) for outcome in outcomes] == [False] * way.users
    assert Counter(waits) == {0.5: way.users, 1.0: way.users, 2.0: way.users}


@each_case()
def test_every_method_tries_again_where_no_connection_comes_about(
    case: Case, unreachable: str, waits: list[float]
) -> None:
    async def main() -> MailChannelsError:
        async with AsyncMailChannels(KEY, base_url=unreachable, rate_limit=None) as client:
            return await failure_of(case, client)

    error = anyio.run(main)

    assert isinstance(error, ConnectError)
    assert error.maybe_applied is False
    assert waits[:3] == [0.5, 1.0, 2.0]


async def failure_of(case: Case, client: AsyncMailChannels) -> MailChannelsError:
    """What a call raises; for a bulk call, what its one item holds."""
    try:
        result = await case.value_of(client)
    except MailChannelsError as error:
        return error
    (result,) = result if isinstance(result, list) else [result]
    (item,) = result.errors
    assert item.outcome is Outcome.NOT_SENT
    assert isinstance(item.error, MailChannelsError)
    return item.error


# Certificates


@pytest.mark.parametrize("call", [list_domains, provision])
def test_a_certificate_that_cannot_be_verified_is_not_tried_again_and_the_message_names_the_way_out(
    call: Call, tls: ssl.SSLContext, way: Way, waits: list[float]
) -> None:
    with RawServer(answer(EMPTY_PAGE), tls=tls) as server:
        outcomes = way.make(server.url, call)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectError] * way.users
    assert all("set SSL_CERT_FILE to your own CA bundle" in str(outcome.error) for outcome in outcomes)
    assert all("transport=httpx.AsyncHTTPTransport(verify=...)" in str(outcome.error) for outcome in outcomes)
    assert server.connections == way.users
    assert server.requests == []
    assert waits == []


def test_a_certificate_named_by_ssl_cert_file_is_trusted(
    tls: ssl.SSLContext, certificate: Path, way: Way, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(certificate))

    with RawServer(answer(EMPTY_PAGE), tls=tls) as server:
        outcomes = way.make(server.url, list_domains)

    assert [outcome.value.total for outcome in outcomes] == [0] * way.users
    assert len(server.requests) == way.users


# Connections that break or stall


@breaking
def test_a_call_whose_answer_was_lost_is_repeated_on_another_connection(
    broken: Behaviour, way: Way, waits: list[float]
) -> None:
    with RawServer(*[broken] * way.users, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, max_retries=way.users)

    assert [outcome.value.total for outcome in outcomes] == [0] * way.users
    assert len(server.requests) == 2 * way.users
    assert server.connections >= way.users + 1


@breaking
@pytest.mark.parametrize("call", [list_domains, provision])
def test_a_connection_that_keeps_breaking_is_reported_as_maybe_applied(
    call: Call, broken: Behaviour, way: Way, waits: list[float]
) -> None:
    with RawServer(broken) as server:
        outcomes = way.make(server.url, call)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectionLost] * way.users
    assert all(getattr(outcome.error, "maybe_applied", None) is True for outcome in outcomes)
    assert len(server.requests) == 4 * way.users


@breaking
def test_a_call_that_must_not_be_repeated_is_not_where_its_answer_was_lost(
    broken: Behaviour, way: Way, waits: list[float]
) -> None:
    with RawServer(broken) as server:
        outcomes = way.make(server.url, report)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectionLost] * way.users
    assert all(getattr(outcome.error, "maybe_applied", None) is True for outcome in outcomes)
    assert len(server.requests) == way.users
    assert waits == []


@each_case()
def test_every_method_repeats_a_lost_answer_unless_it_must_not(case: Case, waits: list[float]) -> None:
    async def main(server: RawServer) -> None:
        async with AsyncMailChannels(KEY, base_url=server.url, rate_limit=None) as client:
            try:
                value = await case.value_of(client)
            except ConnectionLost as error:
                value = error.maybe_applied
        assert value == (case.value if case.repeatable else True)

    with RawServer(reset(), answer(case.answer.content, status=case.answer.status_code)) as server:
        anyio.run(main, server)

    assert len(server.requests) == (2 if case.repeatable else 1)
    assert len({request.partition(b"\r\n")[0] for request in server.requests}) == 1


def test_connections_whose_tls_handshake_is_met_with_silence_are_closed_as_the_call_fails(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with AsyncMailChannels(KEY, base_url=f"https://127.0.0.1:{server.port}", timeout=SILENCE) as client:
            with pytest.raises(RequestTimeout) as caught:
                await client.domains.list()
            await anyio.to_thread.run_sync(server.wait_until_all_are_closed)
            assert caught.value.maybe_applied is False  # kept until here, with all that its traceback holds

    with RawServer(stall()) as server:  # which never answers the greeting of TLS
        anyio.run(main, server, backend=backend)

    assert server.connections == 2


def test_a_call_that_is_met_with_silence_is_repeated_on_another_connection(way: Way) -> None:
    with RawServer(*[stall()] * way.users, answer({"domain": "a.example"})) as server:
        outcomes = way.make(server.url, provision, timeout=1.5, max_retries=way.users)

    assert [outcome.error for outcome in outcomes] == [None] * way.users
    assert len(server.requests) == 2 * way.users
    assert server.connections >= way.users + 1


def test_an_answer_that_falls_silent_halfway_is_asked_for_again(way: Way) -> None:
    with RawServer(*[falling_silent()] * way.users, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, timeout=1.5, max_retries=way.users)

    assert [outcome.error for outcome in outcomes] == [None] * way.users
    assert len(server.requests) == 2 * way.users


def test_a_refusal_after_silence_says_that_the_request_may_have_been_applied(way: Way) -> None:
    with RawServer(*[stall()] * way.users, answer({}, status=409)) as server:
        outcomes = way.make(server.url, provision, timeout=1.5, max_retries=way.users)

    assert [type(outcome.error) for outcome in outcomes] == [Conflict] * way.users
    assert all(getattr(outcome.error, "maybe_applied", None) is True for outcome in outcomes)


def test_a_server_that_takes_its_time_within_two_thirds_of_the_timeout_is_asked_once(way: Way) -> None:
    in_time = answer(EMPTY_PAGE)

    def slow(server: RawServer, connection: socket.socket) -> bool:
        server.stopped.wait(0.5)
        return in_time(server, connection)

    with RawServer(slow) as server:
        outcomes = way.make(server.url, list_domains, timeout=1.5)

    assert [outcome.value.total for outcome in outcomes] == [0] * way.users
    assert len(server.requests) == way.users


@pytest.mark.parametrize(
    ("before_head", "before_pieces"), [(1.2, [1.2]), (0.0, [1.2, 1.2])], ids=["head and body", "two pieces"]
)
def test_an_answer_that_comes_little_by_little_within_the_timeout_is_asked_for_once(
    before_head: float, before_pieces: list[float], way: Way
) -> None:
    with RawServer(hesitating(EMPTY_PAGE, before_head=before_head, before_pieces=before_pieces)) as server:
        outcomes = way.make(server.url, list_domains, timeout=3.0)

    assert [outcome.error for outcome in outcomes] == [None] * way.users
    assert len(server.requests) == way.users


@pytest.mark.parametrize("call", [list_domains, provision])
def test_a_server_that_keeps_silent_is_given_up_by_the_deadline_and_may_have_acted(call: Call, way: Way) -> None:
    with RawServer(stall()) as server:
        outcomes = way.make(server.url, call, timeout=SILENCE, max_retries=1)
        server.wait_for_hang_ups(2 * way.users)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectionStalled] * way.users
    assert all(getattr(outcome.error, "maybe_applied", None) is True for outcome in outcomes)
    assert len(server.requests) == 2 * way.users


def test_a_call_that_must_not_be_repeated_waits_for_its_answer_until_the_deadline(way: Way) -> None:
    with RawServer(stall()) as server:
        outcomes = way.make(server.url, report, timeout=SILENCE)
        server.wait_for_hang_ups(way.users)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectionStalled] * way.users
    assert all(getattr(outcome.error, "maybe_applied", None) is True for outcome in outcomes)
    assert all("timeout of 1.5 s" in str(outcome.error) for outcome in outcomes)
    assert len(server.requests) == way.users


@breaking
def test_a_batch_whose_answer_was_lost_for_good_is_unknown(broken: Behaviour, way: Way, waits: list[float]) -> None:
    with RawServer(broken) as server:
        outcomes = way.make(server.url, bulk_provision)

    items = [item for outcome in outcomes for item in outcome.value.errors]
    assert [item.outcome for item in items] == [Outcome.UNKNOWN] * 2 * way.users
    assert all(isinstance(item.error, ConnectionLost) for item in items)
    assert len(server.requests) == 4 * way.users


# Idle connections


def test_an_idle_connection_that_the_server_has_closed_is_replaced_unnoticed(way: Way, waits: list[float]) -> None:
    def once_all_are_closed(client: Any) -> Any:
        server.wait_until_all_are_closed()
        return list_domains(client)

    with RawServer(answer(EMPTY_PAGE, close=True)) as server:
        # It is noticed before anything is sent: no retry is needed, so that none may be made.
        outcomes = way.make(server.url, list_domains, once_all_are_closed, max_retries=0)

    assert [outcome.value.total for outcome in outcomes] == [0] * 2 * way.users
    assert len(server.requests) == server.connections == 2 * way.users
    assert waits == []


@pytest.mark.parametrize(
    ("gone", "timeout"), [(reset(), 30.0), (hang_up(), 30.0), (stall(), 1.5)], ids=["reset", "closed", "silent"]
)
def test_a_half_open_connection_costs_one_repeat_on_a_new_one(
    gone: Behaviour, timeout: float, way: Way, waits: list[float]
) -> None:
    """The server gives up the connection, or forgets it, at the moment at which the next request is under way."""
    served = [answer(EMPTY_PAGE)] * way.users
    with RawServer(*served, *[gone] * way.users, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, list_domains, timeout=timeout, max_retries=2 * way.users)

    assert [outcome.error for outcome in outcomes] == [None] * 2 * way.users
    assert [outcome.value.total for outcome in outcomes] == [0] * 2 * way.users
    assert len(server.requests) == 3 * way.users
    assert len(waits) == way.users


# Redirects


redirecting = pytest.mark.parametrize("status", [301, 302, 307, 308])


@redirecting
@pytest.mark.parametrize("call", [list_domains, provision])
def test_a_redirect_is_an_error_and_the_other_host_sees_no_request_and_so_no_key(
    status: int, call: Call, way: Way, waits: list[float]
) -> None:
    with RawServer(answer(EMPTY_PAGE)) as other:
        elsewhere = {"Location": f"{other.url}/inbound/v1/domains"}
        with RawServer(answer({}, status=status, headers=elsewhere)) as server:
            outcomes = way.make(server.url, call)

    assert [type(outcome.error) for outcome in outcomes] == [UnexpectedResponse] * way.users
    assert all("redirects are not followed" in str(outcome.error) for outcome in outcomes)
    assert len(server.requests) == way.users
    assert other.connections == 0


@redirecting
def test_a_redirect_from_https_to_plain_http_is_an_error_and_nothing_is_sent_in_the_clear(
    status: int, way: Way, tls: ssl.SSLContext, certificate: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("SSL_CERT_FILE", str(certificate))
    with RawServer(answer(EMPTY_PAGE)) as plain:
        downwards = answer({}, status=status, headers={"Location": f"{plain.url}/inbound/v1/domains"})
        with RawServer(downwards, tls=tls) as server:
            outcomes = way.make(server.url, list_domains)

    assert [type(outcome.error) for outcome in outcomes] == [UnexpectedResponse] * way.users
    assert len(server.requests) == way.users
    assert plain.connections == 0
