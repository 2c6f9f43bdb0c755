"""`mailchannels domains login-links`: links go where they are asked for, and nowhere else."""

import csv
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from mailchannels.jobs.report import LinkFile
from mailchannels.simulator import Simulator

from .conftest import Cli, finish, running, start


@pytest.fixture
def provisioned(simulator: Simulator, mailchannels: Cli, tmp_path: Path) -> Simulator:
    (tmp_path / "domains.csv").write_text("domain\na.example\nB.example\n")
    assert mailchannels("domains", "provision", "domains.csv", "--subscription", "demo").code == 0
    return simulator


def links(path: Path) -> dict[str, str]:
    with path.open(newline="") as file:
        return {row["domain"]: row["login_link"] for row in csv.DictReader(file)}


def test_links_go_to_a_file_for_its_owner_alone_and_nowhere_else(
    provisioned: Simulator, mailchannels: Cli, tmp_path: Path
) -> None:
    run = mailchannels("domains", "login-links", "domains.csv", "--output", "links.csv", "--errors", "errors.csv")

    found = links(tmp_path / "links.csv")
    assert run.code == 0
    assert stat.S_IMODE((tmp_path / "links.csv").stat().st_mode) == 0o600
    assert set(found) == {"a.example", "B.example"}
    for link in found.values():
        assert "://" in link
        assert link not in run.out + run.err + (tmp_path / "errors.csv").read_text()


def test_the_embedded_simulator_has_the_domains_of_the_file(mailchannels: Cli, tmp_path: Path) -> None:
    (tmp_path / "domains.csv").write_text("domain,admins\na.example,x@a.example\nb..example,\nc.example,\n")

    run = mailchannels("domains", "login-links", "domains.csv", "--output", "links.csv", "--simulator")

    assert run.code == 1
    assert set(links(tmp_path / "links.csv")) == {"a.example", "c.example"}
    assert "line 3: b..example: failed: domain: " in run.out


def test_the_embedded_simulator_cannot_be_filled_from_what_is_read_once(tmp_path: Path) -> None:
    arguments = ("domains", "login-links", "-", "--output", "links.csv", "--simulator")

    run = finish(start(*arguments, stdin=subprocess.PIPE), "a.example\n")

    assert (run.code, run.out) == (2, "")
    assert run.err == (
        "mailchannels: --simulator: starts empty, and FILE cannot be read twice to fill it; give it a path\n"
    )


