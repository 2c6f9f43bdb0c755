"""HybridBox at work: what is refused before sending, and mailboxes one by one and in bulk, whatever gets lost."""

from __future__ import annotations

import json
import math
import pickle
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest import mock
from uuid import uuid4

import anyio
import httpx
import pytest
import pytest_asyncio
import respx
from conftest import HERE
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailchannels import (
    APIError,
    BulkError,
    ConfigurationError,
    Conflict,
    ConnectError,
    ConnectionLost,
    InvalidInput,
    NotFound,
    Outcome,
    ServerError,
    Unauthorized,
    UnprocessableEntity,
)
from mailchannels.hybridbox import (
    AsyncHybridBox,
    AsyncMailboxes,
    BulkMailboxItem,
    BulkMailboxResult,
    HybridBox,
    Mailboxes,
    NewMailbox,
)
from mailchannels.simulator import Fault, Faults, Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence

ACCOUNT: Final = "123e4567-e89b-12d3-a456-426614174000"
TOKEN: Final = "t0k3n-that-nobody-may-see"
ROOT: Final = "/v1/public/accounts/{account_id}"
BULK: Final = ("POST", f"{ROOT}/mailboxes/bulk")
LISTING: Final = ("GET", f"{ROOT}/mailboxes")

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture(autouse=True)
def _without_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRIDBOX_TOKEN", raising=False)
    monkeypatch.delenv("HYBRIDBOX_BASE_URL", raising=False)


@pytest.fixture
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no wait at all before a repeat."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)


async def gathered(results: AsyncIterable[Any]) -> list[Any]:
    return [result async for result in results]


def new(local_part: str, first_name: str = "Jane", last_name: str = "Doe") -> NewMailbox:
    return NewMailbox(local_part, first_name, last_name)


def many(count: int) -> list[NewMailbox]:
    return [NewMailbox(f"user{number}", "User", f"No. {number}") for number in range(count)]


def client_for(simulator: Simulator, **options: Any) -> AsyncHybridBox:
    settings = {"base_url": simulator.base_url, "rate_limit": None, **options}
    return AsyncHybridBox(simulator.hybridbox_account, simulator.hybridbox_token, **settings)


def blocking_client_for(simulator: Simulator, **options: Any) -> HybridBox:
    settings = {"base_url": simulator.base_url, "rate_limit": None, **options}
    return HybridBox(simulator.hybridbox_account, simulator.hybridbox_token, **settings)


@pytest_asyncio.fixture
async def mailboxes(simulator: Simulator) -> AsyncIterator[AsyncMailboxes]:
    async with client_for(simulator) as hybridbox:
        yield hybridbox.mailboxes


def indices(result: BulkMailboxResult) -> list[int]:
    """All positions of a result, after a look at the order of each list."""
    both = [[item.index for item in part] for part in (result.created, result.failed)]
    assert both == [sorted(part) for part in both]
    return sorted(both[0] + both[1])


# --- refused before anything is sent


BAD_TEXT: Final[list[Any]] = ["", " \t", "a\x00b", "a\nb", "\x1b[2J", "\ud800", None, 5, b"a", ["a"]]
BAD_LOCAL_PARTS: Final[list[Any]] = [
    *BAD_TEXT, "jane@example.com", "@", "jane doe", " jane", "jane ", "jane\u00a0doe", "jane\u2003doe", "x" * 65,
]  # fmt: skip
BAD_DOMAINS: Final[list[Any]] = [*BAD_TEXT, "not a domain", "a..example", "a/b.example", "../users", "a@b.example"]
BAD_UUIDS: Final[list[Any]] = ["", "demo", "..", ACCOUNT[:-1], ACCOUNT + "0", ACCOUNT + "\n\n", None, 5, b"x" * 16]
BAD_SEGMENTS: Final[list[Any]] = [*BAD_TEXT, ".", "..", "x" * 321]
BAD_COUNTS: Final[list[Any]] = [0, -1, True, 1.5, "4", math.inf]
BAD_TIMEOUTS: Final[list[Any]] = [0, -1, True, "1", math.inf, math.nan]

NAMED: Final = {"domain": "example.com", "first_name": "Jane", "last_name": "Doe"}


class Refusal(NamedTuple):
    """A call with ... in the place of a bad value, the name of that argument, and the values."""

    method: str
    arguments: list[Any]
    keywords: dict[str, Any]
    argument: str
    values: list[Any]

    def call(self, mailboxes: AsyncMailboxes | Mailboxes, value: object) -> Any:
        arguments = [value if given is ... else given for given in self.arguments]
        keywords = {name: value if given is ... else given for name, given in self.keywords.items()}
        return getattr(mailboxes, self.method)(*arguments, **keywords)


