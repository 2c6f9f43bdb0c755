"""Ctrl-C: what is under way may finish, the rest is accounted for."""

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailchannels.simulator import Simulator

from .conftest import finish, process_environment, running, start


def interrupt_after_first_answer(process: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> None:
    """Interrupt once some rows are answered; gives nothing, as the rest is read by `finish`."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and json.loads(line)["done"]:
            process.send_signal(number)
            return


def wait_for_requests(simulator: Simulator, count: int) -> None:
    """Wait until so many requests are under way, which their answers leave the time for."""
    deadline = time.monotonic() + 30
    while simulator.seen.total() < count:
        assert time.monotonic() < deadline, "the requests did not come"
        time.sleep(0.01)


def report(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def many(tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("domain\n" + "".join(f"d{i}.example\n" for i in range(30_000)))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_interrupt_lets_answers_arrive_and_accounts_for_every_row(
    many: None, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with running(latency=1.1) as simulator:
        process = start(
            *("domains", "provision", "many.csv", "--subscription", "demo"),
            *("--errors", "errors.csv", "--concurrency", "2"),
        )
        interrupt_after_first_answer(process, number)
        run = finish(process)
        stored = simulator.state.domain_count()

    left = report(tmp_path / "errors.csv")
    assert run.code == code
    assert "interrupted: waiting up to 5 seconds" in run.err
    assert "30,000 domains in" in run.out
    assert {row["outcome"] for row in left} == {"not_sent"}
    assert stored + len(left) == 30_000
    assert len({row["domain"] for row in left}) == len(left)


def test_the_second_interrupt_does_not_wait_and_what_is_under_way_is_unknown(many: None, tmp_path: Path) -> None:
    with running(latency=60) as simulator:
        process = start(
            *("domains", "provision", "many.csv", "--subscription", "demo"),
            *("--errors", "errors.csv", "--concurrency", "2"),
        )
        assert process.stderr is not None
        wait_for_requests(simulator, 2)
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if "interrupted: waiting" in line:
                break
        process.send_signal(signal.SIGINT)
        run = finish(process)

    left = report(tmp_path / "errors.csv")
    assert run.code == 130
    assert len(left) == 30_000
    assert {row["outcome"] for row in left} <= {"unknown", "not_sent"}


def test_on_a_terminal_messages_stand_on_lines_of_their_own_and_not_sent_is_not_failed(many: None) -> None:
    pty = pytest.importorskip("pty")
    terminal, its_end = pty.openpty()
    with running(latency=1.1):
        arguments = ("domains", "provision", "many.csv", "--subscription", "demo", "--concurrency", "2")
        process = subprocess.Popen(
            [sys.executable, "-m", "mailchannels", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its_end,
            env={**process_environment(), "TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
        os.close(its_end)
        shown = b""
        is_interrupted = False
        # Linux says that the other end is closed with an error.
        with contextlib.suppress(OSError):
            while said := os.read(terminal, 10_000):
                shown += said
                if b"/30000" in shown and not is_interrupted:
                    is_interrupted = True
                    process.send_signal(signal.SIGINT)
        os.close(terminal)
        code = process.wait(30)

    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode()
    lines = re.split(r"[\r\n]+", text.rstrip())
    assert code == 130
    assert any(
        re.fullmatch("mailchannels: interrupted: waiting up to 5 seconds .* again to stop at once", ln) for ln in lines
    )
    assert re.search(r"[1-9][0-9,]* not sent", lines[-1])
    assert "failed" not in text


def interrupt_while_the_rest_is_counted(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and json.loads(line)["not_sent"]:
            process.send_signal(signal.SIGINT)
            return


@pytest.fixture
def very_many(tmp_path: Path) -> int:
    """More rows than are read before somebody can interrupt."""
    count = 600_000
    (tmp_path / "many.csv").write_text("domain\n" + "".join(f"d{i}.example\n" for i in range(count)))
    return count


def test_an_interrupt_while_the_rest_is_counted_leaves_it_unread_and_keeps_the_summary(
    very_many: int, tmp_path: Path
) -> None:
    with running(latency=0.1) as simulator:
        process = start(
            *("domains", "provision", "many.csv", "--subscription", "demo"),
            *("--errors", "errors.csv", "--concurrency", "2"),
        )
        interrupt_after_first_answer(process)
        interrupt_while_the_rest_is_counted(process)
        run = finish(process)
        stored = simulator.state.domain_count()

    left = report(tmp_path / "errors.csv")
    assert run.code == 130
    assert f"{stored + len(left):,} domains in" in run.out
    assert "the rest of the input was not read" in run.out
    assert stored + len(left) < very_many
    assert {row["outcome"] for row in left} == {"not_sent"}
    assert "Traceback" not in run.err


def test_an_interrupt_after_a_job_was_stopped_promises_no_more_answers(very_many: int) -> None:
    with running(domain_limit=1_000):
        process = start("domains", "provision", "many.csv", "--subscription", "demo", "--concurrency", "1")
        interrupt_while_the_rest_is_counted(process)
        run = finish(process)

    assert run.code == 130
    assert "stopped: " in run.out
    assert "the rest of the input was not read" in run.out
    assert "waiting" not in run.err


def test_an_interrupt_while_standard_input_keeps_silent_ends_the_job(tmp_path: Path) -> None:
    with running() as simulator:
        process = start(*("domains", "provision", "-", "--subscription", "demo"), stdin=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("domain\n" + "".join(f"d{i}.example\n" for i in range(1_000)))
        process.stdin.flush()
        while simulator.state.domain_count() < 1_000:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        code = process.wait(30)
        stored = simulator.state.domain_count()
        process.stdin.close()
        process.stderr.close()
        process.stdout.close()

    assert code == 130
    assert "1,000 domains in" in out
    assert "the rest of the input was not read" in out
    assert stored == 1_000


def test_an_interrupt_before_anything_is_sent_is_told_in_one_line(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        process = start("domains", "provision", "-", "--subscription", "demo", "--dry-run", stdin=reader)
        os.write(writer, b"domain\n" + b"".join(b"d%d.example\n" % i for i in range(1_000)))
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        run = finish(process)
    finally:
        os.close(reader)
        os.close(writer)

    assert run.code == 130
    assert run.err == "mailchannels: interrupted\n"


@pytest.mark.parametrize("module", ["httpx", "mailchannels.cli.app", "cyclopts"])
def test_an_interrupt_while_modules_are_imported_is_told_in_one_line(module: str) -> None:
    script = f"""
import os, signal, sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
from mailchannels.cli import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=process_environment(), check=False
    )

    assert (done.returncode, done.stderr) == (130, "mailchannels: interrupted\n")
