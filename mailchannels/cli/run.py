"""How any command runs a job over a file: what is told before, meanwhile and after, and the exit code."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from ..jobs.plan import Plan, plan
from ..jobs.report import ErrorFile
from ..jobs.spelling import ignored_text
from .exits import WRONG_USAGE, exit_code
from .output import plan_text, summary_text, warn
from .progress import ProgressDisplay
from .results import plan_json, summary_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from ..jobs.source import SourceFile
    from ..jobs.summary import Summary
    from .options import Bulk

__all__ = ["dry_run", "error_file", "perform", "tell_ignored", "tell_terminal"]

T = TypeVar("T")


class Ignoring(Protocol):
    """What may ignore columns or keys of its input."""

    @property
    def known(self) -> Sequence[str]:
        """Those that mean something."""
        ...

    @property
    def ignored(self) -> list[str]:
        """Those that mean nothing, as far as it has read."""
        ...


def perform(
    bulk: Bulk,
    connected: AbstractContextManager[dict[str, Any]],
    job: Callable[[dict[str, Any], ProgressDisplay], Awaitable[Plan | Summary]],
    *,
    out: IO[str],
    journal: str | None = None,
) -> int:
    """Run a job with a connection and a display of progress, print what comes of it, and give the exit code."""
    # A bulk job makes and drops objects by the thousand and keeps few: look through them less often, and not at all
    # through the modules that stay.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    with connected as arguments:
        result = anyio.run(job, arguments, ProgressDisplay(bulk.progress))
    if isinstance(result, Plan):
        return _print_plan(result, bulk)
    out.write(summary_json(result) if bulk.json else summary_text(result, errors=bulk.errors, journal=journal))
    return result.exit_code()


def dry_run(source: SourceFile[T], bulk: Bulk, check: Callable[[T], tuple[str, bytes]], per_request: int) -> int:
    """Read and check all rows of a file and say what a run would do, without asking anybody."""

    async def read() -> Plan:
        progress = ProgressDisplay(bulk.progress)
        with ExitStack() as files:
            errors = error_file(source, bulk, files)
            with tell_ignored(source), progress:
                return await plan(
                    source, check, per_request=per_request, rate_limit=bulk.rate, on_progress=progress, errors=errors
                )

    return _print_plan(anyio.run(read), bulk)


def _print_plan(result: Plan, bulk: Bulk) -> int:
    sys.stdout.write(plan_json(result) if bulk.json else plan_text(result, errors=bulk.errors, rate=bulk.rate))
    if result.summary.invalid:
        return WRONG_USAGE
    return 0 if result.trouble is None else exit_code(result.trouble)


def error_file(source: SourceFile[Any], bulk: Bulk, files: ExitStack) -> ErrorFile | None:
    """Open the file of errors, if one is asked for."""
    if bulk.errors is None:
        return None
    return files.enter_context(ErrorFile(bulk.errors, source.columns, {"FILE": source.file}))


def tell_terminal(file: str) -> None:
    """Say so where the input is a terminal, which waits."""
    if file == "-" and sys.stdin.isatty():
        end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D"
        warn(f"reading from the terminal, until {end} at the start of a line")


@contextmanager
def tell_ignored(source: Ignoring) -> Iterator[None]:
    """Name what means nothing to us, lest a misspelt column gets lost; a stream of JSON Lines shows it late."""
    before = list(source.ignored)
    if before:
        warn(f"FILE: {ignored_text(before, source.known)}")
    yield
    since = source.ignored[len(before) :]
    if since:
        warn(f"FILE: {ignored_text(since, source.known)}")
