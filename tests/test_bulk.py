"""Bulk calls: every input once, whatever happens, in flat memory and with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import pickle
import random
import tracemalloc
import weakref
from collections import Counter
from contextlib import aclosing
from copy import deepcopy
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import anyio.lowlevel
import attrs
import httpx
import pytest
import respx
import trio
from attrs import define
from conftest import refilled
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sockets import RawServer, answer, refusing_url, reset, stall

from mailchannels import (
    AsyncMailChannels,
    BadRequest,
    BulkError,
    BulkLoginLinkItem,
    BulkLoginLinkResult,
    BulkProvisionItem,
    BulkProvisionResult,
    ConfigurationError,
    ConnectError,
    ConnectionLost,
    Domain,
    DomainSettings,
    DownstreamAddress,
    Forbidden,
    InvalidInput,
    MailChannels,
    MailChannelsError,
    Outcome,
    ServerError,
    Unauthorized,
    UnexpectedResponse,
    bulk,
    repeats,
)
from mailchannels.batches import MAX_BATCH as BATCH
from mailchannels.batches import Provisioning
from mailchannels.bulk import Stream
from mailchannels.columns import Batch
from mailchannels.models.bulk import BulkItem
from mailchannels.models.items import Items
from mailchannels.operation import Operation
from mailchannels.simulator import Simulator
from mailchannels.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

HERE = "http://127.0.0.1:9"
MAIL_SERVER = DownstreamAddress(priority=10, weight=10, port=25, target="mx.example.")

pytestmark = pytest.mark.usefixtures("environment")


def names(count: int, prefix: str = "d") -> list[str]:
    return [f"{prefix}{number}.example" for number in range(count)]


def client_for(url: str = HERE, **options: Any) -> AsyncMailChannels:
    return AsyncMailChannels("demo-key", **{"base_url": url, "rate_limit": None, **options})


def indices(result: BulkProvisionResult | BulkLoginLinkResult) -> list[int]:
    """All positions of a result, after a look at the order of each list."""
    both: list[list[int]] = [[item.index for item in part] for part in (result.successes, result.errors)]
    assert both == [sorted(part) for part in both]
    return sorted(both[0] + both[1])


def by_name(items: Iterable[BulkProvisionItem]) -> dict[str, BulkProvisionItem]:
    return {item.domain.domain: item for item in items}


@pytest.fixture
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no wait at all before a retry."""
    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)


class Api:
    """Answers batches as a test wants, and remembers the names in each."""

    def __init__(self, router: respx.MockRouter) -> None:
        self.batches: list[list[str]] = []
        self.say: Callable[[list[Any]], httpx.Response] = provisioned
        self.provision = router.post(f"{HERE}/inbound/v1/domains/batch").mock(side_effect=self._answer)
        self.link = router.post(f"{HERE}/inbound/v1/domains/batch/login-link").mock(side_effect=self._answer)

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)["domains"]
        self.batches.append([item["domain"] for item in items])
        return self.say(items)


def success(item: Any, code: int = 201) -> Any:
    stored = {key: value for key, value in item.items() if key != "downstreamAddress"}
    return {"domain": stored, "code": code, "comment": "created"}


def failure(item: Any, code: int) -> Any:
    return {"domain": {"domain": item["domain"]}, "code": code, "comment": "no"}


def provisioned(items: list[Any]) -> httpx.Response:
    return httpx.Response(200, json={"successes": [success(item) for item in items], "errors": None})


def failing(codes: dict[str, int]) -> Callable[[list[Any]], httpx.Response]:
    """Fail the items that are named, each with its code."""

    def say(items: list[Any]) -> httpx.Response:
        good = [success(item) for item in items if item["domain"] not in codes]
        bad = [failure(item, codes[item["domain"]]) for item in items if item["domain"] in codes]
        return httpx.Response(200, json={"successes": good, "errors": bad})

    return say


def refusing(bad: set[str], status: int = 400) -> Callable[[list[Any]], httpx.Response]:
    """Refuse every batch that holds one of these names."""

    def say(items: list[Any]) -> httpx.Response:
        if bad & {item["domain"] for item in items}:
            return httpx.Response(status, json={"message": "a name is not valid"})
        return provisioned(items)

    return say


@pytest.fixture
def api() -> Iterator[Api]:
    with respx.mock(assert_all_called=False) as router:
        yield Api(router)


# What goes in


async def in_async(inputs: Iterable[str]) -> AsyncIterator[str]:
    for name in inputs:
        await anyio.lowlevel.checkpoint()
        yield name


@pytest.mark.parametrize(
    "make",
    [list, tuple, iter, in_async, dict.fromkeys, lambda inputs: (name for name in inputs)],
    ids=["list", "tuple", "iterator", "async generator", "dict", "generator"],
)
def test_any_iterable_is_provisioned(make: Callable[[list[str]], Any], backend: str, simulator: Simulator) -> None:
    async def main() -> BulkProvisionResult:
        async with client_for(simulator.base_url) as client:
            return await client.domains.bulk_provision(make(names(3)), subscription_handle="demo")

    result = anyio.run(main, backend=backend)

    assert [(item.index, item.domain.domain) for item in result.successes] == [*enumerate(names(3))]
    assert result.errors == []
    assert simulator.state.domain_count() == 3


@pytest.mark.asyncio
async def test_a_set_is_provisioned(client: AsyncMailChannels) -> None:
    result = await client.domains.bulk_provision(set(names(3)), subscription_handle="demo")

    assert set(by_name(result.successes)) == set(names(3))
    assert indices(result) == [0, 1, 2]


