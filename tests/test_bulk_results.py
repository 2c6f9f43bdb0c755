"""What the results of bulk calls keep: why a call stopped, and nothing of the requests that failed."""

from __future__ import annotations

import inspect
import pickle
import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from conftest import HERE

from mailchannels import (
    AsyncMailChannels,
    BulkLoginLinkItem,
    BulkLoginLinkResult,
    BulkProvisionItem,
    BulkProvisionResult,
    ConfigurationError,
    Domain,
    Forbidden,
    MailChannelsError,
    Outcome,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = [pytest.mark.usefixtures("environment"), pytest.mark.asyncio]


def names(count: int) -> list[str]:
    return [f"d{number}.example" for number in range(count)]


def client_for(**options: Any) -> AsyncMailChannels:
    return AsyncMailChannels("demo-key", **{"base_url": HERE, "rate_limit": None, "max_retries": 0, **options})


@pytest.fixture
def api() -> Iterator[respx.Route]:
    """Answers every batch as a test says."""
    with respx.mock(assert_all_called=False) as router:
        yield router.post(path__startswith="/inbound/v1/domains/batch")


def answered(items: Any, *, code: int) -> httpx.Response:
    """Say the same of every domain of a batch."""
    listed = [{"domain": item, "code": code, "comment": "so be it"} for item in items]
    return httpx.Response(200, json={"successes" if code < 300 else "errors": listed})


# What stopped a call


@pytest.mark.parametrize(("status", "cls"), [(401, Unauthorized), (403, Forbidden)])
async def test_a_result_says_what_stopped_its_call(status: int, cls: type[MailChannelsError], api: respx.Route) -> None:
    api.respond(status, json={"message": "the limit is reached"})

    async with client_for() as client:
        provisioned = await client.domains.bulk_provision(names(2_500), subscription_handle="demo", concurrency=1)
        linked = await client.domains.bulk_create_login_links(names(2_500), concurrency=1)

    assert api.call_count == 2
    for stopped_by in (provisioned.stopped_by, linked.stopped_by):
        assert type(stopped_by) is cls
        assert "the limit is reached" in str(stopped_by)
    assert provisioned.errors[0].comment == "the limit is reached"
    assert provisioned.errors[-1].error is provisioned.stopped_by


async def test_that_an_attempt_may_have_been_applied_is_said_of_what_was_sent_alone(api: respx.Route) -> None:
    refused = httpx.Response(403, json={"message": "the limit is reached"})
    api.side_effect = [httpx.ReadError("gone"), refused]

    async with client_for(max_retries=1) as client:
        result = await client.domains.bulk_provision(names(1_001), subscription_handle="demo", concurrency=1)

    first, *_, last = result.errors
    assert (first.outcome, last.outcome) == (Outcome.UNKNOWN, Outcome.NOT_SENT)
    assert first.comment == "the limit is reached; an earlier attempt may have been applied"
    assert str(last.comment).endswith("403 the limit is reached")


async def test_a_client_closed_meanwhile_is_what_stopped_the_call(api: respx.Route) -> None:
    api.respond(200, json={})
    seen: list[BulkProvisionResult] = []

    async with client_for() as client:
        async for result in client.domains.iter_bulk_provision(names(4_000), subscription_handle="demo", concurrency=1):
            seen.append(result)
            await client.aclose()

    assert api.call_count < 4
    assert isinstance(seen[-1].stopped_by, ConfigurationError)
    assert "closed" in str(seen[-1].stopped_by)
    assert sum(len(result.errors) for result in seen) == 4_000
    assert seen[-1].errors[-1].outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("code", [200, 401, 403, 409])
async def test_what_is_said_of_single_items_stops_no_call(code: int, api: respx.Route) -> None:
    def say(request: httpx.Request) -> httpx.Response:
        return answered([{"domain": name} for name in names(2)], code=code)

    api.side_effect = say

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(2), subscription_handle="demo")

    assert {item.code for item in [*result.successes, *result.errors]} == {code}
    assert result.stopped_by is None


@pytest.mark.parametrize("status", [429, 500, 504])
async def test_an_outage_stops_no_call(status: int, api: respx.Route) -> None:
    api.respond(status)

    async with client_for() as client:
        result = await client.domains.bulk_provision(names(2_000), subscription_handle="demo")

    assert api.call_count == 2
    assert result.stopped_by is None


