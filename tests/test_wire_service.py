"""What is peculiar to the service module on the wire: a report is sent once, and a bad condition is an error."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest
import respx
from contract.case import body_of, sent
from contract.service import ENVELOPE, MESSAGE, SUBSCRIPTION

from mailchannels import (
    APIError,
    AsyncMailChannels,
    AsyncService,
    ConnectionLost,
    Forbidden,
    Limit,
    MailChannelsError,
    RequestError,
    ServerError,
    SmtpEnvelope,
)

REPORT: Final = "/report?report_type=false_negative"


@pytest.fixture
def service(once: AsyncMailChannels) -> AsyncService:
    """The service module of a client that repeats nothing."""
    return once.service


# --- condition and subscriptions


@pytest.mark.parametrize("content", [b"", b"OK", b"{}", b"[1]"])
@pytest.mark.asyncio
async def test_a_good_condition_is_good_whatever_the_body(
    content: bytes, service: AsyncService, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, content=content)

    await service.status()

    assert sent(api) == ["/status"]


@pytest.mark.parametrize("status", [401, 404, 500, 502, 503, 504])
@pytest.mark.asyncio
async def test_any_other_condition_is_an_error(status: int, service: AsyncService, api: respx.Route) -> None:
    api.return_value = httpx.Response(status)

    with pytest.raises(APIError) as caught:
        await service.status()

    assert caught.value.status == status


@pytest.mark.parametrize("limits", [None, []])
@pytest.mark.asyncio
async def test_a_subscription_without_limits_has_none(limits: object, service: AsyncService, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=[SUBSCRIPTION | {"limits": limits}])

    (subscription,) = await service.subscriptions()

    assert subscription.limits == []


@pytest.mark.asyncio
async def test_subscriptions_keep_their_order_and_what_is_new_is_no_error(
    service: AsyncService, api: respx.Route
) -> None:
    new: dict[str, Any] = {"handle": "plus", "active": False, "activeAccountsCount": 2**40, "new": {"deep": []}}
    new["limits"] = [{"featureHandle": "archive", "value": "true", "new": 1}]
    api.return_value = httpx.Response(200, json=[SUBSCRIPTION, SUBSCRIPTION | new])

    first, second = await service.subscriptions()

    assert (first.handle, second.handle, second.active, second.active_accounts_count) == ("basic", "plus", False, 2**40)
    assert second.limits == [Limit("archive", "true")]


# --- reports


@pytest.mark.parametrize(
    ("details", "written"),
    [
        ({}, {}),
        ({"sending_host": "mail.example.net"}, {"sendingHostInformation": {"name": "mail.example.net"}}),
        (
            {"smtp_envelope": SmtpEnvelope(mail_from="a@example.net")},
            {"smtpEnvelopeInformation": {"mailFrom": "a@example.net"}},
        ),
        (
            {"smtp_envelope": ENVELOPE},
            {
                "smtpEnvelopeInformation": {
                    "ehlo": "mail.example.net",
                    "mailFrom": "a@example.net",
                    "rcptTo": "jane@example.com",
                }
            },
        ),
    ],
)
@pytest.mark.asyncio
async def test_a_report_says_what_is_known_and_nothing_else(
    details: dict[str, Any], written: dict[str, object], service: AsyncService, api: respx.Route
) -> None:
    api.return_value = httpx.Response(204)

    await service.report("false_negative", MESSAGE, **details)

    assert sent(api) == [REPORT]
    assert body_of(api) == {"messageContent": MESSAGE, **written}


@pytest.mark.parametrize(
    "message", ["Subject: a\r\n\r\n.\r\n..\r\n", "Subject: \x1b[1m\x00\x7f\t", "Subject: 💩\n\n\u202e", "x" * 1_000_000]
)
@pytest.mark.asyncio
async def test_a_message_is_reported_unaltered(message: str, service: AsyncService, api: respx.Route) -> None:
    api.return_value = httpx.Response(204)

    await service.report("false_negative", message)

    assert body_of(api)["messageContent"] == message


@pytest.mark.asyncio
async def test_a_report_of_anothers_message_is_forbidden_without_a_body(
    service: AsyncService, api: respx.Route
) -> None:
    api.return_value = httpx.Response(403)

    with pytest.raises(Forbidden) as caught:
        await service.report("false_negative", MESSAGE)

    assert str(caught.value) == "POST /report: 403 Forbidden"


@pytest.mark.parametrize(
    ("lost", "error"),
    [
        (httpx.ReadError("reset"), ConnectionLost),
        (httpx.WriteError("reset"), ConnectionLost),
        (httpx.RemoteProtocolError("closed"), ConnectionLost),
        (httpx.ReadTimeout("late"), RequestError),
        (httpx.Response(500), ServerError),
        (httpx.Response(502), ServerError),
        (httpx.Response(504), ServerError),
    ],
)
@pytest.mark.asyncio
async def test_a_report_whose_answer_was_lost_is_never_repeated(
    lost: httpx.Response | Exception, error: type[MailChannelsError], repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [lost, httpx.Response(204)]

    with pytest.raises(error):
        await repeating.service.report("false_negative", MESSAGE)

    assert sent(api) == [REPORT]


@pytest.mark.parametrize("turned_away", [httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(429)])
@pytest.mark.asyncio
async def test_a_lost_answer_after_a_refusal_may_have_been_applied(
    turned_away: httpx.Response | Exception, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [turned_away, httpx.ReadError("reset"), httpx.Response(204)]

    with pytest.raises(ConnectionLost) as caught:
        await repeating.service.report("false_negative", MESSAGE)

    assert caught.value.maybe_applied
    assert sent(api) == [REPORT] * 2


@pytest.mark.asyncio
async def test_a_report_that_is_never_let_in_was_not_applied(repeating: AsyncMailChannels, api: respx.Route) -> None:
    api.side_effect = httpx.ConnectError("refused")

    with pytest.raises(RequestError) as caught:
        await repeating.service.report("false_negative", MESSAGE)

    assert not caught.value.maybe_applied
    assert len(api.calls) == 4
