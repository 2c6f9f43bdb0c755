"""`python -m benchmarks.guard`: what the package costs above the connections that it is built on, held to a limit.

Seconds differ from machine to machine and from minute to minute, a ratio of two measurements made side by side hardly
does: our client's CPU a call over that of httpx on the same connections, which knows no models, retries or errors.
"""

from __future__ import annotations

import sys
from math import inf
from pathlib import Path
from typing import Final

from .contenders import OURS
from .jobs import Job, Result
from .processes import run, server
from .results import Cell, Results
from .workloads import STREAM

LIMITS: Final = {"login-link": 1.4, "provision": 1.4, "batch-names": 4.0, "batch-full": 4.0}
"""By workload, how much more a call may cost than on the connections alone: about a third more than it does today."""

THEIRS: Final = "httpx-free-list"
CALLS: Final = {"login-link": 1_000, "provision": 1_000, "batch-names": 60, "batch-full": 40}
CONCURRENCY: Final = 10
ROUNDS: Final = 5


def main() -> int:
    """Measure in pairs, print, and end with 1 where a limit is passed."""
    results = Results(rounds=ROUNDS)
    with server() as base_url:
        for number in range(ROUNDS):
            for workload, calls in CALLS.items():
                for contender in (OURS, THEIRS):
                    job = Job(contender, workload, base_url, CONCURRENCY, calls, warm_up=calls // 5, names=STREAM)
                    results.add(Cell(workload, CONCURRENCY, contender), number, run(job, Path()))
    passed = []
    for workload, limit in LIMITS.items():
        spread = results.ratio_of_ours(Cell(workload, CONCURRENCY, THEIRS), _cpu)
        middle = inf if spread is None else spread.middle
        print(f"{workload:<12} CPU a call over httpx on our connections: {spread}, at most {limit}")
        if middle > limit:
            passed.append(workload)
    if passed:
        print(f"dearer than they may be: {', '.join(passed)}")
    return 1 if passed else 0


def _cpu(result: Result) -> float:
    return result.cpu_per_call


if __name__ == "__main__":
    sys.exit(main())