@pytest.mark.asyncio
@pytest.mark.parametrize("make", [list, iter, in_async])
async def test_no_input_makes_no_request(make: Callable[[list[str]], Any], api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_provision(make([]), subscription_handle="demo")

    assert result == BulkProvisionResult()
    assert api.batches == []


@pytest.mark.asyncio
async def test_2500_names_go_into_three_requests(api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_provision(names(2_500), subscription_handle="demo")

    assert sorted(api.sizes) == [500, 1_000, 1_000]
    assert indices(result) == [*range(2_500)]
    assert [item.domain.domain for item in result.successes] == names(2_500)


@pytest.mark.asyncio
async def test_the_options_stand_in_the_query_and_the_settings_in_the_items(api: Api) -> None:
    domain = Domain("A.example", settings=DomainSettings(abuse_policy="block"), downstream_addresses=[MAIL_SERVER])

    async with client_for() as client:
        await client.domains.bulk_provision(
            [domain], subscription_handle="a/b", associate_key=True, overwrite=False, concurrency=1
        )

    request = api.provision.calls.last.request
    record = {"priority": 10, "weight": 10, "port": 25, "target": "mx.example."}
    assert request.url.query == b"subscriptionHandle=a%2Fb&associate-key=true&overwrite=false"
    assert json.loads(request.content)["domains"] == [
        {
            "domain": "a.example",
            "settings": {"abusePolicy": "block"},
            "downstreamAddresses": [record],
            "downstreamAddress": [record],
        }
    ]


@pytest.mark.asyncio
async def test_a_closed_client_is_refused(api: Api) -> None:
    client = client_for()
    await client.aclose()

    with pytest.raises(ConfigurationError, match="closed"):
        await client.domains.bulk_provision(names(1), subscription_handle="demo")


# Inputs that are refused


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "bad",
    [
        "a b.example",
        "",
        None,
        7,
        Domain("-.example"),
        Domain("x.example", subscription_handle="other"),
        Domain("x.example", admins=["nobody"]),
        Domain("x.example", downstream_addresses=[DownstreamAddress(10, 10, 25, "no-dot.example")]),
        Domain("x.example", downstream_addresses=[DownstreamAddress(2**70, 10, 25, "mx.example.")]),
        Domain("x.example", settings=DomainSettings(spam_header_value="\ud800")),
        Domain("x.example", admins=["\ud800@x.example"]),
    ],
    ids=["space", "empty", "None", "number", "label", "subscription", "admin", "target", "priority", "header", "text"],
)
async def test_a_bad_input_is_an_error_of_its_own_and_the_others_go_through(bad: Any, api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_provision(["a.example", bad, "b.example"], subscription_handle="demo")

    assert [item.index for item in result.successes] == [0, 2]
    (error,) = result.errors
    assert (error.index, error.outcome, error.code, error.retryable) == (1, Outcome.FAILED, None, False)
    assert isinstance(error.error, InvalidInput)
    assert error.comment == str(error.error)
    assert api.batches == [["a.example", "b.example"]]


@pytest.mark.asyncio
async def test_a_refused_input_is_given_back_as_it_was(api: Api) -> None:
    given = Domain("x.example", subscription_handle="other")

    async with client_for() as client:
        result = await client.domains.bulk_provision([given], subscription_handle="demo")

    assert result.errors[0].domain is given
    assert "'other' is not the 'demo'" in str(result.errors[0].error)


# Repeats


async def provisioned_in_turn(first: Sequence[Domain | str], then: Sequence[Domain | str]) -> list[BulkProvisionResult]:
    """Provision some domains, and by the same call others once the first answer has come."""
    answered = anyio.Event()

    async def inputs() -> AsyncIterator[Domain | str]:
        for domain in first:
            yield domain
        await answered.wait()
        for domain in then:
            yield domain

    results: list[BulkProvisionResult] = []
    async with client_for() as client:
        async for result in client.domains.iter_bulk_provision(inputs(), subscription_handle="demo"):
            results.append(result)
            answered.set()
    return results


@pytest.mark.asyncio
async def test_a_repeat_is_sent_once_and_shares_the_outcome(api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_provision(
            ["a.example", "b.example", "A.Example.", "a.example"], subscription_handle="demo"
        )

    assert api.batches == [["a.example", "b.example"]]
    assert [item.index for item in result.successes] == [0, 1, 2, 3]
    assert {item.code for item in result.successes} == {201}


@pytest.mark.asyncio
async def test_a_repeat_of_a_failure_fails_with_it(api: Api) -> None:
    api.say = failing({"a.example": 409})

    async with client_for() as client:
        result = await client.domains.bulk_provision(["a.example", "a.example"], subscription_handle="demo")

    assert [(item.index, item.code) for item in result.errors] == [(0, 409), (1, 409)]


@pytest.mark.asyncio
async def test_a_repeat_with_other_settings_is_an_error_that_names_the_first(api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_provision(
            ["b.example", "a.example", Domain("a.example", admins=["x@a.example"])], subscription_handle="demo"
        )

    assert [item.index for item in result.successes] == [0, 1]
    (error,) = result.errors
    assert isinstance(error.error, InvalidInput)
    assert "a.example stands in the input before, at index 1, with other content" in str(error.error)
    assert api.batches == [["b.example", "a.example"]]


@pytest.mark.asyncio
async def test_a_repeat_in_another_batch_is_not_sent_again(api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_provision(
            [*names(1_000), "d0.example", "z.example"], subscription_handle="demo"
        )

    assert sorted(api.sizes) == [1, 1_000]
    assert indices(result) == [*range(1_002)]
    assert len(result.successes) == 1_002


@pytest.mark.asyncio
async def test_a_repeat_that_comes_after_the_answer_shares_it(api: Api) -> None:
    api.say = failing({"d0.example": 409})
    first: list[Domain | str] = ["d0.example", Domain("d1.example", downstream_addresses=[])]

    results = await provisioned_in_turn([*first, *names(998, "e")], first)

    assert api.sizes == [1_000]
    assert [(item.index, item.code) for item in results[1].errors] == [(1_000, 409)]
    assert [(item.index, item.settings_applied) for item in results[1].successes] == [(1_001, True)]


@pytest.mark.asyncio
async def test_a_repeat_of_the_very_first_name_after_its_success_is_not_sent_and_not_taken_for_another(
    api: Api,
) -> None:
    results = await provisioned_in_turn(names(1_000), ["D0.example", Domain("d0.example", admins=["x@d0.example"])])

    assert api.sizes == [1_000]
    assert [(item.index, item.code, item.attempts) for item in results[1].successes] == [(1_000, 201, 0)]
    assert "at index 0, with other content" in str(results[1].errors[0].error)


@pytest.mark.asyncio
async def test_successes_of_one_answer_keep_their_own_codes_and_comments(api: Api) -> None:
    def say(items: list[Any]) -> httpx.Response:
        told = [(201, "created"), (200, "there"), (200, None), (201, "created")]
        return httpx.Response(
            200,
            json={
                "successes": [
                    {"domain": item, "code": code, "comment": comment}
                    for item, (code, comment) in zip(items, told, strict=True)
                ],
                "errors": [],
            },
        )

    api.say = say
    async with client_for() as client:
        result = await client.domains.bulk_provision(names(4), subscription_handle="demo")

    assert [(item.code, item.comment) for item in result.successes] == [
        (201, "created"), (200, "there"), (200, None), (201, "created"),
    ]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("arrives", [True, False])
async def test_a_repeat_shares_whether_its_settings_were_applied(arrives: bool, api: Api) -> None:
    def say(items: list[Any]) -> httpx.Response:
        if not arrives:
            for item in items:
                item.pop("downstreamAddresses")
        return provisioned(items)

    api.say = say
    domain = Domain("a.example", downstream_addresses=[MAIL_SERVER])

    async with client_for() as client:
        result = await client.domains.bulk_provision([domain, domain], subscription_handle="demo")

    assert [item.settings_applied for item in result.successes] == [arrives, arrives]


@pytest.mark.asyncio
async def test_a_repeat_after_the_job_has_stopped_is_not_lost(api: Api) -> None:
    api.say = lambda _: httpx.Response(403, json={"message": "the limit is reached"})

    results = await provisioned_in_turn(names(1_000), ["late.example", "late.example"])

    assert indices(BulkProvisionResult.merge(results)) == [*range(1_002)]


# What comes out


@pytest.mark.asyncio
@pytest.mark.parametrize("spelling", ["BÜCHER.example", "XN--BCHER-KVA.EXAMPLE.", "xn--bcher-kva.example"])
async def test_a_name_that_comes_back_in_another_spelling_is_matched(spelling: str, api: Api) -> None:
    api.say = lambda _: httpx.Response(200, json={"successes": [{"domain": {"domain": spelling}, "code": 201}]})

    async with client_for() as client:
        result = await client.domains.bulk_provision(["bücher.example"], subscription_handle="demo")

    assert [item.domain.domain for item in result.successes] == ["xn--bcher-kva.example"]
    assert api.batches == [["xn--bcher-kva.example"]]


@pytest.mark.asyncio
async def test_a_name_that_the_answer_leaves_out_is_unknown(api: Api) -> None:
    api.say = lambda items: provisioned(items[1:])

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(3), subscription_handle="demo")

    assert [item.index for item in result.successes] == [1, 2]
    (error,) = result.errors
    assert (error.index, error.outcome, error.code, error.retryable) == (0, Outcome.UNKNOWN, None, True)
    assert error.comment == "the answer does not mention it"
    assert api.sizes == [3]


@pytest.mark.asyncio
async def test_a_name_that_nobody_asked_for_is_a_warning_in_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.say = lambda items: provisioned([*items, {"domain": "stranger.example"}])

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert [item.domain.domain for item in result.successes] == names(2)
    (record,) = [record for record in caplog.records if record.name == "mailchannels"]
    assert record.levelno == logging.WARNING
    assert "'stranger.example'" in record.getMessage()


@pytest.mark.asyncio
async def test_an_unknown_code_is_kept_as_it_is(api: Api) -> None:
    api.say = failing({"d0.example": 799})

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(1), subscription_handle="demo")

    assert [(item.code, item.outcome) for item in result.errors] == [(799, Outcome.FAILED)]


@pytest.mark.asyncio
async def test_raise_for_errors_holds_the_whole_result(api: Api) -> None:
    api.say = failing({"d1.example": 409})

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(3), subscription_handle="demo")

    with pytest.raises(BulkError, match="1 of 3 items did not succeed; the first, at index 1: failed, no") as caught:
        result.raise_for_errors()
    assert caught.value.result is result


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["both", "downstreamAddress", "downstreamAddresses"])
async def test_downstream_addresses_arrive_under_whichever_key_the_server_reads(key: Any) -> None:
    with Simulator(bulk_downstream_key=key) as simulator:
        async with client_for(simulator.base_url) as client:
            result = await client.domains.bulk_provision(
                [Domain("a.example", downstream_addresses=[MAIL_SERVER])], subscription_handle="demo"
            )

    (item,) = result.successes
    assert item.settings_applied
    assert item.domain.downstream_addresses == [MAIL_SERVER]


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["downstreamAddress", "downstreamAddresses"])
async def test_downstream_addresses_are_read_from_whichever_key_the_server_writes(key: str) -> None:
    stored = {"domain": "a.example", key: [{"priority": 10, "weight": 10, "port": 25, "target": "mx.example."}]}
    with RawServer(answer({"successes": [{"domain": stored, "code": 201}], "errors": []})) as server:
        async with client_for(server.url) as client:
            result = await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    (item,) = result.successes
    assert item.domain.downstream_addresses == [MAIL_SERVER]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "section",
    [
        {"settings": DomainSettings(abuse_policy="flag")},
        {"admins": ["a@a.example"]},
        {"aliases": ["b.example"]},
        {"downstream_addresses": [MAIL_SERVER]},
    ],
    ids=["settings", "admins", "aliases", "downstream addresses"],
)
@pytest.mark.parametrize("overwrite", [None, True])
async def test_the_settings_of_an_existing_domain_are_applied_only_with_overwrite(
    overwrite: bool | None, section: dict[str, Any], client: AsyncMailChannels
) -> None:
    await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    result = await client.domains.bulk_provision(
        [Domain("a.example", **section)], subscription_handle="demo", overwrite=overwrite
    )

    assert [item.settings_applied for item in result.successes] == [bool(overwrite)]


