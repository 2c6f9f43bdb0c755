"""The wire contract of every call: what it sends, to the byte, what its answer becomes, and how it fails.

The calls stand in the tables of `contract`; what is peculiar to one module is tested in its own `test_wire_*` file.
"""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import respx
from conftest import HERE
from contract import BY_NAME, CASES, each_case, parametrised
from contract.case import CLASSES, KEY, Case, failure_of, sent, target_of
from contract.domains import STORED
from contract.lists import ENTRY
from contract.service import SUBSCRIPTION
from contract.users import MADE
from specification import document, judge_answer, needs_specification, operations

import mailchannels
from mailchannels import (
    APIError,
    AsyncMailChannels,
    BadRequest,
    DomainPage,
    MailChannels,
    NotFound,
    RateLimited,
    UnexpectedResponse,
    User,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

DELETING: Final = [case for case in CASES if case.method == "DELETE"]
PROMISING: Final = [case for case in CASES if case.answer.content]
PROMISING_NOTHING: Final = [case for case in CASES if not case.answer.content]


@pytest.fixture
def blocking(api: respx.Route) -> Iterator[MailChannels]:
    """A blocking client for `api` that repeats nothing."""
    with MailChannels(KEY, base_url=HERE, rate_limit=None, max_retries=0) as opened:
        yield opened


def each_failure() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("case", "status"),
        [
            pytest.param(case, status, id=f"{case.name}-{status}")
            for case in CASES
            for status in sorted({*case.failures, 401, 503})
        ],
    )


async def api_error_of(call: Awaitable[Any]) -> APIError:
    error = await failure_of(call)
    assert isinstance(error, APIError)
    return error


# --- the specification


@needs_specification
@pytest.mark.asyncio
async def test_every_operation_has_a_case_and_every_case_is_an_operation(
    judged: set[tuple[str, str]], once: AsyncMailChannels, api: respx.Route
) -> None:
    for case in CASES:
        api.return_value = case.answered()
        await case.value_of(once)

    assert len(operations()) == 25
    assert judged == operations()


