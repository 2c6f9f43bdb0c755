"""The handlers of the HybridBox API, below `/v1/public/accounts/{account_id}`.

What its public documentation does not tell (statuses, codes, limits, the shape of an error) is a guess, made once here
and in `mailboxes.py`; a client should rely on none of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Scope

from .calls import Answer, Received, header, path_segments, query_values, reply
from .checks import Json, Refused
from .mailboxes import Account, HybridBox, Mailbox, MailDomain, Problem

BASE_PATH = "/v1/public/accounts/{account_id}"
MAX_PAGE = 1000
_FIELDS = ("local_part", "first_name", "last_name")


@dataclass(slots=True)
class MailboxCall(Received):
    """An authenticated call, and on which account."""

    hybridbox: HybridBox
    account: Account

    def mailbox(self) -> Mailbox:
        """Find the mailbox that the path names, by its id or primary address."""
        return self.hybridbox.own_mailbox(self.account, self.path["mailbox"])

    def domain(self, body: Json) -> MailDomain:
        """Find the domain that a body names, by its id or name."""
        return self.hybridbox.domain(self.account, _text(body, "domain"))

    def optional(self, name: str) -> str | None:
        """Read a query value that may be missing or empty."""
        return self.query.get(name, [""])[-1] or None


Handler = Callable[[MailboxCall], Response]


def answers(handler: Handler, hybridbox: HybridBox) -> Answer:
    """Make a handler into what answers a request: authenticate, read, and spell a refusal as this API does."""

    def answer(scope: Scope, body: bytes) -> Response:
        scheme, _, token = header(scope, b"authorization").partition(" ")
        path = path_segments(scope)
        try:
            account = hybridbox.account(path["account_id"], token.strip() if scheme.lower() == "bearer" else "")
            return handler(MailboxCall(path, query_values(scope), body, hybridbox, account))
        except Problem:
            raise
        except Refused as refusal:
            raise Problem(refusal.status, "invalid_request", refusal.message) from None

    return answer


def bulk_create(call: MailboxCall) -> Response:
    """Answer `POST /mailboxes/bulk`: each item for itself, by its position in this request."""
    body = call.json()
    items = body.get("items")
    if type(items) is not list or not items or not set(map(type, items)) <= {dict}:
        raise Refused(400, "items must be a list of one object or more")
    asked = [[_text(item, name) for name in _FIELDS] for item in items]
    domain = call.domain(body)
    created: list[Json] = []
    failed: list[Json] = []
    for index, (local_part, first_name, last_name) in enumerate(asked):
        try:
            mailbox = call.hybridbox.create(domain, local_part, first_name, last_name)
        except Problem as problem:
            failed.append({"index": index, **problem.body()})
        else:
            created.append({"index": index, "mailbox": mailbox.as_json()})
    return reply(200, {"created": created, "failed": failed})


def create(call: MailboxCall) -> Response:
    """Answer `POST /mailboxes`."""
    body = call.json()
    local_part, first_name, last_name = [_text(body, name) for name in _FIELDS]
    mailbox = call.hybridbox.create(call.domain(body), local_part, first_name, last_name)
    return reply(201, mailbox.as_json())


def page(call: MailboxCall) -> Response:
    """Answer `GET /mailboxes`."""
    number = call.number("page", default=1, minimum=1)
    size = call.number("page_size", default=25, minimum=1, maximum=MAX_PAGE)
    workspace, search = call.optional("workspace_id"), (call.optional("search") or "").lower()
    found = call.hybridbox.own_mailboxes(call.account, call.optional("domain"))
    if workspace is not None:
        found = [mailbox for mailbox in found if mailbox.workspace_id == workspace]
    if search:
        found = [mailbox for mailbox in found if search in _searchable(mailbox)]
    items = [mailbox.as_json() for mailbox in found[(number - 1) * size : number * size]]
    return reply(200, {"items": items, "page": number, "page_size": size, "total": len(found)})


def get(call: MailboxCall) -> Response:
    """Answer `GET /mailboxes/{mailbox}`."""
    return reply(200, call.mailbox().as_json())


def update(call: MailboxCall) -> Response:
    """Answer `PATCH /mailboxes/{mailbox}`; what is null or missing stays as it is."""
    body = call.json()
    names = [None if body.get(name) is None else _text(body, name) for name in ("first_name", "last_name")]
    mailbox = call.mailbox()
    mailbox.update(*names)
    return reply(200, mailbox.as_json())


def add_alias(call: MailboxCall) -> Response:
    """Answer `POST /mailboxes/{mailbox}/aliases`."""
    body = call.json()
    alias, is_catch_all = _text(body, "alias"), body.get("is_catch_all", False)
    if type(is_catch_all) is not bool:
        raise Refused(400, "is_catch_all must be true or false")
    call.hybridbox.add_alias(call.mailbox(), alias, is_catch_all=is_catch_all)
    return reply(201, {"alias": alias, "is_catch_all": is_catch_all})


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if type(value) is not str:
        raise Refused(400, f"{name} must be a string")
    return value


def _searchable(mailbox: Mailbox) -> str:
    return f"{mailbox.primary_email} {mailbox.first_name} {mailbox.last_name}".lower()


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/mailboxes/bulk", bulk_create),
    ("POST", "/mailboxes", create),
    ("GET", "/mailboxes", page),
    ("GET", "/mailboxes/{mailbox}", get),
    ("PATCH", "/mailboxes/{mailbox}", update),
    ("POST", "/mailboxes/{mailbox}/aliases", add_alias),
)