# Failures of one item


@pytest.mark.asyncio
async def test_another_customers_domain_is_final_and_never_sent_again(simulator: Simulator) -> None:
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["other"])
    async with AsyncMailChannels("other-key", base_url=simulator.base_url) as other:
        await other.domains.provision(Domain("d1.example", subscription_handle="other"))
    before = simulator.requests

    async with client_for(simulator.base_url) as client:
        result = await client.domains.bulk_provision(names(3), subscription_handle="demo")

    assert [item.index for item in result.successes] == [0, 2]
    assert [(item.index, item.code, item.retryable) for item in result.errors] == [(1, 409, False)]
    assert simulator.requests == before + 1


def test_items_that_failed_for_the_moment_are_sent_again_alone(backend: str, api: Api, without_waits: None) -> None:
    codes = {"d1.example": 500, "d2.example": 409}

    def say(items: list[Any]) -> httpx.Response:
        answered = failing(dict(codes))(items)
        codes.pop("d1.example", None)
        return answered

    api.say = say

    async def main() -> BulkProvisionResult:
        async with client_for() as client:
            return await client.domains.bulk_provision(names(4), subscription_handle="demo")

    result = anyio.run(main, backend=backend)

    assert api.batches == [names(4), ["d1.example"]]
    assert [item.index for item in result.successes] == [0, 1, 3]
    assert [(item.index, item.code) for item in result.errors] == [(2, 409)]


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_an_item_that_keeps_failing_is_given_up_after_max_retries(
    code: int, api: Api, without_waits: None
) -> None:
    api.say = failing({"d1.example": code})

    async with client_for(max_retries=2) as client:
        result = await client.domains.bulk_provision(names(3), subscription_handle="demo")

    assert api.sizes == [3, 1, 1]
    (error,) = result.errors
    assert (error.index, error.code, error.outcome, error.retryable) == (1, code, Outcome.FAILED, True)


@pytest.mark.asyncio
async def test_the_simulators_failures_pass(
    client: AsyncMailChannels, simulator: Simulator, without_waits: None
) -> None:
    simulator.state.fail_next("d1.example", times=2)

    result = await client.domains.bulk_provision(names(3), subscription_handle="demo")

    assert len(result.successes) == 3
    assert simulator.requests == 3


class OwnList(list[Any]):
    """A list of somebody's own kind."""


@define
class OwnServer(DownstreamAddress):
    """A mail server with a note that is nobody else's business."""

    note: str = "internal"


@define
class OwnSettings(DomainSettings):
    """Settings with a note."""

    note: str = "internal"


@pytest.mark.parametrize(
    "servers", [OwnList([MAIL_SERVER]), (MAIL_SERVER,), [OwnServer(10, 10, 25, "mx.example.")]], ids=type
)
@pytest.mark.asyncio
async def test_sections_of_somebodys_own_kind_are_sent_and_shown_as_any_others(servers: Any, api: Api) -> None:
    own = Domain("a.example", settings=OwnSettings("flag"), downstream_addresses=servers)
    given: list[Domain | str] = [*names(3), own, *names(3, "e")]

    async with client_for() as client:
        result = await client.domains.bulk_provision(given, subscription_handle="demo")

    assert indices(result) == [*range(7)]
    sent = json.loads(api.provision.calls.last.request.content)["domains"][3]
    assert sent["downstreamAddresses"] == [attrs.asdict(MAIL_SERVER)]
    assert sent["settings"] == {"abusePolicy": "flag"}
    assert result.successes[3].domain.downstream_addresses == [MAIL_SERVER]
    assert result.successes[3].domain.settings == DomainSettings("flag")


