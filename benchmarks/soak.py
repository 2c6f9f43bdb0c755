"""`python -m benchmarks.soak [--minutes 10]`: everything at once, for long, and whether anything of it stays behind.

An async client and a blocking one work against a simulator in a process of its own that goes wrong in every way it
knows. Every few seconds all work ends and what is left is counted: tasks, sockets, threads, memory. It ends with status
1 where any of the first three grows, or memory by more than 1 MB a minute after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import linear_regression, median
from time import monotonic
from typing import Any, Final

import orjson

from mailchannels import AsyncMailChannels, MailChannels

from .soak_work import Worker, work, work_blocking

FAULTS: Final = (
    "drop-before:probability=0.02,seed=1;drop-after:probability=0.02,seed=2;truncate:probability=0.02,seed=3;"
    "stall:probability=0.004,seed=4;drip:probability=0.004,seed=5,interval=0.02;"
    "garbage=text:probability=0.005,seed=6;garbage=html:probability=0.005,seed=7;"
    "garbage=types:probability=0.005,seed=8;garbage=utf8:probability=0.005,seed=9;"
    "status=500:probability=0.01,seed=10;status=503:probability=0.03,seed=11;status=429:probability=0.01,seed=12;"
    "redirect=http://127.0.0.1:9/:probability=0.005,seed=13;drop-idle:probability=0.05,seed=14"
)
ROUND: Final = 5.0
"""Seconds of work between two counts."""
TASKS: Final = 12
THREADS: Final = 4
WARM_UP: Final = 0.25
"""The part of the run in which caches fill and the allocator finds its size."""
MOST_MEMORY: Final = 1.0
"""MB a minute."""


@dataclass(frozen=True)
class Sample:
    """What is there while nothing is under way; times in minutes, memory in MB."""

    time: float
    calls: int
    tasks: int
    sockets: int
    threads: int
    memory: float


def main() -> int:
    """Work, count, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; default 10")
    minutes: float = parser.parse_args().minutes
    if not Path("/proc/self/fd").exists():
        sys.stderr.write("sockets and memory are counted in /proc, which this system does not have\n")
        return 2
    with _simulator() as (url, key):
        samples, outcomes = asyncio.run(_soak(url, key, minutes))
    print("\nwhat the calls came to:", ", ".join(f"{name} {number:,}" for name, number in outcomes.most_common()))
    complaints = judge(samples)
    print("\n".join(complaints) if complaints else "nothing grows")
    return 1 if complaints else 0


def judge(samples: Sequence[Sample]) -> list[str]:
    """Print how fast each figure grew after the warm-up, and say which grew that must not."""
    warm = [sample for sample in samples if sample.time >= samples[-1].time * WARM_UP]
    early, late = warm[: len(warm) // 3], warm[-(len(warm) // 3) :]
    if not early:
        return ["too few samples to judge by: let it run for longer"]
    complaints = []
    print(f"\nafter a warm-up of {warm[0].time:.1f} minutes")
    for name in ("tasks", "sockets", "threads", "memory"):
        values = [getattr(sample, name) for sample in warm]
        slope = linear_regression([sample.time for sample in warm], values).slope
        print(f"  {name:<8} {slope:+8.2f} a minute, from {values[0]:.1f} to {values[-1]:.1f}")
        # How many connections lie idle at a count is chance: to grow is to be more, as a rule, than there ever were.
        more = median(getattr(sample, name) for sample in late) > max(getattr(sample, name) for sample in early)
        if name == "memory" and slope > MOST_MEMORY:
            complaints.append(f"memory grows by {slope:.2f} MB a minute; {MOST_MEMORY:g} is allowed")
        elif name != "memory" and more:
            complaints.append(f"{name} grow by {slope:.2f} a minute; none may")
    return complaints


async def _soak(url: str, key: str, minutes: float) -> tuple[list[Sample], Counter[str]]:
    samples: list[Sample] = []
    outcomes: Counter[str] = Counter()
    started = monotonic()
    print(f"{'minutes':>8} {'calls':>9} {'tasks':>6} {'sockets':>8} {'threads':>8} {'MB':>8}")
    settings: dict[str, Any] = {"base_url": url, "rate_limit": None, "timeout": 1.0, "max_connections": TASKS}
    with MailChannels(key, **settings) as blocking:
        async with AsyncMailChannels(key, **settings) as client:
            for number in count():
                until = monotonic() + ROUND
                workers = [Worker(seed, url, key, until, outcomes) for seed in _seeds(number)]
                threads = [
                    threading.Thread(target=work_blocking, args=(worker, blocking), name="soak")
                    for worker in workers[:THREADS]
                ]
                for thread in threads:
                    thread.start()
                await asyncio.gather(*(work(worker, client) for worker in workers[THREADS:]))
                for thread in threads:
                    thread.join()  # no task is left that would want the event loop meanwhile
                samples.append(_sample((monotonic() - started) / 60, outcomes.total()))
                if monotonic() - started >= minutes * 60:
                    return samples, outcomes
    raise AssertionError("it counts for ever")


def _seeds(number: int) -> range:
    return range(number * 100, number * 100 + THREADS + TASKS)


def _sample(time: float, calls: int) -> Sample:
    gc.collect()
    _give_back_what_is_free()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sample = Sample(
        time=time,
        calls=calls,
        tasks=len(asyncio.all_tasks()),
        sockets=sum(map(_is_socket, Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    )
    print(
        f"{sample.time:8.2f} {sample.calls:9,} {sample.tasks:6} {sample.sockets:8} {sample.threads:8}"
        f" {sample.memory:8.1f}",
        flush=True,
    )
    return sample


def _give_back_what_is_free() -> None:
    """Let the allocator return what it holds for later, which comes and goes by tens of megabytes and hides a leak."""
    with suppress(AttributeError):  # where it is not the one of the GNU C library
        ctypes.CDLL(None).malloc_trim(0)


def _is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except OSError:  # the descriptor that the directory itself was read with
        return False


@contextmanager
def _simulator() -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-m", "mailchannels", "simulator", "--port", "0", "--faults", FAULTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise TypeError("the simulator has no pipe")
        try:
            about = orjson.loads(process.stdout.readline())
            yield about["base_url"], about["api_key"]
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
