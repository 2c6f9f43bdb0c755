"""The HTTP face: authentication, rate limit, routes, escapes, counting."""

import logging
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from mailchannels.simulator import Simulator, State, create_app

from .conftest import BASE, client_of, provision


@pytest.mark.parametrize("key", ["wrong-key", ""])
def test_a_wrong_key_is_refused(simulator: Simulator, key: str) -> None:
    with client_of(simulator, key) as client:
        response = client.get("/domains")

    assert response.status_code == 401
    assert set(response.json()) == {"code", "message", "errors"}


def test_a_missing_key_is_refused(simulator: Simulator) -> None:
    response = httpx.post(f"{simulator.base_url}{BASE}/domains", json={}, trust_env=False)

    assert (response.status_code, response.json()["code"]) == (401, 401)


@pytest.mark.parametrize("path", ["/", "/nothing", "/domains/", "/domains/a.com/b/c"])
def test_an_unknown_path_answers_404_in_json(client: httpx.Client, path: str) -> None:
    response = client.get(path)

    assert (response.status_code, response.json()["code"]) == (404, 404)


def test_an_unknown_method_answers_405_and_names_the_others(client: httpx.Client) -> None:
    response = client.put("/domains/a.com", json={})

    assert (response.status_code, response.json()["code"]) == (405, 405)
    assert response.headers["allow"] == "DELETE"


def test_path_segments_are_decoded_once(client: httpx.Client) -> None:
    provision(client, "xn--bcher-kva.example")

    assert client.get("/domains/b%C3%BCcher.example/login-link").status_code == 200
    assert client.get("/domains/xn--bcher-kva%2Eexample/login-link").status_code == 200
    assert client.get("/domains/xn--bcher-kva%252Eexample/login-link").status_code == 400


def test_an_escaped_slash_is_no_separator(client: httpx.Client, simulator: Simulator) -> None:
    provision(client, "example.com")

    assert client.get("/domains/example.com%2Flogin-link").status_code == 405
    assert client.delete("/domains/x%2Fexample.com").status_code == 400
    assert simulator.state.domain_count() == 1


def test_each_answer_names_the_server_once(client: httpx.Client) -> None:
    for path in ("/domains", "/nothing"):
        assert client.get(path).headers.get_list("server") == ["mailchannels-simulator"]


def test_requests_are_counted_and_the_recent_ones_kept(client: httpx.Client, simulator: Simulator) -> None:
    client.get("/domains?limit=1")
    client.delete("/domains/a%2Eb%2Fc")

    assert simulator.requests == 2
    assert list(simulator.recent) == [
        ("GET", f"{BASE}/domains", "limit=1", 200),
        ("DELETE", f"{BASE}/domains/a%2Eb%2Fc", "", 400),
    ]


def test_what_succeeded_is_counted_apart_from_what_was_seen() -> None:
    with Simulator(rate_limit=1) as simulator, client_of(simulator) as client:
        statuses = [client.get("/domains").status_code for _ in range(20)]
        client.delete("/domains/unknown.com")

        assert simulator.seen == {("GET", f"{BASE}/domains"): 20, ("DELETE", f"{BASE}/domains/{{domain}}"): 1}
        assert simulator.applied == {("GET", f"{BASE}/domains"): statuses.count(200)}
        assert 503 in statuses


def test_a_long_listing_of_names_fits_into_the_url(client: httpx.Client) -> None:
    names = ",".join(f"domain-{number}.example.com" for number in range(2000))

    assert client.get("/domains", params={"domains": names}).status_code == 200


@pytest.mark.asyncio
async def test_the_rate_limit_is_a_sliding_second_for_each_customer() -> None:
    now = 100.0
    state = State()
    state.add_customer("other", keys=["other-key"])
    app = create_app(state, rate_limit=2, clock=lambda: now)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://simulator{BASE}") as client:

        async def status(key: str = "demo-key") -> int:
            return (await client.get("/domains", headers={"X-API-Key": key})).status_code

        assert [await status(), await status(), await status()] == [200, 200, 503]
        assert await status("other-key") == 200
        now = 100.5
        assert await status() == 503
        now = 101.0
        assert [await status(), await status(), await status()] == [200, 200, 503]


@pytest.mark.asyncio
async def test_a_request_over_the_limit_gets_a_page_and_has_no_effect() -> None:
    state = State()
    transport = httpx.ASGITransport(create_app(state, rate_limit=1, clock=lambda: 0.0))
    body = {"domain": "example.com", "subscriptionHandle": "demo"}

    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://simulator{BASE}", headers={"X-API-Key": "demo-key"}
    ) as client:
        await client.get("/domains")
        response = await client.post("/domains", json=body)

    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")
    assert state.domain_count() == 0


@pytest.mark.asyncio
async def test_a_fault_of_the_simulator_itself_answers_500_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = State()
    monkeypatch.setattr(state, "page", None)
    transport = httpx.ASGITransport(create_app(state))

    with caplog.at_level(logging.ERROR, "mailchannels.simulator"):
        async with httpx.AsyncClient(transport=transport, base_url=f"http://simulator{BASE}") as client:
            response = await client.get("/domains", headers={"X-API-Key": "demo-key"})

    assert (response.status_code, response.json()["code"]) == (500, 500)
    assert len(caplog.records) == 1


async def _said_to(app: Starlette, scope: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    """Let an ASGI application meet these messages, as a server passes them on, and give what it says."""
    said: list[Any] = []
    left = iter(messages)

    async def receive() -> Any:
        return next(left)

    async def send(message: Any) -> None:
        said.append(message)

    await app(scope, receive, send)
    return said


@pytest.mark.asyncio
async def test_a_server_may_tell_the_bare_application_that_it_starts_and_stops() -> None:
    app = create_app(State())
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}

    said = await _said_to(app, scope, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})

    assert [message["type"] for message in said] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert app.state.traffic.requests == 0


@pytest.mark.asyncio
async def test_a_request_that_breaks_off_in_its_body_is_neither_seen_nor_applied() -> None:
    state = State()
    app = create_app(state)
    body = b'{"domain": "example.com", "subscriptionHandle": "demo"}'
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"{BASE}/domains",
        "query_string": b"",
        "headers": [(b"x-api-key", b"demo-key")],
    }

    said = await _said_to(
        app, scope, {"type": "http.request", "body": body, "more_body": True}, {"type": "http.disconnect"}
    )

    assert said == []
    assert (app.state.traffic.requests, app.state.traffic.seen) == (1, {})
    assert state.domain_count() == 0


@pytest.mark.parametrize("option", [{"latency": -1.0}, {"rate_limit": 0}, {"bulk_downstream_key": "address"}])
def test_an_option_out_of_range_is_refused(option: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(option))):
        create_app(State(), **option)  # type: ignore[arg-type]


def test_keys_and_subscriptions_belong_to_one_customer_only() -> None:
    state = State()
    other = state.add_customer("other", keys=["other-key"])

    with pytest.raises(ValueError, match="another customer"):
        state.add_key(other, "demo-key")
    with pytest.raises(ValueError, match="exists already"):
        state.add_subscription(other, "demo")


def test_the_name_asked_for_in_the_state_may_be_in_any_spelling(client: httpx.Client, simulator: Simulator) -> None:
    provision(client, "bücher.example")

    domain = simulator.state.domain("BÜCHER.example.")

    assert domain is not None
    assert domain.name == "xn--bcher-kva.example"