@pytest.mark.asyncio
async def test_one_input_that_breaks_takes_no_earlier_one_with_it(api: Api) -> None:
    class Broken(Domain):
        @property
        def domain(self) -> str:  # type: ignore[override]
            raise OfItsOwnError

    broken = Broken.__new__(Broken)
    seen: list[int] = []

    async with client_for() as client:
        results = client.domains.iter_bulk_provision([*names(5), broken, *names(5, "e")], subscription_handle="demo")
        with pytest.raises(OfItsOwnError):  # noqa: PT012  # the loop is what raises
            async for result in results:
                seen += indices(result)

    assert seen == [*range(5)]
    assert api.batches == [names(5)]


@pytest.mark.asyncio
async def test_a_repeat_with_other_content_is_given_back_as_it_was_given(api: Api) -> None:
    other = Domain("A.Example.", admins=["x@a.example"])

    async with client_for() as client:
        result = await client.domains.bulk_provision(["a.example", other], subscription_handle="demo")

    assert [item.domain for item in result.errors] == [other]


class Spelt(StrEnum):
    """Names that somebody keeps as an enum."""

    A = "a.example"


@pytest.mark.asyncio
async def test_a_link_is_for_a_name_that_is_plain_text(api: Api) -> None:
    async with client_for() as client:
        result = await client.domains.bulk_create_login_links([Spelt.A])

    assert [type(item.domain) for item in (*result.successes, *result.errors)] == [str]


def refilled_servers() -> Iterator[Domain]:
    """Give domains with one mail server, in a tuple, that is another each time."""
    server = DownstreamAddress(10, 10, 25, "")
    for number, name in enumerate(names(3)):
        server.target = f"mx{number}.example."
        yield Domain(name, downstream_addresses=(server,))  # type: ignore[arg-type]


@pytest.mark.asyncio
async def test_a_generator_may_fill_one_mail_server_in_tuples_again_and_again(api: Api) -> None:
    async with client_for() as client:
        await client.domains.bulk_provision(refilled_servers(), subscription_handle="demo")

    sent = json.loads(api.provision.calls.last.request.content)["domains"]
    assert [item["downstreamAddresses"][0]["target"] for item in sent] == [f"mx{n}.example." for n in range(3)]


@pytest.mark.asyncio
async def test_a_generator_may_give_what_can_be_neither_copied_nor_sent(api: Api) -> None:
    odd = Domain("a.example", admins=(name for name in ["a@b.example"]))  # type: ignore[arg-type]
    given: Iterator[Domain | str] = iter([odd, "b.example"])

    async with client_for() as client:
        result = await client.domains.bulk_provision(given, subscription_handle="demo")

    assert [(item.index, item.domain) for item in result.errors] == [(0, odd)]
    assert [item.index for item in result.successes] == [1]


@pytest.mark.parametrize(("name", "canonical"), [("a.example",) * 2, ("bücher.example", "xn--bcher-kva.example")])
@pytest.mark.asyncio
async def test_what_is_done_to_a_domain_after_it_was_sent_does_not_change_its_item(
    name: str, canonical: str, api: Api
) -> None:
    domain = Domain(name, None, DomainSettings("flag"), ["a@b.example"], [attrs.evolve(MAIL_SERVER)], ["www.example"])
    sent = deepcopy(attrs.evolve(domain, domain=canonical))
    assert domain.settings is not None
    assert domain.downstream_addresses is not None

    async with client_for() as client:
        result = await client.domains.bulk_provision([domain], subscription_handle="demo")
    domain.settings.abuse_policy = "block"
    domain.downstream_addresses[0].target = "another.example."
    for section in (domain.admins, domain.downstream_addresses, domain.aliases):
        assert section is not None
        section.clear()

    (item,) = result.successes
    assert item.domain == sent
    assert item.settings_applied


def full_domain(name: str) -> Domain:
    return Domain(name, None, DomainSettings("flag"), ["a@b.example"], [attrs.evolve(MAIL_SERVER)], [f"www.{name}"])


@pytest.mark.parametrize("others", [[], ["n.example"]], ids=["domains alone", "beside a name"])
@pytest.mark.asyncio
async def test_what_is_done_to_one_item_does_not_change_another(others: list[str], api: Api) -> None:
    given = [full_domain(name) for name in names(2)]

    async with client_for() as client:
        result = await client.domains.bulk_provision([*given, *others], subscription_handle="demo")
    first, second = (item.domain for item in result.successes[:2])
    assert first.settings is not None
    assert first.downstream_addresses is not None
    first.settings.abuse_policy = "block"
    first.downstream_addresses[0].target = "another.example."
    first.downstream_addresses.clear()

    assert second == given[1]


@pytest.mark.parametrize("others", [[], ["n.example"]], ids=["domains alone", "beside a name"])
@pytest.mark.asyncio
async def test_a_text_of_a_callers_own_kind_is_shown_with_its_own_domain_alone(others: list[str], api: Api) -> None:
    class Text(str):
        __slots__ = ("note",)
        note: str

    texts = [Text("X-Spam"), Text("X-Spam")]
    for text, note in zip(texts, ("a", "b"), strict=True):
        text.note = note
    given = [
        Domain(*pair)
        for pair in zip(names(2), (None, None), (DomainSettings(spam_header_name=text) for text in texts), strict=True)
    ]

    async with client_for() as client:
        result = await client.domains.bulk_provision([*given, *others], subscription_handle="demo")

    shown = [item.domain.settings for item in result.successes[:2]]
    assert [each and getattr(each.spam_header_name, "note", None) for each in shown] == ["a", "b"]


@pytest.mark.asyncio
async def test_a_priority_of_true_is_refused_though_one_of_1_was_sent_before(api: Api) -> None:
    async with client_for() as client:
        results = [
            await client.domains.bulk_provision(
                [Domain("a.example", downstream_addresses=[attrs.evolve(MAIL_SERVER, priority=priority)])],
                subscription_handle="demo",
            )
            for priority in (1, True)
        ]

    assert [len(result.successes) for result in results] == [1, 0]
    assert "priority" in str(results[1].errors[0].error)


async def bulk_provision() -> BulkProvisionResult:
    async with client_for() as client:
        return await client.domains.bulk_provision(refilled(names(3)), subscription_handle="demo")


def bulk_provision_in_a_blocking_way() -> BulkProvisionResult:
    with MailChannels("demo-key", base_url=HERE, rate_limit=None) as client:
        return client.domains.bulk_provision(refilled(names(3)), subscription_handle="demo")


@pytest.mark.parametrize("call", [lambda: asyncio.run(bulk_provision()), bulk_provision_in_a_blocking_way])
def test_a_generator_may_fill_one_domain_and_its_lists_again_and_again(
    call: Callable[[], BulkProvisionResult], api: Api
) -> None:
    result = call()

    assert [item.domain.domain for item in result.successes] == names(3)
    sent = json.loads(api.provision.calls.last.request.content)["domains"]
    assert [item["admins"] for item in sent] == [[], ["owner@d1.example"], ["owner@d2.example"]]


@pytest.mark.asyncio
async def test_an_item_counts_the_requests_it_was_sent_in(api: Api, without_waits: None) -> None:
    api.say = failing({"d1.example": 500})

    async with client_for(max_retries=2) as client:
        result = await client.domains.bulk_provision([*names(2), "..", "d0.example"], subscription_handle="demo")

    assert {item.index: item.attempts for item in result.successes + result.errors} == {0: 1, 1: 3, 2: 0, 3: 0}


