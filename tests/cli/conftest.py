"""A simulator to talk to, and the command line as a function and as a process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

import pytest

from mailchannels.cli import main
from mailchannels.simulator import Simulator


@dataclass
class Run:
    """What a user sees of one run."""

    code: int
    out: str
    err: str


Cli: TypeAlias = Callable[..., Run]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MAILCHANNELS_API_KEY", raising=False)
    monkeypatch.delenv("MAILCHANNELS_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)


@contextmanager
def running(**settings: Any) -> Iterator[Simulator]:
    """Run a simulator that the environment leads to."""
    with Simulator(**settings) as simulator, pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILCHANNELS_API_KEY", simulator.api_key)
        environment.setenv("MAILCHANNELS_BASE_URL", simulator.base_url)
        yield simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def mailchannels(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command line in this process."""

    def run(*arguments: str) -> Run:
        capsys.readouterr()
        code = main(arguments)
        return Run(code, *capsys.readouterr())

    return run


def process_environment() -> dict[str, str]:
    """Give the environment in which another Python finds what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def start(*arguments: str, stdin: int | IO[Any] = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mailchannels", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=process_environment(),
    )


def finish(process: subprocess.Popen[str], given: str | None = None) -> Run:
    """Let a process end and give what is left to see of it."""
    out, err = process.communicate(given, timeout=30)
    return Run(process.returncode, out, err)
