"""The handlers of `/domains` and what lies below it, except the lists.

Each reads a `Call`, asks the state and spells the answer. They know neither authentication nor the rate limit.
"""

from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from .calls import Call, Routes, no_content, reply
from .checks import InvalidName, Json, Refused, api_key, canonical_name, downstream_addresses, sections

MAX_BATCH = 1000
MAX_PAGE = 5000
MAX_DOWNSTREAM_ADDRESSES = 10


def list_domains(call: Call) -> Response:
    """Answer `GET /domains`."""
    limit = call.number("limit", default=10, maximum=MAX_PAGE)
    offset = call.number("offset", default=0)
    names = None
    if "domains" in call.query:
        values = [value for value in call.query["domains"] if value]
        names = [canonical_name(name) for value in values for name in value.split(",")]
    domains, total = call.state.page(call.customer, call.key, names, limit, offset)
    return reply(200, {"domains": [domain.as_json() for domain in domains], "total": total})


def provision(call: Call) -> Response:
    """Answer `POST /domains`."""
    associate, overwrite = call.flag("associate-key"), call.flag("overwrite")
    body = call.json()
    name = canonical_name(body.get("domain"))
    handle = body.get("subscriptionHandle")
    if type(handle) is not str or not handle:
        raise Refused(400, "subscriptionHandle must be a non-empty string")
    wanted = sections(body)
    subscription = call.state.own_subscription(call.customer, handle)
    call.state.check_quota(subscription, [name])
    domain, created, _ = call.state.provision(
        name, call.customer, call.key, subscription, wanted, associate=associate, overwrite=overwrite
    )
    return reply(201 if created else 200, domain.as_json())


def bulk_provision(call: Call) -> Response:
    """Answer `POST /domains/batch`."""
    handle = call.text("subscriptionHandle")
    associate, overwrite = call.flag("associate-key"), call.flag("overwrite")
    items = call.batch(MAX_BATCH)
    errors: list[Json] = []
    wanted = []
    for position, item in enumerate(items):
        try:
            asked = sections(item, call.bulk_downstream_keys)
            wanted.append((canonical_name(item.get("domain")), asked))
        except InvalidName as refusal:
            # An A-label that cannot be decoded is an item's own fault; any other bad name fails the batch.
            if not refusal.undecodable:
                raise
            errors.append(_failed(item["domain"], handle, refusal))
        except Refused as refusal:
            raise Refused(400, f"domains[{position}]: {refusal.message}") from None

    state, customer, key = call.state, call.customer, call.key
    subscription = state.own_subscription(customer, handle)
    state.check_quota(subscription, [name for name, _ in wanted])
    successes: list[Json] = []
    for name, asked in wanted:
        try:
            domain, created, problems = state.provision(
                name, customer, key, subscription, asked, associate=associate, overwrite=overwrite
            )
        except Refused as refusal:
            errors.append(_failed(name, handle, refusal))
        else:
            comment = "created" if created else "already provisioned"
            if problems:
                comment = "; ".join((comment, *problems))
            # The specification has no code of its own for a domain that was there.
            successes.append({"domain": domain.as_json(), "code": 201, "comment": comment})
    return reply(200, {"successes": successes, "errors": errors})


def _failed(name: str, handle: str, refusal: Refused) -> Json:
    code = refusal.status
    # An item has no code for a domain of another key of the same customer: to this key it is taken, like a foreign one.
    if code == HTTPStatus.FORBIDDEN:
        code = 409
    return {"domain": {"domain": name, "subscriptionHandle": handle}, "code": code, "comment": refusal.message}


def bulk_login_links(call: Call) -> Response:
    """Answer `POST /domains/batch/login-link`."""
    items = call.batch(MAX_BATCH)
    if not items:
        raise Refused(400, "domains must have at least one item")
    if not all(type(item.get("domain")) is str for item in items):
        raise Refused(400, "each item must name a domain")
    successes: list[Json] = []
    errors: list[Json] = []
    for item in items:
        name = item["domain"]
        try:
            name = canonical_name(name)
            domain = call.state.reach(name, call.customer, call.key, foreign=401)
            link = call.state.mint_login_link(domain)
        except Refused as refusal:
            errors.append({"domain": name, "code": refusal.status, "comment": refusal.message})
        else:
            successes.append({"domain": name, "code": 200, "comment": "created", "loginLink": link})
    return reply(200, {"successes": successes, "errors": errors})


def login_link(call: Call) -> Response:
    """Answer `GET /domains/{domain}/login-link`."""
    return reply(200, {"loginLink": call.state.mint_login_link(call.domain(foreign=401))})


def delete(call: Call) -> Response:
    """Answer `DELETE /domains/{domain}`."""
    call.state.remove(call.domain())
    return no_content()


def get_downstream_addresses(call: Call) -> Response:
    """Answer `GET /domains/{domain}/downstream-address`."""
    limit = call.number("limit", default=10, minimum=1)
    offset = call.number("offset", default=0)
    records = call.domain().downstream_addresses
    return reply(200, {"records": None if records is None else records[offset : offset + limit]})


def set_downstream_addresses(call: Call) -> Response:
    """Answer `PUT /domains/{domain}/downstream-address`."""
    records: Any = call.json().get("records")
    text = downstream_addresses(records)
    if len(records) > MAX_DOWNSTREAM_ADDRESSES:
        raise Refused(400, f"records must have at most {MAX_DOWNSTREAM_ADDRESSES} items, not {len(records)}")
    domain = call.domain()
    domain.downstream_addresses_text = text
    return reply(201, {"records": domain.downstream_addresses})


def update_api_key(call: Call) -> Response:
    """Answer `PUT /domains/{domain}/api-key`."""
    key = api_key(call.json().get("apiKey"))
    call.state.associate(call.domain(), key)
    return no_content()


def add_alias(call: Call) -> Response:
    """Answer `POST /domains/{domain}/alias/{alias}`."""
    alias = canonical_name(call.path["alias"])
    domain = call.domain()
    call.state.add_alias(domain, alias)
    return reply(200, {"domain": domain.as_json(), "alias": alias})


def delete_alias(call: Call) -> Response:
    """Answer `DELETE /domains/{domain}/alias/{alias}`."""
    alias = canonical_name(call.path["alias"])
    call.state.remove_alias(call.domain(), alias)
    return no_content()


def update_settings(call: Call) -> Response:
    """Answer `PUT /domains/{domain}/settings`: settings and sections side by side; a null setting is set back."""
    body = call.json()
    wanted = sections({**body, "settings": body})
    call.state.update(call.domain(), wanted)
    return Response()


ROUTES: Routes = (
    ("GET", "/domains", list_domains),
    ("POST", "/domains", provision),
    ("POST", "/domains/batch", bulk_provision),
    ("POST", "/domains/batch/login-link", bulk_login_links),
    ("DELETE", "/domains/{domain}", delete),
    ("GET", "/domains/{domain}/login-link", login_link),
    ("GET", "/domains/{domain}/downstream-address", get_downstream_addresses),
    ("PUT", "/domains/{domain}/downstream-address", set_downstream_addresses),
    ("PUT", "/domains/{domain}/api-key", update_api_key),
    ("POST", "/domains/{domain}/alias/{alias}", add_alias),
    ("DELETE", "/domains/{domain}/alias/{alias}", delete_alias),
    ("PUT", "/domains/{domain}/settings", update_settings),
)