@pytest.mark.asyncio
@pytest.mark.usefixtures("without_waits")
async def test_repeats_of_a_whole_request_count_as_attempts_too() -> None:
    with RawServer(answer({"message": "down"}, status=500)) as server:
        async with client_for(server.url, max_retries=2) as client:
            result = await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    assert result.errors[0].attempts == len(server.requests) == 3


@pytest.mark.asyncio
async def test_the_pause_before_items_are_sent_again_counts_as_backed_off(api: Api, waits: list[float]) -> None:
    api.say = failing({"d1.example": 500})

    async with client_for(max_retries=2) as client:
        await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert waits == [0.5, 1.0]
    assert client.statistics.seconds_backed_off == sum(waits)


@pytest.mark.asyncio
async def test_without_a_retry_budget_no_item_is_sent_again(api: Api, without_waits: None) -> None:
    api.say = failing({"d1.example": 500})

    async with client_for() as client:
        while client._transport.budget.spend():
            pass
        result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert api.sizes == [2]
    assert [item.code for item in result.errors] == [500]


# Failures of a whole batch


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_batch_is_halved_until_the_bad_entry_stands_alone(status: int, api: Api) -> None:
    api.say = refusing({"d5.example"}, status)

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(16), subscription_handle="demo")

    assert [(item.index, item.code, item.outcome) for item in result.errors] == [(5, status, Outcome.FAILED)]
    assert indices(result) == [*range(16)]
    assert sorted(api.sizes) == [1, 1, 2, 2, 4, 4, 8, 8, 16]


@pytest.mark.asyncio
async def test_several_bad_entries_fail_and_only_they(api: Api) -> None:
    bad = {"d0.example", "d7.example", "d8.example", "d1999.example"}
    api.say = refusing(bad)

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(2_000), subscription_handle="demo")

    assert {item.domain.domain for item in result.errors} == bad
    assert {item.code for item in result.errors} == {400}
    assert indices(result) == [*range(2_000)]
    assert all(isinstance(item.error, BadRequest) for item in result.errors)


@pytest.mark.parametrize("concurrency", [1, 16])
@pytest.mark.asyncio
async def test_where_everything_is_refused_only_one_batch_is_halved_and_the_job_stops(
    concurrency: int, api: Api
) -> None:
    api.say = lambda _: httpx.Response(400, json={"message": "never"})

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(20_000), subscription_handle="demo", concurrency=concurrency)

    outcomes = Counter((item.outcome, item.code) for item in result.errors)
    assert outcomes == {(Outcome.FAILED, 400): 1_000, (Outcome.NOT_SENT, None): 19_000}
    assert indices(result) == [*range(20_000)]
    assert isinstance(result.stopped_by, BadRequest)
    # All halves of one batch, and the others that were under way when the first of them was refused.
    assert len(api.batches) == 1_998 + concurrency


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_or_quota_stops_the_job(status: int, backend: str, api: Api) -> None:
    api.say = lambda _: httpx.Response(status, json={"message": "the limit is reached"})

    async def main() -> BulkProvisionResult:
        async with client_for() as client:
            return await client.domains.bulk_provision(names(5_500), subscription_handle="demo", concurrency=1)

    result = anyio.run(main, backend=backend)

    assert api.sizes == [1_000]
    assert indices(result) == [*range(5_500)]
    assert {(item.code, item.outcome, item.retryable) for item in result.errors[:1_000]} == {
        (status, Outcome.FAILED, False)
    }
    assert {(item.code, item.outcome, item.retryable) for item in result.errors[1_000:]} == {
        (None, Outcome.NOT_SENT, True)
    }
    assert {type(item.error) for item in result.errors} == {Unauthorized if status == 401 else Forbidden}


@pytest.mark.asyncio
async def test_the_quota_of_the_simulator_stops_the_job() -> None:
    with Simulator(domain_limit=1_500) as simulator:
        async with client_for(simulator.base_url) as client:
            result = await client.domains.bulk_provision(names(4_000), subscription_handle="demo", concurrency=1)

    outcomes = Counter((item.outcome, item.code) for item in [*result.successes, *result.errors])
    assert outcomes == {
        (Outcome.SUCCEEDED, 201): 1_000,
        (Outcome.FAILED, 403): 1_000,
        (Outcome.NOT_SENT, None): 2_000,
    }
    assert simulator.requests == 2


@pytest.mark.asyncio
async def test_a_lost_answer_is_asked_for_again_and_then_unknown(without_waits: None) -> None:
    with RawServer(reset()) as server:
        async with client_for(server.url, max_retries=2) as client:
            result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert len(server.requests) == 3
    assert {(item.outcome, item.code, type(item.error), item.retryable) for item in result.errors} == {
        (Outcome.UNKNOWN, None, ConnectionLost, True)
    }
    assert indices(result) == [0, 1]


@pytest.mark.asyncio
async def test_without_a_connection_nothing_was_sent(without_waits: None) -> None:
    with refusing_url() as url:
        async with client_for(url) as client:
            result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert {(item.outcome, type(item.error), item.retryable) for item in result.errors} == {
        (Outcome.NOT_SENT, ConnectError, True)
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"<p>fine</p>", b"[]", b'{"successes": [{"domain": 1, "code": 201}]}'])
async def test_an_answer_that_cannot_be_read_leaves_all_unknown(body: bytes, api: Api) -> None:
    api.say = lambda _: httpx.Response(200, content=body)

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert {(item.outcome, type(item.error)) for item in result.errors} == {(Outcome.UNKNOWN, UnexpectedResponse)}
    assert api.sizes == [2]


@pytest.mark.asyncio
async def test_a_batch_that_the_server_failed_on_without_a_repeat_is_failed_and_retryable(api: Api) -> None:
    api.say = lambda _: httpx.Response(500)

    async with client_for(max_retries=0) as client:
        result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert {(item.outcome, item.code, type(item.error), item.retryable) for item in result.errors} == {
        (Outcome.FAILED, 500, ServerError, True)
    }


@pytest.mark.asyncio
async def test_a_batch_lost_at_a_gateway_is_unknown(api: Api) -> None:
    api.say = lambda _: httpx.Response(504)

    async with client_for(max_retries=0) as client:
        result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert {(item.outcome, item.code) for item in result.errors} == {(Outcome.UNKNOWN, 504)}


@pytest.mark.asyncio
async def test_a_failed_batch_leaves_the_others_alone(api: Api) -> None:
    api.say = lambda items: httpx.Response(502) if items[0]["domain"] == "d0.example" else provisioned(items)

    async with client_for(max_retries=0) as client:
        result = await client.domains.bulk_provision(names(3_000), subscription_handle="demo", concurrency=3)

    assert [item.index for item in result.errors] == [*range(1_000)]
    assert [item.index for item in result.successes] == [*range(1_000, 3_000)]


# An input that raises


class OfItsOwnError(Exception):
    def __len__(self) -> int:
        return 0  # as of one that lists what is wrong


def breaking(count: int) -> Iterator[str]:
    yield from names(count)
    raise OfItsOwnError


@pytest.mark.asyncio
async def test_what_was_read_before_the_input_raised_is_sent(api: Api) -> None:
    async with client_for() as client:
        with pytest.raises(OfItsOwnError):
            await client.domains.bulk_provision(breaking(1_500), subscription_handle="demo")

    assert sorted(api.sizes) == [500, 1_000]


