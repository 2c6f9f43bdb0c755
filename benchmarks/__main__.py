"""`python -m benchmarks`: what is measured against what, how often and in which order."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from .chart import chart
from .contenders import CONTENDERS, IN_TURN, OURS
from .jobs import Job
from .processes import ContenderFailed, run, run_python, server, why_not
from .report import report
from .results import Cell, Results
from .targets import targets
from .workloads import BATCH, STREAM, WORKLOADS

LONG_STREAM = 10_000_000
PACKAGES = (
    "mailchannels-sdk",
    "httpx",
    "httpcore",
    "h11",
    "anyio",
    "orjson",
    "cattrs",
    "aiohttp",
    "sniffio",
    "uvloop",
    "requests",
)


def main() -> int:
    """Measure, print, and write what was asked for."""
    arguments = _arguments()
    with TemporaryDirectory() as temporary:
        peer_folder: Path = arguments.peer_cache or Path(temporary)
        peer_folder.mkdir(parents=True, exist_ok=True)
        results = Results(rounds=1 if arguments.quick else arguments.rounds)
        cells = _cells(set(arguments.only), quick=arguments.quick)
        for contender in dict.fromkeys(cell.contender for cell in cells):
            reason = why_not(contender, peer_folder)
            if reason is not None:
                results.skipped[contender] = reason
        with server() as base_url:
            for number in range(results.rounds):
                _measure_round(results, number, cells, base_url, peer_folder)
            if arguments.memory:
                _measure_memory(results, base_url, peer_folder)
        if not arguments.only:
            _measure_imports(results, pairs=3 if arguments.quick else 10)
    for line in report(results, targets(results)):
        print(line)
    if arguments.json is not None:
        document = {"machine": _machine(), **results.as_json()}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if arguments.chart is not None:
        arguments.chart.write_text(chart(results), encoding="utf-8")
    return 1 if results.failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=sys.modules["benchmarks"].__doc__)
    parser.add_argument("--rounds", type=rounds, default=5, help="rounds, from 1; 5 by default")
    parser.add_argument("--quick", action="store_true", help="one round, mostly at one concurrency for each workload")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[*WORKLOADS, *CONTENDERS],
        metavar="NAME",
        help=f"measure only this workload or contender; may be repeated: {', '.join([*WORKLOADS, *CONTENDERS])}",
    )
    parser.add_argument("--memory", action="store_true", help="also measure a stream of 10,000,000 names, in minutes")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything that was measured")
    parser.add_argument("--chart", type=Path, metavar="PATH", help="draw a chart, as SVG")
    parser.add_argument(
        "--peer-cache", type=Path, metavar="FOLDER", help="keep the TypeScript peer here instead of installing it anew"
    )
    return parser.parse_args()


def rounds(text: str) -> int:
    """Read the number of rounds; the name is what an error says."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} rounds would measure nothing; 1 is the least")
    return number


def _cells(only: set[str], *, quick: bool) -> list[Cell]:
    return [
        Cell(workload.name, concurrency, contender.name)
        for workload in WORKLOADS.values()
        if not only & WORKLOADS.keys() or workload.name in only
        for concurrency in workload.calls
        for contender in map(CONTENDERS.__getitem__, IN_TURN)
        if not only & CONTENDERS.keys() or contender.name in only
        if concurrency in (contender.concurrencies or (workload.headline,))
        # The blocking client is compared with the async one at its own concurrencies.
        if not quick or concurrency == workload.headline or (workload.name == "login-link" and concurrency in {1, 8})
    ]


def _measure_round(results: Results, number: int, cells: list[Cell], base_url: str, peer_folder: Path) -> None:
    for cell in cells:
        if cell.contender in results.skipped or cell.contender in results.failed:
            continue
        print(f"round {number + 1}: {cell.workload} at {cell.concurrency}: {cell.contender}", file=sys.stderr)
        calls = WORKLOADS[cell.workload].calls[cell.concurrency]
        job = Job(cell.contender, cell.workload, base_url, cell.concurrency, calls, warm_up=calls // 5, names=STREAM)
        try:
            results.add(cell, number, run(job, peer_folder))
        except ContenderFailed as failure:
            results.failed[cell.contender] = f"{cell.workload} at {cell.concurrency}: {failure}"


def _measure_memory(results: Results, base_url: str, peer_folder: Path) -> None:
    def peak(names: int) -> int | None:
        print(f"memory: a stream of {names:,} names", file=sys.stderr)
        job = Job(OURS, "stream", base_url, concurrency=10, calls=names // BATCH, warm_up=0, names=names)
        return run(job, peer_folder).peak_memory

    short, long = peak(STREAM), peak(LONG_STREAM)
    if short is not None and long is not None:
        results.memory.append((long, short))


def _measure_imports(results: Results, pairs: int) -> None:
    def seconds(package: str) -> float:
        started = perf_counter()
        run_python(f"import {package}")
        return perf_counter() - started

    seconds("mailchannels, httpx")  # from here on the files are in memory, compiled
    for _ in range(pairs):
        results.imports.append((seconds("mailchannels"), seconds("httpx")))


def _machine() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **dict(_versions()),
    }


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


if __name__ == "__main__":
    sys.exit(main())
