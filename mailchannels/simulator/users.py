"""The handlers of `/users`, except the lists: recipients, and who may be told about them.

A recipient belongs to the domain of the address and goes with it; whoever may reach the one may reach the other.
"""

from starlette.responses import Response

from .calls import Call, Routes, reply
from .checks import LIST_NAMES, Refused, canonical_name, is_mailbox, list_entry
from .records import Domain, Lists, Recipient, list_entry_as_json

FILTERS = ("true", "false", "compute")


def create(call: Call) -> Response:
    """Answer `PUT /users`."""
    address, domain_name = _address(call.text("email_address"))
    role = "domain_admin" if call.flag("admin", required=True) else "user"
    wish = call.query.get("filter", ["compute"])[-1]
    if wish not in FILTERS:
        raise Refused(400, f"the query parameter filter must be one of {', '.join(FILTERS)}")
    lists = _lists(call.json().get("list_entries")) if call.body else None
    domain = _domain(call, domain_name)
    if domain.recipients is None:
        domain.recipients = {}
    if address in domain.recipients:
        return Response()
    room = domain.subscription.protects_one_more()
    if wish == "true" and not room:
        raise Refused(403, "the limit on protected addresses is reached")
    recipient = Recipient(address, role, room and wish != "false", lists)
    domain.recipients[address] = recipient
    domain.subscription.protected_addresses += recipient.filtered
    entries = [
        list_entry_as_json(action, item, kind)
        for action, items in (lists or {}).items()
        for item, kind in items.items()
    ]
    return reply(201, {"recipient": recipient.as_json(), "list_entries": entries or None})


def recipient(call: Call) -> Recipient:
    """Find the recipient that the path names, if this key may reach it; 404 when there is none."""
    unknown = Refused(404, "there is no such recipient")
    try:
        address, domain_name = _address(call.path["email"])
    except Refused:
        raise unknown from None
    domain = call.state.reach(domain_name, call.customer, call.key)
    found = (domain.recipients or {}).get(address)
    if found is None:
        raise unknown
    return found


def _domain(call: Call, name: str) -> Domain:
    try:
        return call.state.reach(name, call.customer, call.key)
    except Refused as refusal:
        # The document has no 404 here: who does not own the domain has no right to add to it.
        raise Refused(403, refusal.message) from None


def _address(text: str) -> tuple[str, str]:
    """Bring an email address into its stored form and tell its domain."""
    if not is_mailbox(text):
        raise Refused(400, f"{text[:255]!r} is not a valid email address")
    local_part, _, host = text.rpartition("@")
    name = canonical_name(host)
    return f"{local_part}@{name}", name


def _lists(value: object) -> Lists | None:
    if value is None:
        return None
    if type(value) is not dict:
        raise Refused(400, "list_entries must be an object")
    return {action: _items(value[action], action) for action in dict.fromkeys(LIST_NAMES.values()) if action in value}


def _items(value: object, action: str) -> dict[str, str]:
    if type(value) is not list:
        raise Refused(400, f"{action} of list_entries must be a list")
    return dict(map(list_entry, value))


ROUTES: Routes = (("PUT", "/users", create),)