REFUSALS: Final = [
    Refusal("create", [...], NAMED, "local_part", BAD_LOCAL_PARTS),
    Refusal("create", ["jane"], {**NAMED, "domain": ...}, "domain", BAD_DOMAINS),
    Refusal("create", ["jane"], {**NAMED, "first_name": ...}, "first_name", BAD_TEXT),
    Refusal("create", ["jane"], {**NAMED, "last_name": ...}, "last_name", BAD_TEXT),
    Refusal("create", ["jane"], {**NAMED, "timeout": ...}, "timeout", BAD_TIMEOUTS),
    Refusal("list", [], {"domain": ...}, "domain", [value for value in BAD_DOMAINS if value is not None]),
    Refusal("list", [], {"workspace_id": ...}, "workspace_id", [value for value in BAD_UUIDS if value is not None]),
    Refusal("list", [], {"search": ...}, "search", [value for value in [*BAD_TEXT, "x" * 321] if value is not None]),
    Refusal("list", [], {"page": ...}, "page", BAD_COUNTS),
    Refusal("list", [], {"page_size": ...}, "page_size", BAD_COUNTS),
    Refusal("list", [], {"timeout": ...}, "timeout", BAD_TIMEOUTS),
    Refusal("iter_list", [], {"domain": ...}, "domain", ["not a domain"]),
    Refusal("iter_list", [], {"workspace_id": ...}, "workspace_id", ["demo"]),
    Refusal("iter_list", [], {"search": ...}, "search", [""]),
    Refusal("iter_list", [], {"page_size": ...}, "page_size", [*BAD_COUNTS, None]),
    Refusal("get", [...], {}, "mailbox", BAD_SEGMENTS),
    Refusal("update", [...], {"first_name": "Jane"}, "mailbox", BAD_SEGMENTS),
    Refusal(
        "update", ["jane"], {"first_name": ...}, "first_name", BAD_TEXT
    ),  # None, too: then nothing is to be changed
    Refusal("update", ["jane"], {"first_name": "Jane", "last_name": ...}, "last_name", BAD_TEXT[:6]),
    Refusal("create_alias", [..., "sales"], {}, "mailbox", BAD_SEGMENTS),
    Refusal("create_alias", ["jane", ...], {}, "alias", [*BAD_TEXT, "x" * 321]),
    Refusal("create_alias", ["jane", "sales"], {"is_catch_all": ...}, "is_catch_all", [None, 1, "no"]),
    Refusal("bulk_create", [...], {"domain": "example.com"}, "items", ["jane", b"jane", None, 5, new("jane")]),
    Refusal("bulk_create", [[]], {"domain": ...}, "domain", BAD_DOMAINS),
    Refusal("bulk_create", [[]], {"domain": "example.com", "batch_size": ...}, "batch_size", [*BAD_COUNTS, None]),
    Refusal("bulk_create", [[]], {"domain": "example.com", "concurrency": ...}, "concurrency", [*BAD_COUNTS, None]),
    Refusal("bulk_create", [[]], {"domain": "example.com", "timeout": ...}, "timeout", BAD_TIMEOUTS),
    Refusal("iter_bulk_create", ["jane"], {"domain": ...}, "domain", ["not a domain"]),
    Refusal("iter_bulk_create", [...], {"domain": "example.com"}, "items", ["jane"]),
    Refusal("iter_bulk_create", [[]], {"domain": "example.com", "batch_size": ...}, "batch_size", [0]),
    Refusal("iter_bulk_create", [[]], {"domain": "example.com", "concurrency": ...}, "concurrency", [0]),
]
each_refusal: Final = pytest.mark.parametrize(
    ("refusal", "value"),
    [
        pytest.param(refusal, value, id=f"{refusal.method}-{refusal.argument}-{value!r:.40}")
        for refusal in REFUSALS
        for value in refusal.values
    ],
)


def nowhere(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.method} {request.url} was sent")


@each_refusal
@pytest.mark.asyncio
async def test_bad_input_is_refused_by_name_and_not_sent(refusal: Refusal, value: object) -> None:
    async with AsyncHybridBox(ACCOUNT, TOKEN, transport=httpx.MockTransport(nowhere)) as hybridbox:
        call = refusal.call(hybridbox.mailboxes, value)
        with pytest.raises(InvalidInput) as caught:
            await (gathered(call) if refusal.method.startswith("iter_") else call)

    assert caught.value.argument == refusal.argument


@pytest.fixture(scope="module")
def blocking_mailboxes() -> Iterator[Mailboxes]:
    """The mailboxes of one blocking client for all that is refused, so that not each case starts a thread."""
    with HybridBox(ACCOUNT, TOKEN, transport=httpx.MockTransport(nowhere)) as hybridbox:
        yield hybridbox.mailboxes


@each_refusal
def test_bad_input_is_refused_by_the_blocking_form_too(
    refusal: Refusal, value: object, blocking_mailboxes: Mailboxes
) -> None:
    with pytest.raises(InvalidInput) as caught:
        list(refusal.call(blocking_mailboxes, value))  # what iterates checks nothing before its first step

    assert caught.value.argument == refusal.argument


each_client: Final = pytest.mark.parametrize("client", [AsyncHybridBox, HybridBox])


@each_client
@pytest.mark.parametrize("account", BAD_UUIDS)
def test_an_account_that_is_no_uuid_is_refused(account: Any, client: Any) -> None:
    with pytest.raises(ConfigurationError, match="account_id: is no UUID"):
        client(account, TOKEN)


