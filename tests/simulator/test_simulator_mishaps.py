"""What a client sees of a fault, and what the API made of the request meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from mailchannels.simulator import Faults, Simulator, State, create_app

from .conftest import BASE, bulk, client_of, provision

PATIENCE = 20.0
DOMAINS = ("POST", f"{BASE}/domains")


@contextmanager
def faulty(specification: str) -> Iterator[tuple[Simulator, httpx.Client]]:
    with Simulator(faults=Faults.parse(specification)) as simulator, client_of(simulator) as client:
        yield simulator, client


@contextmanager
def connected(simulator: Simulator) -> Iterator[socket.socket]:
    url = httpx.URL(simulator.base_url)
    with socket.create_connection((url.host, url.port or 0), PATIENCE) as connection:
        yield connection


def ask(connection: socket.socket, path: str = "/domains") -> None:
    request = f"GET {BASE}{path} HTTP/1.1\r\nHost: simulator\r\nX-API-Key: demo-key\r\n\r\n"
    connection.sendall(request.encode())


def read_answer(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"}"):
        received += connection.recv(65_536)
    return received


# Broken connections


@pytest.mark.parametrize(("fault", "applied"), [("drop-before", 0), ("drop-after", 1)])
def test_the_connection_is_reset_before_or_after_the_request_is_applied(fault: str, applied: int) -> None:
    with faulty(f"{fault}:first=1") as (simulator, client):
        with pytest.raises(httpx.ReadError) as caught:
            provision(client, "example.com")

        assert "reset" in str(caught.value).lower()
        assert simulator.state.domain_count() == applied
        assert (simulator.seen[DOMAINS], simulator.applied[DOMAINS]) == (1, applied)
        assert not simulator.recent
        assert provision(client, "example.com").status_code == (200 if applied else 201)


def test_only_the_connection_of_the_request_is_reset() -> None:
    with faulty("drop-before:every=21") as (simulator, _), ExitStack() as stack:
        connections = [stack.enter_context(connected(simulator)) for _ in range(20)]
        for connection in connections:
            ask(connection)
            read_answer(connection)
        unlucky = connections.pop(11)
        ask(unlucky)

        with pytest.raises(ConnectionResetError):
            unlucky.recv(1)
        for connection in connections:
            ask(connection)
            assert read_answer(connection).startswith(b"HTTP/1.1 200")


def test_an_answer_ends_in_the_middle_of_its_body() -> None:
    with faulty("truncate:first=1") as (simulator, client):
        with pytest.raises(httpx.RemoteProtocolError, match="complete"):
            provision(client, "example.com")

        assert simulator.applied[DOMAINS] == 1
        assert provision(client, "example.com").status_code == 200


def test_half_an_answer_arrives_before_the_connection_ends() -> None:
    with faulty("truncate") as (simulator, _), connected(simulator) as connection:
        ask(connection)
        received = b""
        while piece := connection.recv(65_536):
            received += piece

    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length: 24" in head.lower()
    assert body == b'{"domains":['


def test_an_answer_without_a_body_is_lost_when_it_is_cut_short() -> None:
    with faulty("truncate:method=DELETE") as (simulator, client):
        provision(client, "example.com")

        with pytest.raises(httpx.ReadError):
            client.delete("/domains/example.com")

        assert simulator.state.domain_count() == 0


def test_an_idle_connection_is_closed_after_the_answer() -> None:
    with faulty("drop-idle:first=1") as (simulator, _), connected(simulator) as connection:
        ask(connection)
        answer = read_answer(connection)

        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" not in answer.lower()
        assert connection.recv(1) == b""


def test_a_connection_with_a_request_under_way_is_not_idle() -> None:
    with faulty("drop-idle:after=0.05,first=1;stall") as (simulator, _), connected(simulator) as connection:
        ask(connection)
        read_answer(connection)
        ask(connection)
        connection.settimeout(0.3)

        with pytest.raises(TimeoutError):
            connection.recv(1)


# Slow answers


def test_a_body_drips_byte_by_byte() -> None:
    with faulty("drip:interval=3600") as (simulator, client):
        with client.stream("GET", "/domains") as response:
            first = next(response.iter_raw())

        assert (response.status_code, first) == (200, b"{")
        assert response.headers["content-length"] == "24"
        with client_of(simulator) as again, again.stream("GET", "/domains") as response:
            assert next(response.iter_raw()) == b"{"


def test_a_body_that_drips_is_whole_in_the_end() -> None:
    with faulty("drip:interval=0.0001") as (_, client):
        assert client.get("/domains").json() == {"domains": [], "total": 0}
        assert client.get("/status").content == b""


def test_an_answer_that_stalls_was_applied() -> None:
    with faulty("stall:first=1") as (simulator, client):
        with pytest.raises(httpx.ReadTimeout):
            client.post("/domains", json={"domain": "example.com", "subscriptionHandle": "demo"}, timeout=0.3)

        assert simulator.applied[DOMAINS] == 1
        assert client.get("/domains").json()["total"] == 1


# Wrong answers


def test_an_answer_may_be_no_json() -> None:
    with faulty("garbage=text") as (simulator, client):
        response = provision(client, "example.com")

        assert (response.status_code, response.headers["content-type"]) == (201, "application/json")
        with pytest.raises(ValueError, match="Expecting value"):
            response.json()
        assert simulator.state.domain_count() == 1


def test_an_answer_may_be_a_page() -> None:
    with faulty("garbage=html") as (_, client):
        response = provision(client, "example.com")

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.text.startswith("<html>")


def test_an_answer_may_have_a_wrong_type_in_every_place() -> None:
    with faulty("garbage=types") as (_, client):
        response = bulk(client, "example.com")

    assert response.status_code == 200
    assert response.json()["errors"] == 0
    (item,) = response.json()["successes"]
    assert (item["code"], item["comment"]) == ("201", len("created"))
    assert (item["domain"]["domain"], item["domain"]["admins"]) == (len("example.com"), "null")


def test_an_answer_may_not_be_utf_8() -> None:
    with faulty("garbage=utf8") as (_, client):
        response = provision(client, "example.com")

    assert response.status_code == 201
    with pytest.raises(UnicodeDecodeError):
        response.content.decode()
    assert response.content.replace(b"\xff", b"").startswith(b'{"domain":"example.com"')


@pytest.mark.parametrize("kind", ["text", "html", "types", "utf8"])
def test_even_an_answer_without_a_body_may_become_garbage(kind: str) -> None:
    with faulty(f"garbage={kind}") as (_, client):
        response = client.delete("/lists/safelist?item=a.com")

    assert response.status_code == 200
    assert response.content


@pytest.mark.parametrize("status", [200, 204, 304, 400, 429, 500, 599])
def test_an_answer_may_have_any_status_and_then_nothing_was_applied(status: int) -> None:
    with faulty(f"status={status}:first=1") as (simulator, client):
        response = provision(client, "example.com")

        assert response.status_code == status
        assert response.content == b"" if status in {204, 304} else response.json()["code"] == status
        assert (simulator.seen[DOMAINS], simulator.applied[DOMAINS]) == (1, 0)
        assert provision(client, "example.com").status_code == 201


def test_a_503_is_the_page_of_a_front_proxy() -> None:
    with faulty("status=503") as (_, client):
        response = client.get("/domains")

    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.asyncio
async def test_the_service_is_away_for_a_while() -> None:
    clock = iter((100.0, 109.0, 110.0)).__next__
    transport = httpx.ASGITransport(create_app(State(), faults=Faults.parse("status=503:for=10"), clock=clock))
    headers = {"X-API-Key": "demo-key"}

    async with httpx.AsyncClient(transport=transport, base_url=f"http://simulator{BASE}", headers=headers) as client:
        statuses = [(await client.get("/domains")).status_code for _ in range(3)]

    assert statuses == [503, 503, 200]


def test_a_request_is_sent_elsewhere() -> None:
    with Simulator() as elsewhere, faulty(f"redirect={elsewhere.base_url}/x") as (simulator, client):
        response = provision(client, "example.com")

        assert (response.status_code, response.headers["location"]) == (307, f"{elsewhere.base_url}/x")
        assert simulator.state.domain_count() == elsewhere.requests == 0


# All of them


@pytest.mark.parametrize("fault", ["drip:interval=0", "garbage=text", "status=200", "redirect=/elsewhere"])
def test_an_answer_that_the_api_would_not_give_says_so(fault: str) -> None:
    with faulty(fault) as (_, client):
        response = client.get("/domains")

    kind = fault.partition(":")[0].partition("=")[0]
    assert response.headers.get_list("server") == [f"mailchannels-simulator ({kind})"]


def test_faults_meet_the_other_api_too() -> None:
    with Simulator(faults=Faults.parse("drop-after:first=1,path=/mailboxes/bulk")) as simulator:
        url = f"{simulator.base_url}/v1/public/accounts/{simulator.hybridbox_account}/mailboxes/bulk"
        headers = {"Authorization": f"Bearer {simulator.hybridbox_token}"}
        item = {"local_part": "ada", "first_name": "Ada", "last_name": "Lovelace"}
        body = {"domain": "example.com", "items": [item]}

        with pytest.raises(httpx.ReadError):
            httpx.post(url, headers=headers, json=body, trust_env=False)
        again = httpx.post(url, headers=headers, json=body, trust_env=False).json()

    assert [failed["code"] for failed in again["failed"]] == ["already_exists"]


def test_faults_can_be_added_and_taken_away_while_it_runs() -> None:
    faults = Faults()
    with Simulator(faults=faults) as simulator, client_of(simulator) as client:
        faults.faults.extend(Faults.parse("status=500").faults)
        during = client.get("/domains").status_code
        faults.faults.clear()

        assert (during, client.get("/domains").status_code) == (500, 200)


def test_stopping_does_not_wait_for_what_stalls_or_drips(caplog: pytest.LogCaptureFixture) -> None:
    with (
        faulty("stall:first=1;drip:interval=3600") as (simulator, _),
        connected(simulator) as stalled,
        connected(simulator) as dripping,
    ):
        ask(stalled)
        ask(dripping)
        assert dripping.recv(1) == b"H"
        simulator.__exit__(None, None, None)

        assert stalled.recv(1) == b""
    assert caplog.records == []


@pytest.mark.asyncio
async def test_a_fault_that_needs_a_connection_says_so_without_one() -> None:
    transport = httpx.ASGITransport(create_app(State(), faults=Faults.parse("drop-before")))

    async with httpx.AsyncClient(transport=transport, base_url=f"http://simulator{BASE}") as client:
        with pytest.raises(RuntimeError, match="Simulator"):
            await client.get("/domains")
