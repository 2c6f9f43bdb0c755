"""Domains in a batch: together they are checked, written and judged as each is alone."""

from __future__ import annotations

import gc
import json
import logging
import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import attrs
import httpx
import pytest
import respx
from conftest import HERE
from hypothesis import given, settings
from hypothesis import strategies as st

from mailchannels import (
    AsyncMailChannels,
    BulkProvisionResult,
    Domain,
    DomainSettings,
    DownstreamAddress,
    InvalidInput,
    collector,
)
from mailchannels.batches import Provisioning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.usefixtures("environment")

MAIL_SERVER = DownstreamAddress(priority=10, weight=10, port=25, target="mx.example.")


async def provisioned(domains: Sequence[Domain | str], change: Callable[[Any], Any]) -> BulkProvisionResult:
    """Provision domains with an API that tells of the first as `change` says, and of the others what it was asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)["domains"]
        stored = [{key: value for key, value in item.items() if key != "downstreamAddress"} for item in items]
        stored[0] = change(stored[0])
        successes = [{"domain": one, "code": 201, "comment": "created"} for one in stored]
        return httpx.Response(200, json={"successes": successes, "errors": []})

    with respx.mock() as router:
        router.post(path="/inbound/v1/domains/batch").mock(side_effect=answer)
        async with AsyncMailChannels("demo-key", base_url=HERE, rate_limit=None) as client:
            return await client.domains.bulk_provision(domains, subscription_handle="demo")


# What goes out


texts = st.sampled_from(["X-Spam", "yes", "ä", "", "a\nb"])
addresses = st.sampled_from(
    ["a@b.example", "A.B+c@d-e.example", "a@bücher.example", "a@b", "@b", "a b@c.example", "a@b\nc"]
)
hosts = st.sampled_from(
    ["b.example", "www.b.example", "bücher.example", "-", "b.example\nc.example", f"{'a' * 63}.example"]
)
servers = st.builds(
    DownstreamAddress,
    priority=st.sampled_from([0, 10, -1, True]),
    weight=st.sampled_from([0, 10]),
    port=st.sampled_from([25, 65_535, 0]),
    target=st.sampled_from(["mx.example.", "mx.example"]),
)
domains = st.builds(
    Domain,
    st.just("a.example"),
    subscription_handle=st.sampled_from([None, None, "demo", "other"]),
    settings=st.none()
    | st.builds(
        DomainSettings,
        abuse_policy=st.sampled_from([None, "flag", "drop"]),
        abuse_policy_override=st.sampled_from([None, True, 1]),
        spam_header_name=st.none() | texts,
    ),
    admins=st.none() | st.lists(addresses, max_size=3),
    downstream_addresses=st.none() | st.lists(servers, max_size=11),
    aliases=st.none() | st.lists(hosts, max_size=2),
)


def told(provisioning: Provisioning, given_domains: Sequence[Domain]) -> list[Any]:
    """Say for each domain what is sent for it, or why it is refused."""
    said: list[Any] = []
    for domain in given_domains:
        try:
            batch = provisioning.prepare([domain])
            said.append((batch.keys, [*batch.subjects], batch.fragments))
        except InvalidInput as error:
            said.append(str(error))
    return said


class LookedAtAlone(Domain):
    """Not the plain model, so that it is not taken together with others."""


@settings(deadline=None, max_examples=150)
@given(st.lists(domains, min_size=1, max_size=3))
def test_domains_taken_together_are_checked_and_written_as_each_alone(several: list[Domain]) -> None:
    for number, domain in enumerate(several):
        domain.domain = f"d{number}.example"
    provisioning = Provisioning(
        mock.Mock(), subscription_handle="demo", associate_key=None, overwrite=None, timeout=None
    )
    alone = [LookedAtAlone(*attrs.astuple(domain, recurse=False)) for domain in several]

    each = told(provisioning, alone)

    assert told(provisioning, several) == each
    if any(isinstance(one, str) for one in each):
        with pytest.raises(InvalidInput):
            provisioning.prepare([*several])
    else:
        batch = provisioning.prepare([*several])
        columns = zip(batch.keys, batch.subjects, batch.fragments, strict=True)
        assert [([key], [subject], [fragment]) for key, subject, fragment in columns] == each


@pytest.mark.asyncio
@pytest.mark.parametrize("is_on", [True, False])
async def test_the_garbage_collector_is_left_as_it_was(is_on: bool) -> None:
    was_on = gc.isenabled()
    (gc.enable if is_on else gc.disable)()
    try:
        await provisioned([Domain("a.example", admins=[])], dict)
        assert gc.isenabled() == is_on
    finally:
        (gc.enable if was_on else gc.disable)()


FULL = Domain(
    "a.example",
    settings=DomainSettings(abuse_policy="flag"),
    admins=["a@a.example"],
    downstream_addresses=[MAIL_SERVER],
    aliases=["b.example"],
)


def with_nulls(stored: Any) -> Any:
    unset = {"abusePolicyOverride": None, "spamHeaderName": None, "spamHeaderValue": None}
    return {**stored, "settings": {**stored["settings"], **unset}, "nobodyKnows": None}


def with_its_subscription(stored: Any) -> Any:
    return {**stored, "subscriptionHandle": "demo"}


def in_another_order(stored: Any) -> Any:
    return dict(reversed(stored.items()))


def without_its_policy(stored: Any) -> Any:
    return {**stored, "settings": {"abusePolicy": None}}


def with_another_policy(stored: Any) -> Any:
    return {**stored, "settings": {"abusePolicy": "block"}}


def with_more(stored: Any) -> Any:
    return {**stored, "admins": [*stored["admins"], "c@a.example"]}


def with_another_port(stored: Any) -> Any:
    return {**stored, "downstreamAddresses": [{**stored["downstreamAddresses"][0], "port": 26}]}


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize(
    ("change", "is_applied"),
    [
        (dict, True),
        (with_nulls, True),
        (with_its_subscription, True),
        (in_another_order, True),
        (without_its_policy, False),
        (with_another_policy, False),
        (with_more, False),
        (with_another_port, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.asyncio
async def test_settings_are_applied_where_the_answer_shows_them_all(
    change: Callable[[Any], Any], is_applied: bool, others: int
) -> None:
    result = await provisioned([FULL, *[f"d{number}.example" for number in range(others)]], change)

    first, *rest = result.successes
    assert first.settings_applied is is_applied
    assert all(item.settings_applied for item in rest)
    assert (first.domain.admins == FULL.admins) == (change is not with_more)
    assert first.domain.subscription_handle == ("demo" if change is with_its_subscription else None)


@pytest.mark.asyncio
async def test_of_a_name_that_both_succeeded_and_failed_the_failure_counts_and_tells_what_was_sent() -> None:
    stored = {"domain": "a.example", "settings": {"abusePolicy": "block"}}
    says = {
        "successes": [{"domain": stored, "code": 201}],
        "errors": [{"domain": {"domain": "a.example"}, "code": 409, "comment": "no"}],
    }
    with respx.mock() as router:
        router.post(path="/inbound/v1/domains/batch").respond(json=says)
        async with AsyncMailChannels("demo-key", base_url=HERE, rate_limit=None) as client:
            result = await client.domains.bulk_provision([FULL], subscription_handle="demo")

    assert [(item.code, item.domain) for item in result.errors] == [(409, FULL)]
    assert not result.successes


class Name(str):
    """Text of somebody's own kind."""

    __slots__ = ()


