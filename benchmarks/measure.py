"""Does one job in a process of its own: takes it as JSON from the command line and prints what it measured as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import import_module
from math import ceil
from time import perf_counter, process_time
from typing import Any, Final

from .contenders import CONTENDERS, AsyncCall, BlockingCall, Load
from .jobs import Job, Result

# Linux counts in kilobytes, macOS in bytes.
_MEMORY_UNIT: Final = 1 if sys.platform == "darwin" else 1_024


async def measure_async(open_load: Callable[[Job], Any], job: Job) -> Result:
    """Measure a contender whose calls are awaited."""
    load: Load[AsyncCall]
    started = perf_counter()
    async with open_load(job) as load:
        construction = perf_counter() - started
        started = perf_counter()
        await (load.first or load.call)()
        first_call = perf_counter() - started
        if load.first is None:
            await _repeat_async(load, job.warm_up, job.concurrency)
        started, cpu = perf_counter(), process_time()
        latencies = await _repeat_async(load, job.calls, job.concurrency)
        wall, cpu = perf_counter() - started, process_time() - cpu
    return _result(load, latencies, wall=wall, cpu=cpu, construction=construction, first_call=first_call)


def measure_blocking(open_load: Callable[[Job], Any], job: Job) -> Result:
    """Measure a contender whose calls block, with a thread for each of those under way."""
    load: Load[BlockingCall]
    started = perf_counter()
    with open_load(job) as load, ThreadPoolExecutor(job.concurrency) as threads:
        construction = perf_counter() - started
        started = perf_counter()
        (load.first or load.call)()
        first_call = perf_counter() - started
        if load.first is None:
            _repeat(load, job.warm_up, job.concurrency, threads)
        started, cpu = perf_counter(), process_time()
        latencies = _repeat(load, job.calls, job.concurrency, threads)
        wall, cpu = perf_counter() - started, process_time() - cpu
    return _result(load, latencies, wall=wall, cpu=cpu, construction=construction, first_call=first_call)


async def _repeat_async(load: Load[AsyncCall], calls: int, concurrency: int) -> list[float]:
    latencies: list[float] = []
    remaining = iter(range(ceil(calls / load.calls)))

    async def work() -> None:
        for _ in remaining:
            started = perf_counter()
            await load.call()
            latencies.append(perf_counter() - started)

    # A client that turns a stream into calls has its own concurrency.
    await asyncio.gather(*(work() for _ in range(concurrency if load.calls == 1 else 1)))
    return latencies


def _repeat(load: Load[BlockingCall], calls: int, concurrency: int, threads: ThreadPoolExecutor) -> list[float]:
    latencies: list[float] = []
    remaining = iter(range(ceil(calls / load.calls)))

    def work() -> None:
        for _ in remaining:
            started = perf_counter()
            load.call()
            latencies.append(perf_counter() - started)

    for worker in [threads.submit(work) for _ in range(concurrency if load.calls == 1 else 1)]:
        worker.result()
    return latencies


def _result(
    load: Load[Any], latencies: list[float], *, wall: float, cpu: float, construction: float, first_call: float
) -> Result:
    latencies.sort()
    single = load.calls == 1
    return Result(
        calls=len(latencies) * load.calls,
        wall=wall,
        cpu=cpu,
        p50=latencies[len(latencies) // 2] if single else None,
        p99=latencies[len(latencies) * 99 // 100] if single else None,
        peak_memory=_peak_memory(),
        construction=construction,
        first_call=first_call,
    )


def _peak_memory() -> int | None:
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MEMORY_UNIT


def main() -> None:
    """Do the job that the command line names."""
    job = Job(**json.loads(sys.argv[1]))
    contender = CONTENDERS[job.contender]
    if not contender.uvloop:
        # Installed for those that ask for it, it would move our blocking client as well, which looks for it.
        sys.modules["uvloop"] = None  # type: ignore[assignment]
    open_load = import_module(f"benchmarks.contenders.{contender.module}").open_load
    if contender.blocking:
        result = measure_blocking(open_load, job)
    else:
        loop_factory = import_module("uvloop").new_event_loop if contender.uvloop else None
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            result = runner.run(measure_async(open_load, job))
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
