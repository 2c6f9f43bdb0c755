"""`mailchannels hybridbox create`: from a file to mailboxes, exit codes and reports."""

import csv
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mailchannels.simulator import Fault, Faults, Simulator

from .conftest import Cli, Run, finish, start

HEADER = "local_part,first_name,last_name\n"
ACCOUNT = "00000000-0000-4000-8000-000000000001"
TOKEN = "t0k3n-that-nobody-may-see"
BULK = ("POST", "/v1/public/accounts/{account_id}/mailboxes/bulk")


@pytest.fixture(autouse=True)
def _without_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRIDBOX_TOKEN", raising=False)
    monkeypatch.delenv("HYBRIDBOX_BASE_URL", raising=False)


@contextmanager
def running(*faults: Fault, **settings: Any) -> Iterator[Simulator]:
    """Run a simulator that the environment leads to."""
    with Simulator(faults=Faults(*faults), **settings) as simulator, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HYBRIDBOX_TOKEN", simulator.hybridbox_token)
        environment.setenv("HYBRIDBOX_BASE_URL", simulator.base_url)
        yield simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with running() as simulator:
        yield simulator


@pytest.fixture
def create(mailchannels: Cli, tmp_path: Path) -> Cli:
    def run(text: str | bytes, *options: str, name: str = "mailboxes.csv") -> Run:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        needed = {"--domain": "example.com", "--account": ACCOUNT, "--rate": "1000"}
        where = [word for option, value in needed.items() if option not in options for word in (option, value)]
        return mailchannels("hybridbox", "create", name, *where, *options)

    return run


def rows(count: int) -> str:
    return HEADER + "".join(f"user{number},User,No. {number}\n" for number in range(count))


