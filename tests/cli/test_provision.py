"""`mailchannels domains provision`: from a file to exit codes, reports and progress."""

import csv
import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from sockets import EMPTY_PAGE, RawServer, answer

from mailchannels.jobs.report import ErrorFile
from mailchannels.simulator import Simulator

from .conftest import Cli, Run, finish, running, start

EARLIER = "domain,line,code,reason,outcome,attempts,retryable\n" + "z.example,1,500,failed,true,oops\n" * 100
HEADER = "domain,downstream_addresses,customer\n"


@pytest.fixture
def provision(mailchannels: Cli, tmp_path: Path) -> Cli:
    def run(text: str, *options: str, name: str = "domains.csv", subscription: str = "demo") -> Run:
        (tmp_path / name).write_text(text)
        return mailchannels("domains", "provision", name, "--subscription", subscription, *options)

    return run


def report(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def progress(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.err.splitlines() if line.startswith("{")]


def test_all_domains_of_a_file_are_provisioned(simulator: Simulator, provision: Cli) -> None:
    run = provision(HEADER + "a.example,10 10 25 mx.hosting.example.,1\nb.example,,2\n")

    assert run.code == 0
    assert "2 domains in" in run.out
    assert simulator.state.domain_count() == 2
    domain = simulator.state.domain("a.example")
    assert domain is not None
    assert "mx.hosting.example." in str(domain.downstream_addresses)


def test_json_lines_are_provisioned_too(simulator: Simulator, provision: Cli) -> None:
    run = provision('{"domain": "a.example"}\n{"domain": "b.example"}\n', name="domains.jsonl")

    assert run.code == 0
    assert simulator.state.domain_count() == 2


def test_what_is_ignored_is_named_before_anything_is_sent_with_what_may_have_been_meant(
    simulator: Simulator, provision: Cli
) -> None:
    table = provision("domain,admin,customer\na.example,,\n")
    lines = provision('{"domain": "b.example", "alias": [], "settings": {"spamHeader": "x"}}\n', name="domains.jsonl")

    assert table.err.startswith(
        "mailchannels: FILE: ignored 'admin' (did you mean 'admins'?), 'customer', which is none "
    )
    assert lines.err.startswith(
        "mailchannels: FILE: ignored 'alias' (did you mean 'aliases'?), 'settings.spamHeader' (did you mean "
        "'settings.spamHeaderName'?), which is none "
    )
    assert lines.err.count("ignored") == 1


def test_no_more_is_done_than_there_is_whatever_the_quotes(simulator: Simulator, provision: Cli) -> None:
    run = provision('domain,admins\na.example,"x@a.example\nb.example,\nc.example,\n')

    last = json.loads(run.err.splitlines()[-1])
    assert (last["done"], last["total"]) == (3, 3)


def test_the_embedded_simulator_needs_no_key_and_says_that_nothing_leaves_the_machine(provision: Cli) -> None:
    run = provision("a.example\n", "--simulator")

    assert run.code == 0
    assert "nothing leaves this machine" in run.err
    assert "http://127.0.0.1:" in run.err


def test_a_proxy_does_not_stand_before_the_embedded_simulator_and_stays_for_what_comes_after(
    provision: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "other.example"}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.lower(), raising=False)
    before = dict(os.environ)

    run = provision("a.example\n", "--simulator")

    assert run.code == 0
    assert dict(os.environ) == before


def test_progress_is_json_with_a_last_line_of_the_whole(simulator: Simulator, provision: Cli) -> None:
    run = provision("a.example\nnot a name\n")

    first, *_, last = progress(run)
    assert (first["done"], first["total"]) == (0, 2)
    assert (last["done"], last["total"], last["succeeded"], last["invalid"]) == (2, 2, 1, 1)


