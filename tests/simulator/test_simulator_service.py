"""The condition of the service, subscriptions and reports."""

from typing import Any

import httpx
import pytest

from mailchannels.simulator import Simulator

from .conftest import Matches, client_of, provision

MESSAGE = "From: a@sender.com\r\nTo: B <b@example.com>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nHello\r\n"


def report(client: httpx.Client, content: object, kind: str = "false_negative", **more: Any) -> httpx.Response:
    return client.post("/report", params={"report_type": kind}, json={"messageContent": content, **more})


def test_the_service_is_in_good_condition(client: httpx.Client, matches_specification: Matches) -> None:
    response = client.get("/status")

    assert (response.status_code, response.content) == (200, b"")
    matches_specification(response)


def test_subscriptions_tell_their_plan_limits_and_use(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    demo = simulator.state.owner_of("demo-key")
    simulator.state.add_subscription(demo, "second", domain_limit=5, address_limit=7, active=False)
    provision(client, "example.com")

    response = client.get("/subscriptions")

    first, second = response.json()
    assert first == {
        "handle": "demo",
        "active": True,
        "plan": {"handle": "inbound", "name": "Inbound"},
        "limits": [{"featureHandle": "domains", "value": "10000000"}],
        "activeAccountsCount": 1,
    }
    assert (second["handle"], second["active"], second["activeAccountsCount"]) == ("second", False, 0)
    assert second["limits"] == [
        {"featureHandle": "domains", "value": "5"},
        {"featureHandle": "protected-addresses", "value": "7"},
    ]
    matches_specification(response)


@pytest.mark.parametrize("kind", ["false_negative", "false_positive"])
def test_a_report_is_taken(
    client: httpx.Client, simulator: Simulator, kind: str, matches_specification: Matches
) -> None:
    provision(client, "example.com")

    response = report(client, MESSAGE, kind)

    assert (response.status_code, response.content) == (204, b"")
    assert list(simulator.state.reports) == [(kind, MESSAGE)]
    matches_specification(response)


def test_the_envelope_of_a_report_counts_more_than_the_header(client: httpx.Client) -> None:
    provision(client, "enveloped.com")
    envelope = {"ehlo": "sender.com", "mailFrom": "a@sender.com", "rcptTo": "<b@Enveloped.com>"}

    response = report(
        client, MESSAGE, smtpEnvelopeInformation=envelope, sendingHostInformation={"name": "mx.sender.com"}
    )

    assert response.status_code == 204


@pytest.mark.parametrize(
    "content", ["", "no header at all", "To: b@example.com\r\n\r\nHello", "From: a@sender.com\r\n\r\nHello", 1, None]
)
def test_a_report_without_a_proper_message_is_refused(
    client: httpx.Client, simulator: Simulator, content: object, matches_specification: Matches
) -> None:
    provision(client, "example.com")

    response = report(client, content)

    assert (response.status_code, response.json()["code"]) == (400, 400)
    assert not simulator.state.reports
    matches_specification(response)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("boring", {}),
        ("", {}),
        ("false_positive", {"smtpEnvelopeInformation": []}),
        ("false_positive", {"smtpEnvelopeInformation": {"rcptTo": 1}}),
        ("false_positive", {"sendingHostInformation": {"name": None}}),
    ],
)
def test_a_misspelt_report_is_refused(
    client: httpx.Client, kind: str, more: dict[str, Any], matches_specification: Matches
) -> None:
    provision(client, "example.com")

    response = report(client, MESSAGE, kind, **more)

    assert response.status_code == 400
    matches_specification(response)


def test_a_message_of_another_customer_is_refused(
    client: httpx.Client, simulator: Simulator, matches_specification: Matches
) -> None:
    simulator.state.messages["<1@sender.com>"] = simulator.state.add_customer("other", keys=["other-key"])
    provision(client, "example.com")

    response = report(client, f"Message-ID: <1@sender.com>\r\n{MESSAGE}")

    assert (response.status_code, response.json()["code"]) == (401, 401)
    assert not simulator.state.reports
    matches_specification(response)


@pytest.mark.parametrize("host", ["foreign.com", "locked.com"])
def test_a_message_to_a_domain_out_of_reach_is_refused_without_a_body(
    client: httpx.Client, simulator: Simulator, host: str, matches_specification: Matches
) -> None:
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["theirs"])
    with client_of(simulator, "other-key") as other:
        provision(other, "foreign.com", "theirs")
    provision(client, "locked.com")
    client.put("/domains/locked.com/api-key", json={"apiKey": "second-key"})

    response = report(client, MESSAGE.replace("example.com", host))

    assert (response.status_code, response.content) == (403, b"")
    matches_specification(response)


@pytest.mark.parametrize("recipient", ["b@unknown.com", "not an address", ""])
def test_a_message_to_nobody_here_is_not_found(
    client: httpx.Client, recipient: str, matches_specification: Matches
) -> None:
    response = report(client, MESSAGE.replace("B <b@example.com>", recipient))

    assert (response.status_code, response.json()["code"]) == (404, 404)
    matches_specification(response)