def report(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_mailboxes_of_a_file_are_created(simulator: Simulator, create: Cli) -> None:
    run = create(HEADER + "jane,Jane,Doe\njohn,Jörg,O'Neil\n")

    assert run.code == 0
    assert "2 mailboxes in" in run.out
    stored = simulator.state.hybridbox.mailbox("john@example.com")
    assert stored is not None
    assert (stored.first_name, stored.last_name) == ("Jörg", "O'Neil")


def test_columns_come_in_any_order_and_case_and_others_are_ignored_aloud(simulator: Simulator, create: Cli) -> None:
    run = create("Last_Name,note,LOCAL_PART,first_name\nDoe,x,jane,Jane\n")

    assert run.code == 0
    assert "ignored 'note', which is none of local_part, first_name, last_name" in run.err
    assert simulator.state.hybridbox.mailbox("jane@example.com") is not None


def test_json_lines_are_read_too(simulator: Simulator, create: Cli) -> None:
    jane = {"local_part": "jane", "first_name": "Jane", "last_name": "Doe"}
    lines = [{**jane, "title": "Dr"}, {"local_part": "john"}]

    run = create("".join(f"{json.dumps(line)}\n" for line in lines), "--errors", "errors.csv", name="mailboxes.jsonl")

    assert run.code == 1
    assert simulator.state.hybridbox.mailbox_count() == 1
    assert "ignored 'title'" in run.err
    assert "line: is not a mailbox: $.first_name: is missing" in run.out
    assert list(report(Path("errors.csv"))[0])[:3] == ["local_part", "first_name", "last_name"]


@pytest.mark.parametrize(
    "given", [HEADER + "jane,Jane,Doe\n", '{"local_part": "jane", "first_name": "Jane", "last_name": "Doe"}\n']
)
def test_standard_input_is_either(simulator: Simulator, given: str) -> None:
    run = finish(
        start(*("hybridbox", "create", "-", "--domain", "example.com", "--account", ACCOUNT), stdin=subprocess.PIPE),
        given,
    )

    assert run.code == 0
    assert simulator.state.hybridbox.mailbox_count() == 1


def test_bad_rows_fail_with_their_line_and_reason_and_cost_no_good_ones(
    simulator: Simulator, create: Cli, tmp_path: Path
) -> None:
    run = create(
        HEADER
        + "jane,Jane,Doe\njo hn,John,Doe\na@example.com,A,B\n\nmax,Max,\n,No,Body\none,two,three,four\nlast,L,P\n",
        "--errors",
        "errors.csv",
    )

    assert run.code == 1
    for line in (
        "line 3: jo hn: failed: local_part: 'jo hn' contains white space",
        "line 4: a@example.com: failed: local_part: 'a@example.com' contains an @",
        "line 6: max: failed: last_name: is empty",
        "line 7: : failed: local_part: is empty",
        "line 8: one: failed: line: has 4 cells and the header has 3",
    ):
        assert f"\n{line}" in run.out
    assert simulator.state.hybridbox.mailbox_count() == 2
    assert [row["line"] for row in sorted(report(tmp_path / "errors.csv"), key=lambda row: row["line"])] == [
        *("3", "4", "6", "7", "8")
    ]


def test_what_the_api_refuses_is_reported_with_its_word_and_can_be_fed_back(
    simulator: Simulator, create: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    simulator.state.hybridbox.failures["user1"] = "quota_exceeded"
    first = create(rows(3), "--errors", "errors.csv")
    (row,) = report(tmp_path / "errors.csv")
    simulator.state.hybridbox.failures.clear()

    again = create((tmp_path / "errors.csv").read_text(), name="again.csv")

    assert (first.code, again.code) == (1, 0)
    assert "line 3: user1: failed quota_exceeded: user1 could not be created" in first.out
    assert "1 with quota_exceeded" in first.out
    assert (row["local_part"], row["first_name"], row["code"], row["retryable"]) == (
        "user1",
        "User",
        "quota_exceeded",
        "false",
    )
    assert simulator.state.hybridbox.mailbox_count() == 3


def test_a_repeated_row_is_created_once_and_a_contradiction_names_the_earlier_line(
    simulator: Simulator, create: Cli
) -> None:
    run = create(HEADER + "\njane,Jane,Doe\njane,Jane,Doe\njane,Janet,Doe\n")

    assert run.code == 1
    assert "line 5: jane: failed: local_part: jane stands in the input before, at line 3, with other content" in run.out
    assert simulator.state.hybridbox.mailbox_count() == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "FILE: 'mailboxes.csv' is empty; give it a header with the columns local_part, first_name, last_name"),
        ("local_part,first_name\njane,Jane\n", "FILE: has no column 'last_name'"),
        ("jane,Jane,Doe\n", "FILE: has no column 'local_part': its first line has 'jane', 'Jane', 'Doe'"),
        ("example.com\n", "FILE: has no column 'local_part'"),
        ("local_part,first_name,last_name,local_part\n", "FILE: has more than one column 'local_part'"),
        (b"local_part,first_name,last_name\njane,J\xe4ne,Doe\n", "FILE: line 2 is not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused_and_nothing_sent(
    text: str | bytes, complaint: str, simulator: Simulator, create: Cli
) -> None:
    run = create(text)

    assert (run.code, run.out) == (2, "")
    assert complaint in run.err
    assert simulator.requests == 0


def test_a_missing_file_is_refused(simulator: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("hybridbox", "create", "none.csv", "--domain", "example.com", "--account", ACCOUNT)

    assert (run.code, run.out) == (2, "")
    assert run.err == "mailchannels: FILE: cannot read 'none.csv': No such file or directory\n"


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--domain", "not a domain"), "--domain: 'not a domain' is not a domain name"),
        (("--domain", ""), "--domain: "),
        (("--account", "demo"), "--account: is no UUID"),
        (("--account", TOKEN), "--account: is no UUID"),
        (("--batch-size", "0"), "--batch-size"),
        (("--concurrency", "0"), "--concurrency"),
        (("--rate", "0"), "--rate"),
        (("--rate", "nan"), "--rate"),
        (("--token", TOKEN), "--token: there is none"),
        ((f"--token={TOKEN}",), "--token: there is none"),
    ],
)
def test_wrong_usage_is_told_by_option_and_nothing_sent(
    options: tuple[str, ...], complaint: str, dry_run: tuple[str, ...], simulator: Simulator, create: Cli
) -> None:
    run = create(rows(1), *options, *dry_run)

    assert (run.code, run.out) == (2, "")
    assert complaint in run.err
    assert TOKEN not in run.err
    assert simulator.requests == 0


