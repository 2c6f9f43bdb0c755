"""What comes of a job as one JSON object, and what a journal says of it, on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..jobs import Plan, Summary
    from ..jobs.state import JobState

__all__ = ["plan_json", "state_json", "state_text", "summary_json"]


def summary_json(summary: Summary) -> str:
    """Say what came of a job: the counts, what it cost, and its first problems."""
    return _line(
        {
            "total": summary.total,
            "done": summary.done,
            "succeeded": summary.succeeded,
            "new": summary.new,
            "already_there": summary.already_there or None,
            "settings_not_applied": summary.settings_not_applied,
            "failed": summary.failed.total(),
            "failed_by_code": _by_code(summary.failed),
            "invalid": summary.invalid,
            "unknown": summary.unknown,
            "not_sent": summary.not_sent,
            "retryable": summary.retryable,
            "resumed": summary.resumed,
            "unread": summary.unread,
            "stopped": summary.stopped,
            "interrupted": summary.interrupted,
            "requests": summary.requests,
            "retries": summary.retries,
            "rate_limited": summary.rate_limited,
            "seconds_paced": round(summary.seconds_paced, 3),
            "seconds_backed_off": round(summary.seconds_backed_off, 3),
            "slowest": summary.slowest,
            "seconds": round(summary.seconds, 3),
            "rate": round(summary.rate, 1),
            "problems": _problems(summary),
            "exit_code": summary.exit_code(),
        }
    )


def plan_json(plan: Plan) -> str:
    """Say what a run would do."""
    quota = plan.quota
    return _line(
        {
            "total": plan.summary.done,
            "new": plan.new,
            "duplicates": plan.repeats,
            "invalid": plan.summary.invalid,
            "limit": None if quota is None else quota.limit,
            "count": None if quota is None else quota.count,
            "free": None if quota is None else quota.free,
            "over_quota": None if quota is None or quota.limit is None else plan.over_quota,
            "requests": plan.requests,
            "seconds": round(plan.seconds, 3),
            "problems": _problems(plan.summary),
        }
    )


def state_json(state: JobState) -> str:
    """Say what a journal knows."""
    document = attrs.asdict(state)
    document["failed"] = sum(state.failed.values())
    document["failed_by_code"] = _by_code(state.failed)
    return _line(document)


def state_text(state: JobState) -> Iterator[str]:
    """Say what a journal knows, line by line."""
    about = state.identity
    subscription, file = about.get("subscription_handle"), about.get("file")
    yield f"{about.get('kind', 'no job yet')}" + (f" against {subscription!r}" if subscription else "")
    yield f"  from {file if file and about.get('content') else about.get('source')}, at {about.get('base_url')}"
    yield f"  begun {state.created}, last written {state.kept}"
    codes = ", ".join(f"{count:,} with {code}" for code, count in _by_code(state.failed).items())
    counts = [
        ("rows", state.total, ""),
        (
            "succeeded",
            state.succeeded,
            "" if state.new is None else f"{state.new:,} new, {state.already_there:,} already there",
        ),
        ("settings not applied", state.settings_not_applied, "among those that succeeded"),
        ("failed", sum(state.failed.values()), codes),
        ("invalid", state.invalid, "refused before any request"),
        ("unknown", state.unknown, "sent, but the answer was lost"),
        ("not sent", state.not_sent, ""),
        ("in flight", state.in_flight, "may have been sent when the job ended"),
        ("left", state.left, "not come to yet"),
        ("sent again", state.again, "among all these, when the same command takes the job up"),
    ]
    for label, count, detail in counts:
        if count or label == "succeeded":
            yield f"  {label:<20} {count:>12,}" + (f"  ({detail})" if detail and count else "")
    if state.in_flight or state.left or state.again:
        yield "the job is not done: the same command with this journal takes it up"
    elif state.total is None:
        yield "how many rows the input has is not known: if any are left, the same command with this journal goes on"


def _by_code(failed: Mapping[int | str | None, int]) -> dict[str, int]:
    return {"none" if code is None else str(code): count for code, count in failed.items()}


def _problems(summary: Summary) -> list[dict[str, Any]]:
    return [attrs.asdict(problem) for problem in sorted(summary.first, key=lambda problem: problem.line)]


def _line(document: dict[str, Any]) -> str:
    return orjson.dumps(document).decode() + "\n"