@each_client
def test_a_token_in_the_place_of_the_account_is_not_shown(client: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client(TOKEN, ACCOUNT)

    assert TOKEN not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


@each_client
@pytest.mark.parametrize("token", ["", " ", f"{TOKEN} {TOKEN}", f"{TOKEN}\n", f"{TOKEN}é", 5, TOKEN.encode()])
def test_a_token_that_is_none_is_refused_and_not_shown(token: Any, client: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\Atoken: ") as caught:
        client(ACCOUNT, token)

    assert TOKEN not in repr((caught.value, caught.value.__cause__, caught.value.__context__))


@each_client
def test_a_missing_token_says_where_to_put_it(client: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"pass it or set \$HYBRIDBOX_TOKEN"):
        client(ACCOUNT)


@each_client
def test_an_empty_token_of_the_environment_is_refused(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRIDBOX_TOKEN", "")

    with pytest.raises(ConfigurationError, match=r"\$HYBRIDBOX_TOKEN: is empty"):
        client(ACCOUNT)


@each_client
def test_a_token_does_not_travel_in_the_open(client: Any) -> None:
    with pytest.raises(ConfigurationError, match="plain http would show the key"):
        client(ACCOUNT, TOKEN, base_url="http://boxes.example")


BAD_ITEMS: Final[list[Any]] = [
    *[new(value) for value in BAD_LOCAL_PARTS],
    *[new("jane", first_name=value) for value in BAD_TEXT],
    *[new("jane", last_name=value) for value in BAD_TEXT],
    None,
    "jane",
    {"local_part": "jane", "first_name": "Jane", "last_name": "Doe"},
]


@pytest.mark.asyncio
async def test_bad_items_are_refused_one_by_one_and_cost_no_good_ones(
    mailboxes: AsyncMailboxes, simulator: Simulator
) -> None:
    items = [new("first"), *BAD_ITEMS, new("last")]

    result = await mailboxes.bulk_create(items, domain="example.com")

    assert indices(result) == [*range(len(items))]
    assert [item.index for item in result.created] == [0, len(items) - 1]
    assert [item.new for item in result.failed] == BAD_ITEMS
    assert {(type(item.error), item.outcome, item.retryable) for item in result.failed} == {
        (InvalidInput, Outcome.FAILED, False)
    }
    assert simulator.state.hybridbox.mailbox_count() == 2


@pytest.mark.parametrize(
    ("item", "argument"),
    [
        (new("jane doe"), "local_part"),
        (new("jane@example.com"), "local_part"),
        (new("jane", first_name=""), "first_name"),
        (new("jane", last_name=" "), "last_name"),
        (None, "items"),
    ],
)
@pytest.mark.asyncio
async def test_a_bad_item_says_what_is_wrong_with_it(item: Any, argument: str) -> None:
    with respx.mock:
        async with AsyncHybridBox(ACCOUNT, TOKEN, base_url=HERE) as hybridbox:
            (failed,) = (await hybridbox.mailboxes.bulk_create([item], domain="example.com")).failed

    assert isinstance(failed.error, InvalidInput)
    assert failed.error.argument == argument
    assert failed.comment == str(failed.error)


@pytest.mark.parametrize(
    "hostile",
    ["Jane\u202e", "'; DROP TABLE mailboxes; --", '"}],"x":[{"', "<script>", "💩", "%s%n\N{FULLWIDTH PERCENT SIGN}"],
)
@pytest.mark.asyncio
async def test_hostile_names_arrive_to_the_letter(
    hostile: str, mailboxes: AsyncMailboxes, simulator: Simulator
) -> None:
    await mailboxes.bulk_create([new("one", hostile, hostile)], domain="example.com")
    await mailboxes.create("two", domain="example.com", first_name=hostile, last_name=hostile)

    stored = [simulator.state.hybridbox.mailbox(f"{name}@example.com") for name in ("one", "two")]
    assert [(each.first_name, each.last_name) for each in stored if each is not None] == [(hostile, hostile)] * 2


@pytest.mark.parametrize("hostile", ["../mailboxes", "a/b", "a?b=c", "a#b", "%2e%2e", "a%2Fb", "é"])
@pytest.mark.asyncio
async def test_a_hostile_mailbox_stays_one_segment_of_the_path(
    hostile: str, mailboxes: AsyncMailboxes, simulator: Simulator
) -> None:
    with pytest.raises(NotFound, match="there is no such mailbox"):
        await mailboxes.get(hostile)

    assert dict(simulator.seen) == {("GET", f"{ROOT}/mailboxes/{{mailbox}}"): 1}


# --- one by one, over a real socket


def test_mailboxes_are_created_found_and_changed(backend: str, simulator: Simulator) -> None:
    async def main() -> None:
        async with client_for(simulator) as hybridbox:
            mailboxes = hybridbox.mailboxes
            jane = await mailboxes.create("Jane", domain="Example.com", first_name="Jane", last_name="Doe")
            alias = await mailboxes.create_alias(jane.id, "sales", is_catch_all=True)
            renamed = await mailboxes.update("jane@example.com", last_name="Roe")

            assert jane.primary_email == "jane@example.com"
            assert renamed.aliases == [alias]
            assert (renamed.first_name, renamed.last_name) == ("Jane", "Roe")
            assert await mailboxes.get(jane.id) == await mailboxes.get("JANE@example.com") == renamed

    anyio.run(main, backend=backend)


def test_the_blocking_form_does_the_same(simulator: Simulator) -> None:
    with blocking_client_for(simulator) as hybridbox:
        mailboxes = hybridbox.mailboxes
        jane = mailboxes.create("jane", domain="example.com", first_name="Jane", last_name="Doe")
        alias = mailboxes.create_alias(jane.id, "sales")
        renamed = mailboxes.update(jane.id, first_name="Joan")

        assert mailboxes.get("jane@example.com") == renamed
        assert (renamed.first_name, renamed.aliases) == ("Joan", [alias])
        assert mailboxes.list().items == list(mailboxes.iter_list(page_size=1)) == [renamed]


@pytest.mark.asyncio
async def test_what_the_api_refuses_is_raised(mailboxes: AsyncMailboxes, simulator: Simulator) -> None:
    simulator.state.hybridbox.failures["doomed"] = "quota_exceeded"
    await mailboxes.create("jane", domain="example.com", first_name="Jane", last_name="Doe")

    with pytest.raises(Conflict, match=r"jane@example\.com is in use already"):
        await mailboxes.create("jane", domain="example.com", first_name="Jane", last_name="Doe")
    with pytest.raises(Conflict):
        await mailboxes.create_alias("jane@example.com", "jane")
    with pytest.raises(UnprocessableEntity, match="doomed could not be created"):
        await mailboxes.create("doomed", domain="example.com", first_name="Jane", last_name="Doe")
    with pytest.raises(NotFound):
        await mailboxes.update("nobody@example.com", first_name="Jane")
    with pytest.raises(NotFound):
        await mailboxes.create_alias("nobody@example.com", "sales")


@pytest.mark.asyncio
async def test_another_accounts_token_is_refused(simulator: Simulator) -> None:
    async with AsyncHybridBox(simulator.hybridbox_account, TOKEN, base_url=simulator.base_url) as hybridbox:
        with pytest.raises(Unauthorized) as caught:
            await hybridbox.mailboxes.list()

    assert TOKEN not in repr(vars(caught.value))


@pytest.mark.asyncio
async def test_pages_follow_one_another_to_the_end(mailboxes: AsyncMailboxes, simulator: Simulator) -> None:
    await mailboxes.bulk_create(many(30), domain="example.com")

    first, last = await mailboxes.list(), await mailboxes.list(page=4, page_size=9)
    everything = [mailbox.local_part async for mailbox in mailboxes.iter_list(page_size=7)]

    assert (len(first.items), first.page, first.page_size, first.total) == (25, 1, 25, 30)
    assert [mailbox.local_part for mailbox in last.items] == ["user27", "user28", "user29"]
    assert everything == [f"user{number}" for number in range(30)]
    assert simulator.seen[LISTING] == 2 + 5


@pytest.mark.asyncio
async def test_a_listing_is_narrowed_by_domain_workspace_and_text(
    mailboxes: AsyncMailboxes, simulator: Simulator
) -> None:
    await mailboxes.bulk_create([new("jane"), new("john", "John", "Roe")], domain="example.com")
    other = await mailboxes.create("jane", domain="example.net", first_name="Jane", last_name="Poe")
    workspace = str(uuid4())
    stored = simulator.state.hybridbox.mailbox("john@example.com")
    assert stored is not None
    stored.workspace_id = workspace

    async def found(**query: str) -> list[str]:
        page = await mailboxes.list(**query)  # type: ignore[arg-type]
        everything = [mailbox async for mailbox in mailboxes.iter_list(**query)]  # type: ignore[arg-type]
        assert everything == page.items
        return [mailbox.primary_email for mailbox in everything]

    assert await found(domain="EXAMPLE.com") == ["jane@example.com", "john@example.com"]
    assert await found(domain=other.domain_id) == ["jane@example.net"]
    assert await found(search="roe") == ["john@example.com"]
    assert await found(workspace_id=workspace) == ["john@example.com"]
    assert await found(domain="example.net", search="roe") == []


def test_a_listing_may_be_left_early(backend: str, simulator: Simulator) -> None:
    async def main() -> None:
        async with client_for(simulator) as hybridbox:
            await hybridbox.mailboxes.bulk_create(many(5), domain="example.com")
            listing = hybridbox.mailboxes.iter_list(page_size=2)
            assert (await anext(listing)).local_part == "user0"
            await listing.aclose()

    anyio.run(main, backend=backend)

    assert simulator.seen[LISTING] == 1


# --- in bulk


@contextmanager
def simulating(*faults: Fault) -> Iterator[Simulator]:
    with Simulator(faults=Faults(*faults)) as simulator:
        yield simulator


def test_positions_count_across_batches(backend: str, simulator: Simulator) -> None:
    simulator.state.hybridbox.failures.update(user3="quota_exceeded", user17="blocked")

    async def main() -> BulkMailboxResult:
        async with client_for(simulator) as hybridbox:
            return await hybridbox.mailboxes.bulk_create(many(25), domain="example.com", batch_size=4)

    result = anyio.run(main, backend=backend)

    assert indices(result) == [*range(25)]
    assert [(item.index, item.code) for item in result.failed] == [(3, "quota_exceeded"), (17, "blocked")]
    assert [item.mailbox.local_part for item in result.created if item.mailbox] == [
        f"user{item.index}" for item in result.created
    ]
    assert simulator.seen[BULK] == 7
    with pytest.raises(BulkError, match="2 of 25 items did not succeed; the first, at index 3: failed"):
        result.raise_for_errors()


@pytest.mark.asyncio
async def test_a_batch_size_and_a_concurrency_of_one_send_one_item_at_a_time(
    mailboxes: AsyncMailboxes, simulator: Simulator
) -> None:
    results = mailboxes.iter_bulk_create(many(3), domain="example.com", batch_size=1, concurrency=1)

    assert [[item.index for item in result.created] async for result in results] == [[0], [1], [2]]
    assert simulator.seen[BULK] == 3


@pytest.mark.asyncio
async def test_a_repeat_shares_the_outcome_and_a_contradiction_is_refused(
    mailboxes: AsyncMailboxes, simulator: Simulator
) -> None:
    items = [new("jane"), new("john"), new("jane"), new("john", "Johnny"), new("jane")]

    result = await mailboxes.bulk_create(items, domain="example.com", batch_size=2)

    assert [item.index for item in result.created] == [0, 1, 2, 4]
    assert len({item.mailbox.id for item in result.created if item.mailbox}) == 2
    (failed,) = result.failed
    assert failed.index == 3
    assert isinstance(failed.error, InvalidInput)
    assert "john stands in the input before, at index 1" in str(failed.error)
    assert simulator.state.hybridbox.mailbox_count() == 2


@pytest.mark.asyncio
async def test_what_was_there_before_is_refused_by_the_api(mailboxes: AsyncMailboxes) -> None:
    await mailboxes.create("user1", domain="example.com", first_name="Jane", last_name="Doe")

    (failed,) = (await mailboxes.bulk_create(many(3), domain="example.com")).failed

    assert (failed.index, failed.code, failed.outcome, failed.mailbox) == (1, "already_exists", Outcome.FAILED, None)


@pytest.mark.parametrize("make", [tuple, iter, lambda items: (item for item in items)])
@pytest.mark.asyncio
async def test_any_iterable_will_do(make: Callable[[list[NewMailbox]], Any], mailboxes: AsyncMailboxes) -> None:
    assert len((await mailboxes.bulk_create(make(many(3)), domain="example.com")).created) == 3


@pytest.mark.asyncio
async def test_nothing_to_create_takes_no_request(mailboxes: AsyncMailboxes, simulator: Simulator) -> None:
    assert await mailboxes.bulk_create([], domain="example.com") == BulkMailboxResult()
    assert simulator.requests == 0


def test_a_refused_token_stops_the_job(backend: str, simulator: Simulator) -> None:
    async def main() -> BulkMailboxResult:
        async with AsyncHybridBox(simulator.hybridbox_account, TOKEN, base_url=simulator.base_url) as hybridbox:
            return await hybridbox.mailboxes.bulk_create(many(9), domain="example.com", batch_size=3, concurrency=1)

    result = anyio.run(main, backend=backend)

    assert indices(result) == [*range(9)]
    assert [item.outcome for item in result.failed] == [Outcome.FAILED] * 3 + [Outcome.NOT_SENT] * 6
    assert {item.code for item in result.failed[:3]} == {401}
    assert isinstance(result.stopped_by, Unauthorized)
    assert simulator.requests == 1
    assert TOKEN not in repr(result) + pickle.dumps(result).decode("latin-1")


def test_a_server_that_is_not_there_was_sent_nothing(simulator: Simulator, without_waits: None) -> None:
    async def main() -> BulkMailboxResult:
        async with AsyncHybridBox(ACCOUNT, TOKEN, base_url=HERE, rate_limit=None) as hybridbox:
            return await hybridbox.mailboxes.bulk_create(many(2), domain="example.com")

    result = anyio.run(main)

    assert {(item.outcome, type(item.error)) for item in result.failed} == {(Outcome.NOT_SENT, ConnectError)}


# --- lost answers


LOSSES: Final = [
    "drop-after:every=3,path=/mailboxes/bulk",
    "drop-after:every=3",
    "drop-before:every=3,path=/mailboxes/bulk",
    "truncate:every=3,path=/mailboxes/bulk",
    "garbage=html:every=3,path=/mailboxes/bulk",
    "garbage=types:every=3,path=/mailboxes/bulk",
    "status=500:every=3,path=/mailboxes/bulk",
    "status=503:every=3,path=/mailboxes/bulk",
    "status=504:every=3,path=/mailboxes/bulk",
]


def has_each_once(result: BulkMailboxResult, simulator: Simulator, count: int) -> bool:
    emails = [item.mailbox.primary_email for item in result.created if item.mailbox]
    return (
        indices(result) == [*range(count)]
        and emails == [f"user{number}@example.com" for number in range(count)]
        and simulator.state.hybridbox.mailbox_count() == count
    )


@pytest.mark.parametrize("losses", LOSSES)
def test_a_thousand_mailboxes_exist_once_whatever_gets_lost(losses: str, backend: str, without_waits: None) -> None:
    (fault,) = Faults.parse(losses).faults

    # One request at a time, so that no bad luck meets the same one again and again.
    async def main() -> BulkMailboxResult:
        async with client_for(simulator) as hybridbox:
            return await hybridbox.mailboxes.bulk_create(
                many(1_000), domain="example.com", batch_size=50, concurrency=1
            )

    with simulating(fault) as simulator:
        result = anyio.run(main, backend=backend)

        assert has_each_once(result, simulator, 1_000)
        assert fault.struck >= 6


@pytest.mark.asyncio
async def test_a_thousand_mailboxes_exist_once_with_many_requests_under_way(without_waits: None) -> None:
    fault = Fault("drop-after", every=3, path="/mailboxes/bulk")

    with simulating(fault) as simulator:
        async with client_for(simulator) as hybridbox:
            result = await hybridbox.mailboxes.bulk_create(
                many(1_000), domain="example.com", batch_size=20, concurrency=10
            )

        assert has_each_once(result, simulator, 1_000)
        assert simulator.applied[BULK] == simulator.seen[BULK] == 50  # none of them is sent a second time


def test_a_thousand_mailboxes_exist_once_from_the_blocking_form_too(without_waits: None) -> None:
    fault = Fault("drop-after", every=3, path="/mailboxes/bulk")

    with simulating(fault) as simulator, blocking_client_for(simulator) as hybridbox:
        result = hybridbox.mailboxes.bulk_create(many(1_000), domain="example.com", batch_size=50)

        assert has_each_once(result, simulator, 1_000)
        assert fault.struck == 6
        assert simulator.applied[BULK] == simulator.seen[BULK] == 20  # none of them is sent a second time


@pytest.mark.asyncio
async def test_what_the_list_told_of_says_so(without_waits: None) -> None:
    with simulating(Fault("drop-after", first=1, path="/mailboxes/bulk")) as simulator:
        async with client_for(simulator) as hybridbox:
            (item,) = (await hybridbox.mailboxes.bulk_create([new("jane")], domain="example.com")).created

    assert item.mailbox is not None
    assert (item.mailbox.primary_email, item.error) == ("jane@example.com", None)
    assert item.comment == "found by listing, after the answer to its creation was lost"


@pytest.mark.asyncio
async def test_a_domain_by_its_uuid_is_settled_by_the_list_too(without_waits: None) -> None:
    fault = Fault("drop-after", path="/mailboxes/bulk")
    with simulating(fault) as simulator:
        async with client_for(simulator) as hybridbox:
            known = await hybridbox.mailboxes.create("old", domain="example.com", first_name="O", last_name="Ld")
            result = await hybridbox.mailboxes.bulk_create([new("Jane")], domain=known.domain_id.upper())

    assert [item.outcome for item in result.created] == [Outcome.SUCCEEDED]


@pytest.mark.asyncio
async def test_an_answer_is_unknown_where_the_list_cannot_be_read_either(without_waits: None) -> None:
    lost, no_list = Fault("drop-after", path="/mailboxes/bulk"), Fault("status", "500", method="GET")
    with simulating(lost, no_list) as simulator:
        async with client_for(simulator) as hybridbox:
            result = await hybridbox.mailboxes.bulk_create(many(3), domain="example.com")

        assert simulator.seen[BULK] == 1  # never again without a look
        assert simulator.state.hybridbox.mailbox_count() == 3
    assert {(item.outcome, type(item.error), item.retryable) for item in result.failed} == {
        (Outcome.UNKNOWN, ConnectionLost, False)
    }


@pytest.mark.asyncio
async def test_a_server_error_is_not_sent_again_without_a_look_either(without_waits: None) -> None:
    with simulating(Fault("status", "500")) as simulator:
        async with client_for(simulator) as hybridbox:
            result = await hybridbox.mailboxes.bulk_create(many(3), domain="example.com")

        posts = [path for method, path, _, _ in simulator.recent if method == "POST"]
    assert len(posts) == 1
    assert {(item.outcome, item.code, type(item.error)) for item in result.failed} == {
        (Outcome.UNKNOWN, 500, ServerError)
    }


@pytest.mark.asyncio
async def test_a_creation_that_is_lost_every_time_is_given_up(without_waits: None) -> None:
    with simulating(Fault("drop-before", path="/mailboxes/bulk")) as simulator:
        async with client_for(simulator, max_retries=2) as hybridbox:
            result = await hybridbox.mailboxes.bulk_create(many(3), domain="example.com")

        assert (simulator.seen[BULK], simulator.applied[BULK]) == (3, 0)
        assert simulator.seen[LISTING] == 3  # one look after each of three attempts
    assert {(item.outcome, item.attempts) for item in result.failed} == {(Outcome.UNKNOWN, 3)}


@pytest.mark.asyncio
async def test_a_look_waits_for_its_turn_however_short_the_patience(without_waits: None) -> None:
    with simulating(Fault("drop-after", first=1, path="/mailboxes/bulk")) as simulator:
        async with client_for(simulator, rate_limit=50, queue_timeout=0) as hybridbox:
            result = await hybridbox.mailboxes.bulk_create(many(6), domain="example.com", batch_size=2)

    assert [item.index for item in result.created] == [*range(6)]


class Boxes:
    """An API that creates what it is told as often as it is told, and whose answers meet with the fates it is given."""

    def __init__(self, posts: Sequence[str] = (), gets: Sequence[str] = ()) -> None:
        self.created: list[str] = []
        self.posts = 0
        self._fates = {"POST": iter(posts), "GET": iter(gets)}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        fate = next(self._fates[request.method], "answered")
        self.posts += request.method == "POST"
        if fate == "reset":
            raise httpx.ReadError("reset")
        if fate.isdigit():
            return httpx.Response(int(fate), json={"message": "no"})
        answer = self._page(request) if request.method == "GET" else self._create(request, fate)
        if fate == "garbage":
            return httpx.Response(200, html="<p>hello</p>")
        if fate in {"lost", "half"}:
            raise httpx.ReadError("reset")
        return httpx.Response(200, json=answer)

    def _create(self, request: httpx.Request, fate: str) -> Any:
        names = [item["local_part"] for item in json.loads(request.content)["items"]]
        done = names[: len(names) // 2] if fate == "half" else names
        self.created += done
        return {"created": [{"index": index, "mailbox": box(name)} for index, name in enumerate(done)], "failed": []}

    def _page(self, request: httpx.Request) -> Any:
        page, size = int(request.url.params["page"]), int(request.url.params["page_size"])
        # The newest first: what is created meanwhile shifts the others onto the next page.
        items = self.created[::-1][(page - 1) * size : page * size]
        return {"items": [box(name) for name in items], "page": page, "page_size": size, "total": len(self.created)}


def box(name: str, domain: str = "example.com") -> dict[str, Any]:
    fields = ("domain_id", "first_name", "last_name", "status", "created_at", "updated_at")
    about = {"id": name, "primary_email": f"{name.upper()}@{domain}", "local_part": name, "domain_name": domain}
    return {**about, **dict.fromkeys(fields, "x"), "quota": {"allowed": 1, "used": 0}}


def create_at(
    api: Callable[[httpx.Request], httpx.Response], items: Iterable[Any], **options: Any
) -> BulkMailboxResult:
    async def main() -> BulkMailboxResult:
        async with AsyncHybridBox(ACCOUNT, TOKEN, base_url=HERE, rate_limit=None) as hybridbox:
            return await hybridbox.mailboxes.bulk_create(items, domain="example.com", **options)

    with respx.mock as router, mock.patch("random.uniform", return_value=0.0):
        router.route().mock(side_effect=api)
        return anyio.run(main)


FATES: Final = st.sampled_from(
    ["answered", "lost", "half", "reset", "garbage", "500", "502", "503", "429", "401", "400"]
)


@given(posts=st.lists(FATES, max_size=12), gets=st.lists(FATES, max_size=6), batch_size=st.integers(1, 7))
@example(posts=["half", "401"], gets=[], batch_size=7)
@example(posts=["lost", "lost", "lost", "lost", "lost"], gets=["500"] * 6, batch_size=2)
@example(posts=["500"], gets=["500"] * 4, batch_size=7)
@example(posts=["half", "half", "half"], gets=[], batch_size=7)
@settings(max_examples=150, deadline=None)
def test_no_mailbox_is_paid_for_twice_and_nothing_is_claimed_that_is_not_so(
    posts: list[str], gets: list[str], batch_size: int
) -> None:
    api = Boxes(posts, gets)

    result = create_at(api, many(7), batch_size=batch_size, concurrency=1)

    assert indices(result) == [*range(7)]
    assert len(api.created) == len(set(api.created))
    outcomes = {item.new.local_part: item.outcome for item in [*result.created, *result.failed]}
    assert {name for name, outcome in outcomes.items() if outcome is Outcome.SUCCEEDED} <= set(api.created)
    sure_not = {name for name, outcome in outcomes.items() if outcome in {Outcome.FAILED, Outcome.NOT_SENT}}
    assert not sure_not & set(api.created)


def test_only_what_is_missing_is_asked_for_again() -> None:
    asked: list[list[str]] = []

    def api(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            asked.append([item["local_part"] for item in json.loads(request.content)["items"]])
        return boxes(request)

    boxes = Boxes(["half"])
    result = create_at(api, many(4))

    assert asked == [["user0", "user1", "user2", "user3"], ["user2", "user3"]]
    assert [(item.index, item.attempts) for item in result.created] == [(0, 1), (1, 1), (2, 2), (3, 2)]


def test_a_refusal_of_what_is_missing_ends_the_attempts() -> None:
    api = Boxes(["half", "401"])

    result = create_at(api, many(4))

    assert api.posts == 2
    assert [item.index for item in result.created] == [0, 1]
    assert [item.index for item in result.failed] == [2, 3]
    assert {(item.outcome, type(item.error)) for item in result.failed} == {(Outcome.UNKNOWN, ConnectionLost)}


def test_a_mailbox_of_another_domain_is_not_taken_for_the_missing_one() -> None:
    def api(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            items = [box("user0", "sub.example.com"), box("user0", "example.net"), box("other")]
            return httpx.Response(200, json={"items": items, "page": 1, "page_size": 100, "total": 3})
        raise httpx.ReadError("reset")

    (item,) = create_at(api, many(1)).failed

    assert item.outcome is Outcome.UNKNOWN


def test_what_the_lost_request_created_late_is_no_failure() -> None:
    """The first request is carried out only after the look, so that the repeat meets its mailboxes."""
    posts: list[httpx.Request] = []

    def api(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            posts.append(request)
            if len(posts) == 1:
                raise httpx.ReadError("reset")
            failed = [{"index": 0, "code": "already_exists"}, {"index": 1, "code": "quota_exceeded", "message": "full"}]
            return httpx.Response(200, json={"created": [], "failed": failed})
        items = [box("user0")] if len(posts) == 2 else []
        return httpx.Response(200, json={"items": items, "page": 1, "page_size": 100, "total": len(items)})

    result = create_at(api, many(2))

    assert [item.index for item in result.created] == [0]
    assert [(item.index, item.code, item.outcome) for item in result.failed] == [(1, "quota_exceeded", Outcome.FAILED)]


def test_what_a_repeat_refuses_is_unknown_where_nobody_can_look_what_the_lost_request_created() -> None:
    posts: list[httpx.Request] = []

    def api(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            posts.append(request)
            if len(posts) == 1:
                raise httpx.ReadError("reset")
            failed = [{"index": 1, "code": "already_exists"}]
            return httpx.Response(200, json={"created": [{"index": 0, "mailbox": box("user0")}], "failed": failed})
        if len(posts) == 1:
            return httpx.Response(200, json={"items": [], "page": 1, "page_size": 100, "total": 0})
        return httpx.Response(403, json={})

    result = create_at(api, many(2))

    assert [item.index for item in result.created] == [0]
    assert [(item.index, item.outcome) for item in result.failed] == [(1, Outcome.UNKNOWN)]


@pytest.mark.parametrize(
    ("answer", "created"),
    [
        ({}, []),
        ({"created": None, "failed": None}, []),
        ({"created": [{"index": 0, "mailbox": box("user0")}] * 2}, [0]),
        ({"created": [{"index": 2, "mailbox": box("user2")}, {"index": -1, "mailbox": box("user1")}]}, []),
        ({"created": [{"index": 1, "mailbox": box("user1")}], "failed": [{"index": 1, "code": "no"}]}, [1]),
    ],
)
def test_items_that_an_answer_does_not_mention_are_unknown(answer: object, created: list[int]) -> None:
    result = create_at(lambda _: httpx.Response(200, json=answer), many(2))

    assert indices(result) == [0, 1]
    assert [item.index for item in result.created] == created
    assert {(item.outcome, item.comment) for item in result.failed} <= {
        (Outcome.UNKNOWN, "the answer does not mention it")
    }


def test_one_item_that_makes_the_api_refuse_a_batch_stands_alone_in_the_end() -> None:
    def api(request: httpx.Request) -> httpx.Response:
        if any(item["local_part"] == "user5" for item in json.loads(request.content)["items"]):
            return httpx.Response(400, json={"message": "user5 is a bad name"})
        return boxes(request)

    boxes = Boxes()
    result = create_at(api, many(8))

    (failed,) = result.failed
    assert (failed.index, failed.code, failed.comment) == (5, 400, "user5 is a bad name")
    assert len(result.created) == 7


def test_an_error_in_a_result_keeps_no_frames_of_its_request() -> None:
    result = create_at(Boxes(["lost"], ["500"] * 9), many(2))

    errors = [item.error for item in result.failed]
    assert [(error.__traceback__, error.__context__) for error in errors if error] == [(None, None)] * 2


def test_results_of_two_calls_add_up(simulator: Simulator) -> None:
    with blocking_client_for(simulator) as hybridbox:
        one, two = hybridbox.mailboxes.iter_bulk_create(many(4), domain="example.com", batch_size=2, concurrency=1)

    both = one + two
    assert isinstance(both, BulkMailboxResult)
    assert [item.index for item in both.created] == [0, 1, 2, 3]
    assert pickle.loads(pickle.dumps(both)) == both


def test_leaving_a_bulk_call_early_sends_no_more(backend: str, simulator: Simulator) -> None:
    async def main() -> BulkMailboxItem:
        async with client_for(simulator) as hybridbox:
            results = hybridbox.mailboxes.iter_bulk_create(
                many(1_000), domain="example.com", batch_size=10, concurrency=1
            )
            first = await anext(results)
            await results.aclose()
            return first.created[0]

    assert anyio.run(main, backend=backend).index == 0
    assert simulator.seen[BULK] <= 3


@pytest.mark.asyncio
async def test_a_closed_client_is_refused(simulator: Simulator) -> None:
    hybridbox = client_for(simulator)
    await hybridbox.aclose()

    with pytest.raises(ConfigurationError, match="closed"):
        await hybridbox.mailboxes.bulk_create(many(1), domain="example.com")
    with pytest.raises(ConfigurationError, match="closed"):
        await hybridbox.mailboxes.get("jane")


@pytest.mark.asyncio
async def test_the_errors_of_a_bulk_call_are_those_of_the_other_calls(simulator: Simulator) -> None:
    async with client_for(simulator) as hybridbox:
        result = await hybridbox.mailboxes.bulk_create(many(1), domain=str(uuid4()))
        with pytest.raises(NotFound) as caught:
            await hybridbox.mailboxes.create("jane", domain=str(uuid4()), first_name="Jane", last_name="Doe")

    (failed,) = result.failed
    assert isinstance(failed.error, APIError)
    assert (type(failed.error), failed.comment) == (NotFound, caught.value.message)
