"""`--journal`: a job that is killed, stopped or refused takes up where its journal says, and nowhere else."""

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sockets import RawServer, answer

from mailchannels.simulator import Simulator

from .conftest import Cli, Run, finish, process_environment, running, start

JOB = ("domains", "provision", "domains.csv", "--subscription", "demo", "--journal", "job.journal")


def report(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(tmp_path: Path, rows: list[str], header: str = "domain") -> None:
    (tmp_path / "domains.csv").write_text("\n".join([header, *rows]) + "\n")


def names(count: int) -> list[str]:
    return [f"d{number}.example" for number in range(count)]


@pytest.fixture
def run_job(mailchannels: Cli) -> Callable[..., Any]:
    """Runs the job of this file and gives its summary."""

    def run(*options: str) -> Any:
        return json.loads(mailchannels(*JOB, "--json", "--progress", "none", *options).out)

    return run


def kill_after_first_answer(*arguments: str) -> None:
    """Start the command line and kill it once some rows are settled."""
    process = start(*arguments)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and json.loads(line)["done"]:
            break
    process.kill()
    assert finish(process).code == -signal.SIGKILL


# --- killed


@pytest.mark.timeout(180)
def test_killed_at_twenty_random_moments_it_loses_no_row_and_tells_of_each_once(
    tmp_path: Path, mailchannels: Cli
) -> None:
    moments = random.Random(4)
    rows = names(50_000)
    bad = sorted(moments.sample(range(len(rows)), 50))
    for position in bad:
        rows[position] = f"bad..{position}.example"
    write(tmp_path, rows)

    with running(latency=0.1) as simulator:
        for _ in range(20):
            until = simulator.requests + moments.randint(0, 2)
            process = start(*JOB, "--errors", "errors.csv", "--concurrency", "1", "--progress", "none")
            while simulator.requests < until:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
            assert finish(process).code == -signal.SIGKILL
        last = mailchannels(*JOB, "--errors", "errors.csv", "--json", "--progress", "none")
        stored = simulator.state.domain_count()
        missing = [name for name in rows if ".." not in name and simulator.state.domain(name) is None]

    summary = json.loads(last.out)
    assert last.code == 1
    assert (stored, missing) == (49_950, [])
    assert (summary["done"], summary["succeeded"], summary["invalid"]) == (50_000, 49_950, 50)
    assert summary["resumed"] > 1_000
    left = sorted(report(tmp_path / "errors.csv"), key=lambda row: int(row["line"]))
    assert [(int(row["line"]), row["domain"]) for row in left] == [(position + 2, rows[position]) for position in bad]


def test_what_is_done_is_not_sent_again_and_what_was_under_way_is(tmp_path: Path, run_job: Callable[..., Any]) -> None:
    write(tmp_path, names(20_000))
    with running(latency=0.2):
        kill_after_first_answer(*JOB, "--concurrency", "2")
        summary = run_job()
        again = run_job()

    assert summary["resumed"] >= 1_000
    assert summary["requests"] == 20 - summary["resumed"] // 1_000
    assert summary["succeeded"] == 20_000
    assert (again["requests"], again["resumed"], again["succeeded"]) == (0, 20_000, 20_000)


def test_domains_with_settings_that_were_under_way_are_read_back_and_not_written_again(
    tmp_path: Path, run_job: Callable[..., Any]
) -> None:
    write(tmp_path, [f"{name},x@{name}" for name in names(3_000)], header="domain,admins")
    with running(latency=0.2) as simulator:
        process = start(*JOB)
        while simulator.state.domain_count() < 3_000:  # stored, and not answered yet
            time.sleep(0.005)
        process.kill()
        finish(process)
        written = simulator.applied["POST", "/inbound/v1/domains/batch"]
        summary = run_job()

        assert simulator.seen["GET", "/inbound/v1/domains"] > 0
        assert simulator.seen["POST", "/inbound/v1/domains/batch"] == written
    assert (summary["succeeded"], summary["resumed"]) == (3_000, 0)


def test_standard_input_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    given = "domain\n" + "".join(f"{name}\n" for name in names(5_000))
    job = ("domains", "provision", "-", "--subscription", "demo", "--journal", "job.journal")
    with running(latency=0.3) as simulator:
        process = start(*job, "--concurrency", "1", stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.flush()
        while simulator.requests < 3:
            time.sleep(0.005)
        process.kill()
        finish(process)
        other = finish(start(*job, stdin=subprocess.PIPE), given.replace("d7.example", "e7.example"))
        sent = simulator.requests
        run = finish(start(*job, "--json", stdin=subprocess.PIPE), given)
        stored = simulator.state.domain_count()

    assert other.code == 2
    assert "FILE: its first" in other.err
    assert "are not those that the journal's job was fed" in other.err
    assert run.code == 0
    assert json.loads(run.out)["resumed"] >= 1_000
    assert json.loads(run.out)["succeeded"] == stored == 5_000
    assert sent >= 3


# --- stopped


def test_a_quota_that_is_reached_and_raised(tmp_path: Path, mailchannels: Cli) -> None:
    write(tmp_path, names(10_000))
    with running(domain_limit=5_000) as simulator:
        stopped = mailchannels(*JOB, "--errors", "errors.csv", "--concurrency", "1")
        left = {row["domain"] for row in report(tmp_path / "errors.csv")}
        stored = {name for name in names(10_000) if simulator.state.domain(name) is not None}
        shown = mailchannels("jobs", "show", "job.journal", "--json")
        remade = mailchannels("jobs", "errors", "job.journal")
        simulator.state.set_domain_limit("demo", 10_000)
        done = mailchannels(*JOB, "--errors", "errors.csv", "--json")
        count = simulator.state.domain_count()

    assert stopped.code == 4
    assert "stopped: POST /domains/batch: 403" in stopped.out
    assert "the same command with --journal job.journal takes up from here" in stopped.out
    assert stored == set(names(5_000))
    assert left == set(names(10_000)) - stored
    assert {row["domain"] for row in csv.DictReader(remade.out.splitlines())} == left
    state = json.loads(shown.out)
    assert (state["succeeded"], state["failed_by_code"], state["not_sent"]) == (5_000, {"403": 1_000}, 4_000)
    assert done.code == 0
    summary = json.loads(done.out)
    assert (summary["succeeded"], summary["resumed"], summary["requests"]) == (10_000, 5_000, 5)
    assert report(tmp_path / "errors.csv") == []
    assert count == 10_000


def test_what_failed_for_the_moment_is_sent_again_and_what_failed_for_good_is_not(
    tmp_path: Path, simulator: Simulator, run_job: Callable[..., Any]
) -> None:
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["other"])
    take_for_other_customer(simulator, "theirs.example")
    simulator.state.fail_next("late.example", times=4)
    write(tmp_path, ["a.example", "late.example", "theirs.example"])

    first = run_job("--errors", "errors.csv")
    attempts = {row["domain"]: row["attempts"] for row in report(tmp_path / "errors.csv")}
    second = run_job("--errors", "errors.csv")

    assert (first["failed_by_code"], first["exit_code"]) == ({"409": 1, "500": 1}, 1)
    assert attempts == {"late.example": "4", "theirs.example": "1"}
    assert (second["requests"], second["succeeded"], second["failed_by_code"]) == (1, 2, {"409": 1})
    assert [row["domain"] for row in report(tmp_path / "errors.csv")] == ["theirs.example"]


def take_for_other_customer(simulator: Simulator, *taken: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILCHANNELS_API_KEY", "other-key")
        process = start("domains", "provision", "-", "--subscription", "other", stdin=subprocess.PIPE)
        assert finish(process, "domain\n" + "\n".join(taken)).code == 0


@pytest.mark.parametrize("blocks", [100, 200, 400])
def test_a_full_disk_stops_it_before_the_next_request_and_nothing_is_shown_that_is_not_kept(
    tmp_path: Path, mailchannels: Cli, run_job: Callable[..., Any], blocks: int
) -> None:
    write(tmp_path, names(30_000))
    with running(latency=0.02) as simulator:
        limited = start_with_small_files(blocks, *JOB, "--concurrency", "2", "--json")
        sent = simulator.requests
        kept = json.loads(mailchannels("jobs", "show", "job.journal", "--json").out)["succeeded"]
        after = run_job()

    assert limited.code == 4
    summary = json.loads(limited.out)
    assert "--journal: 'job.journal' could not be written" in summary["stopped"]
    assert "run the same command again" in summary["stopped"]
    assert summary["succeeded"] == kept < 30_000
    assert sent < 30
    assert after["succeeded"] == 30_000


def test_a_disk_with_no_room_for_a_journal_lets_nothing_be_sent(tmp_path: Path) -> None:
    write(tmp_path, names(3))
    with running() as simulator:
        run = start_with_small_files(8, *JOB)
        sent = simulator.requests

    assert (run.code, run.out) == (4, "")
    assert "--journal: 'job.journal' could not be written" in run.err
    assert sent == 0


def start_with_small_files(blocks: int, *arguments: str) -> Run:
    """Run the command line where no file can grow beyond so many blocks of 512 bytes."""
    # Given back at the end: whoever measures coverage writes a file then.
    script = f"""
import resource, sys
from mailchannels.cli import main
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, ({blocks} * 512, before[1]))
code = main()
resource.setrlimit(resource.RLIMIT_FSIZE, before)
sys.exit(code)
"""
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=process_environment(), capture_output=True, text=True, timeout=50, check=False)
    return Run(done.returncode, done.stdout, done.stderr)


def test_what_a_killed_run_may_have_sent_and_the_next_does_not_is_told_as_that(
    tmp_path: Path, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, names(10_000))
    with running(latency=0.2):
        kill_after_first_answer(*JOB, "--concurrency", "1")
        told = mailchannels("jobs", "errors", "job.journal")
        monkeypatch.setenv("MAILCHANNELS_API_KEY", "no-such-key")
        refused = mailchannels(*JOB, "--errors", "errors.csv", "--concurrency", "1")

    left = report(tmp_path / "errors.csv")
    reasons = {row["outcome"]: row["reason"] for row in left}
    assert (told.code, refused.code) == (0, 4)
    assert f"{len(left):,} rows have no outcome yet and are left out" in told.err
    assert reasons["unknown"].startswith(
        "an earlier run may have sent it; in this one not sent, because the job stopped"
    )
    assert reasons["not_sent"].startswith("not sent, because the job stopped")


# --- refused


def test_a_second_process_is_refused(tmp_path: Path, mailchannels: Cli) -> None:
    write(tmp_path, names(5_000))
    with running(latency=2) as simulator:
        first = start(*JOB)
        while simulator.requests < 5:
            time.sleep(0.01)
        second = mailchannels(*JOB)
        looking = mailchannels("jobs", "show", "job.journal")
        sent = simulator.requests
        ended = finish(first)

    for refused in (second, looking):
        assert refused.code == 2
        assert refused.err.splitlines()[-1].startswith("mailchannels: --journal: 'job.journal' is in use by another")
    assert ended.code == 0
    assert sent == 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"domains.csv": "z.example"}, "belongs to FILE as it was, and it has changed since"),
        ({"--subscription": "other"}, "the subscription was 'demo' and is now 'other'"),
        ({"--overwrite": None}, "--overwrite was not given and is now True"),
        ({"--associate-key": None}, "--associate-key was not given and is now True"),
        ({"--base-url": "http://127.0.0.1:9"}, "the API's address was 'http://127.0.0.1"),
    ],
)
def test_another_job_is_refused_with_the_reason_and_nothing_is_sent(
    tmp_path: Path, simulator: Simulator, mailchannels: Cli, change: dict[str, str | None], reason: str
) -> None:
    write(tmp_path, ["a.example"])
    assert mailchannels(*JOB).code == 0
    before = simulator.requests
    command = [*JOB]
    for what, value in change.items():
        if what == "domains.csv":
            write(tmp_path, [str(value)])
        elif what == "--subscription":
            command[4] = str(value)
        else:
            command += [what] if value is None else [what, value]

    run = mailchannels(*command)

    assert run.code == 2
    assert reason in run.err
    assert simulator.requests == before


