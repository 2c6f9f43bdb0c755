"""`python -m benchmarks.guard`: what the package costs above the connections that it is built on, held to a limit.

Seconds differ from machine to machine and from minute to minute; a ratio of two measurements made side by side differs
less: our client's CPU a call over that of httpx on the same connections, which knows no models, retries or errors.
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

LIMITS: Final = {"login-link": 1.6, "provision": 1.6, "batch-full": 2.7}
"""By workload, how many times what it costs on the connections alone: half more than the best pairs, when written."""

THEIRS: Final = "httpx-free-list"
CALLS: Final = {"login-link": 1_000, "provision": 1_000, "batch-full": 40}
CONCURRENCY: Final = 10
ROUNDS: Final = 5


def main() -> int:
    """Measure in pairs, print, and end with 1 where even the best pair passes a limit."""
    results = Results(rounds=ROUNDS)
    with server() as base_url:
        for number in range(ROUNDS):
            for workload, calls in CALLS.items():
                for contender in (OURS, THEIRS):
                    job = Job(contender, workload, base_url, CONCURRENCY, calls, warm_up=calls // 5, names=STREAM)
                    results.add(Cell(workload, CONCURRENCY, contender), number, run(job, Path()))
    too_dear = []
    for workload, limit in LIMITS.items():
        spread = results.ratio_of_ours(Cell(workload, CONCURRENCY, THEIRS), _cpu)
        lowest = inf if spread is None else spread.lowest
        print(f"{workload:<12} CPU a call over httpx on our connections: {spread}, at most {limit}")
        if lowest > limit:
            too_dear.append(workload)
    if too_dear:
        print(f"dearer than they may be: {', '.join(too_dear)}")
    return 1 if too_dear else 0


def _cpu(result: Result) -> float:
    return result.cpu_per_call


if __name__ == "__main__":
    sys.exit(main())
