"""What this package promises of its speed, and whether a run bears it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .contenders import OURS
from .jobs import Result
from .results import Cell, Figure, Results, Spread


@dataclass(frozen=True)
class Target:
    """A promise.

    Attributes:
        title: What is compared.
        limit: What the ratio must not pass.
        at_least: Whether it must not be lower; else it must not be higher.
        measured: The ratio; None where it was not measured.
    """

    title: str
    limit: float
    at_least: bool
    measured: Spread | None

    @property
    def holds(self) -> bool | None:
        """Whether the middle of the rounds keeps the promise; None where it was not measured."""
        if self.measured is None:
            return None
        return self.measured.middle >= self.limit if self.at_least else self.measured.middle <= self.limit


def targets(results: Results) -> Iterator[Target]:
    """Hold a run against everything that is promised."""

    def ratio(workload: str, concurrency: int, one: str, other: str, figure: Figure) -> Spread | None:
        return results.ratio(Cell(workload, concurrency, one), Cell(workload, concurrency, other), figure)

    cpu, rate = _cpu, _rate
    yield Target(
        "batch of 1,000, full settings: CPU a call, ours / TypeScript peer, concurrency 10",
        0.75,
        at_least=False,
        measured=ratio("batch-full", 10, OURS, "peer", cpu),
    )
    yield Target(
        "batch of 1,000, full settings: calls/s, ours / TypeScript peer, concurrency 10",
        1.5,
        at_least=True,
        measured=ratio("batch-full", 10, OURS, "peer", rate),
    )
    for workload in ("provision", "login-link"):
        yield Target(
            f"{workload}: calls/s, ours / stock httpx, concurrency 100",
            2.5,
            at_least=True,
            measured=ratio(workload, 100, OURS, "httpx", rate),
        )
        yield Target(
            f"{workload}: CPU a call, ours / raw httpx on our connections, concurrency 100",
            1.2,
            at_least=False,
            measured=ratio(workload, 100, OURS, "httpx-free-list", cpu),
        )
        yield Target(
            f"{workload}: CPU a call, ours on aiohttp and uvloop / TypeScript peer, concurrency 100",
            1.0,
            at_least=False,
            measured=ratio(workload, 100, "speed", "peer", cpu),
        )
        yield Target(
            f"{workload}: wall a call, blocking / async, one thread, concurrency 1",
            1.3,
            at_least=False,
            measured=ratio(workload, 1, "sync-1", OURS, _wall),
        )
        yield Target(
            f"{workload}: calls/s, blocking with 8 threads / async, concurrency 8",
            0.7,
            at_least=True,
            measured=ratio(workload, 8, "sync-8", OURS, rate),
        )
    yield Target(
        "import mailchannels / import httpx, wall",
        1.2,
        at_least=False,
        measured=Spread.of([ours / theirs for ours, theirs in results.imports]),
    )
    yield Target(
        "peak memory, stream of 10,000,000 names / stream of 100,000",
        1.1,
        at_least=False,
        measured=Spread.of([long / short for long, short in results.memory]),
    )


def _cpu(result: Result) -> float:
    return result.cpu_per_call


def _rate(result: Result) -> float:
    return result.rate


def _wall(result: Result) -> float:
    return result.wall_per_call