def test_other_speed_is_the_same_job(tmp_path: Path, simulator: Simulator, mailchannels: Cli) -> None:
    write(tmp_path, ["a.example"])
    mailchannels(*JOB)

    assert mailchannels(*JOB, "--concurrency", "3", "--rate", "7").code == 0


def test_a_journal_does_not_do_for_login_links(tmp_path: Path, simulator: Simulator, mailchannels: Cli) -> None:
    write(tmp_path, ["a.example"])
    mailchannels(*JOB)

    run = mailchannels("domains", "login-links", "domains.csv", "--output", "l.csv", "--journal", "job.journal")

    assert run.code == 2
    assert "what is done was 'provisioning' and is now 'login links'" in run.err


# --- the report


BAD = {
    "empty label": ("bad..{}.example,,,,,", "mended-{}.example,,,,,"),
    "long label": ("x" * 64 + "{}.example,,,,,", "long-{}.example,,,,,"),
    "no address": ("admin-{}.example,nobody,,,,", "admin-{}.example,somebody@admin-{}.example,,,,"),
    "no record": ("record-{}.example,,10 mx.example.,,,", "record-{}.example,,10 10 25 mx.example.,,,"),
    "no policy": ("policy-{}.example,,,maybe,,", "policy-{}.example,,,flag,,"),
    "no boolean": ("flag-{}.example,,,flag,perhaps,", "flag-{}.example,,,flag,true,"),
    "other subscription": ("sub-{}.example,,,,,basic", "sub-{}.example,,,,,demo"),
    "another customer's": ("theirs-{}.example,,,,,", "ours-{}.example,,,,,"),
}