STOP = Forbidden("the limit is reached", status=403, method="POST", path="/domains/batch")


async def test_results_added_or_merged_keep_what_stopped_their_call() -> None:
    before, after = BulkProvisionResult(), BulkProvisionResult.of([], stopped_by=STOP)

    assert (before + after).stopped_by is STOP
    assert (after + before).stopped_by is STOP
    assert (before + before).stopped_by is None
    assert BulkProvisionResult.merge([before, after, before]).stopped_by is STOP
    assert BulkLoginLinkResult.merge([]).stopped_by is None


async def test_a_pickled_result_still_says_what_stopped_its_call() -> None:
    restored: BulkProvisionResult = pickle.loads(pickle.dumps(BulkProvisionResult.of([], stopped_by=STOP)))

    assert str(restored.stopped_by) == str(STOP)


# What items show


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (
            BulkProvisionItem(index=3, domain=Domain("a.example"), outcome=Outcome.FAILED),
            ["index", "domain", "code", "comment", "outcome", "settings_applied", "error"],
        ),
        (
            BulkLoginLinkItem(index=3, domain="a.example", outcome=Outcome.FAILED),
            ["index", "domain", "code", "comment", "login_link", "outcome", "error"],
        ),
    ],
    ids=["provision", "login link"],
)
async def test_an_item_shows_first_what_it_is_about(item: Any, shown: list[str]) -> None:
    places = [repr(item).index(f"{name}=") for name in shown]
    assert places == sorted(places)
    documented = [str(inspect.getdoc(type(item))).index(f"\n    {name}: ") for name in shown]
    assert documented == sorted(documented)


# What errors keep


FAILURES: dict[str, dict[str, Any]] = {
    "server error": {"return_value": httpx.Response(500, json={"message": "no"})},
    "refused, and halved": {"return_value": httpx.Response(400, json={"message": "no"})},
    "quota": {"return_value": httpx.Response(403)},
    "no connection": {"side_effect": httpx.ConnectError},
    "lost": {"side_effect": httpx.ReadError},
    "misfit": {"return_value": httpx.Response(200, json={"successes": 7})},
    "no JSON": {"return_value": httpx.Response(200, html="<p>fine</p>")},
}


async def errors_of(client: AsyncMailChannels, inputs: list[str]) -> AsyncIterator[MailChannelsError]:
    results = client.domains.iter_bulk_provision(inputs, subscription_handle="demo", concurrency=1)
    async for result in results:
        for item in result.errors:
            assert item.error is not None
            yield item.error
        if result.stopped_by is not None:
            yield result.stopped_by


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_an_error_that_a_result_keeps_leads_back_to_no_request(failure: dict[str, Any], api: respx.Route) -> None:
    api.mock(**failure)

    async with client_for() as client:
        errors = [error async for error in errors_of(client, names(3))]

    assert len(errors) >= 3
    assert {(error.__traceback__, error.__context__, error.__cause__) for error in errors} == {(None, None, None)}


async def test_the_error_of_a_refused_input_leads_back_to_no_batch(api: respx.Route) -> None:
    api.respond(200, json={})

    async with client_for() as client:
        errors = [error async for error in errors_of(client, ["a b"])]

    assert {(error.__traceback__, error.__context__, error.__cause__) for error in errors} == {(None, None, None)}


@pytest.mark.parametrize("failure", [httpx.Response(500), httpx.Response(404)], ids=["server error", "not found"])
async def test_memory_stays_flat_while_everything_fails(failure: httpx.Response, api: respx.Route) -> None:
    """What is remembered of a name, for repeats of it, must not hold on to the batch that it was sent in."""
    api.mock(return_value=failure)
    held: list[int] = []

    async with client_for() as client:
        results = client.domains.iter_bulk_provision(iter(names(12_000)), subscription_handle="demo", concurrency=2)
        tracemalloc.start()
        try:
            async for result in results:
                assert len(result.errors) == 1_000
                api.calls.reset()
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()

    assert max(held[6:]) - max(held[:6]) < 2_000_000
