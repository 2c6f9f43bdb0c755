"""How far a job is, on standard error: a bar for people, lines of JSON for programs.

It knows how a summary looks while it grows, and not where it comes from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .output import warn

if TYPE_CHECKING:
    from types import TracebackType

    from ..jobs import Summary

__all__ = ["ProgressDisplay", "ProgressStyle"]

ProgressStyle: TypeAlias = Literal["auto", "bar", "json", "none"]
"""How progress is shown."""

_INTERVAL: Final = 1.0  # seconds between two lines of progress


class ProgressDisplay:
    """How far a job is: a bar on a terminal, otherwise lines of JSON, at most one a second and a last one.

    Args:
        style: `bar` or `json` whatever standard error is, `none` for nothing. Default `auto`.
    """

    def __init__(self, style: ProgressStyle = "auto") -> None:
        if style == "auto":
            style = "bar" if sys.stderr.isatty() else "json"
        self._is_silent = style == "none"
        self._bar = _bar() if style == "bar" else None
        self._task = None if self._bar is None else self._bar.add_task("", total=None, rate="", notes="")
        self._written: float | None = None
        self._counts: list[int] | None = None
        self._unwritten: Summary | None = None
        self._has_told_interrupt = False

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._unwritten is not None and _counts(self._unwritten) != self._counts:
            self._write_line(self._unwritten)

    def __call__(self, summary: Summary) -> None:
        """Show the state of a job."""
        if summary.interrupted and not self._has_told_interrupt:
            self._has_told_interrupt = True
            if not summary.unread:
                self._tell(
                    "interrupted: waiting up to 5 seconds for answers under way, then accounting for all the rest;"
                    " again to stop at once"
                )
        if self._is_silent:
            return
        if self._bar is not None and self._task is not None:
            total = None if summary.total is None else max(summary.total, summary.done)
            notes = ", ".join(_notes(summary))
            rate = f"{summary.rate:,.0f}/s"
            self._bar.update(self._task, completed=summary.done, total=total, rate=rate, notes=notes)
            return
        self._unwritten = summary
        if self._written is None or time.monotonic() - self._written >= _INTERVAL:
            self._write_line(summary)

    def _tell(self, text: str) -> None:
        if self._bar is None:
            warn(text)
        else:  # above the bar, on a line of its own
            self._bar.console.print(f"mailchannels: {text}", markup=False, highlight=False, soft_wrap=True)

    def _write_line(self, summary: Summary) -> None:
        self._written = time.monotonic()
        self._unwritten = None
        self._counts = _counts(summary)
        sys.stderr.write(_line(summary) + "\n")
        sys.stderr.flush()


def _bar() -> Progress:
    return Progress(
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[notes]}", style="red"),
        console=Console(stderr=True),
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _counts(summary: Summary) -> list[int]:
    return [summary.succeeded, summary.failed.total(), summary.invalid, summary.unknown, summary.not_sent]


def _notes(summary: Summary) -> Iterator[str]:
    for count, label in ((summary.errors - summary.not_sent, "failed"), (summary.not_sent, "not sent")):
        if count:
            yield f"{count:,} {label}"
    if summary.slowed_to is not None:
        yield f"slowed to {summary.slowed_to:g}/s"
    if summary.retries:
        yield f"{summary.retries:,} retries, {summary.seconds_backed_off:.0f} s waited"


def _line(summary: Summary) -> str:
    # Quotes that do not match make the total an estimate.
    total = None if summary.total is None else max(summary.total, summary.done)
    left = None if total is None else total - summary.done
    state = {
        "done": summary.done,
        "total": total,
        "succeeded": summary.succeeded,
        "failed": summary.failed.total(),
        "invalid": summary.invalid,
        "unknown": summary.unknown,
        "not_sent": summary.not_sent,
        "requests": summary.requests,
        "retries": summary.retries,
        "rate_limited": summary.rate_limited,
        "seconds_paced": round(summary.seconds_paced, 1),
        "seconds_backed_off": round(summary.seconds_backed_off, 1),
        "slowed_to": None if summary.slowed_to is None else round(summary.slowed_to, 1),
        "seconds": round(summary.seconds, 1),
        "rate": round(summary.rate, 1),
        "eta": None if left is None or not summary.rate else round(left / summary.rate, 1),
    }
    return orjson.dumps(state).decode()
