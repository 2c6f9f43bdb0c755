"""Under real conditions: turns that come too late, servers that ask for patience, outages, and clocks that jump."""

from __future__ import annotations

import itertools
import random
import re
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest
from conditions import Way, bulk_provision, list_domains, names, provision, report
from sockets import EMPTY_PAGE, RawServer, answer, in_groups_of, stall

from mailchannels import ConnectionStalled, Outcome, RateLimited, RequestTimeout, pacing
from mailchannels.batches import Provisioning
from mailchannels.simulator import Fault, Faults, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SILENCE = 1.0  # seconds, for what must have been sent before it times out

pytestmark = pytest.mark.usefixtures("environment")


# Queues


def test_a_turn_later_than_queue_timeout_fails_at_once_sends_nothing_and_is_left_to_others(way: Way) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        # The second turn is 100 s away: to wait for 50 s of them would outlast the test.
        outcomes = way.make(server.url, list_domains, provision, report, rate_limit=0.01, queue_timeout=50)

    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert [type(error) for error in errors] == [RequestTimeout] * (3 * way.users - 1)
    assert all(getattr(error, "maybe_applied", None) is False for error in errors)
    assert len(server.requests) == 1
    # Had each refused call kept its turn, the last would be told of hundreds of seconds.
    turns = [float(re.findall(r"would come in ([\d.]+) s, later than", str(error))[0]) for error in errors]
    assert all(50 < turn <= 100 for turn in turns)


# Retry-After


DATE: Final = "Sun, 06 Nov 1994 08:49:37 GMT"
BACK_OFF: Final = 0.5
PATIENT: Final[dict[str, tuple[dict[str, str], float]]] = {
    "seconds": ({"Retry-After": "7"}, 7.0),
    "parts of a second": ({"Retry-After": "0.25"}, 0.25),
    "the longest": ({"Retry-After": "60"}, 60.0),
    "a date ahead": ({"Retry-After": "Sun, 06 Nov 1994 08:49:57 GMT", "Date": DATE}, 20.0),
    "a date past": ({"Retry-After": "Sun, 06 Nov 1994 08:49:17 GMT", "Date": DATE}, BACK_OFF),
    "a date without the answer's own": ({"Retry-After": DATE}, BACK_OFF),
    "a date without a zone": ({"Retry-After": "Sun, 06 Nov 1994 08:49:37 -0000", "Date": DATE}, BACK_OFF),
    "a date when the answer's own is garbage": ({"Retry-After": DATE, "Date": "yesterday"}, BACK_OFF),
    "no date at all": ({"Retry-After": "Sun, 99 Nov 1994 08:49:37 GMT"}, BACK_OFF),
    "zero": ({"Retry-After": "0"}, BACK_OFF),
    "garbage": ({"Retry-After": "soon"}, BACK_OFF),
    "a negative number": ({"Retry-After": "-5"}, BACK_OFF),
    "not a number": ({"Retry-After": "nan"}, BACK_OFF),
    "nothing": ({"Retry-After": ""}, BACK_OFF),
}
turned_away = pytest.mark.parametrize("status", [429, 503])


@turned_away
@pytest.mark.parametrize(("headers", "wait"), PATIENT.values(), ids=PATIENT)
def test_what_retry_after_says_is_waited_for_and_otherwise_the_back_off(
    headers: dict[str, str], wait: float, status: int, way: Way, waits: list[float]
) -> None:
    with RawServer(*[answer(status=status, headers=headers)] * way.users, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, timeout=1_000, max_retries=way.users)

    assert [outcome.error for outcome in outcomes] == [None] * way.users
    assert len(server.requests) == 2 * way.users
    # A caller that is turned away twice backs off further the second time.
    assert waits[0] == wait
    assert len(waits) == way.users


@turned_away
@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"Retry-After": "3600"}, 3_600),
        ({"Retry-After": "61"}, 61),
        ({"Retry-After": "Sun, 06 Nov 1994 09:49:37 GMT", "Date": DATE}, 3_600),
        ({"Retry-After": "9" * 400}, float("inf")),
    ],
    ids=["an hour", "a minute and a second", "a date an hour ahead", "for ever"],
)
def test_a_retry_after_of_more_than_a_minute_is_raised_at_once(
    headers: dict[str, str], asked: float, status: int, way: Way, waits: list[float]
) -> None:
    with RawServer(answer(status=status, headers=headers)) as server:
        outcomes = way.make(server.url, list_domains, timeout=10_000)

    assert [type(outcome.error) for outcome in outcomes] == [RateLimited] * way.users
    assert [getattr(outcome.error, "retry_after", None) for outcome in outcomes] == [asked] * way.users
    assert all(f"the server asks to wait {asked:g} s" in str(outcome.error) for outcome in outcomes)
    assert len(server.requests) == way.users
    assert waits == []


# An outage


