"""`--dry-run`: everything is read and judged, nothing is changed, and no key is needed."""

import csv
import json
from pathlib import Path

import pytest
from sockets import RawServer, answer

from mailchannels import repeats
from mailchannels.jobs import plan
from mailchannels.simulator import Simulator

from .conftest import Cli, Run, running


@pytest.fixture
def dry_run(mailchannels: Cli, tmp_path: Path) -> Cli:
    def run(text: str, *options: str, command: str = "provision") -> Run:
        (tmp_path / "domains.csv").write_text(text)
        what = ("--subscription", "demo") if command == "provision" else ("--output", "links.csv")
        return mailchannels("domains", command, "domains.csv", "--dry-run", *what, *options)

    return run


def test_a_file_in_order_gives_0_and_an_estimate(dry_run: Cli) -> None:
    run = dry_run("domain\n" + "".join(f"d{i}.example\n" for i in range(2_500)), "--rate", "10")

    assert run.code == 0
    assert "2,500 domains in order; nothing was changed" in run.out
    assert "requests: 3, at least 0.3 s at 10 a second" in run.out


def test_nothing_is_sent_but_a_question_about_the_subscription(simulator: Simulator, dry_run: Cli) -> None:
    dry_run("a.example\n")

    assert list(simulator.seen) == [("GET", "/inbound/v1/subscriptions")]


