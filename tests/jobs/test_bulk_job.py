"""Bulk jobs from Python: any source, awaited or blocking, and the same survival as from the command line."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import anyio
import pytest
from conftest import refilled
from sockets import RawServer, answer

from mailchannels import (
    AsyncMailChannels,
    BulkProvisionItem,
    BulkProvisionResult,
    Domain,
    InvalidInput,
    MailChannels,
    Outcome,
)
from mailchannels.errors import ConfigurationError
from mailchannels.jobs import AsyncBulkJob, BulkJob, JournalError, Summary
from mailchannels.jobs.given import Given
from mailchannels.jobs.lookup import applied
from mailchannels.jobs.rows import Row
from mailchannels.jobs.run import Run
from mailchannels.simulator import Simulator
from mailchannels.simulator.faults import Faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator


def names(count: int) -> list[str]:
    return [f"d{number}.example" for number in range(count)]


async def streamed(given: list[str]) -> AsyncIterator[str]:
    for name in given:
        await anyio.lowlevel.checkpoint()
        yield name


@pytest.mark.parametrize("kind", ["list", "generator", "stream", "file"])
def test_any_source_is_provisioned_on_any_event_loop(
    kind: str, backend: str, simulator: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "d.csv").write_text("\n".join(["domain", *names(2_500)]))
    source: Any = {
        "list": names(2_500),
        "generator": (Domain(name) for name in names(2_500)),
        "stream": streamed(names(2_500)),
        "file": tmp_path / "d.csv",
    }[kind]

    async def main() -> Summary:
        async with (
            AsyncMailChannels(simulator.api_key, base_url=simulator.base_url) as client,
            AsyncBulkJob(client, source, subscription_handle="demo", journal=tmp_path / "j") as job,
        ):
            return await job.run()

    summary = anyio.run(main, backend=backend)

    assert (summary.succeeded, summary.errors, summary.exit_code()) == (2_500, 0, 0)
    assert simulator.state.domain_count() == 2_500


@pytest.mark.asyncio
async def test_an_iterable_is_taken_up_and_another_one_refused(
    client: AsyncMailChannels, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.state.set_domain_limit("demo", 1_000)

    async def run(given: list[str]) -> Summary:
        async with AsyncBulkJob(
            client, iter(given), subscription_handle="demo", journal=tmp_path / "j", concurrency=1
        ) as job:
            return await job.run()

    first = await run(names(3_000))
    simulator.state.set_domain_limit("demo", 10_000)
    sent = simulator.requests
    with pytest.raises(InvalidInput, match=r"its first .* rows are not those"):
        await run(["other.example", *names(3_000)[1:]])
    with pytest.raises(InvalidInput, match=r"its first .* rows are not those"):
        await run(names(500))
    refused_at = simulator.requests
    second = await run(names(3_000))

    assert (first.exit_code(), first.succeeded) == (4, 1_000)
    assert refused_at == sent
    assert (second.exit_code(), second.resumed, second.succeeded) == (0, 1_000, 3_000)
    assert simulator.state.domain_count() == 3_000


@pytest.mark.asyncio
async def test_a_name_and_a_domain_that_is_nothing_else_are_the_same_input(
    client: AsyncMailChannels, tmp_path: Path
) -> None:
    async def run(given: list[Domain | str]) -> Summary:
        async with AsyncBulkJob(client, iter(given), subscription_handle="demo", journal=tmp_path / "j") as job:
            return await job.run()

    await run(["a.example", Domain("b.example")])

    assert (await run([Domain("a.example"), "b.example"])).resumed == 2


@pytest.mark.asyncio
async def test_an_iterable_may_fill_one_domain_again_and_again(client: AsyncMailChannels, simulator: Simulator) -> None:
    async with AsyncBulkJob(client, refilled(names(3)), subscription_handle="demo") as job:
        summary = await job.run()

    assert (summary.succeeded, summary.errors) == (3, 0)
    stored = [domain async for domain in client.domains.iter_list()]
    assert [domain.domain for domain in stored] == names(3)
    assert [domain.admins or [] for domain in stored] == [[], ["owner@d1.example"], ["owner@d2.example"]]


@pytest.mark.asyncio
async def test_the_report_of_an_iterable_loses_nothing_that_was_given(
    client: AsyncMailChannels, tmp_path: Path
) -> None:
    given: list[Domain | str] = [
        " a b.example ",
        Domain("c d.example ", admins=["x@c.example"]),
        Domain("\ud800.example ", admins=["x@d.example"]),
    ]

    async with AsyncBulkJob(client, given, subscription_handle="demo", errors=tmp_path / "e.csv") as job:
        await job.run()

    reported = [row["domain"] for row in csv.DictReader((tmp_path / "e.csv").read_text().splitlines())]
    assert reported == [
        " a b.example ", '{"domain":"c d.example ","admins":["x@c.example"]}', r"\ud800.example",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_conflict_names_the_line_of_the_first_after_lines_that_are_no_rows(
    client: AsyncMailChannels, tmp_path: Path
) -> None:
    path = tmp_path / "d.csv"
    path.write_text("domain,admins\na.example,\n\n,\nb.example,\n\nc.example,\nb.example,x@b.example\n")

    async with AsyncBulkJob(client, path, subscription_handle="demo") as job:
        summary = await job.run()

    (problem,) = summary.first
    assert (problem.line, summary.succeeded) == (8, 3)
    assert "stands in the input before, at line 5, with other content" in problem.reason


def test_a_blocking_job_reads_an_iterable_in_the_thread_that_calls(
    blocking_client: MailChannels, tmp_path: Path
) -> None:
    threads: set[threading.Thread] = set()

    def given() -> Iterator[str]:
        for name in names(1_500):
            threads.add(threading.current_thread())
            yield name

    with BulkJob(blocking_client, given(), subscription_handle="demo", journal=tmp_path / "j") as job:
        summary = job.run()

    assert summary.succeeded == 1_500
    assert threads == {threading.current_thread()}


@pytest.mark.parametrize("stops_at", [0, 1_500], ids=["at any time", "while more is read"])
def test_a_blocking_job_that_stops_accounts_for_all_that_it_has_read(stops_at: int) -> None:
    read, stopped = 0, threading.Event()

    def given() -> Iterator[str]:
        nonlocal read
        for name in names(7_500):
            read += 1
            if read == stops_at:
                assert stopped.wait(30)
                client.domains.list()  # long enough for a job that would not wait to end
            yield name

    def show(summary: Summary) -> None:
        if summary.failed:
            stopped.set()

    with (
        Simulator(faults=Faults.parse("status=401:path=batch")) as simulator,
        MailChannels(simulator.api_key, base_url=simulator.base_url) as client,
        BulkJob(client, given(), subscription_handle="demo", concurrency=2, on_progress=show) as job,
    ):
        summary = job.run()

    assert summary.failed[401] + summary.not_sent == summary.done == read
    assert summary.unread == (read < 7_500)


@pytest.mark.asyncio
async def test_a_job_over_a_stream_that_stops_accounts_for_all_that_it_has_read() -> None:
    read = 0

    async def given() -> AsyncIterator[str]:
        nonlocal read
        async for name in streamed(names(7_500)):
            read += 1
            yield name

    with Simulator(faults=Faults.parse("status=401:path=batch")) as simulator:
        async with (
            AsyncMailChannels(simulator.api_key, base_url=simulator.base_url) as client,
            AsyncBulkJob(client, given(), subscription_handle="demo", concurrency=2) as job,
        ):
            summary = await job.run()

    assert summary.failed[401] + summary.not_sent == summary.done == read
    assert summary.unread == (read < 7_500)


def test_a_blocking_job_plans_and_names_what_it_ignores(blocking_client: MailChannels, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("domain,note\na.example,1\n..,2\n")

    with BulkJob(blocking_client, tmp_path / "d.csv", subscription_handle="demo") as job:
        ignored, known, plan = job.ignored, job.known, job.plan()

    assert blocking_client.domains.list().total == 0  # the client stays open
    assert ignored == ["note"]
    assert {"domain", "admins"} <= {*known}
    assert (plan.new, plan.summary.invalid, plan.over_quota) == (1, 1, 0)


@pytest.mark.asyncio
async def test_progress_is_told_before_anything_is_sent_and_after_all_is_kept(
    client: AsyncMailChannels, simulator: Simulator
) -> None:
    told: list[tuple[int, int]] = []

    async with AsyncBulkJob(
        client,
        names(3_000),
        subscription_handle="demo",
        on_progress=lambda summary: told.append((simulator.requests, summary.done)),
    ) as job:
        await job.run()

    assert told[0] == (0, 0)
    assert told[-1] == (3, 3_000)
    assert told == sorted(told, key=lambda pair: pair[1])


@pytest.mark.parametrize("done", [0, 1_000])
@pytest.mark.asyncio
async def test_an_error_of_whoever_is_told_of_progress_is_raised_as_it_is(done: int, client: AsyncMailChannels) -> None:
    def show(summary: Summary) -> None:
        if summary.done >= done:
            raise LookupError("the display is gone")

    async with AsyncBulkJob(client, names(3_000), subscription_handle="demo", on_progress=show) as job:
        with pytest.raises(LookupError, match="the display is gone"):
            await job.run()


@pytest.mark.asyncio
async def test_whoever_failed_at_being_told_of_progress_is_not_told_again(client: AsyncMailChannels) -> None:
    tick = 0.05
    failed = 0

    def show(summary: Summary) -> None:
        nonlocal failed
        if summary.done:
            time.sleep(2 * tick)  # until another look at the job is due
            failed += 1
            raise LookupError("the display is gone")

    with mock.patch("mailchannels.jobs.run._TICK", tick):
        async with AsyncBulkJob(client, names(3_000), subscription_handle="demo", on_progress=show) as job:
            with pytest.raises(LookupError, match="the display is gone"):
                await job.run()

    assert failed == 1


@pytest.mark.asyncio
async def test_an_error_of_the_input_is_raised_once_what_came_before_is_kept(
    client: AsyncMailChannels, simulator: Simulator, tmp_path: Path
) -> None:
    def breaking() -> Iterator[str]:
        yield from names(1_500)
        raise LookupError("the cursor is gone")

    async with AsyncBulkJob(client, breaking(), subscription_handle="demo", journal=tmp_path / "j") as job:
        with pytest.raises(LookupError, match="the cursor is gone"):
            await job.run()
    async with AsyncBulkJob(client, names(2_000), subscription_handle="demo", journal=tmp_path / "j") as job:
        summary = await job.run()

    assert (summary.resumed, summary.succeeded) == (1_500, 2_000)


@pytest.mark.asyncio
async def test_what_is_no_domain_is_a_row_that_fails(client: AsyncMailChannels, tmp_path: Path) -> None:
    given: Any = ["a.example", 7, Domain("b..example", admins=["x@b.example"])]

    async with AsyncBulkJob(client, given, subscription_handle="demo", errors=tmp_path / "e.csv") as job:
        summary = await job.run()

    with (tmp_path / "e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (summary.succeeded, summary.invalid, summary.sent) == (1, 2, 1)
    assert {row["line"]: row["domain"] for row in rows} == {"2": "7", "3": "b..example"}
    assert {row["admins"] for row in rows} == {"", "x@b.example"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subscription_handle": "demo", "output": "links.csv"},
        {"subscription_handle": ""},
        {"output": "links.csv", "overwrite": True},
        {"subscription_handle": "demo", "concurrency": 0},
    ],
)
def test_a_job_that_cannot_be_right_is_refused(options: Any, blocking_client: MailChannels) -> None:
    with pytest.raises(InvalidInput):
        BulkJob(blocking_client, ["a.example"], **options)


@pytest.mark.asyncio
async def test_a_job_reads_its_input_once(client: AsyncMailChannels) -> None:
    job = AsyncBulkJob(client, ["a.example"], subscription_handle="demo")
    with pytest.raises(ConfigurationError, match="is opened, by `with`, and reads its input once"):
        await job.run()
    async with job:
        await job.run()
        with pytest.raises(ConfigurationError, match="reads its input once"):
            await job.run()


def test_a_job_of_login_links_is_planned_without_a_subscription(blocking_client: MailChannels, tmp_path: Path) -> None:
    with BulkJob(blocking_client, ["a.example", "..", "b.example"], output=tmp_path / "links.csv") as job:
        plan = job.plan()

    assert (plan.new, plan.summary.invalid, plan.requests, plan.quota) == (2, 1, 1, None)
    assert not (tmp_path / "links.csv").exists()


@pytest.mark.asyncio
async def test_a_job_that_was_never_opened_can_be_closed(client: AsyncMailChannels) -> None:
    job = AsyncBulkJob(client, ["a.example"], subscription_handle="demo")

    await job.aclose()

    async with job:
        assert (await job.run()).succeeded == 1


@pytest.mark.asyncio
async def test_an_iterable_that_fails_at_once_is_raised_as_it_is(
    client: AsyncMailChannels, simulator: Simulator
) -> None:
    def broken() -> Iterator[str]:
        raise LookupError("no cursor")
        yield

    async with AsyncBulkJob(client, broken(), subscription_handle="demo") as job:
        with pytest.raises(LookupError, match="no cursor"):
            await job.run()

    assert simulator.requests == 0


@pytest.mark.asyncio
async def test_where_interrupts_cannot_be_received_a_job_runs_all_the_same(
    client: AsyncMailChannels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.setattr(anyio, "open_signal_receiver", mock.Mock(side_effect=NotImplementedError))

    async with AsyncBulkJob(client, names(3), subscription_handle="demo") as job:
        summary = await job.run()

    assert summary.succeeded == 3


@pytest.mark.asyncio
async def test_an_error_of_the_progress_display_ends_a_job_whose_answers_keep_coming(
    client: AsyncMailChannels,
) -> None:
    class Broken(Exception):
        pass

    def show(summary: Summary) -> None:
        if summary.succeeded:
            raise Broken

    async def at_once(values: AsyncIterable[Domain | str]) -> AsyncGenerator[BulkProvisionResult, None]:
        given = [str(name) async for name in values]
        for index, name in enumerate(given):
            item = BulkProvisionItem(index=index, domain=Domain(name), code=201, outcome=Outcome.SUCCEEDED, attempts=1)
            yield BulkProvisionResult([item])

    run: Run[Domain | str, BulkProvisionItem] = Run(client, Given(names(20)), show)
    with pytest.raises(Broken):
        await run.go(at_once)


@pytest.mark.asyncio
async def test_a_listing_that_fails_settles_no_row_that_was_under_way() -> None:
    rows: list[Row[Domain | str]] = [
        Row(1, "a.example", Domain("a.example", admins=["x@a.example"])),
        Row(2, "..", Domain("..", admins=["x@a.example"]), position=1),
    ]
    with RawServer(answer({}, status=403)) as server:
        async with AsyncMailChannels("demo-key", base_url=server.url) as client:
            assert await applied(client.domains, rows) == []

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_a_journal_that_is_no_longer_written_to_stops_the_job(
    client: AsyncMailChannels, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database itself says that it is full."""
    from mailchannels.jobs import journal  # noqa: PLC0415

    opened = journal.Journal.belong

    def belong(self: journal.Journal, *arguments: Any) -> None:
        opened(self, *arguments)
        self._execute("PRAGMA max_page_count = 1")

    monkeypatch.setattr(journal.Journal, "belong", belong)
    given = [f"bad..{number}.example" for number in range(5_000)] + names(5_000)

    async with AsyncBulkJob(client, given, subscription_handle="demo", journal=tmp_path / "j") as job:
        summary = await job.run()

    assert summary.exit_code() == 4
    assert "database or disk is full" in (summary.stopped or "")
    assert summary.succeeded == 0
    assert simulator.requests == 0


def test_a_journal_in_a_folder_that_is_not_there_is_wrong_usage(blocking_client: MailChannels, tmp_path: Path) -> None:
    with (
        BulkJob(blocking_client, ["a.example"], subscription_handle="demo", journal=tmp_path / "no" / "j") as job,
        pytest.raises(InvalidInput, match="--journal: cannot use"),
    ):
        job.run()


def test_a_journal_error_is_an_error_of_the_package() -> None:
    with pytest.raises(Exception, match="full") as caught:
        raise JournalError("full")
    assert caught.type.__mro__[1].__name__ == "MailChannelsError"


def test_the_example_runs() -> None:
    example = Path(__file__).parents[2] / "examples" / "bulk_job.py"

    done = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=50, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "second run: 2,999 of 3,000 succeeded" in done.stdout
    assert "login links: 2,499 of 2,500 succeeded" in done.stdout
