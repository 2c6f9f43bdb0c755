"""The tree of errors: its branches, what each carries through a pickle, and what none of them ever shows."""

from __future__ import annotations

import copy
import inspect
import pickle
import traceback
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import pytest_asyncio
from conftest import HERE

import mailchannels
from mailchannels import (
    APIError,
    AsyncMailChannels,
    BadRequest,
    BulkError,
    BulkProvisionItem,
    BulkProvisionResult,
    ConfigurationError,
    Conflict,
    ConnectError,
    ConnectionLost,
    ConnectionStalled,
    Domain,
    Forbidden,
    InvalidInput,
    MailChannelsError,
    NotFound,
    Outcome,
    PayloadTooLarge,
    RateLimited,
    RequestError,
    RequestTimeout,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    UnprocessableEntity,
    errors,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PARENTS: Final[dict[type[Exception], tuple[type[Exception], ...]]] = {
    MailChannelsError: (Exception,),
    ConfigurationError: (MailChannelsError, ValueError),
    InvalidInput: (MailChannelsError, ValueError),
    RequestError: (MailChannelsError,),
    ConnectError: (RequestError,),
    RequestTimeout: (RequestError, TimeoutError),
    ConnectionLost: (RequestError,),
    ConnectionStalled: (ConnectionLost, RequestTimeout),
    UnexpectedResponse: (MailChannelsError,),
    BulkError: (MailChannelsError,),
    APIError: (MailChannelsError,),
    BadRequest: (APIError,),
    Unauthorized: (APIError,),
    Forbidden: (APIError,),
    NotFound: (APIError,),
    Conflict: (APIError,),
    PayloadTooLarge: (APIError,),
    UnprocessableEntity: (APIError,),
    RateLimited: (APIError,),
    ServerError: (APIError,),
}
BY_STATUS: Final = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
    422: UnprocessableEntity,
    429: RateLimited,
    503: RateLimited,
}


def api_error(cls: type[APIError]) -> APIError:
    return cls(
        "no",
        status=499,
        method="PUT",
        path="/domains/example.com",
        details=["first", "second"],
        request_id="request-1",
        retry_after=1.5,
        headers={"retry-after": "1.5"},
        body="<html>",
        maybe_applied=True,
    )


def after_one_in_doubt(error: ConnectError) -> ConnectError:
    error.maybe_applied = True
    return error


RESULT: Final = BulkProvisionResult.of([BulkProvisionItem(index=0, domain=Domain("a.example"), outcome=Outcome.FAILED)])
SAMPLES: Final = [
    MailChannelsError("what"),
    ConfigurationError("what"),
    InvalidInput("records[2].port", "is 0"),
    RequestError("what", maybe_applied=True),
    ConnectError("what", retryable=False),
    after_one_in_doubt(ConnectError("what")),
    RequestTimeout("what", maybe_applied=False),
    RequestTimeout("what", maybe_applied=True),
    ConnectionLost("what"),
    ConnectionStalled("what"),
    UnexpectedResponse("what", status=200, method="GET", path="/domains"),
    BulkError("what", result=RESULT),
    *(api_error(cls) for cls in PARENTS if issubclass(cls, APIError)),
]


def each_sample() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)


def _classes() -> set[type[MailChannelsError]]:
    """Every error there is."""
    found, new = set[type[MailChannelsError]](), {MailChannelsError}
    while new:
        found |= new
        new = {cls for parent in new for cls in parent.__subclasses__() if cls.__module__ == errors.__name__}
    return found


# --- the tree


@pytest.mark.parametrize(("cls", "parents"), PARENTS.items())
def test_every_error_hangs_where_the_tree_says(cls: type, parents: tuple[type, ...]) -> None:
    assert cls.__bases__ == parents


def test_the_tree_has_no_other_branches() -> None:
    assert _classes() == PARENTS.keys()


def test_the_drawing_of_the_tree_names_every_error_once() -> None:
    drawing = inspect.getdoc(errors) or ""
    drawn = [line.lstrip(" │├└─").split(" ")[0] for line in drawing.split("\n\n")[1].splitlines()]

    assert sorted(drawn) == sorted(cls.__name__ for cls in PARENTS)


def test_every_error_is_exported() -> None:
    names = {cls.__name__ for cls in PARENTS}

    assert names <= set(mailchannels.__all__)
    assert set(errors.__all__) == names | {"error_for_status"}


def test_every_error_stands_among_the_samples() -> None:
    assert {type(error) for error in SAMPLES} == PARENTS.keys()


@pytest.mark.parametrize("status", range(400, 600))
def test_a_status_has_its_class(status: int) -> None:
    expected = BY_STATUS.get(status, ServerError if status >= 500 else APIError)

    assert errors.error_for_status(status) is expected


# --- what they say


def test_an_api_error_says_everything_that_helps() -> None:
    assert str(api_error(Conflict)) == (
        "PUT /domains/example.com: 499 no (first; second); the server asks to wait 1.5 s;"
        " an earlier attempt may have been applied [request request-1]"
    )


def test_an_api_error_says_nothing_of_what_it_does_not_know() -> None:
    assert str(NotFound("no", status=404, method="GET", path="/domains")) == "GET /domains: 404 no"


def test_an_api_error_without_details_has_an_empty_list_of_its_own() -> None:
    first, second = (NotFound("no", status=404, method="GET", path="/domains") for _ in range(2))

    first.details.append("mine")

    assert second.details == []


def test_a_refused_argument_is_named() -> None:
    error = InvalidInput("records[2].port", "is 0")

    assert (str(error), error.argument, error.reason) == ("records[2].port: is 0", "records[2].port", "is 0")