def test_what_does_not_fit_into_the_subscription_is_counted(mailchannels: Cli, dry_run: Cli, tmp_path: Path) -> None:
    with running(domain_limit=5):
        (tmp_path / "before.csv").write_text("x.example\ny.example\n")
        mailchannels("domains", "provision", "before.csv", "--subscription", "demo")
        run = dry_run("a.example\na.example\nb.example\nc.example\nd.example\ne.example\n")

    assert run.code == 0
    assert "new to the file: 5" in run.out
    assert "duplicates: 1" in run.out
    assert "the subscription has 2 domains of 5, and room for 3" in run.out
    assert "over quota: 2, unless" in run.out


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ([{"featureHandle": "max-domains", "value": "7"}], "has 3 domains of 7, and room for 4"),
        ([{"featureHandle": "domain-aliases", "value": "7"}], "has 3 domains and names no limit"),
        ([{"featureHandle": "domains", "value": "unlimited"}], "has 3 domains and names no limit"),
        ([], "has 3 domains and names no limit"),
    ],
)
def test_whatever_a_limit_is_called_and_says_it_is_read_with_care(
    dry_run: Cli, monkeypatch: pytest.MonkeyPatch, limits: list[dict[str, str]], said: str
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    plan = {"handle": "p", "name": "P"}
    subscriptions = [{"handle": "demo", "active": True, "plan": plan, "limits": limits, "activeAccountsCount": 3}]
    with RawServer(answer(subscriptions)) as server:
        run = dry_run("a.example\n", "--base-url", server.url)

    assert run.code == 0
    assert said in run.out


def test_a_subscription_that_the_key_does_not_have_is_wrong_usage(
    simulator: Simulator, mailchannels: Cli, tmp_path: Path
) -> None:
    (tmp_path / "domains.csv").write_text("a.example\n")

    run = mailchannels("domains", "provision", "domains.csv", "--dry-run", "--subscription", "dmeo")

    assert run.code == 2
    assert run.err.endswith("--subscription: 'dmeo' is none of the subscriptions that the key has: 'demo'\n")


def test_a_refused_key_shows_and_the_file_is_judged_all_the_same(
    simulator: Simulator, dry_run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "wrong")

    run = dry_run("a.example\n")

    assert run.code == 4
    assert "1 domain in order" in run.out
    assert "the subscription could not be asked for its room: GET /subscriptions: 401" in run.out


def test_a_plan_can_be_read_by_programs(simulator: Simulator, dry_run: Cli) -> None:
    run = dry_run("domain\na.example\na.example\nb..example\n", "--json", "--progress", "none")

    plan = json.loads(run.out)
    assert run.code == 2
    assert run.err == ""
    assert (plan["new"], plan["duplicates"], plan["invalid"], plan["over_quota"]) == (1, 1, 1, 0)
    assert [problem["line"] for problem in plan["problems"]] == [4]


def test_every_invalid_row_is_shown_with_its_line_and_reason(dry_run: Cli, tmp_path: Path) -> None:
    run = dry_run(
        "domain,admins,subscription_handle\n"
        "a.example,,\n..,,\nb.example,nobody,\nc.example,,basic\nd.example,,,,x\nlocalhost,,\n",
        "--errors",
        "errors.csv",
    )

    assert run.code == 2
    assert "invalid: 4" in run.out
    for start in (
        "line 3: ..: failed: domain: ",
        "line 4: b.example: failed: admins[0]: 'nobody' is no email address",
        "line 5: c.example: failed: subscription_handle: 'basic' is not the 'demo' that is provisioned",
        "line 6: d.example: failed: line: has 5 cells and the header has 3",
    ):
        assert f"\n{start}" in run.out
    with (tmp_path / "errors.csv").open(newline="") as file:
        assert [row["line"] for row in csv.DictReader(file)] == ["3", "4", "5", "6"]


def test_invalid_rows_are_shown_where_no_report_is_asked_for(dry_run: Cli) -> None:
    run = dry_run("a.example\nb..example\n")

    assert run.code == 2
    assert "  invalid: 1\nline 2: b..example: failed: domain: " in run.out
    assert "are in" not in run.out


def test_duplicates_are_counted_whatever_their_spelling(dry_run: Cli) -> None:
    run = dry_run("domain,admins\na.example,\nA.Example.,\nb.example,\n")

    assert run.code == 0
    assert "3 domains in order" in run.out
    assert "duplicates: 1, the same as an earlier row" in run.out


def test_repeats_share_a_request(dry_run: Cli) -> None:
    run = dry_run("a.example\n" * 10_000)

    assert "requests: 1, " in run.out


def test_a_name_with_other_content_is_invalid_in_the_words_of_a_real_run(
    simulator: Simulator, dry_run: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    text = "domain,admins\na.example,\nbad..example,\nb.example,\n\nB.Example,x@a.example\n"

    dry = dry_run(text, "--errors", "errors.csv")
    real = mailchannels("domains", "provision", "domains.csv", "--subscription", "demo")

    complaint = "line 6: B.Example: failed: domain: b.example stands in the input before, at line 4, with other content"
    assert dry.code == 2
    assert complaint in dry.out.splitlines()
    assert complaint in real.out.splitlines()
    with (tmp_path / "errors.csv").open(newline="") as file:
        assert [row["line"] for row in csv.DictReader(file)] == ["3", "6"]


def test_a_row_that_names_the_subscription_of_the_run_repeats_one_that_does_not(dry_run: Cli) -> None:
    run = dry_run("domain,subscription_handle\na.example,\na.example,demo\n")

    assert run.code == 0
    assert "duplicates: 1," in run.out


def test_repeats_are_known_as_far_as_in_a_real_run() -> None:
    assert plan.REMEMBERED == repeats.REMEMBERED


def test_repeats_that_are_too_far_apart_are_not_known(dry_run: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "REMEMBERED", 2)

    run = dry_run("\n".join(f"{name}.example" for name in "abcadea"))

    assert "new to the file: 6" in run.out
    assert "duplicates: 1" in run.out


def test_for_login_links_only_the_names_count_and_no_file_is_made(dry_run: Cli, tmp_path: Path) -> None:
    run = dry_run("domain,admins\na.example,nobody\n", command="login-links")

    assert run.code == 0
    assert not (tmp_path / "links.csv").exists()


def test_an_empty_subscription_is_wrong_usage(mailchannels: Cli, tmp_path: Path) -> None:
    (tmp_path / "domains.csv").write_text("a.example\n")

    run = mailchannels("domains", "provision", "domains.csv", "--dry-run", "--subscription", "")

    assert run.code == 2
    assert run.err.endswith("mailchannels: --subscription: is empty\n")
