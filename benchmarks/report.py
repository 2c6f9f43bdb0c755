"""Tables of a run, as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from .contenders import CONTENDERS, OURS
from .jobs import Result
from .results import Cell, Results, Spread
from .targets import Target
from .workloads import WORKLOADS

_TITLE = max(len(contender.title) for contender in CONTENDERS.values())
_RATIO = 21


def report(results: Results, targets: Iterable[Target]) -> Iterator[str]:
    """Give the lines of a report."""
    for workload, concurrency in dict.fromkeys((cell.workload, cell.concurrency) for cell in results.cells):
        yield from _table(results, workload, concurrency)
    yield from _start(results)
    if results.imports:
        ours, theirs = (median(pair[side] for pair in results.imports) for side in (0, 1))
        yield ""
        yield f"import, whole process: mailchannels {ours * 1e3:.0f} ms, httpx {theirs * 1e3:.0f} ms"
    if results.memory:
        yield ""
        yield "peak memory of a stream: " + ", ".join(
            f"{_megabytes(long)} for 10,000,000 names, {_megabytes(short)} for 100,000"
            for long, short in results.memory
        )
    for name, reason in results.skipped.items():
        yield ""
        yield f"left out: {CONTENDERS[name].title}: {reason}"
    for name, reason in results.failed.items():
        yield ""
        yield f"broke off: {CONTENDERS[name].title}: {reason}"
    yield from _targets(targets)


def _table(results: Results, workload: str, concurrency: int) -> Iterator[str]:
    yield ""
    yield f"{WORKLOADS[workload].title}, concurrency {concurrency}"
    yield (
        f"  {'':{_TITLE}} {'calls/s':>8} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8} {'memory':>7}"
        f"   {'calls/s, ours / it':<{_RATIO}} CPU a call, ours / it"
    )
    for cell in results.cells:
        if (cell.workload, cell.concurrency) != (workload, concurrency):
            continue
        rounds = results.cells[cell].values()
        yield (
            f"  {CONTENDERS[cell.contender].title:{_TITLE}}"
            f" {results.median(cell, lambda result: result.rate):8,.0f}"
            f" {results.median(cell, lambda result: result.cpu_per_call) * 1e3:8.3f}"
            f" {_milliseconds(result.p50 for result in rounds)} {_milliseconds(result.p99 for result in rounds)}"
            f" {_megabytes(max((result.peak_memory or 0) for result in rounds))}"
            f"   {_ratios(results, cell)}"
        ).rstrip()


def _ratios(results: Results, cell: Cell) -> str:
    if cell.contender == OURS:
        return ""
    rate = results.ratio_of_ours(cell, lambda result: result.rate)
    cpu = results.ratio_of_ours(cell, lambda result: result.cpu_per_call)
    return f"{_spread(rate):<{_RATIO}} {_spread(cpu)}"


def _start(results: Results) -> Iterator[str]:
    cells = {cell: rounds for cell, rounds in results.cells.items() if cell.workload == "login-link"}
    if not cells:
        return
    yield ""
    yield "client construction and first call, ms"
    for contender in CONTENDERS.values():
        measured: list[Result] = [
            result for cell, rounds in cells.items() if cell.contender == contender.name for result in rounds.values()
        ]
        if measured:
            construction = median(result.construction for result in measured)
            first_call = median(result.first_call for result in measured)
            yield f"  {contender.title:{_TITLE}} {construction * 1e3:8.2f} {first_call * 1e3:8.2f}"


def _targets(targets: Iterable[Target]) -> Iterator[str]:
    yield ""
    yield "targets"
    yield f"  {'':86} {'limit':>8}   {'lowest / middle / highest':<26} holds"
    for target in targets:
        limit = f"{'>=' if target.at_least else '<='} {target.limit:g}"
        holds = {True: "yes", False: "NO", None: "not measured"}[target.holds]
        yield f"  {target.title:86} {limit:>8}   {_spread(target.measured):<26} {holds}"


def _milliseconds(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known) * 1e3:8.2f}" if known else f"{'-':>8}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:4.0f} MB" if size else f"{'-':>7}"


def _spread(spread: Spread | None) -> str:
    return "-" if spread is None else str(spread)