def test_bad_rows_fail_with_their_line_and_cost_no_good_ones(
    simulator: Simulator, provision: Cli, tmp_path: Path
) -> None:
    run = provision(HEADER + "a.example,,1\nb..example,,2\nc.example,nonsense,3\n", "--errors", "errors.csv")

    assert run.code == 1
    assert "line 3: b..example: failed" in run.out
    assert "line 4: c.example: failed" in run.out
    assert simulator.state.domain_count() == 1
    assert {
        (row["domain"], row["customer"], row["line"], row["code"], row["outcome"])
        for row in report(tmp_path / "errors.csv")
    } == {
        ("b..example", "2", "3", "", "failed"),
        ("c.example", "3", "4", "", "failed"),
    }


def test_a_report_that_was_mended_goes_through_when_fed_back(
    simulator: Simulator, provision: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    provision(HEADER + "a.example,,1\nb..example,,2\nc.example,10 10 mx.example.,3\n", "--errors", "errors.csv")
    path = tmp_path / "errors.csv"
    path.write_text(path.read_text().replace("b..", "b.").replace("10 10 mx", "10 10 25 mx"))

    run = mailchannels("domains", "provision", "errors.csv", "--subscription", "demo", "--errors", "again.csv")

    assert run.code == 0
    assert simulator.state.domain_count() == 3
    assert report(tmp_path / "again.csv") == []


def test_a_row_that_cannot_be_read_is_mended_in_the_report_and_not_taken_for_mended_before(
    simulator: Simulator, provision: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    again = ("domains", "provision", "errors.csv", "--subscription", "demo")
    provision('domain,admins\na.example,x@a.example,y@a.example\nb.example,"x@b.example\n', "--errors", "errors.csv")
    path = tmp_path / "errors.csv"
    written = path.read_text()

    unchanged = mailchannels(*again, "--errors", "again.csv")
    path.write_text(
        written.replace("x@a.example", "x@a.example;y@a.example")
        .replace("false,y@a.example", "false")
        .replace('"""x@b.example"', "x@b.example")
        .replace(',"b.example,""x@b.example"', "")
    )
    mended = mailchannels(*again)

    assert unchanged.code == 1
    assert "succeeded                       0" in unchanged.out
    assert [row["domain"] for row in report(tmp_path / "again.csv")] == ["a.example", "b.example"]
    assert mended.code == 0
    assert simulator.state.domain_count() == 2


def test_only_retryable_errors_left_give_3_and_their_report_goes_through_unchanged(
    simulator: Simulator, provision: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    simulator.state.fail_next("b.example", times=100)
    run = provision(HEADER + "a.example,,1\nb.example,10 10 25 mx.hosting.example.,2\n", "--errors", "errors.csv")
    (row,) = report(tmp_path / "errors.csv")
    simulator.state.fail_next("b.example", times=0)

    again = mailchannels("domains", "provision", "errors.csv", "--subscription", "demo")

    assert run.code == 3
    assert (row["domain"], row["line"], row["code"], row["outcome"], row["retryable"]) == (
        "b.example",
        "3",
        "500",
        "failed",
        "true",
    )
    assert again.code == 0
    assert "ignored 'customer'" in again.err
    domain = simulator.state.domain("b.example")
    assert domain is not None
    assert "mx.hosting.example." in str(domain.downstream_addresses)


def test_the_report_of_json_lines_is_csv_that_goes_through_unchanged(
    simulator: Simulator, provision: Cli, mailchannels: Cli
) -> None:
    line = {
        "domain": "a.example",
        "admins": ["x@a.example", "y@a.example"],
        "aliases": [],
        "downstreamAddresses": [{"priority": 1, "weight": 2, "port": 25, "target": "mx.hosting.example."}],
        "settings": {"abusePolicy": "flag", "abusePolicyOverride": True},
    }
    simulator.state.fail_next("a.example", times=100)
    first = provision(orjson.dumps(line).decode() + "\n", "--errors", "errors.csv", name="domains.jsonl")
    simulator.state.fail_next("a.example", times=0)

    again = mailchannels("domains", "provision", "errors.csv", "--subscription", "demo")
    stored = json.loads(mailchannels("domains", "get", "a.example").out)

    assert (first.code, again.code) == (3, 0)
    assert {key: stored[key] for key in ("admins", "downstreamAddresses", "settings")} == {
        key: line[key] for key in ("admins", "downstreamAddresses", "settings")
    }


def test_a_line_of_json_that_a_report_has_whole_goes_through_once_it_is_mended(
    simulator: Simulator, provision: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    line = '{"domain": "a.example", "abuse_policy": "flag"}\n'
    first = provision(line, "--errors", "errors.csv", name="domains.jsonl")
    reported = (tmp_path / "errors.csv").read_text()
    mended = reported.replace('""abuse_policy"": ""flag""', '""settings"": {""abusePolicy"": ""flag""}')
    (tmp_path / "mended.csv").write_text(mended)

    again = mailchannels("domains", "provision", "mended.csv", "--subscription", "demo")
    unmended = mailchannels("domains", "provision", "errors.csv", "--subscription", "demo")

    assert mended != reported
    assert (first.code, again.code, unmended.code) == (1, 0, 1)
    assert json.loads(mailchannels("domains", "get", "a.example").out)["settings"] == {"abusePolicy": "flag"}
    assert "abuse_policy: is not read under this name; write settings.abusePolicy" in unmended.out + unmended.err


def test_another_customers_domain_fails_with_its_code(simulator: Simulator, provision: Cli) -> None:
    simulator.state.add_customer("other", keys=["other-key"], subscriptions=["other"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILCHANNELS_API_KEY", "other-key")
        provision("a.example\n", subscription="other")

    run = provision("a.example\nb.example\n")

    assert run.code == 1
    assert "409 Conflict" in run.out


def test_a_refused_key_stops_the_job(simulator: Simulator, provision: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "wrong-secret")

    run = provision("a.example\nb.example\n")

    assert run.code == 4
    assert "stopped: " in run.out
    assert "wrong-secret" not in run.out + run.err


@pytest.mark.parametrize("code", [401, 403])
def test_a_domain_that_is_refused_on_its_own_stops_nothing(
    provision: Cli, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    said = {
        "successes": [{"code": 201, "domain": {"domain": "b.example"}}],
        "errors": [{"code": code, "comment": "not this one", "domain": {"domain": "a.example"}}],
    }
    with RawServer(answer(said)) as server:
        run = provision("a.example\nb.example\n", "--base-url", server.url)

    assert run.code == 1
    assert "stopped" not in run.out
    assert f"line 1: a.example: failed {code}: not this one" in run.out


def test_a_reached_quota_stops_the_job_and_accounts_for_every_row(provision: Cli, tmp_path: Path) -> None:
    rows = "".join(f"d{i}.example\n" for i in range(30_000))
    with running(domain_limit=1_000) as simulator:
        run = provision(rows, "--concurrency", "1", "--errors", "errors.csv")

        assert simulator.state.domain_count() == 1_000
    left = report(tmp_path / "errors.csv")
    assert run.code == 4
    assert len({row["domain"] for row in left}) == len(left) == 29_000
    assert {row["outcome"] for row in left} == {"failed", "not_sent"}
    assert "30,000 domains in" in run.out


def test_no_connection_is_retryable(provision: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as simulator:
        base_url = simulator.base_url
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")

    run = provision("a.example\n", "--base-url", base_url)

    assert run.code == 3
    assert "not sent" in run.out
    assert run.out.startswith("1 domain in ")
    assert run.out.splitlines()[0].endswith("(0 a second)")
    done = [line["done"] for line in progress(run)]
    assert (done[0], done[-1], set(done)) == (0, 1, {0, 1})
    assert f"line 1: a.example: not_sent: no connection to {base_url}/" in run.out


def test_an_address_that_was_given_as_a_name_is_shown_and_one_of_the_api_is_not(
    provision: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    error = {"code": 409, "comment": "see https://login.example/secret", "domain": {"domain": "a.example"}}
    with RawServer(answer({"successes": [], "errors": [error]})) as server:
        run = provision(
            "domain\nhttps://shop.example/\na.example\n", "--base-url", server.url, "--errors", "errors.csv"
        )

    assert "line 2: https://shop.example/: failed: domain: 'https://shop.example/'" in run.out
    assert "line 3: a.example: failed 409: see <link left out>" in run.out
    assert "secret" not in run.out + run.err + (tmp_path / "errors.csv").read_text()


def test_a_client_that_can_send_nothing_is_wrong_usage_and_costs_no_earlier_report(
    provision: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    monkeypatch.setenv("ALL_PROXY", "ftp://127.0.0.1:9")
    (tmp_path / "keep.csv").write_text(EARLIER)

    run = provision("a.example\n", "--base-url", "http://127.0.0.1:9", "--errors", "keep.csv")

    assert (run.code, run.out) == (2, "")
    assert "the proxy that the environment names cannot be used" in run.err
    assert (tmp_path / "keep.csv").read_text() == EARLIER


@pytest.fixture
def untrusted(tmp_path: Path) -> ssl.SSLContext:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_certificate_that_nobody_trusts_is_not_worth_another_try(
    provision: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, untrusted: ssl.SSLContext
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")
    with RawServer(answer(EMPTY_PAGE), tls=untrusted) as server:
        run = provision("a.example\n", "--base-url", server.url, "--errors", "errors.csv")

    assert run.code == 4
    assert [(row["outcome"], row["retryable"]) for row in report(tmp_path / "errors.csv")] == [("not_sent", "false")]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_run_that_is_refused_leaves_the_report_as_it_was(
    simulator: Simulator, provision: Cli, tmp_path: Path, is_there: bool
) -> None:
    if is_there:
        (tmp_path / "keep.csv").write_text(EARLIER)

    run = provision("a.example\n", "--errors", "keep.csv", subscription="")

    assert run.code == 2
    assert (tmp_path / "keep.csv").exists() == is_there
    assert not is_there or (tmp_path / "keep.csv").read_text() == EARLIER


@pytest.mark.parametrize("earlier", [EARLIER, EARLIER.upper(), "", "\ufeff" + EARLIER])
def test_a_run_without_problems_leaves_nothing_of_an_earlier_report_but_the_header(
    simulator: Simulator, provision: Cli, tmp_path: Path, earlier: str
) -> None:
    (tmp_path / "errors.csv").write_text(earlier)

    run = provision("a.example\n", "--errors", "errors.csv")

    assert run.code == 0
    assert (tmp_path / "errors.csv").read_text() == "domain,line,code,reason,outcome,attempts,retryable\n"


@pytest.mark.parametrize(
    "content",
    ["mine", "domain\na.example\n", "\nmine\n", "line,code,reason,outcome,attempts,retryable,domain\n", '"a"b\n'],
)
@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_file_that_is_no_report_is_not_replaced_and_nothing_is_sent(
    simulator: Simulator, provision: Cli, tmp_path: Path, content: str, option: tuple[str, ...]
) -> None:
    (tmp_path / "keep.csv").write_text(content)

    run = provision("a.example\nb..example\n", "--errors", "keep.csv", *option)

    assert run.code == 2
    assert "--errors: 'keep.csv' is there and no earlier report; move it or give another path" in run.err
    assert (tmp_path / "keep.csv").read_text() == content
    assert simulator.requests == 0


def test_a_file_whose_first_line_has_no_end_is_no_report(simulator: Simulator, provision: Cli, tmp_path: Path) -> None:
    (tmp_path / "keep.csv").write_text("x" * 200_000)

    run = provision("a.example\n", "--errors", "keep.csv")

    assert run.code == 2
    assert "'keep.csv' is there and no earlier report" in run.err
    assert (tmp_path / "keep.csv").read_text() == "x" * 200_000


def test_a_report_can_go_to_a_device(simulator: Simulator, provision: Cli) -> None:
    assert provision("a.example\nb..example\n", "--errors", "/dev/null").code == 1


def test_a_report_that_cannot_be_written_stops_the_job_and_a_plan(simulator: Simulator, provision: Cli) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no device here that is always full")

    run = provision("a.example\nb..example\n", "--errors", "/dev/full")
    plan = provision("a.example\nb..example\n", "--errors", "/dev/full", "--dry-run")

    assert run.code == 4
    assert "stopped: --errors could not be written: No space left on device" in run.out
    assert (plan.code, plan.out) == (2, "")
    assert plan.err.endswith("No space left on device\n")


def test_keys_that_mean_nothing_are_named_late_where_standard_input_has_them(simulator: Simulator) -> None:
    process = start("domains", "provision", "-", "--subscription", "demo", stdin=subprocess.PIPE)

    run = finish(process, '{"domain": "a.example"}\n{"domain": "b.example", "customer": 7}\n')

    assert run.code == 0
    assert "mailchannels: FILE: " in run.err
    assert "'customer'" in run.err


def test_columns_of_the_user_that_are_called_like_ours_stay_in_the_report_and_in_the_report_of_it(
    simulator: Simulator, provision: Cli, mailchannels: Cli, tmp_path: Path
) -> None:
    run = provision("domain,Code,line\nb..example,C7,main\n", "--errors", "errors.csv")
    again = mailchannels("domains", "provision", "errors.csv", "--subscription", "demo", "--errors", "again.csv")

    assert (run.code, again.code) == (1, 1)
    assert "ignored 'Code', 'line'" in run.err
    for name, line in (("errors.csv", "2"), ("again.csv", "2")):
        header, row = (tmp_path / name).read_text().splitlines()
        assert header == "domain,Code,line,line,code,reason,outcome,attempts,retryable"
        assert row.startswith(f"b..example,C7,main,{line},,")
        assert row.endswith(",failed,0,false")


def test_settings_that_were_not_applied_are_reported_and_overwrite_applies_them(
    simulator: Simulator, provision: Cli, tmp_path: Path
) -> None:
    provision("a.example\n")
    rows = "domain,admins\na.example,x@a.example\n"

    kept = provision(rows, "--errors", "errors.csv")
    (row,) = report(tmp_path / "errors.csv")
    replaced = provision(rows, "--overwrite")

    assert (kept.code, replaced.code) == (1, 0)
    assert "settings not applied" in kept.out
    assert (row["domain"], row["outcome"]) == ("a.example", "settings_not_applied")
    assert "settings not applied" not in replaced.out


def test_a_row_for_another_subscription_is_not_provisioned_against_this_one(
    simulator: Simulator, provision: Cli
) -> None:
    run = provision("domain,subscription_handle\na.example,basic\nb.example,demo\n")

    assert run.code == 1
    assert "line 2: a.example: failed: subscription_handle: 'basic'" in run.out
    assert simulator.state.domain_count() == 1


def test_the_key_may_come_from_the_first_line_of_a_file(
    simulator: Simulator, provision: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILCHANNELS_API_KEY")
    (tmp_path / "key").write_text("demo-key\nsecond line\n")

    assert provision("a.example\n", "--api-key-file", "key").code == 0


def test_more_than_twenty_problems_are_counted_and_not_all_shown(simulator: Simulator, provision: Cli) -> None:
    run = provision("domain\n" + "".join(f"bad..{i}.example\n" for i in range(25)))

    assert "line 21: " in run.out
    assert "line 22: " not in run.out
    assert "... and 5 more; --errors PATH keeps them all" in run.out


def test_a_cause_that_the_first_rows_share_does_not_hide_the_others(simulator: Simulator, provision: Cli) -> None:
    simulator.state.fail_next("y.example", times=100)
    rows = [f"bad..{i}.example," for i in range(50)] + [f"a{i}.example,nobody{i}" for i in range(50)]
    rows += ["x.example,1,2", "y.example,x@y.example"]

    run = provision("domain,admins\n" + "\n".join(rows) + "\n")

    quoted = [line for line in run.out.splitlines() if line.startswith("line ")]
    assert len(quoted) == 20
    for begin in ("line 2: ", "line 17: ", "line 52: ", "line 53: ", "line 102: x.example", "line 103: y.example"):
        assert any(line.startswith(begin) for line in quoted)
    assert quoted == sorted(quoted, key=lambda line: int(line.split()[1].rstrip(":")))


def test_a_full_disk_stops_the_job(simulator: Simulator, provision: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ErrorFile, "write", full)

    run = provision("a.example\nb..example\n", "--errors", "errors.csv")

    assert run.code == 4
    assert "stopped: --errors could not be written: No space left on device" in run.out
