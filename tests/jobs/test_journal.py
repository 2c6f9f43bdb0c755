"""The file of a journal: what it is not, what it no longer is, and what cannot be done with it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, NoReturn

import pytest

from mailchannels import AsyncMailChannels, InvalidInput, Outcome
from mailchannels.jobs import AsyncBulkJob, JournalError
from mailchannels.jobs.database import Database
from mailchannels.jobs.journal import NEW, PROBLEM, SUCCEEDED, THERE, Entry, Journal
from mailchannels.jobs.summary import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from mailchannels.simulator import Simulator


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("CREATE TABLE customers (name TEXT)", "is a database of something else"),
        ("PRAGMA user_version = 99", "was written by another release of this package"),
    ],
)
def test_a_database_that_is_no_journal_of_ours_is_refused_and_left_alone(
    tmp_path: Path, statement: str, complaint: str
) -> None:
    path = tmp_path / "j"
    if statement.startswith("PRAGMA"):
        Journal(str(path)).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
    before = path.read_bytes()

    with pytest.raises(InvalidInput, match=complaint):
        Journal(str(path))

    assert path.read_bytes() == before


def test_a_journal_that_is_damaged_says_so(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(str(path)).close()
    path.write_bytes(path.read_bytes()[:5_000])

    with pytest.raises(JournalError, match="malformed"):
        Journal(str(path))


@pytest.mark.parametrize(
    "damage", ["DROP TABLE progress", "INSERT INTO job VALUES ('{', '[]', '', NULL)"], ids=["table", "JSON"]
)
def test_a_journal_that_has_lost_what_it_knew_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "j"
    with closing(Journal(str(path))) as journal:
        journal.belong({"kind": "provisioning"}, ["domain"], 1)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM job" if damage.startswith("INSERT") else "SELECT 1")
        database.execute(damage)
        database.commit()
    before = path.read_bytes()

    with pytest.raises(
        InvalidInput,
        match=r"--journal: '.*' cannot be understood \(.*\); put back a copy that can, or give another path",
    ):
        Journal(str(path))

    assert path.read_bytes() == before


def test_a_path_that_cannot_be_opened_for_writing_says_why(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.symlink_to(path)

    with pytest.raises(JournalError, match=r"--journal: cannot write '.*': Too many levels"):
        Journal(str(path))


@pytest.mark.asyncio
async def test_a_promise_is_not_taken_back(tmp_path: Path) -> None:
    with closing(Journal(str(tmp_path / "j"))) as journal:
        await journal.promise(5)
        await journal.promise(3)

        assert journal.promised == 5


@pytest.mark.asyncio
async def test_outcomes_are_kept_in_whatever_order_they_come(tmp_path: Path) -> None:
    path = str(tmp_path / "j")
    with closing(Journal(path)) as journal:
        await journal.promise(3_000)
        await journal.keep([0, 2_999, 1, 1_000], bytes([NEW, THERE, THERE, SUCCEEDED]))

    with closing(Journal(path)) as journal:
        states = (await journal.known(0, 3_000)).states
    assert {position: state for position, state in enumerate(states) if state} == {
        0: NEW, 1: THERE, 1_000: SUCCEEDED, 2_999: THERE,
    }  # fmt: skip


@pytest.mark.asyncio
async def test_of_rows_that_fail_and_succeed_later_only_those_that_did_not_succeed_are_told(tmp_path: Path) -> None:
    def problem(position: int) -> Entry:
        told = Problem(position + 1, f"d{position}.example", Outcome.FAILED, 500, reason="oops")
        return Entry(position, told, {"domain": f"d{position}.example"}, (), again=True)

    failed = [1, 4, 5, 1_003]
    with closing(Journal(str(tmp_path / "j"))) as journal:
        await journal.promise(2_000)
        await journal.keep(failed, bytes([PROBLEM] * 4), [problem(position) for position in failed])
        await journal.keep([*range(3, 8), 999, 1_000, 1_002, 1_003], bytes([NEW] * 9))

        assert [told.name for told, _, _ in journal.problems()] == ["d1.example"]
        assert journal.counts() == {NEW: 9, THERE: 0, SUCCEEDED: 0, PROBLEM: 1}


@pytest.mark.asyncio
async def test_a_journal_that_can_no_longer_be_read_stops_the_job_before_anything_is_sent_twice(
    client: AsyncMailChannels, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> NoReturn:
        raise sqlite3.OperationalError("disk I/O error")

    async with AsyncBulkJob(client, ["a.example"], subscription_handle="demo", journal=tmp_path / "j") as job:
        await job.run()
    before = simulator.requests
    monkeypatch.setattr(Journal, "_known", unreadable)

    async with AsyncBulkJob(client, ["a.example"], subscription_handle="demo", journal=tmp_path / "j") as job:
        summary = await job.run()

    assert summary.exit_code() == 4
    assert "disk I/O error" in (summary.stopped or "")
    assert simulator.requests == before


@pytest.mark.asyncio
async def test_closing_waits_for_the_thread_that_a_cancelled_task_has_left_at_work(tmp_path: Path) -> None:
    """SQLite takes the process with it otherwise; asyncio's own cancelling waits for no thread."""
    database = Database(str(tmp_path / "j"), application=1, version=0, schema="", is_new_allowed=True)
    begun, go_on, order = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        begun.set()
        assert go_on.wait(30)
        database.execute("PRAGMA user_version")
        order.append("worked")

    def close() -> None:
        database.close()
        order.append("closed")

    task = asyncio.create_task(database.in_thread(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    closing_thread = threading.Thread(target=close)
    closing_thread.start()
    closing_thread.join(0.05)  # where it does not wait, it has closed by now
    go_on.set()
    closing_thread.join(30)

    assert order == ["worked", "closed"]