def test_of_a_thousand_rows_the_37_bad_ones_of_eight_kinds_are_reported_and_go_through_once_mended(
    tmp_path: Path, simulator: Simulator, mailchannels: Cli
) -> None:
    chosen = random.Random(37)
    header = "domain,admins,downstream_addresses,abuse_policy,abuse_policy_override,subscription_handle"
    rows = [f"{name},,,,," for name in names(1_000)]
    kinds = {position: [*BAD][number % 8] for number, position in enumerate(chosen.sample(range(1_000), 37))}
    for position, kind in kinds.items():
        rows[position] = BAD[kind][0].replace("{}", str(position))
    write(tmp_path, rows, header)
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["other"])
    take_for_other_customer(simulator, *(f"theirs-{position}.example" for position in kinds))

    first = mailchannels(*JOB, "--errors", "errors.csv")
    errors = report(tmp_path / "errors.csv")
    mended = [BAD[kinds[int(row["line"]) - 2]][1].replace("{}", str(int(row["line"]) - 2)) for row in errors]
    with (tmp_path / "errors.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(errors[0])
        for row, line in zip(errors, mended, strict=True):
            writer.writerow([*line.split(","), *[*row.values()][6:]])
    again = mailchannels("domains", "provision", "errors.csv", "--subscription", "demo")

    assert first.code == 1
    assert sorted(int(row["line"]) for row in errors) == sorted(position + 2 for position in kinds)
    assert Counter(row["code"] for row in errors) == {"": 33, "409": 4}
    assert all(row["reason"] and row["outcome"] == "failed" and row["retryable"] == "false" for row in errors)
    assert again.code == 0, again.out
    assert all(simulator.state.domain(line.split(",")[0]) is not None for line in mended)


def test_the_errors_of_a_journal_are_those_of_the_run(tmp_path: Path, simulator: Simulator, mailchannels: Cli) -> None:
    write(tmp_path, ["a.example,1", "b..example,2", '"c\n.example",3'], header="domain,customer")

    mailchannels(*JOB, "--errors", "errors.csv")
    printed = mailchannels("jobs", "errors", "job.journal")
    written = mailchannels("jobs", "errors", "job.journal", "--output", "again.csv")

    assert (printed.code, written.code) == (0, 0)
    assert len(report(tmp_path / "errors.csv")) == 2
    assert printed.out == (tmp_path / "errors.csv").read_text() == (tmp_path / "again.csv").read_text()


def test_what_a_journal_shows_of_a_job_in_order(tmp_path: Path, simulator: Simulator, mailchannels: Cli) -> None:
    write(tmp_path, ["a.example", "b..example"])
    mailchannels(*JOB)

    run = mailchannels("jobs", "show", "job.journal")

    assert run.code == 0
    assert "provisioning against 'demo'" in run.out
    assert f"from {tmp_path / 'domains.csv'}, at {simulator.base_url}" in run.out
    assert "succeeded                       1" in run.out
    assert "invalid                         1  (refused before any request)" in run.out
    assert "not done" not in run.out


def test_what_a_journal_shows_of_a_job_that_is_not_done_says_how_to_take_it_up(
    tmp_path: Path, simulator: Simulator, mailchannels: Cli
) -> None:
    simulator.state.set_domain_limit("demo", 0)
    write(tmp_path, names(2_000))
    mailchannels(*JOB, "--concurrency", "1")

    run = mailchannels("jobs", "show", "job.journal")

    assert run.out.splitlines()[-1] == "the job is not done: the same command with this journal takes it up"


def test_a_journal_shows_that_what_a_quota_refused_is_sent_again(
    tmp_path: Path, simulator: Simulator, mailchannels: Cli
) -> None:
    simulator.state.set_domain_limit("demo", 0)
    write(tmp_path, ["a.example"])
    mailchannels(*JOB)

    run = mailchannels("jobs", "show", "job.journal")

    assert "failed                          1  (1 with 403)" in run.out
    assert "sent again                      1" in run.out
    assert run.out.splitlines()[-1] == "the job is not done: the same command with this journal takes it up"


def test_a_journal_of_a_stream_does_not_pretend_to_know_that_it_was_read_to_its_end(
    tmp_path: Path, simulator: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("domain\na.example\n"))
    writer.start()
    mailchannels("domains", "provision", "pipe", "--subscription", "demo", "--journal", "job.journal")
    writer.join()

    run = mailchannels("jobs", "show", "job.journal")

    assert run.out.splitlines()[-1].startswith("how many rows the input has is not known")


def test_a_summary_says_what_it_cost(tmp_path: Path, simulator: Simulator, mailchannels: Cli) -> None:
    write(tmp_path, names(3))

    run = mailchannels("domains", "provision", "domains.csv", "--subscription", "demo")

    assert "requests: 1, retries: 0; waited 0.0 s for turns and 0.0 s before retries" in run.out


@pytest.mark.parametrize(
    ("codes", "detail"),
    [
        ([201, 200, 201], "  (2 new, 1 already there)"),
        ([201, 201, 201], ""),  # as from an API that tells them apart and from one that does not
    ],
)
def test_new_domains_are_told_from_others_where_the_api_does(
    tmp_path: Path,
    mailchannels: Cli,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[int],
    detail: str,
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    write(tmp_path, names(3))
    said = [{"domain": {"domain": name}, "code": code} for name, code in zip(names(3), codes, strict=True)]
    with RawServer(answer({"successes": said, "errors": []})) as server:
        run = mailchannels(*JOB, "--base-url", server.url)
        shown = mailchannels("jobs", "show", "job.journal")

    assert f"succeeded                       3{detail}\n" in run.out
    assert f"succeeded                       3{detail}\n" in shown.out


def test_of_a_domain_that_was_under_way_nobody_knows_whether_it_was_there(
    tmp_path: Path, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    write(tmp_path, ["a.example", "b.example"])
    lost = [{"domain": {"domain": "a.example"}, "code": 200}]
    found = [{"domain": {"domain": name}, "code": 200} for name in ("b.example",)]
    with RawServer(answer({"successes": lost, "errors": []}), answer({"successes": found, "errors": []})) as server:
        first = json.loads(mailchannels(*JOB, "--base-url", server.url, "--json").out)
        second = json.loads(mailchannels(*JOB, "--base-url", server.url, "--json").out)

    assert (first["succeeded"], first["already_there"], first["unknown"]) == (1, 1, 1)
    assert (second["succeeded"], second["already_there"], second["new"]) == (2, 1, 0)


def test_a_pace_that_was_lowered_shows(tmp_path: Path, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    write(tmp_path, ["a.example"])
    done = {"successes": [{"domain": {"domain": "a.example"}, "code": 201}], "errors": []}
    with RawServer(answer(status=503, headers={"Retry-After": "0.1"}), answer(done)) as server:
        run = mailchannels(*JOB, "--base-url", server.url, "--json", "--rate", "50")

    summary = json.loads(run.out)
    assert run.code == 0
    assert (summary["rate_limited"], summary["retries"]) == (1, 1)
    assert summary["slowest"] < 50
    assert summary["seconds_backed_off"] > 0
    assert any(json.loads(line)["slowed_to"] for line in run.err.splitlines() if line.startswith("{"))


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        ("50", (r", and slowed down to [\d.]+ a second$", r"slowed to [\d.]+/s, ")),
        ("1", ("$", "")),  # it is never slower than that
    ],
)
def test_the_summary_and_the_bar_tell_of_an_api_that_asked_to_slow_down(
    tmp_path: Path, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, rate: str, said: tuple[str, str]
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    write(tmp_path, ["a.example"])
    done = {"successes": [{"domain": {"domain": "a.example"}, "code": 201}], "errors": []}
    with RawServer(answer(status=503, headers={"Retry-After": "0.1"}), answer(done)) as server:
        run = mailchannels(*JOB, "--base-url", server.url, "--rate", rate, "--progress", "bar")

    assert run.code == 0
    assert re.search(f"requests: 2, retries: 1; .*; told 1 times to slow down{said[0]}", run.out, re.MULTILINE)
    assert re.search(f"/s -?[\\d:-]+ {said[1]}1 retries, 0 s waited", " ".join(run.err.split()))


@pytest.mark.parametrize(("style", "marks"), [("bar", "1/1"), ("json", '{"done":'), ("none", "")])
def test_progress_is_shown_as_asked_for(
    tmp_path: Path, simulator: Simulator, mailchannels: Cli, style: str, marks: str
) -> None:
    write(tmp_path, ["a.example"])

    run = mailchannels("domains", "provision", "domains.csv", "--subscription", "demo", "--progress", style)

    assert run.code == 0
    assert marks in run.err
    assert bool(run.err) == bool(marks)