def test_an_outage_of_503_loses_no_item_stays_within_the_budget_and_makes_no_wave(
    way: Way, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """Ten seconds of 503 with 5,000 items in work, at a tenth of the time."""
    monkeypatch.setattr(pacing, "FIRST_BACK_OFF", pacing.FIRST_BACK_OFF / 10)
    monkeypatch.setattr(pacing, "LONGEST_BACK_OFF", pacing.LONGEST_BACK_OFF / 10)
    monkeypatch.setattr(Provisioning, "batch_size", 100)
    drawn: list[tuple[float, float]] = []
    retries: list[float] = []
    draw = random.Random(7)

    def uniform(low: float, high: float) -> float:
        drawn.append((high, draw.uniform(low, high)))
        retries.append(time.monotonic() + drawn[-1][1])
        return drawn[-1][1]

    monkeypatch.setattr(random, "uniform", uniform)

    def provision_all(client: Any) -> Any:
        return client.domains.bulk_provision(names(5_000), subscription_handle="demo", concurrency=12 // way.users)

    with Simulator(faults=Faults(Fault("status", "503", seconds=1.0))) as simulator:
        outcomes = way.make(simulator.base_url, provision_all, api_key=simulator.api_key)

    batches = 50 * way.users
    assert [len(outcome.value.successes) for outcome in outcomes] == [5_000] * way.users
    assert sum(simulator.applied.values()) == batches
    assert simulator.requests == batches + len(drawn)
    # The budget holds a hundred, and five successes earn one more.
    assert len(drawn) <= 100 + batches / 5
    by_bound: dict[float, list[float]] = {}
    for bound, wait in drawn:
        by_bound.setdefault(bound, []).append(wait)
    spread = {bound: (max(waits) - min(waits)) / bound for bound, waits in by_bound.items() if len(waits) > 9}
    assert len(spread) > 2
    assert min(spread.values()) > 1 / 3
    began = min(retries)
    shown = Counter(int((retry - began) * 10) for retry in retries)
    waves = [shown[tenth] for tenth in range(max(shown) + 1)]
    record_property("retries in each tenth of a second", waves)
    print("retries in each tenth of a second:", waves)  # noqa: T201  # shown with -s


def test_an_outage_that_outlasts_the_budget_ends_a_batch_as_failed(way: Way, waits: list[float]) -> None:
    with RawServer(answer(status=503)) as server:
        outcomes = way.make(server.url, bulk_provision)

    items = [item for outcome in outcomes for item in outcome.value.errors]
    assert [item.outcome for item in items] == [Outcome.FAILED] * 2 * way.users
    assert all(item.retryable and isinstance(item.error, RateLimited) for item in items)
    assert len(server.requests) == way.users + 100


def test_a_batch_that_is_to_wait_for_longer_than_its_timeout_is_given_up_at_once(way: Way, waits: list[float]) -> None:
    with RawServer(answer(status=503, headers={"Retry-After": "31"})) as server:
        outcomes = way.make(server.url, bulk_provision)

    items = [item for outcome in outcomes for item in outcome.value.errors]
    assert [item.outcome for item in items] == [Outcome.FAILED] * 2 * way.users
    assert len(server.requests) == way.users
    assert waits == []


def test_a_client_that_repeats_nothing_repeats_no_batch_either(way: Way, waits: list[float]) -> None:
    with RawServer(answer(status=503)) as server:
        way.make(server.url, bulk_provision, max_retries=0)

    assert len(server.requests) == way.users
    assert waits == []


def test_a_single_call_is_given_up_after_max_retries_in_an_outage(way: Way, waits: list[float]) -> None:
    with RawServer(answer(status=503)) as server:
        outcomes = way.make(server.url, list_domains, max_retries=2)

    assert [type(outcome.error) for outcome in outcomes] == [RateLimited] * way.users
    assert len(server.requests) == 3 * way.users


# The wall clock


@pytest.fixture(params=[3_600, -3_600], ids=["an hour ahead", "an hour back"])
def jumping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the wall clock jump there and back, from each look at it to the next."""
    now = time.time
    jumps: Iterator[float] = itertools.cycle([0, request.param])

    def jump() -> float:
        return now() + next(jumps)

    monkeypatch.setattr(time, "time", jump)
    for module in [module for name, module in sys.modules.items() if name.startswith("mailchannels.")]:
        for name in [name for name, value in vars(module).items() if value is now]:
            monkeypatch.setattr(module, name, jump)


@pytest.mark.usefixtures("jumping")
def test_a_wall_clock_that_jumps_moves_no_deadline(way: Way) -> None:
    with RawServer(stall()) as server:
        outcomes = way.make(server.url, list_domains, timeout=SILENCE, max_retries=0)

    assert [type(outcome.error) for outcome in outcomes] == [ConnectionStalled] * way.users
    assert all(outcome.took > SILENCE - 0.01 for outcome in outcomes)
    assert len(server.requests) == way.users


@pytest.mark.usefixtures("jumping")
def test_a_wall_clock_that_jumps_changes_no_pace(way: Way, waits: list[float]) -> None:
    with RawServer(answer(EMPTY_PAGE)) as server:
        way.make(server.url, list_domains, list_domains, list_domains, rate_limit=0.01)

    assert len(server.requests) == 3 * way.users
    assert sorted(waits) == pytest.approx([100.0 * turn for turn in range(1, 3 * way.users)], abs=10)


@pytest.mark.usefixtures("jumping")
@pytest.mark.parametrize("said", ["nothing", "seconds", "a date ahead", "a date past"])
def test_a_wall_clock_that_jumps_changes_no_back_off_and_no_retry_after(
    said: str, way: Way, waits: list[float]
) -> None:
    headers, wait = PATIENT[said]
    with RawServer(*[answer(status=503, headers=headers)] * way.users, answer(EMPTY_PAGE)) as server:
        outcomes = way.make(server.url, list_domains, timeout=1_000, max_retries=way.users)

    assert [outcome.error for outcome in outcomes] == [None] * way.users
    assert len(server.requests) == 2 * way.users
    assert waits[0] == wait


@pytest.mark.usefixtures("jumping")
def test_a_wall_clock_that_jumps_ages_no_idle_connection_and_no_queue(way: Way) -> None:
    with RawServer(in_groups_of(way.users, answer(EMPTY_PAGE))) as server:
        outcomes = way.make(server.url, *[list_domains] * 5, rate_limit=1_000, queue_timeout=20)

    assert [outcome.error for outcome in outcomes] == [None] * 5 * way.users
    # All users are under way at the same time, so that a connection taken for old would have to be replaced.
    assert server.connections == way.users
