"""`python -m benchmarks.million`: a job of a million domains from a CSV file, journal included, held to its promises.

A simulator in a process of its own takes 100 requests a second and holds each answer back for 80 ms. The command line
provisions 100,000 and then 1,000,000 domains on it; what is measured is that process, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final

RATE: Final = 95
PER_REQUEST: Final = 1_000
MOST_MEMORY: Final = 120
MOST_GROWTH: Final = 30
MOST_TIME: Final = 1.15

_MEMORY_UNIT: Final = 1 if sys.platform == "darwin" else 1_024
_ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
_COMMAND: Final = (sys.executable, "-m", "mailchannels")


@dataclass(frozen=True)
class Measured:
    """What one job took.

    Attributes:
        names: How many domains it had.
        wall: Seconds from the start of the process to its end.
        memory: The most memory that the process ever had, in MiB.
        cpu: Seconds of CPU.
        journal: Size of the journal, in MiB.
        summary: What the command line printed.
    """

    names: int
    wall: float
    memory: float
    cpu: float
    journal: float
    summary: dict[str, Any]

    @property
    def bound(self) -> float:
        """Seconds that the pace alone takes."""
        return ceil(self.names / PER_REQUEST) / RATE


@contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """Run a simulator and give what its first line says."""
    command = [*_COMMAND, "simulator", "--port", "0", "--rate-limit", "100", "--latency", "80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT) as process:
        if process.stdout is None:
            raise TypeError("the simulator has no pipe")
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def measure(names: int, folder: Path) -> Measured:
    """Provision so many domains on a fresh simulator."""
    source, journal, printed = folder / "domains.csv", folder / f"{names}.journal", folder / "summary.json"
    with source.open("w") as file:
        file.write("domain\n")
        file.writelines(f"customer-{number}.example\n" for number in range(names))
    command = [*_COMMAND, "domains", "provision", str(source), "--progress", "none", "--json"]
    with simulator() as server, printed.open("wb") as out:
        command += ["--subscription", server["subscription"], "--base-url", server["base_url"]]
        command += ["--journal", str(journal), "--errors", str(folder / "errors.csv")]
        environment = _ENVIRONMENT | {"MAILCHANNELS_API_KEY": server["api_key"]}
        started = monotonic()
        process = subprocess.Popen(command, stdout=out, env=environment)
        _, _, used = os.wait4(process.pid, 0)
        wall = monotonic() - started
    return Measured(
        names,
        wall,
        used.ru_maxrss * _MEMORY_UNIT / 2**20,
        used.ru_utime + used.ru_stime,
        journal.stat().st_size / 2**20,
        json.loads(printed.read_bytes()),
    )


def failures(small: Measured, large: Measured) -> Iterator[str]:
    """Say which promises were not kept."""
    for measured in (small, large):
        summary = measured.summary
        if (summary["succeeded"], summary["exit_code"]) != (measured.names, 0):
            yield f"{measured.names:,}: {summary['succeeded']:,} succeeded, exit code {summary['exit_code']}"
        if summary["rate_limited"]:
            yield f"{measured.names:,}: told {summary['rate_limited']:,} times to slow down"
        if measured.memory > MOST_MEMORY:
            yield f"{measured.names:,}: {measured.memory:.0f} MiB are more than {MOST_MEMORY}"
    if large.wall > MOST_TIME * large.bound:
        yield f"{large.names:,}: {large.wall:.1f} s are more than {MOST_TIME} times {large.bound:.1f} s"
    if large.memory - small.memory > MOST_GROWTH:
        yield f"memory grew by {large.memory - small.memory:.0f} MiB, more than {MOST_GROWTH}"


def main() -> int:
    """Measure, print, and end with 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000, help="domains of the larger job")
    names = parser.parse_args().names
    with TemporaryDirectory() as temporary:
        measured = [measure(count, Path(temporary)) for count in (names // 10, names)]
    print("domains    wall s  bound s  ratio  CPU s  memory MiB  journal MiB  requests  503s")
    for one in measured:
        print(
            f"{one.names:>9,} {one.wall:>7.1f} {one.bound:>8.1f} {one.wall / one.bound:>6.2f} {one.cpu:>6.1f}"
            f" {one.memory:>11.1f} {one.journal:>12.1f} {one.summary['requests']:>9,}"
            f" {one.summary['rate_limited']:>5,}"
        )
    broken = list(failures(*measured))
    for line in broken:
        print(f"NOT KEPT  {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
