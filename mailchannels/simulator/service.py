"""The handlers of `/status`, `/subscriptions` and `/report`.

Whose message a report is about is told by `State.messages`, by its Message-ID, where a test has said so, and
otherwise by the domain of the recipient.
"""

from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses

from starlette.responses import Response

from .calls import Call, Routes, no_content, reply
from .checks import InvalidName, Refused, canonical_name

REPORT_TYPES = ("false_negative", "false_positive")
_HOST_FIELDS = ("name",)
_ENVELOPE_FIELDS = ("ehlo", "mailFrom", "rcptTo")


def status(_call: Call) -> Response:
    """Answer `GET /status`."""
    return Response()


def subscriptions(call: Call) -> Response:
    """Answer `GET /subscriptions`."""
    return reply(200, [subscription.as_json() for subscription in call.customer.subscriptions.values()])


def report(call: Call) -> Response:
    """Answer `POST /report`; its 403 alone has no body."""
    kind = call.text("report_type")
    if kind not in REPORT_TYPES:
        raise Refused(400, f"the query parameter report_type must be one of {', '.join(REPORT_TYPES)}")
    body = call.json()
    content = body.get("messageContent")
    message = _message(content)
    envelope = _texts(body, "smtpEnvelopeInformation", _ENVELOPE_FIELDS)
    _texts(body, "sendingHostInformation", _HOST_FIELDS)
    owner = call.state.messages.get(message.get("Message-ID", "").strip(), call.customer)
    if owner is not call.customer:
        raise Refused(401, "the message does not belong to this customer")
    try:
        call.state.reach(_recipient_domain(message, envelope), call.customer, call.key)
    except Refused as refusal:
        if refusal.status == 403:  # noqa: PLR2004
            return Response(status_code=403)
        raise Refused(404, "the message was not found") from None
    call.state.reports.append((kind, str(content)))
    return no_content()


def _message(content: object) -> Message:
    """Read the header of a message, which needs the two fields that RFC 2822 requires."""
    if type(content) is not str:
        raise Refused(400, "messageContent must be a string")
    message = HeaderParser().parsestr(content)
    if message.defects or not message.get("From") or not message.get("Date"):
        raise Refused(400, "messageContent is not a message: RFC 2822 requires header fields From and Date")
    return message


def _texts(body: dict[str, object], name: str, fields: tuple[str, ...]) -> dict[str, str]:
    value = body.get(name)
    if value is None:
        return {}
    if type(value) is not dict or any(type(value.get(field, "")) is not str for field in fields):
        raise Refused(400, f"{name} must be an object of strings")
    return value


def _recipient_domain(message: Message, envelope: dict[str, str]) -> str:
    addresses = getaddresses([envelope.get("rcptTo") or str(message.get("To", ""))])
    host = addresses[0][1].rpartition("@")[2] if addresses else ""
    try:
        return canonical_name(host)
    except InvalidName:
        return ""


ROUTES: Routes = (
    ("GET", "/status", status),
    ("GET", "/subscriptions", subscriptions),
    ("POST", "/report", report),
)
