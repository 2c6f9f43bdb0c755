"""What a run measured, and what it says: medians, and ratios over rounds that were run side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, NamedTuple, TypeAlias

from .contenders import OURS
from .jobs import Result

Figure: TypeAlias = Callable[[Result], float]


class Cell(NamedTuple):
    """What is measured once a round."""

    workload: str
    concurrency: int
    contender: str


class Spread(NamedTuple):
    """A ratio in the round where it was lowest, in the middle one, and where it was highest."""

    lowest: float
    middle: float
    highest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        """Sum up values; None where there are none."""
        return cls(min(values), median(values), max(values)) if values else None

    def __str__(self) -> str:
        return f"{self.lowest:.2f} / {self.middle:.2f} / {self.highest:.2f}"


@dataclass
class Results:
    """All that a run measured.

    Attributes:
        rounds: How many rounds there were.
        cells: What each cell measured, by round.
        skipped: Which contenders took no part, and why.
        failed: Which contenders broke off, and why; what they measured before counts.
        imports: Seconds that importing took, in pairs of ours and httpx's.
        memory: Peak memory of a long and a short stream, in bytes, in pairs.
    """

    rounds: int
    cells: dict[Cell, dict[int, Result]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    imports: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)

    def add(self, cell: Cell, number: int, result: Result) -> None:
        """Keep what a cell measured in a round."""
        self.cells.setdefault(cell, {})[number] = result

    def median(self, cell: Cell, figure: Figure) -> float:
        """Give the middle of a figure's rounds."""
        return median(map(figure, self.cells[cell].values()))

    def ratio(self, one: Cell, other: Cell, figure: Figure) -> Spread | None:
        """Compare two cells round by round; None where they were not both measured."""
        ours, theirs = self.cells.get(one, {}), self.cells.get(other, {})
        return Spread.of([figure(ours[number]) / figure(theirs[number]) for number in ours if number in theirs])

    def ratio_of_ours(self, cell: Cell, figure: Figure) -> Spread | None:
        """Compare our async client with a cell."""
        return self.ratio(cell._replace(contender=OURS), cell, figure)

    def as_json(self) -> dict[str, Any]:
        """Give everything that was measured, as a JSON document."""
        return {
            "rounds": self.rounds,
            "cells": [
                {**cell._asdict(), "rounds": [{"round": number, **asdict(result)} for number, result in rounds.items()]}
                for cell, rounds in self.cells.items()
            ],
            "skipped": self.skipped,
            "failed": self.failed,
            "imports": [{"mailchannels": ours, "httpx": theirs} for ours, theirs in self.imports],
            "memory": [{"long": long, "short": short} for long, short in self.memory],
        }
