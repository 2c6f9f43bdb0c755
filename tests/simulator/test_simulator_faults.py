"""Which requests meet a fault, and how faults are spelled."""

import pytest

from mailchannels.simulator import Fault, Faults


def met(faults: Faults, count: int, method: str = "GET", path: str = "/domains") -> list[int]:
    """Number the requests, from 1, that meet a fault out of so many at one moment."""
    return [number for number in range(1, count + 1) if faults.choose(method, path, 0.0) is not None]


@pytest.mark.parametrize(
    ("specification", "numbers"),
    [
        ("stall", [1, 2, 3, 4, 5, 6, 7]),
        ("stall:every=3", [3, 6]),
        ("stall:first=2", [1, 2]),
        ("stall:every=2,first=5", [2, 4]),
        ("stall:probability=0", []),
        ("stall:probability=1", [1, 2, 3, 4, 5, 6, 7]),
        ("stall:for=0", []),
        ("", []),
        (" ; ", []),
    ],
)
def test_a_fault_meets_the_requests_it_is_told_to(specification: str, numbers: list[int]) -> None:
    assert met(Faults.parse(specification), 7) == numbers


def test_a_share_of_requests_is_drawn_the_same_way_each_time() -> None:
    first, again, other = (met(Faults.parse(f"stall:probability=0.5,seed={seed}"), 1000) for seed in (1, 1, 2))

    assert first == again != other
    assert 400 < len(first) < 600


def test_only_requests_of_the_method_and_path_are_counted() -> None:
    faults = Faults.parse("stall:every=2,method=post,path=/batch")

    assert met(faults, 3, "GET", "/domains/batch") == []
    assert met(faults, 3, "POST", "/domains") == []
    assert met(faults, 5, "POST", "/domains/batch") == [2, 4]


def test_a_while_begins_with_the_first_request() -> None:
    faults = Faults.parse("status=503:for=10,path=/batch")
    moments = [(0.0, "/domains"), (100.0, "/batch"), (109.9, "/batch"), (110.0, "/batch"), (111.0, "/batch")]

    assert [faults.choose("POST", path, now) is not None for now, path in moments] == [False, True, True, False, False]


def test_the_first_fault_that_strikes_wins_and_hides_the_request_from_the_others() -> None:
    faults = Faults.parse("drop-before:every=2;stall:every=2")

    chosen = [faults.choose("GET", "/", 0.0) for _ in range(6)]

    assert [None if fault is None else fault.kind for fault in chosen] == [
        None,
        "drop-before",
        "stall",
        "drop-before",
        None,
        "drop-before",
    ]
    assert [fault.struck for fault in faults.faults] == [3, 1]


def test_everything_can_be_spelled() -> None:
    faults = Faults.parse(
        "drop-before; drop-after:every=3;truncate:first=2;drip:interval=0.5;stall:for=1.5;garbage=utf8;"
        "status=429:method=PUT,path=/users,probability=0.25,seed=7;redirect=http://127.0.0.1:9/a?b=c,d:first=1;"
        "drop-idle:after=2"
    )

    assert faults.faults == [
        Fault("drop-before"),
        Fault("drop-after", every=3),
        Fault("truncate", first=2),
        Fault("drip", interval=0.5),
        Fault("stall", seconds=1.5),
        Fault("garbage", "utf8"),
        Fault("status", "429", method="PUT", path="/users", probability=0.25, seed=7),
        Fault("redirect", "http://127.0.0.1:9/a?b=c,d", first=1),
        Fault("drop-idle", after=2.0),
    ]


@pytest.mark.parametrize(
    ("specification", "reason"),
    [
        ("explode", "must be one of drop-before"),
        ("status", "needs a value"),
        ("status=", "cannot be read"),
        ("status=99", "from 200 to 599"),
        ("status=503:evry=2", "from 200 to 599"),
        ("garbage=nice", "must be one of text"),
        ("stall=5", "takes no value"),
        ("stall:evry=2", "cannot be read"),
        ("stall:every=", "cannot be read"),
        ("stall:every", "cannot be read"),
        ("stall:", "cannot be read"),
        ("stall:every=two", "must be a number"),
        ("stall:every=0", "1 or more"),
        ("stall:first=0", "1 or more"),
        ("stall:for=-1", "0 or more seconds"),
        ("drip:interval=-1", "0 or more seconds"),
        ("drop-idle:after=-1", "0 or more seconds"),
        ("stall:probability=1.5", "from 0 to 1"),
        ("stall,drip", "cannot be read"),
        ("stall;explode", "'explode'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(specification: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Faults.parse(specification)