def test_nor_can_it_be_filled_from_a_pipe_with_a_name(mailchannels: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    run = mailchannels("domains", "login-links", "pipe", "--output", "links.csv", "--simulator")

    assert (run.code, run.out) == (2, "")
    assert run.err == (
        "mailchannels: --simulator: starts empty, and FILE cannot be read twice to fill it; give it a path\n"
    )


def test_a_dash_sends_links_to_standard_output_and_the_summary_elsewhere(
    provisioned: Simulator, mailchannels: Cli
) -> None:
    run = mailchannels("domains", "login-links", "domains.csv", "--output", "-")

    assert run.code == 0
    assert [row["domain"] for row in csv.DictReader(run.out.splitlines())] == ["a.example", "B.example"]
    assert "://" not in run.err
    assert "2 domains in" in run.err


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_file_that_exists_is_not_overwritten(
    provisioned: Simulator, mailchannels: Cli, tmp_path: Path, option: tuple[str, ...]
) -> None:
    (tmp_path / "links.csv").write_text("mine")
    before = provisioned.requests

    run = mailchannels("domains", "login-links", "domains.csv", "--output", "links.csv", *option)

    assert run.code == 2
    assert "--output: 'links.csv' exists" in run.err
    assert (tmp_path / "links.csv").read_text() == "mine"
    assert provisioned.requests == before


def test_a_domain_that_is_not_ours_is_an_ordinary_failure(
    provisioned: Simulator, mailchannels: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioned.state.add_customer("other", keys=["other-key"], subscriptions=["other"])
    (tmp_path / "theirs.csv").write_text("c.example\n")
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "other-key")
    assert mailchannels("domains", "provision", "theirs.csv", "--subscription", "other").code == 0
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    (tmp_path / "mixed.csv").write_text("a.example\nc.example\n")

    run = mailchannels("domains", "login-links", "mixed.csv", "--output", "links.csv")

    assert run.code == 1
    assert "stopped" not in run.out
    assert set(links(tmp_path / "links.csv")) == {"a.example"}


def test_a_refused_key_stops_even_a_single_link_and_leaves_no_file_in_the_way(
    provisioned: Simulator, mailchannels: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.csv").write_text("a.example\n")
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "wrong")

    run = mailchannels("domains", "login-links", "one.csv", "--output", "links.csv")

    assert run.code == 4
    assert not (tmp_path / "links.csv").exists()


def test_a_file_of_links_fed_back_keeps_them_out_of_the_report(
    provisioned: Simulator, mailchannels: Cli, tmp_path: Path
) -> None:
    mailchannels("domains", "login-links", "domains.csv", "--output", "links.csv")
    provisioned.state.fail_next("a.example", times=100)

    run = mailchannels("domains", "login-links", "links.csv", "--output", "new.csv", "--errors", "errors.csv")

    assert run.code == 3
    assert (
        (tmp_path / "errors.csv")
        .read_text()
        .startswith("domain,line,code,reason,outcome,attempts,retryable\na.example,2,500,")
    )
    assert "://" not in (tmp_path / "errors.csv").read_text() + run.out + run.err


def test_a_reader_that_stops_reading_ends_it_quietly(provisioned: Simulator, tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("a.example\n" * 20_000)
    process = start("domains", "login-links", "many.csv", "--output", "-")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    process.stdout = None
    run = finish(process)

    assert run.code == 0
    assert "Traceback" not in run.err
    assert "BrokenPipe" not in run.err


def test_links_that_cannot_be_written_stop_the_job(
    provisioned: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LinkFile, "write", full)

    run = mailchannels("domains", "login-links", "domains.csv", "--output", "links.csv")

    assert run.code == 4
    assert "stopped: --output could not be written: No space left on device" in run.out
    assert "line 2: a.example: unknown: its link could not be written: No space left on device" in run.out


# --- with a journal


JOB = ("domains", "login-links", "domains.csv", "--output", "links.csv", "--journal", "job.journal")


@pytest.fixture
def five_thousand(tmp_path: Path) -> list[str]:
    names = [f"d{number}.example" for number in range(5_000)]
    (tmp_path / "domains.csv").write_text("domain\n" + "".join(f"{name}\n" for name in names))
    return names


def test_a_killed_job_appends_and_every_domain_has_one_link_that_was_minted(
    mailchannels: Cli, tmp_path: Path, five_thousand: list[str]
) -> None:
    with running(latency=0.2) as simulator:
        assert mailchannels("domains", "provision", "domains.csv", "--subscription", "demo").code == 0
        for _ in range(3):
            before = simulator.requests
            process = start(*JOB, "--concurrency", "1")
            while simulator.requests < before + 2:
                time.sleep(0.001)
            process.kill()
            finish(process)
            with (tmp_path / "links.csv").open("a") as file:
                file.write("d4999.example,https://torn")  # what a crash may leave
        last = mailchannels(*JOB)
        with (tmp_path / "links.csv").open("a") as file:
            file.write("d4999.example,https://torn")
        assert mailchannels(*JOB).code == 0
        minted = set(simulator.state.login_links)

    with (tmp_path / "links.csv").open(newline="") as file:
        written = [(row["domain"], row["login_link"]) for row in csv.DictReader(file)]
    assert last.code == 0
    assert sorted(name for name, _ in written) == sorted(five_thousand)
    assert set(written) <= minted


def test_neither_a_key_nor_a_link_stands_in_a_journal(
    mailchannels: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "canary-key-0123456789"
    with running() as simulator:
        simulator.state.add_customer("canary", keys=[key], subscriptions=["canary"])
        monkeypatch.setenv("MAILCHANNELS_API_KEY", key)
        (tmp_path / "domains.csv").write_text("domain,login_link\na.example,https://x.example/old-canary\n")
        mailchannels("domains", "provision", "domains.csv", "--subscription", "canary", "--journal", "p.journal")
        (tmp_path / "domains.csv").write_text(
            "domain,login_link\na.example,https://x.example/old-canary\nb..example,https://x.example/old-canary\n"
        )
        mailchannels(*JOB)
        (_, link) = simulator.state.login_links[-1]
        # Once more with files that nobody has tidied up.
        (tmp_path / "links.csv").rename(tmp_path / "first.csv")
        process = start(*JOB[:-1], "other.journal")
        finish(process)

    journals = [*tmp_path.glob("*.journal*")]
    assert {path.name for path in journals} >= {"p.journal", "job.journal", "other.journal"}
    assert link in (tmp_path / "first.csv").read_text()
    for path in journals:
        assert b"domain" in path.read_bytes()
        for secret in (key, link, link.partition("=")[2], "old-canary", "://x.example"):
            assert secret.encode() not in path.read_bytes()


def test_a_wal_that_a_kill_leaves_holds_no_link_either(
    mailchannels: Cli, tmp_path: Path, five_thousand: list[str]
) -> None:
    with running(latency=0.2) as simulator:
        mailchannels("domains", "provision", "domains.csv", "--subscription", "demo")
        before = simulator.requests
        process = start(*JOB, "--concurrency", "1")
        while simulator.requests < before + 3:
            time.sleep(0.001)
        process.kill()
        finish(process)
        tokens = [link.partition("=")[2].encode() for _, link in simulator.state.login_links]

    left = b"".join(path.read_bytes() for path in tmp_path.glob("job.journal*"))
    assert (tmp_path / "job.journal-wal").exists()
    assert b"login links" in left
    assert b"demo-key" not in left
    assert [token for token in tokens if token in left] == []


def test_links_that_were_lost_are_not_counted_as_written(
    provisioned: Simulator, mailchannels: Cli, tmp_path: Path
) -> None:
    assert mailchannels(*JOB).code == 0
    (tmp_path / "links.csv").write_text("")

    run = mailchannels(*JOB)

    assert run.code == 2
    assert "--output: 'links.csv' lacks links that the journal counts as written" in run.err