def test_the_results_come_before_the_error_of_the_input(backend: str, api: Api) -> None:
    seen: list[BulkProvisionResult] = []

    async def main() -> None:
        async with client_for() as client:
            results = client.domains.iter_bulk_provision(breaking(2_500), subscription_handle="demo")
            with pytest.raises(OfItsOwnError):  # noqa: PT012  # the loop is what raises
                async for result in results:
                    seen.append(result)  # noqa: PERF401  # what came before the error counts

    anyio.run(main, backend=backend)

    assert indices(BulkProvisionResult.merge(seen)) == [*range(2_500)]


# The machine, with an operation that needs no server


@define
class Item(BulkItem):
    index: int
    subject: str
    verdict: Verdict
    attempts: int = 0


DONE = Verdict(Outcome.SUCCEEDED, 200)


class Subject(str):
    """Text that can be watched for as long as anything holds it."""

    __slots__ = ("__weakref__",)


class Fake(Operation[str, str, Item]):
    """Judges each name at once; `name=content` gives it content, `!` stands before a name that is refused."""

    batch_size = BATCH

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.live: weakref.WeakSet[Subject] = weakref.WeakSet()

    def prepare(self, given: list[str]) -> Batch[str]:
        if any(one.startswith("!") for one in given):
            raise InvalidInput("domain", "is refused")
        subjects = [*map(Subject, given)]
        self.live.update(subjects)
        return Batch([one.partition("=")[0] for one in given], [*subjects], [one.encode() for one in given])

    def subject(self, given: str) -> str:
        return given

    async def ask(self, batch: Batch[str]) -> None:
        self.asked.append([*batch.keys])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.judge(batch)
        finally:
            self.in_flight -= 1

    async def judge(self, batch: Batch[str]) -> None:
        await anyio.lowlevel.checkpoint()
        batch.verdicts = [DONE] * len(batch)

    @staticmethod
    def item(index: int, subject: str, verdict: Verdict, attempts: int = 0) -> Item:
        return Item(index, subject, verdict)


def stream(
    operation: Operation[str, str, Item], *, concurrency: int = 2, max_retries: int = 2
) -> Stream[str, str, Item]:
    return Stream(
        operation,
        concurrency=concurrency,
        max_retries=max_retries,
        may_retry=lambda: True,
        pause=lambda _: anyio.lowlevel.checkpoint(),
    )


class Whimsical(Fake):
    """Follows a script: for each request what becomes of it, for each name the codes of its answers."""

    def __init__(self, requests: list[MailChannelsError | None], codes: dict[str, list[int]], bad: set[str]) -> None:
        super().__init__()
        self.requests = requests
        self.codes = {name: [*listed] for name, listed in codes.items()}
        self.bad = bad

    async def judge(self, batch: Batch[str]) -> None:
        await anyio.lowlevel.checkpoint()
        error = self.requests.pop() if self.requests else None
        if error is None and self.bad & {*batch.keys}:
            error = BadRequest("no", status=400, method="POST", path="/")
        if error is not None:
            raise error
        for place, key in enumerate(batch.keys):
            codes = self.codes.get(key)
            code = codes.pop() if codes else 200
            if code:
                outcome = Outcome.SUCCEEDED if code == 200 else Outcome.FAILED
                batch.verdicts[place] = Verdict(outcome, code)


LETTERS = st.sampled_from("abcdefghij")
INPUTS = st.lists(
    st.one_of(LETTERS, LETTERS, st.builds("{}={}".format, LETTERS, st.sampled_from("12")), st.just("!")), max_size=40
)
REFUSED = Forbidden("no", status=403, method="POST", path="/")
BAD = BadRequest("no", status=400, method="POST", path="/")
FAILURES = st.sampled_from(
    [
        None,
        None,
        ConnectionLost("gone"),
        ConnectError("refused"),
        ServerError("no", status=500, method="POST", path="/"),
        BAD,
        REFUSED,
        UnexpectedResponse("no", status=200, method="POST", path="/"),
    ]
)


@example(inputs=["a", "!", "b", "b"], requests=[REFUSED], codes={}, bad=set(), size=1, concurrency=1)
@example(inputs=["a", "b", "c"], requests=[BAD, None], codes={"a": [503], "b": [503]}, bad=set(), size=3, concurrency=1)
@settings(max_examples=150, deadline=None)
@given(
    inputs=INPUTS,
    requests=st.lists(FAILURES, max_size=4),
    codes=st.dictionaries(LETTERS, st.lists(st.sampled_from([0, 200, 409, 500, 503]), max_size=5)),
    bad=st.sets(LETTERS, max_size=2),
    size=st.integers(1, 5),
    concurrency=st.integers(1, 3),
)
def test_every_input_comes_out_once_whatever_happens(  # noqa: PLR0917
    inputs: list[str],
    requests: list[MailChannelsError | None],
    codes: dict[str, list[int]],
    bad: set[str],
    size: int,
    concurrency: int,
) -> None:
    operation = Whimsical([*requests], codes, bad)

    async def main() -> list[Item]:
        results = stream(operation, concurrency=concurrency).results(in_async(inputs))
        return [item async for items in results for item in items]

    operation.batch_size = size
    items = sorted(asyncio.run(main()), key=lambda item: item.index)

    assert [(item.index, item.subject) for item in items] == [*enumerate(inputs)]
    assert all(len(batch) <= size for batch in operation.asked)
    assert all(len({*batch}) == len(batch) for batch in operation.asked)
    assert operation.most_in_flight <= concurrency
    for given_name, item in zip(inputs, items, strict=True):
        first = items[inputs.index(given_name)].verdict
        verdict = item.verdict
        assert (verdict.outcome, verdict.code, verdict.comment) == (first.outcome, first.code, first.comment)


def test_a_batch_of_which_one_went_through_does_not_stop_the_call_however_the_others_are_refused() -> None:
    class OneAtFirst(Fake):
        async def judge(self, batch: Batch[str]) -> None:
            await anyio.lowlevel.checkpoint()
            if len(batch) != bulk.ENOUGH_TO_JUDGE // 2 or "d0.example" not in batch.keys:
                raise BAD
            passing = Verdict(Outcome.FAILED, 503)
            batch.verdicts = [DONE if key == "d0.example" else passing for key in batch.keys]

    operation = OneAtFirst()
    operation.batch_size = bulk.ENOUGH_TO_JUDGE

    async def main() -> tuple[list[Item], MailChannelsError | None]:
        results = stream(operation).results(names(operation.batch_size))
        return [item async for items in results for item in items], results.stopped_by

    items, stopped_by = asyncio.run(main())

    assert stopped_by is None
    assert sorted(item.index for item in items) == [*range(operation.batch_size)]
    assert [item.index for item in items if item.verdict is DONE] == [0]


def test_repeats_that_were_settled_hold_nothing_up() -> None:
    class InPairs(Fake):
        def __init__(self) -> None:
            super().__init__()
            self.are_two = anyio.Event()

        async def judge(self, batch: Batch[str]) -> None:
            if self.in_flight == 2:
                self.are_two.set()
            if "a" not in batch.keys:
                await self.are_two.wait()
            await super().judge(batch)

    async def main() -> int:
        results = stream(InPairs(), concurrency=2).results(["a", "a", *names(4 * BATCH)])
        with anyio.fail_after(10):
            return len([item async for items in results for item in items])

    with mock.patch.object(bulk, "MOST_REPEATS", 1):
        assert asyncio.run(main()) == 4 * BATCH + 2


