"""The service module as a table."""

from __future__ import annotations

from typing import Final

import httpx

from mailchannels import Limit, Plan, SmtpEnvelope, Subscription

from .case import Case

MESSAGE: Final = "From: a@example.net\r\nSubject: Grüße\r\n\r\nHello\r\n.\r\n"
ENVELOPE: Final = SmtpEnvelope("mail.example.net", "a@example.net", "jane@example.com")
SUBSCRIPTION: Final = {
    "handle": "basic",
    "active": True,
    "plan": {"handle": "plan-1", "name": "Basic"},
    "limits": [{"featureHandle": "domains", "value": "1000"}],
    "activeAccountsCount": 12,
}

CASES: Final = [
    Case(
        name="service.status",
        call=lambda client: client.service.status(),
        operation="GET /status",
        target="/status",
        body=None,
        answer=httpx.Response(200),
        value=None,
        failures=(),
    ),
    Case(
        name="service.subscriptions",
        call=lambda client: client.service.subscriptions(),
        operation="GET /subscriptions",
        target="/subscriptions",
        body=None,
        answer=httpx.Response(200, json=[SUBSCRIPTION]),
        value=[Subscription("basic", True, Plan("plan-1", "Basic"), [Limit("domains", "1000")], 12)],
        failures=(404, 500),
    ),
    Case(
        name="service.report",
        call=lambda client: client.service.report(
            "false_positive", MESSAGE, smtp_envelope=ENVELOPE, sending_host="mail.example.net"
        ),
        operation="POST /report",
        target="/report?report_type=false_positive",
        body={
            "messageContent": MESSAGE,
            "smtpEnvelopeInformation": {
                "ehlo": "mail.example.net",
                "mailFrom": "a@example.net",
                "rcptTo": "jane@example.com",
            },
            "sendingHostInformation": {"name": "mail.example.net"},
        },
        answer=httpx.Response(204),
        value=None,
        failures=(400, 401, 403, 404, 500),
        repeatable=False,
    ),
]
