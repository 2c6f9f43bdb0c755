"""The wire contract of HybridBox: what each call sends, to the byte, and what its answer or failure becomes."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import httpx
import pytest
import pytest_asyncio
import respx
from conftest import HERE

import mailchannels
from mailchannels import (
    APIError,
    BadRequest,
    Conflict,
    ConnectionLost,
    Forbidden,
    MailChannelsError,
    NotFound,
    Outcome,
    PayloadTooLarge,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UnprocessableEntity,
)
from mailchannels.hybridbox import (
    AsyncHybridBox,
    AsyncMailboxes,
    BulkMailboxItem,
    BulkMailboxResult,
    HybridBox,
    Mailbox,
    MailboxAlias,
    MailboxPage,
    NewMailbox,
    Quota,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator

T = TypeVar("T")

ACCOUNT: Final = "123e4567-e89b-12d3-a456-426614174000"
WORKSPACE: Final = "00000000-0000-4000-8000-00000000000a"
TOKEN: Final = "t0k3n-that-nobody-may-see"
ROOT: Final = f"/v1/public/accounts/{ACCOUNT}"

STORED: Final = {
    "id": "11111111-1111-4111-8111-111111111111",
    "primary_email": "jane@example.com",
    "local_part": "jane",
    "domain_id": "22222222-2222-4222-8222-222222222222",
    "domain_name": "example.com",
    "first_name": "Jane",
    "last_name": "Doe",
    "status": "active",
    "quota": {"allowed": 1000, "used": 1},
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-02T00:00:00Z",
    "aliases": [{"alias": "sales", "is_catch_all": True}],
    "workspace_id": WORKSPACE,
    "workspace_name": "Head office",
}
JANE: Final = Mailbox(
    id="11111111-1111-4111-8111-111111111111",
    primary_email="jane@example.com",
    local_part="jane",
    domain_id="22222222-2222-4222-8222-222222222222",
    domain_name="example.com",
    first_name="Jane",
    last_name="Doe",
    status="active",
    quota=Quota(allowed=1000, used=1),
    created_at="2026-01-01T00:00:00Z",
    updated_at="2026-01-02T00:00:00Z",
    aliases=[MailboxAlias("sales", is_catch_all=True)],
    workspace_id=WORKSPACE,
    workspace_name="Head office",
)
PAGE: Final = {"items": [STORED], "page": 2, "page_size": 50, "total": 51}
ALIAS: Final = {"alias": "sales", "is_catch_all": True}
NEW: Final = NewMailbox("jane", "Jane", "Doe")
CREATED: Final = BulkMailboxItem(index=0, new=NEW, mailbox=JANE, outcome=Outcome.SUCCEEDED)
CREATED_BATCH: Final = {"created": [{"index": 0, "mailbox": STORED}], "failed": []}


async def gathered(results: AsyncIterable[T]) -> list[T]:
    return [result async for result in results]


class Case(NamedTuple):
    """One method: how it is called, the request that makes, an answer, and the value of that."""

    name: str
    call: Callable[[AsyncMailboxes], Awaitable[Any]]
    method: str
    target: str
    body: object
    answer: object
    value: object


CASES: Final = [
    Case(
        "bulk_create",
        lambda mailboxes: mailboxes.bulk_create([NEW], domain="Example.com"),
        "POST",
        "/mailboxes/bulk",
        {"domain": "example.com", "items": [{"local_part": "jane", "first_name": "Jane", "last_name": "Doe"}]},
        CREATED_BATCH,
        BulkMailboxResult([CREATED]),
    ),
    Case(
        "iter_bulk_create",
        lambda mailboxes: gathered(mailboxes.iter_bulk_create([NEW], domain=JANE.domain_id.upper())),
        "POST",
        "/mailboxes/bulk",
        {
            "domain": "22222222-2222-4222-8222-222222222222",
            "items": [{"local_part": "jane", "first_name": "Jane", "last_name": "Doe"}],
        },
        CREATED_BATCH,
        [BulkMailboxResult([CREATED])],
    ),
    Case(
        "create",
        lambda mailboxes: mailboxes.create("jane", domain="bücher.example", first_name="Jane", last_name="Doe"),
        "POST",
        "/mailboxes",
        {"domain": "xn--bcher-kva.example", "first_name": "Jane", "last_name": "Doe", "local_part": "jane"},
        STORED,
        JANE,
    ),
    Case(
        "list",
        lambda mailboxes: mailboxes.list(
            domain="example.com", workspace_id=WORKSPACE.upper(), search="a b&c=d", page=2, page_size=50
        ),
        "GET",
        f"/mailboxes?domain=example.com&workspace_id={WORKSPACE}&search=a%20b%26c%3Dd&page=2&page_size=50",
        None,
        PAGE,
        MailboxPage([JANE], page=2, page_size=50, total=51),
    ),
    Case(
        "iter_list",
        lambda mailboxes: gathered(mailboxes.iter_list(domain="example.com", workspace_id=WORKSPACE, search="jane")),
        "GET",
        f"/mailboxes?domain=example.com&workspace_id={WORKSPACE}&search=jane&page=1&page_size=100",
        None,
        {**PAGE, "total": 1},
        [JANE],
    ),
    Case(
        "get",
        lambda mailboxes: mailboxes.get("jane+x/y@example.com"),
        "GET",
        "/mailboxes/jane%2Bx%2Fy%40example.com",
        None,
        STORED,
        JANE,
    ),
    Case(
        "update",
        lambda mailboxes: mailboxes.update(JANE.id, first_name="Jane", last_name="Doe"),
        "PATCH",
        f"/mailboxes/{JANE.id}",
        {"first_name": "Jane", "last_name": "Doe"},
        STORED,
        JANE,
    ),
    Case(
        "create_alias",
        lambda mailboxes: mailboxes.create_alias(JANE.id, "sales", is_catch_all=True),
        "POST",
        f"/mailboxes/{JANE.id}/aliases",
        {"alias": "sales", "is_catch_all": True},
        ALIAS,
        MailboxAlias("sales", is_catch_all=True),
    ),
]
BY_NAME: Final = {case.name: case for case in CASES}

CLASSES: Final[dict[int, type[APIError]]] = {
    400: BadRequest,
    401: Unauthorized,
    402: APIError,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
    422: UnprocessableEntity,
    429: RateLimited,
    500: ServerError,
    502: ServerError,
    503: RateLimited,
    504: ServerError,
}


@pytest.fixture
def api(environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch) -> Iterator[respx.Route]:
    """Answers whatever is sent; every test says with what. Repeats are sent without a pause."""
    monkeypatch.setattr("mailchannels.transport.back_off", lambda _: 0.0)
    with respx.mock(assert_all_called=False) as router:
        yield router.route()


@pytest_asyncio.fixture
async def mailboxes(api: respx.Route) -> AsyncIterator[AsyncMailboxes]:
    """The mailboxes of a client that repeats nothing."""
    async with AsyncHybridBox(ACCOUNT, TOKEN, base_url=HERE, rate_limit=None, max_retries=0) as hybridbox:
        yield hybridbox.mailboxes


@pytest_asyncio.fixture
async def repeating(api: respx.Route) -> AsyncIterator[AsyncMailboxes]:
    """The mailboxes of a client that repeats what is lost."""
    async with AsyncHybridBox(ACCOUNT, TOKEN, base_url=HERE, rate_limit=None) as hybridbox:
        yield hybridbox.mailboxes


def each_case(*names: str) -> pytest.MarkDecorator:
    cases = [case for case in CASES if not names or case.name in names]
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def sent(api: respx.Route) -> list[str]:
    """The method, path and query of every request, below the account."""
    lines = []
    for call in api.calls:
        target = call.request.url.raw_path.decode("ascii")
        assert target.startswith(ROOT)
        lines.append(f"{call.request.method} {target.removeprefix(ROOT)}")
    return lines


def body_of(api: respx.Route) -> Any:
    return json.loads(api.calls.last.request.content)


async def failure_of(call: Awaitable[Any]) -> MailChannelsError:
    """What a call raises; for a bulk call, what its one item holds."""
    try:
        result = await call
    except MailChannelsError as error:
        return error
    (result,) = result if isinstance(result, list) else [result]
    (item,) = result.failed
    assert isinstance(item.error, MailChannelsError)
    return item.error


# --- requests


def test_the_cases_know_every_method() -> None:
    assert BY_NAME.keys() == {name for name in vars(AsyncMailboxes) if name[0] != "_"}


@each_case()
@pytest.mark.asyncio
async def test_a_call_sends_exactly_its_request(case: Case, mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=case.answer)

    await case.call(mailboxes)

    content = api.calls.last.request.content
    assert sent(api) == [f"{case.method} {case.target}"]
    assert (json.loads(content) if content else None) == case.body


@each_case()
@pytest.mark.asyncio
async def test_a_call_sends_exactly_these_headers(case: Case, mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=case.answer)

    await case.call(mailboxes)

    request = api.calls.last.request
    about_the_body = {"content-type": "application/json", "content-length": str(len(request.content))}
    assert dict(request.headers) == {
        "host": "127.0.0.1:9",
        "authorization": f"Bearer {TOKEN}",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "user-agent": f"mailchannels-sdk/{mailchannels.__version__}",
        **(about_the_body if case.body is not None else {}),
    }


@pytest.mark.asyncio
async def test_the_token_and_the_address_may_stand_in_the_environment(
    api: respx.Route, environment: pytest.MonkeyPatch
) -> None:
    api.return_value = httpx.Response(200, json=PAGE)
    environment.setenv("HYBRIDBOX_TOKEN", "of-the-environment")
    environment.setenv("HYBRIDBOX_BASE_URL", "https://boxes.example/below/")

    async with AsyncHybridBox(ACCOUNT.upper()) as hybridbox:
        await hybridbox.mailboxes.list()

    request = api.calls.last.request
    assert str(request.url) == f"https://boxes.example/below{ROOT}/mailboxes"
    assert request.headers["Authorization"] == "Bearer of-the-environment"


@pytest.mark.asyncio
async def test_the_public_address_is_the_default(api: respx.Route, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("HYBRIDBOX_BASE_URL", raising=False)
    api.return_value = httpx.Response(200, json=PAGE)

    async with AsyncHybridBox(ACCOUNT, TOKEN) as hybridbox:
        await hybridbox.mailboxes.list()

    assert str(api.calls.last.request.url) == f"https://api.hybridbox.io{ROOT}/mailboxes"


@pytest.mark.asyncio
async def test_what_is_left_out_is_not_sent(mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=STORED)

    await mailboxes.update("jane@example.com", last_name="Roe")

    assert body_of(api) == {"last_name": "Roe"}


@pytest.mark.asyncio
async def test_an_alias_is_no_catch_all_unless_asked_for(mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=ALIAS)

    await mailboxes.create_alias(JANE.id, "sales")

    assert body_of(api) == {"alias": "sales", "is_catch_all": False}


@each_case("list", "iter_list", "get", "update")
@pytest.mark.asyncio
async def test_what_may_be_repeated_is_repeated_as_it_was(
    case: Case, repeating: AsyncMailboxes, api: respx.Route
) -> None:
    api.side_effect = [httpx.ReadError("reset"), httpx.Response(500), httpx.Response(200, json=case.answer)]

    assert await case.call(repeating) == case.value
    assert sent(api) == [f"{case.method} {case.target}"] * 3


@each_case("create", "create_alias")
@pytest.mark.asyncio
async def test_what_may_not_be_repeated_is_not(case: Case, repeating: AsyncMailboxes, api: respx.Route) -> None:
    api.side_effect = [httpx.ReadError("reset")]

    with pytest.raises(ConnectionLost) as caught:
        await case.call(repeating)

    assert caught.value.maybe_applied
    assert len(api.calls) == 1


@each_case("create", "create_alias", "bulk_create")
@pytest.mark.parametrize("turned_away", [httpx.Response(429), httpx.Response(503), httpx.ConnectError("refused")])
@pytest.mark.asyncio
async def test_what_was_turned_away_unread_is_sent_again(
    turned_away: httpx.Response | Exception, case: Case, repeating: AsyncMailboxes, api: respx.Route
) -> None:
    api.side_effect = [turned_away, httpx.Response(200, json=case.answer)]

    assert await case.call(repeating) == case.value
    assert sent(api) == [f"{case.method} {case.target}"] * 2


# --- values


@each_case()
@pytest.mark.asyncio
async def test_an_answer_becomes_a_value(case: Case, mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=case.answer)

    assert await case.call(mailboxes) == case.value


@pytest.mark.parametrize(
    "changes",
    [{"aliases": None, "workspace_id": None, "workspace_name": None}, {}],
    ids=["null", "missing"],
)
@pytest.mark.asyncio
async def test_what_a_mailbox_need_not_have_is_none(
    changes: dict[str, None], mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    optional = {"aliases", "workspace_id", "workspace_name"}
    required = {name: value for name, value in STORED.items() if name not in optional}
    api.return_value = httpx.Response(200, json={**required, **changes})

    mailbox = await mailboxes.get(JANE.id)

    assert not mailbox.aliases
    assert (mailbox.workspace_id, mailbox.workspace_name) == (None, None)
    assert mailbox.primary_email == "jane@example.com"


@pytest.mark.asyncio
async def test_what_the_api_adds_one_day_is_no_error(mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json={**STORED, "status": "asleep", "new": {"deep": []}})

    assert (await mailboxes.get(JANE.id)).status == "asleep"


@pytest.mark.asyncio
async def test_a_refused_item_keeps_the_word_and_the_message_of_the_api(
    mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    failed = [
        {"index": 1, "code": "quota_exceeded", "message": "the account is full"},
        {"index": 0, "code": "nobody_knows"},
    ]
    api.return_value = httpx.Response(200, json={"created": None, "failed": failed})

    first, second = (await mailboxes.bulk_create([NEW, NewMailbox("john", "J", "D")], domain="example.com")).failed

    assert (first.index, first.code, first.comment, first.outcome) == (0, "nobody_knows", None, Outcome.FAILED)
    assert (second.code, second.comment) == ("quota_exceeded", "the account is full")
    assert str(second.error) == "john: quota_exceeded: the account is full"
    assert (second.mailbox, second.retryable) == (None, False)


# --- failures


@each_case()
@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.asyncio
async def test_a_failure_becomes_its_error_with_all_that_the_api_said(
    status: int, case: Case, mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    api.return_value = httpx.Response(
        status, json={"message": "no", "errors": ["first", {"second": 2}]}, headers={"X-Request-Id": "request-1"}
    )

    error = await failure_of(case.call(mailboxes))

    assert type(error) is CLASSES[status]
    assert isinstance(error, APIError)
    assert (error.status, error.message, error.details) == (status, "no", ["first", "{'second': 2}"])
    assert (error.request_id, error.method, error.path) == ("request-1", case.method, case.target.partition("?")[0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"7",
        b'"no"',
        b"[1, [2]]",
        b"{}",
        b'{"detail": [{"loc": ["body"], "msg": "no"}]}',
        b'{"error": {"code": "no", "message": ["no"]}}',
        b'{"message": 5, "errors": "no"}',
        b'{"errors": {"domain": ["no"]}}',
        b"<html>no</html>",
        b"\xff\xfe",
        b"[" * 5_000,
    ],
)
@each_case("create", "bulk_create")
@pytest.mark.asyncio
async def test_an_error_may_have_any_body(
    case: Case, content: bytes, mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    api.return_value = httpx.Response(409, content=content)

    error = await failure_of(case.call(mailboxes))

    assert isinstance(error, Conflict)
    assert error.message == "Conflict"
    if b"no" in content:
        assert "no" in (error.body or "")


MISFITS: Final = [
    ("get", {**STORED, "id": None}, "$.id: expected string, found null"),
    ("get", {**STORED, "quota": None}, "$.quota: expected object, found null"),
    (
        "get",
        {**STORED, "quota": {"allowed": "many", "used": 1}},
        "$.quota.allowed: expected whole number, found string",
    ),
    ("get", {**STORED, "quota": {"allowed": 1.5, "used": 1}}, "$.quota.allowed: expected whole number, found number"),
    ("get", {**STORED, "aliases": [{"alias": "a"}]}, "$.aliases[0].is_catch_all: is missing"),
    ("get", {**STORED, "aliases": {}}, "$.aliases: expected array, found object"),
    ("get", [STORED], "$: expected object, found array"),
    ("create", {**STORED, "created_at": 5}, "$.created_at: expected string, found whole number"),
    ("update", {name: value for name, value in STORED.items() if name != "status"}, "$.status: is missing"),
    ("list", {**PAGE, "items": [STORED, 5]}, "$.items[1]: expected object, found whole number"),
    ("list", {**PAGE, "total": "51"}, "$.total: expected whole number, found string"),
    ("iter_list", {"items": []}, "$.page: is missing"),
    ("create_alias", {"alias": "a", "is_catch_all": "no"}, "$.is_catch_all: expected boolean, found string"),
    ("bulk_create", [], "$: expected object, found array"),
    ("bulk_create", {"created": [{"index": "0"}]}, "$.created[0].index: expected whole number, found string"),
    ("bulk_create", {"created": [{"index": 0, "mailbox": {}}]}, "$.created[0].mailbox.id: is missing"),
    ("bulk_create", {"failed": [{"index": 0, "code": 409}]}, "$.failed[0].code: expected string, found whole number"),
]


@pytest.mark.parametrize(("name", "answer", "message"), MISFITS)
@pytest.mark.asyncio
async def test_an_answer_that_does_not_fit_says_where(
    name: str, answer: object, message: str, mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    case = BY_NAME[name]
    api.return_value = httpx.Response(200, json=answer)

    error = await failure_of(case.call(mailboxes))

    assert isinstance(error, UnexpectedResponse)
    assert str(error) == f"{case.method} {case.target.partition('?')[0]}: {message}"


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", b'{"id": "\xff"}'])
@each_case()
@pytest.mark.asyncio
async def test_an_answer_that_is_no_json_is_unexpected(
    case: Case, content: bytes, mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    api.return_value = httpx.Response(200, content=content)

    error = await failure_of(case.call(mailboxes))

    assert isinstance(error, UnexpectedResponse)
    assert "the body is not JSON" in str(error)


# --- secrets


@each_case()
@pytest.mark.asyncio
async def test_no_error_repeats_the_token_that_a_server_sends_back(
    case: Case, mailboxes: AsyncMailboxes, api: respx.Route, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.return_value = httpx.Response(
        418,
        json={"message": f"not {TOKEN}", "errors": [{"authorization": f"Bearer {TOKEN}"}]},
        headers={"X-Request-Id": TOKEN, "X-Echo": f"Bearer {TOKEN}"},
    )

    error = await failure_of(case.call(mailboxes))

    assert isinstance(error, APIError)
    assert error.message == "not ***"
    told = ["".join(traceback.format_exception(error)), repr(vars(error)), pickle.dumps(error).decode("latin-1")]
    assert TOKEN not in "".join([*told, caplog.text])


@pytest.mark.asyncio
async def test_no_excerpt_of_a_body_repeats_the_token(mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(404, html=f"<p>{TOKEN}</p>")

    with pytest.raises(NotFound) as caught:
        await mailboxes.get(JANE.id)

    assert caught.value.body == "<p>***</p>"


@pytest.mark.asyncio
async def test_no_repr_shows_the_token(api: respx.Route) -> None:
    async with AsyncHybridBox(ACCOUNT, TOKEN) as hybridbox:
        shown = repr(hybridbox) + repr(hybridbox.mailboxes) + repr(vars(hybridbox)) + repr(vars(hybridbox.mailboxes))
    with HybridBox(ACCOUNT, TOKEN) as blocking:
        shown += repr(blocking) + repr(blocking.mailboxes) + repr(vars(blocking))

    assert TOKEN not in shown


# --- pickles


@each_case()
@pytest.mark.asyncio
async def test_a_value_survives_a_pickle(case: Case, mailboxes: AsyncMailboxes, api: respx.Route) -> None:
    api.return_value = httpx.Response(200, json=case.answer)

    value = await case.call(mailboxes)

    assert pickle.loads(pickle.dumps(value)) == value == case.value


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"failed": [{"index": 0, "code": "full"}]}),
        httpx.Response(200, json={}),
        httpx.Response(401, json={"message": "who are you?"}),
        httpx.ReadError("reset"),
    ],
    ids=["refused", "unmentioned", "unauthorized", "lost"],
)
@pytest.mark.asyncio
async def test_a_result_with_failures_survives_a_pickle(
    answer: httpx.Response | Exception, mailboxes: AsyncMailboxes, api: respx.Route
) -> None:
    api.side_effect = lambda _: _answered(answer)

    result = await mailboxes.bulk_create([NEW], domain="example.com")
    again: BulkMailboxResult = pickle.loads(pickle.dumps(result))

    assert repr(again) == repr(result)
    assert [(item.outcome, str(item.error)) for item in again.failed] == [
        (item.outcome, str(item.error)) for item in result.failed
    ]


def _answered(answer: httpx.Response | Exception) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    return httpx.Response(answer.status_code, content=answer.content)
