"""Starts the processes, one after the other: the server, the contenders, and npm once for the peer.

It imports nothing but the standard library and stays small, as contenders/__init__.py says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from .contenders import CONTENDERS
from .jobs import Job, Result

PEER: Final = "mailchannels-sdk@0.7.11"
LONGEST_JOB: Final = 1_200.0
"""Seconds; the longest is a stream of ten million names."""

# A proxy of the environment's would stand between the contenders and the server.
_ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


class ContenderFailed(Exception):
    """A contender's process ended without a result; the message says how."""


@contextmanager
def server() -> Iterator[str]:
    """Run the server and give its address."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise TypeError("the server has no pipes")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def why_not(contender: str, peer_folder: Path) -> str | None:
    """Say why a contender cannot take part; None where it can. The peer is installed by this."""
    missing = [need for need in CONTENDERS[contender].needs if find_spec(need) is None]
    if missing:
        return f"needs {' and '.join(missing)}, not installed"
    return None if CONTENDERS[contender].module else _why_no_peer(peer_folder)


def run(job: Job, peer_folder: Path) -> Result:
    """Do a job in a process of its own."""
    if CONTENDERS[job.contender].module:
        command = [sys.executable, "-m", "benchmarks.measure"]
    else:
        command = ["node", str(peer_folder / "driver.mjs")]
    try:
        done = subprocess.run(
            [*command, json.dumps(asdict(job))],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=LONGEST_JOB,
            env=_ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        raise ContenderFailed(f"took longer than {LONGEST_JOB:g} s") from None
    except subprocess.CalledProcessError as error:
        raise ContenderFailed(f"ended with status {error.returncode}") from None
    return Result(**json.loads(done.stdout))


def run_python(statement: str) -> None:
    """Run one statement in a fresh interpreter."""
    subprocess.run([sys.executable, "-c", statement], check=True, env=_ENVIRONMENT)


def _why_no_peer(folder: Path) -> str | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "needs node and npm"
    shutil.copy(Path(__file__).parent / "peer" / "driver.mjs", folder)
    if not (folder / "node_modules" / "mailchannels-sdk").exists():
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix", str(folder)]
        if subprocess.run([npm, "install", *options, PEER], stdout=subprocess.DEVNULL, check=False).returncode:
            return f"npm could not install {PEER}"
    return None