@pytest.mark.parametrize("domain", [Name("a.example"), Domain(Name("a.example"), admins=[])])
@pytest.mark.asyncio
async def test_a_name_of_somebodys_own_kind_comes_back_as_text(domain: Domain | str) -> None:
    result = await provisioned([domain], dict)

    assert [type(item.domain.domain) for item in result.successes] == [str]


@pytest.mark.parametrize("change", [dict, in_another_order], ids=lambda change: change.__name__)
@pytest.mark.asyncio
async def test_a_subscription_that_the_answer_does_not_tell_is_not_told(change: Callable[[Any], Any]) -> None:
    given = [Domain("a.example", subscription_handle="demo"), attrs.evolve(FULL, subscription_handle="demo")]

    for domain in given:
        result = await provisioned([domain], change)
        assert [item.domain.subscription_handle for item in result.successes] == [None]


@pytest.mark.asyncio
async def test_of_two_successes_for_a_name_the_later_one_counts() -> None:
    says = {
        "successes": [
            {"domain": {"domain": "a.example", "admins": ["z@a.example"]}, "code": 200},
            {"domain": {"domain": "a.example"}, "code": 201},
        ]
    }
    with respx.mock() as router:
        router.post(path="/inbound/v1/domains/batch").respond(json=says)
        async with AsyncMailChannels("demo-key", base_url=HERE, rate_limit=None) as client:
            result = await client.domains.bulk_provision(["a.example"], subscription_handle="demo")

    assert [(item.code, item.domain) for item in result.successes] == [(201, Domain("a.example"))]


@pytest.mark.asyncio
async def test_the_garbage_collector_is_on_while_a_caller_s_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []

    class Handler(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            found.append(gc.isenabled())

    monkeypatch.setattr(logging.getLogger("mailchannels"), "handlers", [Handler()])

    await provisioned(["a.example"], lambda _: {"domain": "stranger.example"})

    assert found == [True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no process")
def test_a_child_that_is_forked_while_the_garbage_collector_is_held_back_gets_it_on() -> None:
    with collector.held_back():
        child = os.fork()
        if child == 0:
            os._exit(0 if gc.isenabled() else 1)
        _, status = os.waitpid(child, 0)
        assert not gc.isenabled()

    assert os.waitstatus_to_exitcode(status) == 0
    assert gc.isenabled()


def test_a_child_whose_parent_had_turned_the_garbage_collector_off_itself_keeps_it_off() -> None:
    gc.disable()
    try:
        with collector.held_back():
            collector._let_go()
            assert not gc.isenabled()
    finally:
        gc.enable()

    with collector.held_back():
        collector._let_go()
        assert gc.isenabled()