class Holding(Fake):
    """Answers nothing before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = anyio.Event()
        self.cancelled = 0

    async def judge(self, batch: Batch[str]) -> None:
        try:
            await self.released.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        await super().judge(batch)


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_no_more_than_concurrency_requests_are_under_way(concurrency: int, backend: str) -> None:
    async def main() -> Holding:
        operation = Holding()
        async with anyio.create_task_group() as tasks:

            async def run() -> None:
                async for _ in stream(operation, concurrency=concurrency).results(names(20_000)):
                    pass

            tasks.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            assert operation.in_flight == concurrency
            operation.released.set()
        return operation

    operation = anyio.run(main, backend=backend)

    assert len(operation.asked) == 20
    assert operation.most_in_flight == concurrency


class Counted:
    """An input that counts what was taken of it."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self.taken = 0
        self._inputs = inputs

    def __iter__(self) -> Iterator[str]:
        for name in self._inputs:
            self.taken += 1
            yield name


@pytest.mark.parametrize(
    "inputs",
    [names(50_000), ["a.example"] * 100_000, ["!"] * 50_000, [*names(1_000), *["d0.example", "!"] * 50_000]],
    ids=["names", "repeats", "refused", "mixed"],
)
def test_the_input_is_read_no_faster_than_the_results_are_taken(inputs: list[str], backend: str) -> None:
    counted = Counted(inputs)

    async def main() -> None:
        given_out = 0
        async with aclosing(stream(Fake(), concurrency=2).results(counted)) as results:
            for _ in range(5):
                items = await anext(results, Items[Item]())
                given_out += len(items)
                await anyio.wait_all_tasks_blocked()
                # Two batches under way, one that waits for them, and what may pile up behind a name.
                assert counted.taken - given_out <= 4 * BATCH + bulk.MOST_REPEATS
                assert len(items) <= 4 * BATCH + bulk.MOST_REPEATS

    anyio.run(main, backend=backend)


def test_the_read_ahead_is_no_more_than_the_window_and_a_batch() -> None:
    counted = Counted(names(50_000))

    async def main() -> None:
        async with aclosing(stream(Fake(), concurrency=2).results(counted)) as results:
            await anext(results)
            await anyio.wait_all_tasks_blocked()

    asyncio.run(main())

    assert counted.taken <= (1 + 2 + 1) * BATCH


@pytest.mark.parametrize("admins", [None, ["x@a.example"]])
@pytest.mark.asyncio
async def test_an_entry_under_way_takes_little_memory(admins: list[str] | None) -> None:
    async with client_for() as client:
        operation = Provisioning(
            client._transport, subscription_handle="demo", associate_key=None, overwrite=None, timeout=None
        )
        domains = [Domain(name, admins=admins) for name in names(5_000)]
        operation.prepare([*domains[:1]])
        tracemalloc.start()
        try:
            batch = operation.prepare([*domains])
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert taken / len(batch) < 1_000


@pytest.mark.parametrize(
    "inputs", [names(200_000), [f"d{number // 2}.example" for number in range(200_000)]], ids=["names", "repeats"]
)
def test_memory_stays_flat_over_a_long_input(inputs: list[str]) -> None:
    operation = Fake()
    most = 0

    async def main() -> int:
        nonlocal most
        count = 0
        async for items in stream(operation, concurrency=4).results(inputs):
            most = max(most, len(operation.live))
            count += len(items)
        return count

    assert asyncio.run(main()) == 200_000
    assert most <= (4 + 2) * BATCH


def test_a_repeat_shares_an_outcome_that_came_when_its_name_was_nearly_forgotten() -> None:
    operation = Whimsical([], {"first": [409]}, set())

    async def main() -> list[Item]:
        inputs = ["first", *names(2 * BATCH - 1), "first"]
        # One request at a time: it is settled when the next names have come, and before the last one comes.
        return [item async for items in stream(operation, concurrency=1).results(inputs) for item in items]

    with mock.patch.object(repeats, "REMEMBERED", BATCH):
        items = asyncio.run(main())

    assert [item.verdict.code for item in items if item.subject == "first"] == [409, 409]
    assert Counter(name for batch in operation.asked for name in batch)["first"] == 1


def test_a_repeat_shares_the_outcome_of_the_request_that_it_waits_for_and_of_no_forgotten_one() -> None:
    class TwiceAsked(Fake):
        def __init__(self) -> None:
            super().__init__()
            self.is_forgotten = anyio.Event()
            self.is_settled = anyio.Event()
            self.requests_for_it = 0

        async def judge(self, batch: Batch[str]) -> None:
            await super().judge(batch)
            if "first" not in batch.keys:
                return
            self.requests_for_it += 1
            if self.requests_for_it == 1:
                await self.is_forgotten.wait()
            else:
                await self.is_settled.wait()
                batch.verdicts[batch.keys.index("first")] = Verdict(Outcome.FAILED, 409)

    operation = TwiceAsked()

    async def inputs() -> AsyncIterator[str]:
        for name in ["first", *names(3 * BATCH), "first", "first", *names(2 * BATCH, prefix="e")]:
            yield name
        operation.is_forgotten.set()

    async def main() -> list[Item]:
        found: list[Item] = []
        async for items in stream(operation, concurrency=8).results(inputs()):
            found += items
            if any(item.index == 0 for item in items):
                operation.is_settled.set()
        return found

    with mock.patch.object(repeats, "REMEMBERED", BATCH):
        found = asyncio.run(main())

    codes = {item.index: item.verdict.code for item in found if item.subject == "first"}
    assert codes == {0: 200, 3 * BATCH + 1: 409, 3 * BATCH + 2: 409}


def test_a_repeat_further_behind_than_what_is_remembered_is_sent_again() -> None:
    operation = Fake()

    async def main() -> int:
        inputs = ["first", *names(2 * BATCH), "first"]
        return len([item async for items in stream(operation).results(inputs) for item in items])

    with mock.patch.object(repeats, "REMEMBERED", 10):
        assert asyncio.run(main()) == 2 * BATCH + 2

    assert Counter(name for batch in operation.asked for name in batch)["first"] == 2


def living_tasks(backend: str) -> int:
    return trio.lowlevel.current_statistics().tasks_living if backend == "trio" else len(asyncio.all_tasks())


def test_breaking_out_cancels_what_is_under_way_and_leaves_no_task(backend: str) -> None:
    class HoldingAllButTheFirst(Holding):
        async def judge(self, batch: Batch[str]) -> None:
            await (Fake.judge(self, batch) if len(self.asked) == 1 else super().judge(batch))

    async def main() -> None:
        operation = HoldingAllButTheFirst()
        before = living_tasks(backend)
        async with aclosing(stream(operation, concurrency=3).results(names(9_000))) as results:
            async for _ in results:
                await anyio.wait_all_tasks_blocked()
                break
        assert operation.cancelled == 3
        assert operation.in_flight == 0
        assert living_tasks(backend) == before

    anyio.run(main, backend=backend)