def test_where_no_connection_came_about_nothing_was_applied() -> None:
    assert ConnectError("what").maybe_applied is False


def test_where_a_connection_broke_the_request_may_have_been_applied() -> None:
    assert ConnectionLost("what").maybe_applied is True


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("what"),
        ConnectionLost("what"),
        ConnectionStalled("what"),
        RequestTimeout("what", maybe_applied=False),
        RequestTimeout("what", maybe_applied=True),
    ],
    ids=repr,
)
def test_what_happened_to_the_only_attempt_is_all_that_is_said(error: RequestError) -> None:
    assert str(error) == "what"


# --- pickles and copies


@each_sample()
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_pickles_with_all_it_carries(error: MailChannelsError, protocol: int) -> None:
    restored = pickle.loads(pickle.dumps(error, protocol))

    assert type(restored) is type(error)
    assert (str(restored), repr(restored), restored.args) == (str(error), repr(error), error.args)
    assert vars(restored) == vars(error)


@each_sample()
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_of_an_error_carries_the_same(error: MailChannelsError, duplicate: Any) -> None:
    copied = duplicate(error)

    assert (type(copied), str(copied), copied.args) == (type(error), str(error), error.args)
    assert vars(copied) == vars(error)


def test_notes_survive_a_pickle() -> None:
    error = RequestError("what", maybe_applied=True)
    error.add_note("while provisioning")

    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while provisioning"]


# --- secrets


KEY: Final = "s3cret-key-of-the-tests"
NEW_KEY: Final = "s3cret-new-key"
ECHO: Final = f"your key {KEY}, or {NEW_KEY}, is wrong"
ECHOES: Final = {
    "message": httpx.Response(403, json={"message": ECHO}),
    "details": httpx.Response(403, json={"message": "no", "errors": [ECHO, "b", {"key": KEY}]}),
    "header": httpx.Response(403, headers={"X-Echo": ECHO}),
    "request id": httpx.Response(403, headers={"X-Request-Id": ECHO}),
    "html": httpx.Response(403, html=f"<p>{ECHO}</p>"),
    "cut html": httpx.Response(403, html="x" * 2040 + ECHO),
    "text in json": httpx.Response(403, json=ECHO),
    "server error": httpx.Response(500, json={"message": ECHO}),
    "redirect": httpx.Response(302, headers={"Location": f"https://a.example/?key={KEY}"}),
    "redirect to the new key": httpx.Response(302, headers={"Location": f"https://a.example/?key={NEW_KEY}"}),
}


@pytest_asyncio.fixture(params=ECHOES.values(), ids=ECHOES)
async def told_off(request: pytest.FixtureRequest) -> AsyncIterator[MailChannelsError]:
    """The error of a call whose answer holds the API key."""
    answer: httpx.Response = request.param
    transport = httpx.MockTransport(
        lambda _: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
    )
    async with AsyncMailChannels(KEY, base_url=HERE, max_retries=0, transport=transport) as client:
        with pytest.raises(MailChannelsError) as caught:
            await client.domains.update_api_key("example.com", NEW_KEY)
        yield caught.value


@pytest.mark.asyncio
async def test_no_error_says_a_key(told_off: MailChannelsError) -> None:
    assert "s3cret" not in f"{told_off!s} {told_off!r}"


@pytest.mark.asyncio
async def test_no_error_carries_a_key(told_off: MailChannelsError) -> None:
    assert "s3cret" not in repr((told_off.args, vars(told_off)))


@pytest.mark.asyncio
async def test_no_pickle_of_an_error_carries_a_key(told_off: MailChannelsError) -> None:
    assert b"s3cret" not in pickle.dumps(told_off)


@pytest.mark.asyncio
async def test_no_traceback_of_an_error_shows_a_key(told_off: MailChannelsError) -> None:
    assert "s3cret" not in "".join(traceback.format_exception(told_off))


@pytest.mark.parametrize("echo", ["nothing", KEY])
@pytest.mark.parametrize("status", [302, 400, 403, 500])
@pytest.mark.asyncio
async def test_no_variable_in_a_traceback_of_ours_shows_the_key(status: int, echo: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status, headers={"X-Echo": echo}))
    async with AsyncMailChannels(KEY, base_url=HERE, max_retries=0, transport=transport) as client:
        with pytest.raises(MailChannelsError) as caught:
            await client.domains.delete("example.com")

    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = {frame.name: frame.locals for frame in stack if frame.filename != __file__}
    assert "s3cret" not in repr(ours)


@pytest.mark.parametrize("answer", ECHOES.values(), ids=ECHOES)
@pytest.mark.asyncio
async def test_no_variable_in_a_traceback_of_ours_shows_a_new_key(answer: httpx.Response) -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
    )
    async with AsyncMailChannels(KEY, base_url=HERE, max_retries=0, transport=transport) as client:
        with pytest.raises(MailChannelsError) as caught:
            await client.domains.update_api_key("example.com", NEW_KEY)

    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    ours = {frame.name: frame.locals for frame in stack if frame.filename != __file__}
    assert "update_api_key" in ours
    assert NEW_KEY not in repr(ours)


def test_no_repr_of_a_client_shows_the_key() -> None:
    client = AsyncMailChannels(KEY, base_url=HERE)

    assert "s3cret" not in repr((client, client.domains, vars(client)))


def test_a_client_refuses_to_be_pickled_and_names_no_key() -> None:
    with pytest.raises(TypeError, match="AsyncMailChannels holds a credential") as caught:
        pickle.dumps(AsyncMailChannels(KEY, base_url=HERE))

    assert "s3cret" not in str(caught.value)