def test_a_missing_token_says_where_to_put_it(create: Cli) -> None:
    run = create(rows(1), "--errors", "errors.csv")

    assert run.code == 2
    assert "--token-file" in run.err
    assert "$HYBRIDBOX_TOKEN" in run.err
    assert not Path("errors.csv").exists()


def test_the_token_may_come_from_the_first_line_of_a_file(
    simulator: Simulator, create: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HYBRIDBOX_TOKEN")
    (tmp_path / "token").write_text(f"{simulator.hybridbox_token}\nsecond line\n")

    assert create(rows(1), "--token-file", "token").code == 0


def test_a_token_given_for_its_file_is_not_shown(create: Cli) -> None:
    run = create(rows(1), "--token-file", TOKEN)

    assert run.code == 2
    assert "--token-file: cannot be read: No such file" in run.err
    assert TOKEN not in run.err


def test_the_address_may_be_an_option(simulator: Simulator, create: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRIDBOX_BASE_URL", "https://nowhere.invalid")

    assert create(rows(1), "--base-url", simulator.base_url).code == 0


def test_a_refused_token_stops_the_job_and_accounts_for_every_row(
    simulator: Simulator, create: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HYBRIDBOX_TOKEN", TOKEN)

    run = create(rows(30), "--batch-size", "10", "--concurrency", "1", "--errors", "errors.csv")

    left = report(tmp_path / "errors.csv")
    assert run.code == 4
    assert "stopped: POST /mailboxes/bulk: 401" in run.out
    assert [row["outcome"] for row in left] == ["failed"] * 10 + ["not_sent"] * 20
    assert simulator.requests == 1
    assert TOKEN not in run.out + run.err + (tmp_path / "errors.csv").read_text()


def test_no_connection_is_retryable(create: Cli) -> None:
    with running() as simulator:
        pass
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HYBRIDBOX_TOKEN", simulator.hybridbox_token)
        run = create(rows(1), "--base-url", simulator.base_url)

    assert run.code == 3
    assert "not sent" in run.out


def test_lost_answers_are_settled_by_the_list(create: Cli) -> None:
    with running(Fault("drop-after", every=3, path="/mailboxes/bulk")) as simulator:
        run = create(rows(1_000))

        assert (run.code, simulator.state.hybridbox.mailbox_count()) == (0, 1_000)
        assert simulator.seen[BULK] == 10


def test_what_stays_unknown_is_not_called_retryable(create: Cli, tmp_path: Path) -> None:
    """A mailbox is billed: a script that repeats at exit code 3 must not ask for it again without a look."""
    with running(Fault("drop-after", path="/mailboxes/bulk"), Fault("status", "404", method="GET")):
        run = create(rows(2), "--errors", "errors.csv")

    assert run.code == 1
    assert "unknown                         2  (sent, but the answer was lost)" in run.out
    assert {(row["outcome"], row["retryable"]) for row in report(tmp_path / "errors.csv")} == {("unknown", "false")}


def test_batches_are_as_large_as_asked_for(simulator: Simulator, create: Cli) -> None:
    assert create(rows(10), "--batch-size", "3").code == 0
    assert simulator.seen[BULK] == 4


def test_a_dry_run_needs_no_token_judges_every_row_and_sends_nothing(create: Cli, tmp_path: Path) -> None:
    run = create(
        HEADER + "jane,Jane,Doe\njane,Jane,Doe\njo hn,John,Doe\njane,Janet,Doe\nlast,L,P\n",
        *("--dry-run", "--batch-size", "1", "--rate", "4", "--errors", "errors.csv"),
    )

    assert run.code == 2
    assert "3 mailboxes in order; nothing was changed" in run.out
    assert "requests: 2, at least 0.5 s at 4 a second" in run.out
    assert "duplicates: 1, the same as an earlier row" in run.out
    assert "line 4: jo hn: failed: local_part: 'jo hn' contains white space" in run.out
    assert "line 5: jane: failed: local_part: jane stands in the input before, at line 2" in run.out
    assert [row["line"] for row in report(tmp_path / "errors.csv")] == ["4", "5"]


def test_a_dry_run_of_a_file_in_order_gives_0(simulator: Simulator, create: Cli) -> None:
    assert create(rows(2), "--dry-run").code == 0
    assert simulator.requests == 0


def test_the_embedded_simulator_needs_no_token_and_takes_any_account(create: Cli) -> None:
    run = create(rows(3), "--simulator", "--account", "123E4567-E89B-12D3-A456-426614174000")

    assert run.code == 0
    assert "nothing leaves this machine" in run.err


def test_the_embedded_simulator_goes_with_no_token_or_address_of_ones_own(create: Cli) -> None:
    run = create(rows(1), "--simulator", "--base-url", "https://boxes.example")

    assert run.code == 2
    assert "leave out --base-url and --token-file" in run.err


def test_a_word_of_the_api_cannot_move_the_cursor(simulator: Simulator, create: Cli, tmp_path: Path) -> None:
    simulator.state.hybridbox.failures["user0"] = "\x1b[2Jquota\nexceeded"

    run = create(rows(1), "--errors", "errors.csv")

    assert run.code == 1
    assert "\x1b" not in run.out + run.err
    assert "failed [2Jquota exceeded: user0 could not be created" in run.out


def test_an_interrupt_ends_the_job_with_a_summary_that_accounts_for_every_row(tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text(rows(5_000))
    with running(latency=0.5) as simulator:
        process = start(
            *("hybridbox", "create", "many.csv", "--domain", "example.com", "--account", ACCOUNT),
            *("--errors", "errors.csv", "--concurrency", "1"),
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("{") and json.loads(line)["done"]:
                process.send_signal(signal.SIGINT)
                break
        run = finish(process)
        stored = simulator.state.hybridbox.mailbox_count()

    left = report(tmp_path / "errors.csv")
    assert run.code == 130
    assert "5,000 mailboxes in" in run.out
    assert "interrupted" in run.out
    assert {row["outcome"] for row in left} == {"not_sent"}
    assert stored + len(left) == 5_000


def test_what_was_under_way_at_a_second_interrupt_is_unknown_and_not_called_retryable(tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text(rows(1_000))
    with running(latency=60) as simulator:
        process = start(
            *("hybridbox", "create", "many.csv", "--domain", "example.com", "--account", ACCOUNT),
            *("--errors", "errors.csv", "--concurrency", "1"),
        )
        assert process.stderr is not None
        while not simulator.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        for line in process.stderr:
            if "interrupted: waiting" in line:
                break
        process.send_signal(signal.SIGINT)
        run = finish(process)

    left = report(tmp_path / "errors.csv")
    assert run.code == 130
    assert len(left) == 1_000
    assert {(row["outcome"], row["retryable"]) for row in left} == {("unknown", "false"), ("not_sent", "true")}


def test_words_and_statuses_are_counted_side_by_side(create: Cli) -> None:
    with running(Fault("status", "404", every=2, path="/mailboxes/bulk")) as simulator:
        simulator.state.hybridbox.failures["user0"] = "quota_exceeded"
        run = create(rows(2), "--batch-size", "1", "--concurrency", "1")

    assert run.code == 1
    assert "1 with 404 Not Found, 1 with quota_exceeded" in run.out