def test_breaking_out_leaves_the_connections_free(backend: str) -> None:
    async def main(server: RawServer) -> None:
        async with client_for(server.url, max_connections=1) as client:
            results = client.domains.iter_bulk_provision(names(3_000), subscription_handle="demo", concurrency=1)
            async with aclosing(results), anyio.create_task_group() as tasks:

                async def step() -> None:
                    await anext(results)

                tasks.start_soon(step)
                await anyio.to_thread.run_sync(server.wait_for_requests, 1)
                tasks.cancel_scope.cancel()
            assert (await client.domains.list()).total == 0

    with RawServer(stall(), answer({"domains": [], "total": 0})) as server:
        anyio.run(main, server, backend=backend)
        server.wait_for_hang_ups(1)
        assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_a_cancelled_task_stops_its_job() -> None:
    operation = Holding()

    async def run() -> None:
        async for _ in stream(operation, concurrency=2).results(names(5_000)):
            pass

    before = asyncio.all_tasks()
    task = asyncio.create_task(run())
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert operation.cancelled == 2
    assert asyncio.all_tasks() == before


def test_an_iterator_still_open_when_the_event_loop_ends_reports_no_trouble(
    backend: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    left = []

    async def main() -> None:
        async with client_for(simulator.base_url) as client:
            results = client.domains.iter_bulk_provision(names(9_000), subscription_handle="demo", concurrency=2)
            left.append(results)
            await anext(results)

    anyio.run(main, backend=backend)

    assert [record.getMessage() for record in caplog.records] == []


def test_the_iterator_may_be_stepped_from_different_tasks(backend: str) -> None:
    async def main() -> list[int]:
        results = stream(Fake()).results(names(3_000))
        seen: list[int] = []

        async def step() -> None:
            seen.extend(item.index for item in await anext(results))

        for _ in range(3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(step)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        return seen

    assert sorted(anyio.run(main, backend=backend)) == [*range(3_000)]


def test_a_fault_in_the_operation_is_raised_and_leaves_no_task(backend: str) -> None:
    class Faulty(Fake):
        async def judge(self, batch: Batch[str]) -> None:
            await anyio.lowlevel.checkpoint()
            raise OfItsOwnError

    async def main() -> None:
        before = living_tasks(backend)
        with pytest.raises(OfItsOwnError):
            async for _ in stream(Faulty(), concurrency=1).results(names(3)):
                pass
        assert living_tasks(backend) == before

    anyio.run(main, backend=backend)


# Login links


def test_login_links_come_back_with_the_positions_of_the_input(backend: str, simulator: Simulator) -> None:
    async def main() -> BulkLoginLinkResult:
        async with client_for(simulator.base_url) as client:
            await client.domains.bulk_provision(names(2_500), subscription_handle="demo")
            return await client.domains.bulk_create_login_links(iter(names(2_500)))

    result = anyio.run(main, backend=backend)

    assert [(item.index, item.domain) for item in result.successes] == [*enumerate(names(2_500))]
    assert {(item.domain, item.login_link) for item in result.successes} == {*simulator.state.login_links}
    assert Counter(path for _, path, _, _ in simulator.recent)["/inbound/v1/domains/batch/login-link"] == 3


@pytest.mark.asyncio
async def test_a_domain_of_another_customer_does_not_stop_the_links_of_the_others(simulator: Simulator) -> None:
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["other"])
    async with AsyncMailChannels("other-key", base_url=simulator.base_url) as other:
        await other.domains.provision(Domain("d0.example", subscription_handle="other"))

    async with client_for(simulator.base_url) as client:
        await client.domains.bulk_provision(names(1_500)[1:], subscription_handle="demo")
        result = await client.domains.bulk_create_login_links([*names(1_500), "none.example"], concurrency=1)

    assert [(item.index, item.code, item.outcome, item.retryable) for item in result.errors] == [
        (0, 401, Outcome.FAILED, False),
        (1_500, 404, Outcome.FAILED, False),
    ]
    assert isinstance(result.errors[0].error, Unauthorized)
    assert len(result.successes) == 1_499


@pytest.mark.asyncio
async def test_a_key_refused_for_a_whole_batch_of_links_stops_the_job(api: Api) -> None:
    api.say = lambda _: httpx.Response(401, json={"message": "no such key"})

    async with client_for() as client:
        result = await client.domains.bulk_create_login_links(names(3_000), concurrency=1)

    assert Counter((item.outcome, item.code) for item in result.errors) == {
        (Outcome.FAILED, 401): 1_000,
        (Outcome.NOT_SENT, None): 2_000,
    }
    assert api.sizes == [1_000]


def linked(items: list[Any]) -> httpx.Response:
    made = [{"domain": item["domain"], "code": 200, "loginLink": "https://secret.example"} for item in items]
    return httpx.Response(200, json={"successes": made, "errors": []})


@pytest.mark.asyncio
async def test_a_bad_name_and_a_repeat_cost_no_link(api: Api) -> None:
    api.say = linked

    async with client_for() as client:
        result = await client.domains.bulk_create_login_links(["a.example", "a b", "A.example", Domain("b.example")])  # type: ignore[list-item]

    assert api.batches == [["a.example"]]
    assert [(item.index, item.login_link) for item in result.successes] == [
        (0, "https://secret.example"),
        (2, "https://secret.example"),
    ]
    assert [(item.index, type(item.error)) for item in result.errors] == [(1, InvalidInput), (3, InvalidInput)]


@pytest.mark.asyncio
async def test_a_success_without_its_link_is_unknown(api: Api) -> None:
    api.say = lambda items: httpx.Response(
        200, json={"successes": [{"domain": items[0]["domain"], "code": 200}], "errors": []}
    )

    async with client_for() as client:
        result = await client.domains.bulk_create_login_links(names(2))

    assert [(item.index, item.outcome) for item in result.errors] == [(0, Outcome.UNKNOWN), (1, Outcome.UNKNOWN)]


@pytest.mark.asyncio
async def test_a_link_that_failed_for_the_moment_is_asked_for_again(
    client: AsyncMailChannels, simulator: Simulator, without_waits: None
) -> None:
    await client.domains.bulk_provision(names(3), subscription_handle="demo")
    simulator.state.fail_next("d1.example")

    result = await client.domains.bulk_create_login_links(names(3))

    assert len(result.successes) == 3
    assert len(simulator.state.login_links) == 3


@pytest.mark.asyncio
async def test_a_batch_of_links_that_is_refused_is_halved(api: Api) -> None:
    api.say = lambda items: httpx.Response(400) if "d3.example" in [item["domain"] for item in items] else linked(items)

    async with client_for() as client:
        result = await client.domains.bulk_create_login_links(names(8))

    assert [(item.index, item.code) for item in result.errors] == [(3, 400)]
    assert len(result.successes) == 7


@pytest.mark.asyncio
async def test_no_repr_log_or_pickle_shows_a_link(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api.say = lambda items: linked([*items, {"domain": "stranger.example"}])

    async with client_for() as client:
        results = [result async for result in client.domains.iter_bulk_create_login_links(names(2))]

    (result,) = results
    item: BulkLoginLinkItem = result.successes[0]
    assert item.login_link == "https://secret.example"
    assert "secret" not in f"{result!r} {result} {item!r} {item}"
    assert b"secret" not in pickle.dumps(result)
    assert "stranger" in caplog.text
    assert "secret" not in caplog.text
