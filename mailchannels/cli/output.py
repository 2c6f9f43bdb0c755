"""What a user sees: notices on standard error, results and the summary of a job on standard output.

It knows how things look and not how they come about. Listings stand in `listing.py`, progress in `progress.py`.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..jobs.summary import SHOWN, printable, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..errors import MailChannelsError
    from ..jobs.plan import Plan
    from ..jobs.summary import Summary

__all__ = ["error_text", "plan_text", "say", "summary_text", "warn"]

_SINGULAR: Final = {"domains": "domain", "mailboxes": "mailbox"}
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


def warn(text: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"mailchannels: {printable(text)}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """Write one line to standard output, at once."""
    sys.stdout.write(f"{text if text.isprintable() else printable(text)}\n")
    sys.stdout.flush()


def error_text(error: MailChannelsError) -> str:
    """Say what an error says, without the links that a server may have put into it."""
    return shown(str(error), error)


def summary_text(summary: Summary, *, errors: str | None, journal: str | None = None) -> str:
    """Say what came of a job; `errors` is where its errors were written, `journal` where it goes on from."""
    lines = [f"{_counted(summary.done, summary)} in {summary.seconds:.1f} s ({summary.rate:,.0f} a second)"]
    if summary.resumed:
        lines[0] += f", {summary.resumed:,} of them before"
    if summary.unread:
        lines[0] += ", and the rest of the input was not read"
    codes = ", ".join(
        f"{count:,} with {_code(code)}"
        for code, count in sorted(summary.failed.items(), key=lambda pair: str(pair[0] or ""))
    )
    counts = [
        ("succeeded", summary.succeeded, _successes(summary)),
        ("settings not applied", summary.settings_not_applied, "among those that succeeded"),
        ("failed", summary.failed.total(), codes),
        ("invalid", summary.invalid, "refused before any request"),
        ("unknown", summary.unknown, "sent, but the answer was lost"),
        ("not sent", summary.not_sent, ""),
    ]
    for label, count, detail in counts:
        if count or label == "succeeded":
            lines.append(f"  {label:<20} {count:>12,}" + (f"  ({detail})" if detail else ""))
    lines.append(_traffic(summary))
    if summary.stopped is not None:
        lines.append(f"stopped: {summary.stopped}")
    elif summary.interrupted:
        lines.append("interrupted")
    problems = summary.errors + summary.settings_not_applied
    lines += _problems(summary, problems, errors)
    if errors is not None and problems:
        lines.append(f"all {problems:,} are in {errors}, which can be given as FILE")
    if journal is not None and (summary.stopped is not None or summary.interrupted or summary.retryable):
        lines.append(f"the same command with --journal {journal} takes up from here")
    return "\n".join(lines) + "\n"


def _successes(summary: Summary) -> str:
    return "" if summary.new is None else f"{summary.new:,} new, {summary.already_there:,} already there"


def _traffic(summary: Summary) -> str:
    text = f"  requests: {summary.requests:,}, retries: {summary.retries:,}"
    text += f"; waited {summary.seconds_paced:.1f} s for turns and {summary.seconds_backed_off:.1f} s before retries"
    if summary.rate_limited:
        text += f"; told {summary.rate_limited:,} times to slow down"
        if summary.slowest is not None:
            text += f", and slowed down to {summary.slowest:g} a second"
    return text


def plan_text(plan: Plan, *, errors: str | None, rate: float) -> str:
    """Say what a run would do; `errors` is where rows that are not in order were written."""
    summary = plan.summary
    lines = [
        f"{_counted(summary.succeeded, summary)} in order; nothing was changed",
        f"  new to the file: {plan.new:,}",
        f"  requests: {plan.requests:,}, at least {plan.seconds:.1f} s at {rate:g} a second",
    ]
    if plan.repeats:
        lines.append(f"  duplicates: {plan.repeats:,}, the same as an earlier row")
    lines += _room(plan)
    if summary.invalid:
        lines.append(f"  invalid: {summary.invalid:,}")
        lines += _problems(summary, summary.invalid, errors)
        if errors is not None:
            lines.append(f"all {summary.invalid:,} are in {errors}")
    return "\n".join(lines) + "\n"


def _room(plan: Plan) -> Iterator[str]:
    quota = plan.quota
    if plan.trouble is not None:
        yield f"  the subscription could not be asked for its room: {error_text(plan.trouble)}"
    elif quota is not None and quota.free is None:
        yield f"  the subscription has {quota.count:,} domains and names no limit"
    elif quota is not None:
        yield f"  the subscription has {quota.count:,} domains of {quota.limit:,}, and room for {quota.free:,}"
        if plan.over_quota:
            yield f"  over quota: {plan.over_quota:,}, unless they are among those that it has"


def _problems(summary: Summary, count: int, errors: str | None) -> list[str]:
    lines = [str(problem) for problem in sorted(summary.first, key=lambda problem: problem.line)]
    if count > SHOWN:
        lines.append(
            f"... and {count - SHOWN:,} more" + ("" if errors is not None else "; --errors PATH keeps them all")
        )
    return lines


def _counted(count: int, summary: Summary) -> str:
    return f"1 {_SINGULAR[summary.counted]}" if count == 1 else f"{count:,} {summary.counted}"


def _code(code: int | str | None) -> str:
    return f"{code} {_PHRASES[code]}" if code in _PHRASES else str(code)
