"""Whole programs that use a client: run, told when to go on, and judged by what they print."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

from conditions import PATIENCE, PROJECT, may_use_uvloop

if TYPE_CHECKING:
    from collections.abc import Callable


def run(
    script: str, url: str, *options: str, go_ahead: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program with a `client` for a server; where it reads a line, it waits for the go-ahead."""
    opening = f"""
        import os, sys, threading
        from mailchannels import MailChannels
        client = MailChannels("demo-key", base_url={url!r}, rate_limit=None)
    """
    command = [sys.executable, *options, "-c", without_uvloop() + dedent(opening) + dedent(script)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=PROJECT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as program:
        try:
            if go_ahead is not None:
                go_ahead()
            printed, complained = program.communicate("\n", timeout=PATIENCE)
        except BaseException:
            program.kill()
            raise
    return subprocess.CompletedProcess(command, program.returncode, printed, complained)


def without_uvloop() -> str:
    """The line that keeps uvloop from a program, where it is kept from the test."""
    return "" if may_use_uvloop() else "import sys; sys.modules['uvloop'] = None\n"


def outcome_of(program: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """Its status, and what it wrote on standard output and on standard error."""
    return program.returncode, program.stdout, program.stderr