@needs_specification
@each_case()
@pytest.mark.asyncio
async def test_a_case_calls_the_operation_that_it_names(
    case: Case, judged: set[tuple[str, str]], once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = case.answered()

    await case.value_of(once)

    assert judged == {(case.method, case.template)}


@needs_specification
@each_case()
def test_the_answer_of_a_case_is_one_that_the_specification_promises(case: Case) -> None:
    request = httpx.Request(case.method, f"{HERE}/inbound/v1{case.target}")

    judge_answer(request, case.answer.status_code, case.answer.content)


@needs_specification
@each_case()
def test_a_case_knows_every_failure_that_the_specification_documents(case: Case) -> None:
    responses = document()["paths"][case.template][case.method.lower()]["responses"]

    assert {*case.failures} == {int(status) for status in responses if int(status) >= 400}


# --- requests


@each_case()
@pytest.mark.asyncio
async def test_a_call_sends_exactly_its_request(case: Case, once: AsyncMailChannels, api: respx.Route) -> None:
    api.return_value = case.answered()

    await case.value_of(once)

    (call,) = api.calls
    content = call.request.content
    assert (call.request.method, target_of(call.request)) == (case.method, case.target)
    assert (json.loads(content) if content else None) == case.body


@each_case()
@pytest.mark.asyncio
async def test_a_call_sends_exactly_these_headers(case: Case, once: AsyncMailChannels, api: respx.Route) -> None:
    api.return_value = case.answered()
    expected = {
        "host": "127.0.0.1:9",
        "x-api-key": KEY,
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": f"mailchannels-sdk/{mailchannels.__version__}",
    }

    await case.value_of(once)

    request = api.calls.last.request
    if case.body is not None:
        expected |= {"content-type": "application/json", "content-length": str(len(request.content))}
    found = dict(request.headers)
    assert found.pop("content-length", "0") == expected.pop("content-length", "0")
    assert found == expected


@each_case()
def test_the_blocking_twin_sends_the_same_request_and_gives_the_same_value(
    case: Case, blocking: MailChannels, api: respx.Route
) -> None:
    api.return_value = case.answered()

    value = case.blocking_value_of(blocking)

    (call,) = api.calls
    content = call.request.content
    assert (call.request.method, target_of(call.request)) == (case.method, case.target)
    assert (json.loads(content) if content else None) == case.body
    assert value == case.value


# --- values


@each_case()
@pytest.mark.asyncio
async def test_an_answer_becomes_a_value(case: Case, once: AsyncMailChannels, api: respx.Route) -> None:
    api.return_value = case.answered()

    assert await case.value_of(once) == case.value


@pytest.mark.parametrize(
    ("name", "answer", "value"),
    [
        ("domains.list", {"domains": None, "total": 0}, DomainPage([], 0)),
        ("domains.list_entries", None, []),
        ("lists.list_entries", None, []),
        ("users.list_entries", None, []),
        ("service.subscriptions", None, []),
        ("users.create", MADE | {"list_entries": None}, User("jane@example.com", ["user"], True, [], True)),
        ("domains.list_downstream_addresses", {"records": None}, []),
        ("domains.list_downstream_addresses", {}, []),
        ("domains.set_downstream_address", {"records": None}, []),
    ],
)
@pytest.mark.asyncio
async def test_a_list_that_is_null_holds_nothing(
    name: str, answer: object, value: object, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(BY_NAME[name].answer.status_code, content=json.dumps(answer))

    assert await BY_NAME[name].value_of(once) == value


# --- failures


@each_failure()
@pytest.mark.asyncio
async def test_a_failure_becomes_its_error_with_all_that_the_api_said(
    case: Case, status: int, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(
        status,
        json={"code": status, "message": "no", "errors": ["first", "second"]},
        headers={"X-Request-Id": "request-1"},
    )

    error = await api_error_of(case.value_of(once))

    assert type(error) is CLASSES[status]
    assert (error.status, error.message, error.details) == (status, "no", ["first", "second"])
    assert (error.request_id, error.method) == ("request-1", case.method)
    assert error.path == case.path


@pytest.mark.parametrize(("status", "expected"), CLASSES.items())
@pytest.mark.asyncio
async def test_a_status_has_its_class_documented_or_not(
    status: int, expected: type[APIError], once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(status)

    with pytest.raises(APIError) as caught:
        await once.domains.delete("example.com")

    assert caught.type is expected


@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b'"text"', b'{"message":7,"errors":"text"}'])
@pytest.mark.asyncio
async def test_an_error_that_says_nothing_says_what_its_status_means(
    content: bytes, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(404, content=content)

    with pytest.raises(NotFound) as caught:
        await once.domains.delete("example.com")

    assert str(caught.value) == "DELETE /domains/example.com: 404 Not Found"
    assert (caught.value.details, caught.value.request_id, caught.value.retry_after) == ([], None, None)


@pytest.mark.asyncio
async def test_a_503_in_html_is_rate_limited_with_an_excerpt(once: AsyncMailChannels, api: respx.Route) -> None:
    page = "<html>" + "busy " * 1000
    api.return_value = httpx.Response(503, html=page)

    with pytest.raises(RateLimited, match="503 Service Unavailable") as caught:
        await once.domains.delete("example.com")

    assert caught.value.body == page[:2048]


@pytest.mark.asyncio
async def test_a_503_without_a_body_is_rate_limited(once: AsyncMailChannels, api: respx.Route) -> None:
    api.return_value = httpx.Response(503)

    with pytest.raises(RateLimited, match="503 Service Unavailable") as caught:
        await once.domains.delete("example.com")

    assert caught.value.body is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "Fri, 01 Jan 2027 00:00:09 GMT", "Date": "Fri, 01 Jan 2027 00:00:00 GMT"}, 9.0),
        ({"Retry-After": "Fri, 01 Jan 2027 00:00:00 GMT", "Date": "Fri, 01 Jan 2027 00:00:09 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({}, None),
    ],
)
@pytest.mark.asyncio
async def test_an_error_says_how_long_the_server_asks_to_wait(
    headers: dict[str, str], seconds: float | None, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(429, headers=headers)

    with pytest.raises(RateLimited) as caught:
        await once.domains.delete("example.com")

    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("header", ["X-Request-Id", "Request-Id", "X-Amzn-RequestId", "X-Correlation-Id"])
@pytest.mark.asyncio
async def test_a_request_is_identified_by_whichever_header_there_is(
    header: str, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(400, headers={header: "request-1"})

    with pytest.raises(BadRequest, match=r"\[request request-1\]"):
        await once.domains.delete("example.com")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.asyncio
async def test_a_redirect_is_an_error_and_never_followed(
    status: int, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(status, headers={"Location": "https://elsewhere.example/"})

    with pytest.raises(UnexpectedResponse, match="redirects are not followed") as caught:
        await once.domains.delete("example.com")

    assert len(api.calls) == 1
    assert caught.value.status == status


# --- repeats


@parametrised([case for case in CASES if case.repeatable])
@pytest.mark.asyncio
async def test_a_repeat_is_the_same_request(case: Case, repeating: AsyncMailChannels, api: respx.Route) -> None:
    api.side_effect = [httpx.ReadError("reset"), httpx.Response(503), case.answered()]

    await case.value_of(repeating)

    requests = [(call.request.method, target_of(call.request), call.request.content) for call in api.calls]
    assert requests == [requests[0]] * 3


@each_case()
@pytest.mark.parametrize("turned_away", [httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(429)])
@pytest.mark.asyncio
async def test_whatever_was_turned_away_unread_is_sent_again(
    turned_away: httpx.Response | Exception, case: Case, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [turned_away, case.answered()]

    assert await case.value_of(repeating) == case.value
    assert sent(api) == [case.target] * 2


@parametrised(DELETING)
@pytest.mark.parametrize("lost", [httpx.ReadError("reset"), httpx.Response(500), httpx.Response(504)])
@pytest.mark.asyncio
async def test_a_404_on_the_repeat_of_a_delete_whose_answer_was_lost_is_success(
    lost: httpx.Response | Exception, case: Case, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [lost, httpx.Response(404, json={"message": "no such thing"})]

    assert await case.value_of(repeating) is None
    assert sent(api) == [case.target] * 2


@parametrised(DELETING)
@pytest.mark.parametrize("earlier", [[], [httpx.Response(503)], [httpx.ConnectError("refused")]])
@pytest.mark.asyncio
async def test_a_404_is_an_error_where_no_answer_was_lost(
    earlier: list[httpx.Response | Exception], case: Case, repeating: AsyncMailChannels, api: respx.Route
) -> None:
    api.side_effect = [*earlier, httpx.Response(404)]

    with pytest.raises(NotFound) as caught:
        await case.value_of(repeating)

    assert caught.value.maybe_applied is False


# --- answers that are none


SECRET: Final = "t0k3n-that-nobody-may-see"

MISFITS: Final = [
    ("domains.list", {"domains": []}, "$.total: is missing"),
    ("domains.list", {"total": 1}, "$.domains: is missing"),
    ("domains.list", {"domains": [], "total": None}, "$.total: expected whole number, found null"),
    ("domains.list", {"domains": [], "total": True}, "$.total: expected whole number, found boolean"),
    ("domains.list", {"domains": [], "total": 1.5}, "$.total: expected whole number, found number"),
    ("domains.list", {"domains": [], "total": SECRET}, "$.total: expected whole number, found string"),
    ("domains.list", {"domains": SECRET, "total": 1}, "$.domains: expected array, found string"),
    ("domains.list", {"domains": {SECRET: 1}, "total": 1}, "$.domains: expected array, found object"),
    (
        "domains.list",
        {"domains": [{"domain": 5}], "total": 1},
        "$.domains[0].domain: expected string, found whole number",
    ),
    ("domains.list", {"domains": [STORED, SECRET], "total": 1}, "$.domains[1]: expected object, found string"),
    ("domains.list", {"domains": [STORED, None], "total": 1}, "$.domains[1]: expected object, found null"),
    ("domains.list", [SECRET], "$: expected object, found array"),
    ("domains.list", None, "$: expected object, found null"),
    ("domains.provision", {"domain": None}, "$.domain: expected string, found null"),
    ("domains.provision", STORED | {"admins": [None]}, "$.admins[0]: expected string, found null"),
    ("domains.provision", STORED | {"aliases": [["a"]]}, "$.aliases[0]: expected string, found array"),
    ("domains.provision", STORED | {"settings": [SECRET]}, "$.settings: expected object, found array"),
    (
        "domains.provision",
        STORED | {"settings": {"abusePolicyOverride": SECRET}},
        "$.settings.abusePolicyOverride: expected boolean, found string",
    ),
    (
        "domains.provision",
        STORED | {"downstreamAddresses": [{"priority": 1, "weight": 1, "target": SECRET}]},
        "$.downstreamAddresses[0].port: is missing",
    ),
    ("domains.bulk_provision", {"successes": [{"domain": STORED}]}, "$.successes[0].code: is missing"),
    (
        "domains.bulk_provision",
        {"successes": [{"domain": STORED, "code": SECRET}]},
        "$.successes[0].code: expected whole number, found string",
    ),
    (
        "domains.bulk_provision",
        {"errors": [{"domain": "example.com", "code": 409}]},
        "$.errors[0].domain: expected object, found string",
    ),
    ("domains.bulk_provision", [SECRET], "$: expected object, found array"),
    ("domains.add_list_entry", ENTRY | {"item_type": None}, "$.item_type: expected string, found null"),
    ("domains.list_entries", {"entries": [SECRET]}, "$: expected array, found object"),
    ("domains.list_entries", [ENTRY, {"action": "safelist", "item": SECRET}], "$[1].item_type: is missing"),
    ("domains.create_alias", {"alias": "a.example"}, "$.domain: is missing"),
    ("domains.create_alias", {"domain": STORED}, "$.alias: is missing"),
    ("domains.create_alias", {"domain": "a.example", "alias": SECRET}, "$.domain: expected object, found string"),
    ("lists.list_entries", [ENTRY, SECRET], "$[1]: expected object, found string"),
    ("users.add_list_entry", ENTRY | {"action": 5}, "$.action: expected string, found whole number"),
    ("users.create", {"recipient": SECRET}, "$.recipient: expected object, found string"),
    ("users.create", {"recipient": {"roles": []}}, "$.recipient.email_address: is missing"),
    ("users.create", {"recipient": {"email_address": SECRET}}, "$.recipient.roles: is missing"),
    (
        "users.create",
        {"recipient": {"email_address": "a", "roles": [], "filter": "compute"}},
        "$.recipient.filter: expected boolean, found string",
    ),
    ("users.create", MADE | {"list_entries": [SECRET]}, "$.list_entries[0]: expected object, found string"),
    ("users.create", [SECRET], "$: expected object, found array"),
    ("service.subscriptions", {"subscriptions": []}, "$: expected array, found object"),
    ("service.subscriptions", [{"handle": SECRET}], "$[0].active: is missing"),
    (
        "service.subscriptions",
        [SUBSCRIPTION | {"activeAccountsCount": "12"}],
        "$[0].activeAccountsCount: expected whole number, found string",
    ),
    ("service.subscriptions", [SUBSCRIPTION | {"plan": None}], "$[0].plan: expected object, found null"),
    (
        "service.subscriptions",
        [SUBSCRIPTION | {"limits": [{"featureHandle": "domains", "value": 1000}]}],
        "$[0].limits[0].value: expected string, found whole number",
    ),
    ("domains.create_login_link", {"loginlink": SECRET}, "$.loginLink: is missing"),
    ("domains.create_login_link", {"loginLink": [SECRET]}, "$.loginLink: expected string, found array"),
    ("domains.set_downstream_address", {"records": SECRET}, "$.records: expected array, found string"),
    ("domains.list_downstream_addresses", [], "$: expected object, found array"),
    (
        "domains.bulk_create_login_links",
        {"successes": [{"domain": "example.com", "code": 200, "loginLink": [SECRET]}]},
        "$.successes[0].loginLink: expected string, found array",
    ),
]
NOT_JSON: Final = [
    b"<html><a href='https://console.example/?token=%s'>log in</a></html>" % SECRET.encode(),
    b'{"loginLink": "%s' % SECRET.encode(),
    b'{"loginLink": "%s\xff"}' % SECRET.encode(),
    b'{"loginLink": "%s"} and more' % SECRET.encode(),
]


@pytest.mark.parametrize(("name", "answer", "message"), MISFITS)
@pytest.mark.asyncio
async def test_an_answer_that_does_not_fit_says_where(
    name: str, answer: object, message: str, once: AsyncMailChannels, api: respx.Route
) -> None:
    case = BY_NAME[name]
    api.return_value = httpx.Response(case.answer.status_code, content=json.dumps(answer))

    error = await failure_of(case.value_of(once))

    assert isinstance(error, UnexpectedResponse)
    assert str(error) == f"{case.method} {case.path}: {message}"
    assert SECRET not in "".join(traceback.format_exception(error))


@parametrised(PROMISING)
@pytest.mark.parametrize("content", [b"", *NOT_JSON])
@pytest.mark.asyncio
async def test_an_answer_that_is_no_json_is_unexpected(
    content: bytes, case: Case, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(case.answer.status_code, content=content)

    error = await failure_of(case.value_of(once))

    assert isinstance(error, UnexpectedResponse)
    assert "the body is not JSON" in str(error)
    assert (error.status, error.method) == (case.answer.status_code, case.method)


@pytest.mark.parametrize("content", NOT_JSON)
@pytest.mark.asyncio
async def test_an_unexpected_answer_is_not_quoted(content: bytes, once: AsyncMailChannels, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, content=content)

    error = await failure_of(once.domains.create_login_link("example.com"))

    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("content", NOT_JSON)
@pytest.mark.asyncio
async def test_no_error_behind_an_unexpected_answer_keeps_its_body(
    content: bytes, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, content=content)

    error: BaseException | None = await failure_of(once.domains.create_login_link("example.com"))

    kept = []
    while error is not None:
        kept.append((error.args, vars(error), getattr(error, "doc", None)))
        error = error.__cause__ or error.__context__
    assert SECRET not in repr(kept)


@parametrised(PROMISING_NOTHING)
@pytest.mark.parametrize("content", [b"<html>log in</html>", b"\n<!doctype html>"])
@pytest.mark.asyncio
async def test_where_nothing_is_promised_a_page_of_somebody_elses_is_no_success(
    content: bytes, case: Case, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, content=content)

    assert isinstance(await failure_of(case.value_of(once)), UnexpectedResponse)


@parametrised(PROMISING_NOTHING)
@pytest.mark.parametrize("content", [b"", b"{}", b"OK"])
@pytest.mark.asyncio
async def test_where_nothing_is_promised_anything_else_will_do(
    content: bytes, case: Case, once: AsyncMailChannels, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, content=content)

    assert await case.value_of(once) is None
