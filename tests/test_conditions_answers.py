"""Under real conditions: answers that are not what was promised, that drip or never end; and any text on the wire."""

from __future__ import annotations

import gzip
import re
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
from conditions import Call, Way, bulk_provision, list_domains, provision
from contract.case import KEY
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sockets import EMPTY_PAGE, RawServer, answer, drip, endless

from mailchannels import (
    APIError,
    AsyncMailChannels,
    BadRequest,
    InvalidInput,
    Outcome,
    RequestTimeout,
    UnexpectedResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sockets import Behaviour

pytestmark = pytest.mark.usefixtures("environment")


# Answers that are not what the API promises


def nested(depth: int) -> bytes:
    return b'{"domains":' + b"[" * depth + b"]" * depth + b',"total":0}'


WRONG: Final[dict[str, tuple[bytes, str]]] = {
    "nothing": (b"", r"the body is not JSON: .*"),
    "truncated JSON": (b'{"domains": [{"dom', r"the body is not JSON: .* at character 18"),
    "HTML": (b"<html><h1>Welcome</h1></html>", r"the body is not JSON: .* at character 0"),
    "invalid UTF-8": (b'{"domains": [{"domain": "\xff.example"}], "total": 1}', r"the body is not JSON: .*"),
    "a wrong type": (b'{"domains": {}, "total": 0}', r"\$\.domains: expected array, found object"),
    "a wrong type deep inside": (
        b'{"domains": [{"domain": "a.example"}, {"domain": "b.example", "admins": [7]}], "total": 2}',
        r"\$\.domains\[1\]\.admins\[0\]: expected string, found whole number",
    ),
    "a number too large": (b'{"domains": [], "total": 1%s}' % (b"0" * 400), r"the body is not JSON: .*"),
    "a missing field": (b'{"domains": []}', r"\$\.total: is missing"),
    "a missing field deep inside": (
        b'{"domains": [{"admins": []}], "total": 1}',
        r"\$\.domains\[0\]\.domain: is mis.*",
    ),
    "another document": (b"[]", r"\$: expected object, found array"),
    "nesting 10,000 deep": (nested(10_000), r"the body is not JSON: .*"),
    "nesting 1,000 deep": (nested(1_000), r"\$\.domains\[0\]: expected object, found array"),
}


@pytest.mark.parametrize(("body", "said"), WRONG.values(), ids=WRONG)
def test_an_answer_that_is_not_what_was_promised_is_unexpected_and_says_where(
    body: bytes, said: str, way: Way, waits: list[float]
) -> None:
    with RawServer(answer(body)) as server:
        outcomes = way.make(server.url, list_domains)

    errors = [outcome.error for outcome in outcomes]
    assert [type(error) for error in errors] == [UnexpectedResponse] * way.users
    assert all(re.fullmatch(f"GET /domains: {said}", str(error)) for error in errors), errors
    # Not asked for again: what it says would be the same.
    assert len(server.requests) == way.users


@pytest.mark.parametrize("body", [body for body, _ in WRONG.values()], ids=WRONG)
def test_a_batch_whose_answer_is_not_what_was_promised_is_unknown(body: bytes, way: Way, waits: list[float]) -> None:
    wrong = body.replace(b'"domains"', b'"successes"')
    if body in {WRONG["a missing field"][0], WRONG["a number too large"][0]}:
        wrong = b'{"successes": [{"code": 201}]}'
    with RawServer(answer(wrong)) as server:
        outcomes = way.make(server.url, bulk_provision)

    items = [item for outcome in outcomes for item in outcome.value.errors]
    assert [item.outcome for item in items] == [Outcome.UNKNOWN] * 2 * way.users
    assert all(isinstance(item.error, UnexpectedResponse) for item in items)
    assert len(server.requests) == way.users


ERRORS: Final[dict[str, bytes]] = {
    "nothing": b"",
    "truncated JSON": b'{"message": "n',
    "HTML": b"<html><h1>Bad</h1></html>",
    "invalid UTF-8": b'{"message": "\xff"}',
    "wrong types": b'{"message": {"a": 1}, "errors": "no", "code": []}',
    "numbers for errors": b'{"message": null, "errors": [1, null, {"a": [true]}]}',
    "another document": b"[1, 2]",
    "a text": b'"no"',
    "nesting 10,000 deep": b'{"errors": %s%s}' % (b"[" * 10_000, b"]" * 10_000),
    "other JSON nested 1,000 deep": b'{"reason": %s%s}' % (b"[" * 1_000, b"]" * 1_000),
    "nesting 1,000 deep": b'{"errors": %s%s}' % (b"[" * 1_000, b"]" * 1_000),
}


@pytest.mark.parametrize("body", ERRORS.values(), ids=ERRORS)
def test_an_error_is_the_one_of_its_status_whatever_its_body_is(body: bytes, way: Way) -> None:
    with RawServer(answer(body, status=400)) as server:
        outcomes = way.make(server.url, provision)

    assert [type(outcome.error) for outcome in outcomes] == [BadRequest] * way.users
    assert all(str(outcome.error).startswith("POST /domains: 400 ") for outcome in outcomes)
    assert len(server.requests) == way.users


# A body that drips


def test_a_body_that_drips_is_given_up_within_a_fifth_of_a_second_and_its_connection_not_used_again(way: Way) -> None:
    timeout = 0.5

    def dripping(client: AsyncMailChannels) -> Any:
        return client.domains.list(timeout=timeout)

    served = [answer(EMPTY_PAGE)] * way.users
    with RawServer(*served, *[drip()] * way.users, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, dripping, list_domains)
        server.wait_for_hang_ups(way.users)

    late = [outcome for outcome in outcomes if outcome.error is not None]
    prompt = [outcome.took for outcome in outcomes if outcome.error is None]
    assert [type(outcome.error) for outcome in late] == [RequestTimeout] * way.users
    assert all(getattr(outcome.error, "maybe_applied", None) is True for outcome in late)
    # What a call takes here beside its waiting tells how busy the machine is.
    assert all(timeout - 0.01 <= outcome.took < timeout + 0.2 + 2 * max(prompt) for outcome in late)
    assert len(server.requests) == 3 * way.users
    assert server.connections >= way.users + 1


# Bodies without an end


def bomb(size: int) -> bytes:
    compressor = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    pieces = [compressor.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join([*pieces, compressor.flush()])


@pytest.mark.parametrize(
    "behaviour",
    [endless(), answer(bomb(200 * 2**20), headers={"Content-Encoding": "gzip"})],
    ids=["endless", "gzip bomb"],
)
def test_a_body_above_the_cap_is_refused_in_bounded_memory(
    behaviour: Behaviour, way: Way, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailchannels.bodies.MAX_BODY", 2 * 2**20)
    tracemalloc.start()
    with RawServer(behaviour) as server:
        outcomes = way.make(server.url, list_domains)
        server.wait_until_all_are_closed()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [type(outcome.error) for outcome in outcomes] == [UnexpectedResponse] * way.users
    assert all("the body is larger than 2 MB" in str(outcome.error) for outcome in outcomes)
    assert peak < way.users * 16 * 2**20  # uvloop reads some megabytes at once
    assert len(server.requests) == way.users


def test_the_cap_is_64_mb_and_a_body_of_that_size_is_read(way: Way) -> None:
    fitting = b'{"domains": [], "total": 0}'.ljust(64 * 2**20)
    with RawServer(answer(gzip.compress(fitting, 1), headers={"Content-Encoding": "gzip"})) as server:
        outcomes = Way("asyncio" if way.users > 1 else way.name).make(server.url, list_domains)

    assert [outcome.error for outcome in outcomes] == [None]
    assert [outcome.value.total for outcome in outcomes] == [0]


@pytest.mark.parametrize(
    ("body", "encoding", "said"),
    [
        (b"no gzip", "gzip", "the body cannot be decompressed"),
        (gzip.compress(b'{"domains": [], "total": 0}')[:-9], "gzip", "it ends too early"),
        (b"\x0b\x02\x80{}\x03", "br", "the body is encoded as 'br', which was not asked for"),
    ],
    ids=["no gzip", "cut short", "not asked for"],
)
def test_a_body_that_cannot_be_decompressed_is_unexpected(
    body: bytes, encoding: str, said: str, way: Way, waits: list[float]
) -> None:
    with RawServer(answer(body, headers={"Content-Encoding": encoding})) as server:
        outcomes = way.make(server.url, list_domains)

    assert [type(outcome.error) for outcome in outcomes] == [UnexpectedResponse] * way.users
    assert all(said in str(outcome.error) for outcome in outcomes)
    assert len(server.requests) == way.users


@pytest.mark.parametrize("behaviour", [answer(bytes(3 * 2**20), status=400), answer(b"?", status=400)])
def test_an_error_whose_body_cannot_be_read_is_still_the_one_of_its_status(
    behaviour: Behaviour, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailchannels.bodies.MAX_BODY", 2 * 2**20)
    with RawServer(behaviour) as server:
        outcomes = way.make(server.url, list_domains)

    assert [type(outcome.error) for outcome in outcomes] == [BadRequest] * way.users


# Any text, on the wire


HOSTILE: Final = [
    "a\r\nX-Injected: 1", "a\nb", "a\0b", "..", ".", "../users", "a.example/../../users", "a.example?x=1", "?",
    "a.example#y", "#", "%2e%2e", "%2e%2e%2fusers", "%00", "a" * 300, "a." * 150, "\N{PILE OF POO}.example",
    "\N{RIGHT-TO-LEFT OVERRIDE}moc.example", "a\N{RIGHT-TO-LEFT MARK}b.example", "a b", "a&b=c", "a+b", "\\..\\users",
    "\ud800", "//other.example/", "@other.example", "http://other.example/",
]  # fmt: skip

PATHS: Final[dict[str, tuple[Callable[[AsyncMailChannels, Any], Any], str]]] = {
    "domains.delete domain": (lambda client, text: client.domains.delete(text), "DELETE /inbound/v1/domains/{}"),
    "domains.create_login_link domain": (
        lambda client, text: client.domains.create_login_link(text),
        "GET /inbound/v1/domains/{}/login-link",
    ),
    "domains.add_list_entry list_name": (
        lambda client, text: client.domains.add_list_entry("a.example", text, "item"),
        "POST /inbound/v1/domains/a.example/lists/{}",
    ),
    "domains.delete_list_entry item": (
        lambda client, text: client.domains.delete_list_entry("a.example", "safelist", text),
        "DELETE /inbound/v1/domains/a.example/lists/safelist?item={}",
    ),
    "domains.delete_alias alias": (
        lambda client, text: client.domains.delete_alias("a.example", text),
        "DELETE /inbound/v1/domains/a.example/alias/{}",
    ),
    "lists.delete_list_entry item": (
        lambda client, text: client.lists.delete_list_entry("safelist", text),
        "DELETE /inbound/v1/lists/safelist?item={}",
    ),
    "users.list_entries email": (
        lambda client, text: client.users.list_entries(text, "safelist"),
        "GET /inbound/v1/users/{}/lists/safelist",
    ),
    "users.create email": (
        lambda client, text: client.users.create(text),
        "PUT /inbound/v1/users?email_address={}&admin=false",
    ),
    "domains.bulk_provision subscription_handle": (
        lambda client, text: client.domains.bulk_provision(["a.example"], subscription_handle=text),
        "POST /inbound/v1/domains/batch?subscriptionHandle={}",
    ),
}
any_text = st.sampled_from(HOSTILE) | st.text(max_size=12) | st.lists(st.sampled_from(HOSTILE), max_size=3).map("".join)


# hypothesis draws strings out of the package too: the deprecated names of the lists are text like any other here.
@pytest.mark.filterwarnings("ignore:.* is deprecated by the API:DeprecationWarning")
@pytest.mark.parametrize(("call", "line"), PATHS.values(), ids=PATHS)
def test_hostile_text_is_refused_or_reaches_the_server_as_that_one_segment_or_value(
    call: Callable[[AsyncMailChannels, Any], Any], line: str
) -> None:
    refused = answer({"message": "no"}, status=400)
    before, _, after = line.partition("{}")
    shape = re.compile(re.escape(before) + r"[A-Za-z0-9_.~%!$'()*,;:@-]+" + re.escape(after) + r" HTTP/1\.1")

    with RawServer(refused) as server, anyio.from_thread.start_blocking_portal() as portal:
        client = AsyncMailChannels(KEY, base_url=server.url, rate_limit=None)

        @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(any_text)
        @example("..")
        @example("a\r\nX-Injected: 1")
        @example("%2e%2e")
        @example("root@a.example")
        def arrives_or_is_refused(text: str) -> None:
            already = len(server.requests)
            try:
                portal.call(call, client, text)
            except InvalidInput:
                assert len(server.requests) == already
                return
            except APIError:
                pass
            (request,) = server.requests[already:]
            head = request.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
            assert shape.fullmatch(head[0]), head[0]
            assert ".." not in re.split(r"[/?=]", head[0])
            assert not [field for field in head[1:] if field.lower().startswith("x-injected")]

        try:
            arrives_or_is_refused()
        finally:
            portal.call(client.aclose)


def deleting(domain: str) -> Call:
    return lambda client: client.domains.delete(domain)


def test_what_is_refused_locally_takes_no_request_in_any_way_of_use(way: Way) -> None:
    with RawServer(answer({})) as server:
        outcomes = way.make(server.url, *map(deleting, HOSTILE))

    refused = [isinstance(outcome.error, InvalidInput) for outcome in outcomes]
    assert len(server.requests) == refused.count(False)
    assert refused.count(True) >= (len(HOSTILE) - 2) * way.users
