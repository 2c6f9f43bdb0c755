"""Small commands, wrong usage, and what every command has in common."""

import errno
import json
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import AsyncMock, Mock
from urllib.parse import parse_qs, urlsplit

import pytest
from sockets import EMPTY_PAGE, RawServer, answer

import mailchannels as package
from mailchannels import ConnectError
from mailchannels.cli import main
from mailchannels.simulator import Simulator

from .conftest import Cli, Run, finish, process_environment, start


@pytest.fixture
def against(mailchannels: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command line against another server than the simulator."""
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")

    def run(url: str, *arguments: str) -> Run:
        monkeypatch.setenv("MAILCHANNELS_BASE_URL", url)
        return mailchannels(*arguments)

    return run


@pytest.fixture
def stored(simulator: Simulator, mailchannels: Cli, tmp_path: Path) -> Simulator:
    (tmp_path / "domains.csv").write_text(
        "domain,admins,downstream_addresses,abuse_policy\n"
        "a.example,x@a.example; y@a.example,10 10 25 mx.hosting.example.,flag\nb.example,,,\nc.example,,,\n"
    )
    assert mailchannels("domains", "provision", "domains.csv", "--subscription", "demo").code == 0
    return simulator


def test_list_prints_a_domain_a_line_in_columns(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "list")

    assert run.code == 0
    assert run.out.splitlines() == [
        "a.example\tdemo\tflag\t10 10 25 mx.hosting.example.",
        "b.example\tdemo\t\t",
        "c.example\tdemo\t\t",
    ]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--limit", "2"), ["a.example", "b.example"]),
        (("--limit", "1", "--offset", "1"), ["b.example"]),
        (("--offset", "1"), ["b.example", "c.example"]),
    ],
)
def test_list_takes_a_part(stored: Simulator, mailchannels: Cli, options: tuple[str, ...], names: list[str]) -> None:
    run = mailchannels("domains", "list", *options)

    assert [line.split("\t")[0] for line in run.out.splitlines()] == names


def test_list_asks_the_server_to_skip_and_goes_on_to_the_last_page(against: Cli) -> None:
    pages = [{"domains": [{"domain": name}], "total": 6} for name in ("e.example", "f.example")]
    with RawServer(*map(answer, pages)) as server:
        run = against(server.url, "domains", "list", "--offset", "4")

    assert [line.split("\t")[0] for line in run.out.splitlines()] == ["e.example", "f.example"]
    assert [parse_qs(urlsplit(line.split()[1]).query) for line in server.lines] == [
        {"limit": ["5000"], "offset": ["4"]},
        {"limit": ["5000"], "offset": ["5"]},
    ]


def test_a_domain_that_shifts_onto_the_next_page_is_listed_once(against: Cli) -> None:
    pages = [{"domains": [{"domain": name}], "total": 3} for name in ("a.example", "a.example", "b.example")]
    with RawServer(*map(answer, pages)) as server:
        run = against(server.url, "domains", "list")

    assert [line.split("\t")[0] for line in run.out.splitlines()] == ["a.example", "b.example"]


def test_list_beyond_the_last_domain_prints_nothing(against: Cli) -> None:
    with RawServer(answer({**EMPTY_PAGE, "total": 9})) as server:
        run = against(server.url, "domains", "list", "--offset", "20")

    assert (run.code, run.out, len(server.lines)) == (0, "", 1)


def test_list_into_a_closed_pipe_ends_quietly(stored: Simulator) -> None:
    process = start("domains", "list")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None

    run = finish(process)

    assert (run.code, run.err) == (0, "")


def test_get_prints_json_in_the_vendors_spelling(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "get", "b.example", "A.Example")

    assert run.code == 0
    first, second = map(json.loads, run.out.splitlines())
    assert (first["domain"], second["domain"]) == ("b.example", "a.example")
    assert second["downstreamAddresses"][0]["target"] == "mx.hosting.example."


def test_get_tells_which_domain_is_not_there(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "get", "a.example", "z.example")

    assert run.code == 1
    assert json.loads(run.out)["domain"] == "a.example"
    assert run.err == "mailchannels: z.example is not there\n"


@pytest.mark.parametrize("spelling", ["Bücher.Example", "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE."])
def test_get_finds_a_domain_however_the_answer_spells_it(against: Cli, spelling: str) -> None:
    with RawServer(answer({"domains": [{"domain": spelling}], "total": 1})) as server:
        run = against(server.url, "domains", "get", "bücher.example")

    assert (run.code, run.err) == (0, "")
    assert json.loads(run.out)["domain"] == spelling


@pytest.mark.parametrize("command", [("list",), ("get", "a.example"), ("delete", "--yes", "a.example")])
def test_what_a_server_says_can_neither_steer_the_terminal_nor_show_a_link(
    against: Cli, command: tuple[str, ...]
) -> None:
    said = {"message": "no\x1b[2J\nmailchannels: all is well https://login.example/secret"}
    with RawServer(answer(said, status=400)) as server:
        run = against(server.url, "domains", *command)

    assert run.code == 1
    assert "400 no [2J mailchannels: all is well <link left out>" in run.err
    assert run.err.count("\n") == 1
    assert "\x1b" not in run.err


def test_delete_needs_yes_where_nobody_can_be_asked(stored: Simulator) -> None:
    run = finish(start("domains", "delete", "a.example"))

    assert run.code == 2
    assert run.err == "mailchannels: --yes: is needed to delete where nobody can be asked; nothing was sent\n"
    assert stored.state.domain_count() == 3


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_delete_asks_on_a_terminal(
    stored: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answer

    monkeypatch.setattr(sys, "stdin", Terminal())

    run = mailchannels("domains", "delete", "a.example")

    assert run.code == code
    question = "Delete a.example with everything that belongs to them? [y/N] "
    said = "" if code == 0 else "mailchannels: nothing was deleted\n"
    assert run.err == question + ("" if answer else "\n") + said
    assert (stored.state.domain("a.example") is None) == (answer == "y\n")


def test_delete_goes_on_after_a_domain_that_is_not_there(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "delete", "--yes", "a.example", "z.example", "b.example")

    assert run.code == 1
    assert run.out == "deleted a.example\ndeleted b.example\n"
    assert "z.example was not deleted" in run.err


def test_delete_sends_nothing_where_one_name_is_none(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "delete", "--yes", "a.example", "../users")

    assert run.code == 2
    assert stored.state.domain_count() == 3


def test_a_refused_key_gives_4(stored: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "wrong-secret")

    for command in (("list",), ("get", "a.example"), ("delete", "--yes", "a.example")):
        run = mailchannels("domains", *command)

        assert run.code == 4
        assert run.err.startswith("mailchannels: ")
        assert "wrong-secret" not in run.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("domains provision domains.csv", "--subscription: is required (--help"),
        ("domains provision domains.csv --subscription", "--subscription: has no value (--help"),
        ("domains provision domains.csv --subscripton x", "--subscription: is required. Did you mean --subscription"),
        ("domains provision --subscription demo", "FILE: is required (--help"),
        ("domains provision domains.csv more.csv --subscription demo", "there is no argument for 'more.csv' (--help"),
        ("domains provision none.csv --subscription demo --simulator", "FILE: cannot read 'none.csv': No such file"),
        ("domains provision domains.csv --subscription demo --concurrency 0", "--concurrency"),
        ("domains provision domains.csv --subscription demo --concurrency 101", "--concurrency"),
        ("domains provision domains.csv --subscription demo --rate 0", "--rate"),
        ("domains provision domains.csv --subscription demo --rate nan", "--rate"),
        ("domains provision domains.csv --subscription demo --rate inf", "--rate"),
        ("domains provision domains.csv --subscription demo", "set $MAILCHANNELS_API_KEY or use --api-key-file"),
        ("domains provision domains.csv --subscription demo --api-key-file none", "--api-key-file: cannot be read"),
        ("domains provision domains.csv --subscription demo --simulator --errors domains.csv", "is FILE itself"),
        ("domains provision domains.csv --subscription demo --simulator --journal domains.csv", "is FILE itself"),
        (
            "domains provision domains.csv --subscription demo --simulator --journal no/j",
            "--journal: cannot use",
        ),
        (
            "domains provision domains.csv --subscription demo --simulator --journal j --errors j",
            "--errors: 'j' is --journal itself",
        ),
        ("domains login-links domains.csv --simulator --journal j --output j", "--journal: 'j' is --output itself"),
        ("domains provision domains.csv --subscription demo --progress loud", "--progress"),
        ("jobs show none.journal", "--journal: cannot use 'none.journal': No such file"),
        ("jobs errors domains.csv", "'domains.csv' is not a journal"),
        ("domains provision domains.csv --subscription demo --simulator --errors e.jsonl", "--errors: 'e.jsonl'"),
        ("domains provision domains.csv --subscription demo --simulator --errors no/e.csv", "--errors: cannot write"),
        (
            "domains provision domains.csv --subscription demo --simulator --base-url http://127.0.0.1:9",
            "--simulator: ",
        ),
        ("domains provision domains.csv --subscription demo --simulator --api-key-file none", "--simulator: "),
        ("domains login-links domains.csv", "--output"),
        ("domains login-links domains.csv --simulator --errors x.csv --output ./x.csv", "is --output itself"),
        ("domains login-links domains.csv --simulator --output no/links.csv", "--output: cannot write"),
        ("domains list --limit 0", "--limit"),
        ("domains list --limit 5001", "--limit"),
        ("domains list --base-url http://api.example", "$MAILCHANNELS_API_KEY"),
        ("domains get", "NAME: is missing"),
        ("domains fly", "fly"),
        ("domains list --format xml", "--format"),
        ("domains settings a.example --abuse-policy x", '"block", "flag", "quarantine"'),
        ("domains settings a.example --reset spam", "--reset"),
        ("domains settings a.example --no-admins --admins x@a.example", "--admins"),
        ("domains settings a.example --downstream 10", "--downstream: '10' is not 'priority weight port target'"),
        ("domains settings ../users", "NAME: '../users'"),
        ("domains downstream set a.example", "RECORD: give one or more, or --none"),
        ("domains downstream set a.example 10 --none", "RECORD: give one or more, or --none"),
        ("domains downstream set a.example 10", "RECORD[0]: '10' is not"),
        ("domains alias add a.example", "ALIAS"),
        ("domains api-key a.example", "--new-key-file"),
        ("domains api-key a.example --new-key-file none", "--new-key-file: cannot be read"),
        ("lists add whitelist x.example", '"safelist", "blocklist"'),
        ("lists add safelist", "ITEM"),
        ("lists add safelist x.example --domain a.example --user x@a.example", "{--domain, --user}"),
        ("users create x@a.example --filter maybe", '"true", "false", "compute"'),
        ("simulator --host 0.0.0.0", "loopback"),
    ],
)
def test_wrong_usage_gives_2_and_one_line_that_helps(
    mailchannels: Cli, tmp_path: Path, arguments: str, complaint: str
) -> None:
    (tmp_path / "domains.csv").write_text("a.example\n")

    run = mailchannels(*arguments.split())

    assert run.code == 2
    assert run.out == ""
    last = run.err.splitlines()[-1]
    assert last.startswith("mailchannels: ")
    assert complaint in last
    assert [path.name for path in tmp_path.iterdir()] == ["domains.csv"]
    assert (tmp_path / "domains.csv").read_text() == "a.example\n"


def test_a_base_url_that_would_show_the_key_is_named_as_its_option(
    mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "demo-key")

    run = mailchannels("domains", "list", "--base-url", "http://api.example")

    assert run.code == 2
    assert run.err.startswith("mailchannels: --base-url: plain http would show the key")


def test_a_key_among_the_arguments_is_refused_and_not_repeated(mailchannels: Cli) -> None:
    for arguments in (["--api-key", "s3cret"], ["--api-key=s3cret"], ["--api-key-file", "s3cret"]):
        run = mailchannels("domains", "list", *arguments)

        assert run.code == 2
        assert "s3cret" not in run.out + run.err
        assert "--api-key-file" in run.err


def test_the_version_is_printed(mailchannels: Cli) -> None:
    run = mailchannels("--version")

    assert (run.code, run.out) == (0, f"mailchannels {package.__version__}\n")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "domains",
        "domains provision",
        "domains login-links",
        "domains list",
        "domains settings",
        "domains downstream list",
        "domains downstream set",
        "domains alias add",
        "domains alias delete",
        "domains api-key",
        "lists add",
        "lists list",
        "lists delete",
        "users create",
        "subscriptions",
        "status",
        "simulator",
    ],
)
def test_help_is_there(mailchannels: Cli, command: str) -> None:
    run = mailchannels(*command.split(), "--help")

    assert run.code == 0
    assert "Usage: mailchannels" in run.out


def test_the_simulator_command_says_where_it_is_and_stops_on_an_interrupt(mailchannels: Cli) -> None:
    process = start("simulator", "--port", "0", "--latency", "1", "--domain-limit", "1")
    assert process.stdout is not None
    about = json.loads(process.stdout.readline())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MAILCHANNELS_API_KEY", about["api_key"])
        run = mailchannels("domains", "list", "--base-url", about["base_url"])
    process.send_signal(signal.SIGINT)

    assert (run.code, run.out) == (0, "")
    assert finish(process).code == 0


def test_a_taken_port_is_named_and_what_to_do_instead(simulator: Simulator, mailchannels: Cli) -> None:
    port = simulator.base_url.rpartition(":")[2]

    run = mailchannels("simulator", "--port", port)

    assert run.code == 2
    assert run.err.startswith(f"mailchannels: --port: {port} cannot be had: ")
    assert run.err.endswith("; --port 0 takes one that is free\n")
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("cyclopts", ["--version"], "cli"),
        ("rich", ["--version"], "cli"),
        ("uvicorn", ["simulator"], "simulator"),
        ("starlette", ["domains", "provision", "domains.csv", "--subscription", "demo", "--simulator"], "simulator"),
    ],
)
def test_a_missing_extra_is_named(tmp_path: Path, missing: str, arguments: str, extra: str) -> None:
    (tmp_path / "domains.csv").write_text("a.example\n")
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from mailchannels.cli import main; sys.exit(main({arguments!r}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=process_environment(), check=False
    )

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f'pip install "mailchannels-sdk[{extra}]"' in done.stderr


@pytest.mark.parametrize("missing", ["mailchannels.cli.app", "mailchannels.simulator"])
def test_a_module_of_our_own_that_is_missing_is_no_matter_of_extras(
    mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    (tmp_path / "domains.csv").write_text("a.example\n")
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(ModuleNotFoundError, match=missing):
        mailchannels("domains", "provision", "domains.csv", "--subscription", "demo", "--simulator")


def test_an_interrupt_on_a_terminal_leaves_the_line_that_shows_it(
    simulator: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailchannels.aio.service.AsyncService.status", Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    run = mailchannels("status")

    assert (run.code, run.err) == (130, "\nmailchannels: interrupted\n")


@pytest.mark.parametrize(("retryable", "code"), [(True, 3), (False, 1)])
def test_where_no_connection_can_be_made_the_exit_code_says_whether_to_try_again(
    simulator: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, retryable: bool, code: int
) -> None:
    error = ConnectError("no connection", retryable=retryable)
    monkeypatch.setattr("mailchannels.aio.service.AsyncService.status", AsyncMock(side_effect=error))

    run = mailchannels("status")

    assert (run.code, run.err) == (code, "mailchannels: no connection\n")


def test_what_the_system_refuses_is_one_line(mailchannels: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr("mailchannels.simulator.server.bind", Mock(side_effect=error))

    run = mailchannels("simulator", "--port", "0")

    assert (run.code, run.out) == (2, "")
    assert run.err == f"mailchannels: [Errno {errno.EMFILE}] Too many open files\n"


def test_the_package_itself_needs_nothing_of_the_extras() -> None:
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['cyclopts', 'rich', 'starlette', 'uvicorn']))\n"
        "import mailchannels, mailchannels.jobs.run, mailchannels.jobs.plan"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=process_environment(), check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "first", ["domain\na.example\n", "a.example\n", '{"domain": "a.example"}\n', "\n\n domain \na.example"]
)
def test_standard_input_is_read_in_every_form(simulator: Simulator, first: str) -> None:
    run = finish(start("domains", "provision", "-", "--subscription", "demo", stdin=subprocess.PIPE), first)

    assert run.code == 0
    assert simulator.state.domain_count() == 1


def test_a_line_of_standard_input_that_is_not_utf8_is_a_bad_row_of_its_own(
    simulator: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "latin1").write_bytes(b"domain\na.example\nb\xfccher.example\nc.example\n")
    with (tmp_path / "latin1").open() as given:
        run = finish(
            start("domains", "provision", "-", "--subscription", "demo", "--errors", "errors.csv", stdin=given)
        )

    assert run.code == 1
    assert "line 3: b cher.example: failed: line: is not UTF-8" in run.out
    assert simulator.state.domain_count() == 2
    assert r"b\udcfccher.example,3,,line: is not UTF-8,failed,0,false" in (tmp_path / "errors.csv").read_text()


def test_empty_standard_input_is_wrong_usage(simulator: Simulator) -> None:
    run = finish(start("domains", "provision", "-", "--subscription", "demo"))

    assert run.code == 2
    assert "FILE: standard input is empty" in run.err


def test_reading_from_a_terminal_is_announced(
    mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "typed").write_text("a.example\n")
    with (tmp_path / "typed").open() as typed:
        monkeypatch.setattr(sys, "stdin", typed)
        piped = mailchannels("domains", "provision", "-", "--subscription", "demo", "--dry-run")
    with (tmp_path / "typed").open() as typed:
        monkeypatch.setattr(typed, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", typed)
        run = mailchannels("domains", "provision", "-", "--subscription", "demo", "--dry-run")

    assert (piped.code, run.code) == (0, 0)
    assert run.err.splitlines()[0] == "mailchannels: reading from the terminal, until Ctrl-D at the start of a line"
    assert "terminal" not in piped.err


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mailchannels", "--version"])

    assert main() == 0
    assert capsys.readouterr().out.startswith("mailchannels ")
