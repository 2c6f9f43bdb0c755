"""The commands that change one domain: its settings, its mail servers, its aliases, its key."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailchannels.simulator import Simulator

from .conftest import Cli, finish, start


@pytest.fixture
def stored(simulator: Simulator, mailchannels: Cli, tmp_path: Path) -> Simulator:
    (tmp_path / "domains.csv").write_text(
        "domain,admins,aliases,downstream_addresses,abuse_policy,spam_header_name\n"
        "a.example,x@a.example,www.a.example,10 10 25 mx.hosting.example.,flag,X-Spam\nb.example,,,,,\n"
    )
    assert mailchannels("domains", "provision", "domains.csv", "--subscription", "demo").code == 0
    return simulator


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Somebody at a terminal who gives these answers."""
    answers: list[str] = []

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answers.pop(0)

    monkeypatch.setattr(sys, "stdin", Terminal())
    yield answers
    assert answers == []


def document(mailchannels: Cli, name: str) -> dict[str, object]:
    content: dict[str, object] = json.loads(mailchannels("domains", "get", name).out)
    return content


def test_settings_that_are_named_change_and_the_others_stay(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels(
        "domains", "settings", "a.example", "--abuse-policy", "block", "--no-abuse-policy-override",
        "--spam-header-value", "yes",
    )  # fmt: skip

    assert (run.code, run.out) == (0, "changed a.example\n")
    assert document(mailchannels, "a.example")["settings"] == {
        "abusePolicy": "block",
        "abusePolicyOverride": False,
        "spamHeaderName": "X-Spam",
        "spamHeaderValue": "yes",
    }


def test_a_setting_that_is_reset_is_gone(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "settings", "a.example", "--reset", "abuse-policy")

    assert run.code == 0
    assert document(mailchannels, "a.example")["settings"] == {"spamHeaderName": "X-Spam"}


def test_a_setting_both_given_and_reset_is_refused(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "settings", "a.example", "--reset", "abuse-policy", "--abuse-policy", "flag")

    assert run.code == 2
    assert run.err.startswith("mailchannels: --reset[0]: abuse_policy is both given and reset")


def test_sections_are_replaced_by_what_their_option_repeats(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels(
        "domains", "settings", "a.example", "--admins", "p@a.example", "--admins", "q@a.example",
        "--aliases", "alias.example", "--downstream", "0 1 2525 mx1.example.", "--downstream", "1 1 25 mx2.example.",
    )  # fmt: skip

    assert run.code == 0
    domain = document(mailchannels, "a.example")
    assert domain["admins"] == ["p@a.example", "q@a.example"]
    assert domain["aliases"] == ["alias.example"]
    assert domain["downstreamAddresses"] == [
        {"priority": 0, "weight": 1, "port": 2525, "target": "mx1.example."},
        {"priority": 1, "weight": 1, "port": 25, "target": "mx2.example."},
    ]


def test_settings_without_a_change_prints_the_domain(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "settings", "a.example")

    assert run.code == 0
    assert run.out == mailchannels("domains", "get", "a.example").out
    assert json.loads(run.out)["settings"]["abusePolicy"] == "flag"


def test_settings_of_a_domain_that_is_not_there_give_1(stored: Simulator, mailchannels: Cli) -> None:
    for options in ((), ("--abuse-policy", "flag")):
        run = mailchannels("domains", "settings", "z.example", *options)

        assert (run.code, run.out) == (1, "")
        assert "z.example" in run.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--admins", "nobody"), "--admins[0]: 'nobody' is no email address"),
        (("--aliases", "../x"), "--aliases[0]: '../x'"),
        (("--downstream", "10 10 0 mx.example."), "--downstream[0].port: is 0"),
        (("--spam-header-name", ""), "--spam-header-name: is empty"),
    ],
)
def test_a_value_that_cannot_be_right_is_named_by_its_option(
    stored: Simulator, mailchannels: Cli, options: tuple[str, str], complaint: str
) -> None:
    run = mailchannels("domains", "settings", "a.example", *options)

    assert run.code == 2
    assert run.err.startswith(f"mailchannels: {complaint}")


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (
            "domains settings a.example --no-admins --no-aliases",
            "Remove all administrators and all aliases of a.",
        ),
        ("domains settings a.example --no-downstream", "Remove all downstream addresses of a.example?"),
        ("domains downstream set a.example --none", "Delete all mail servers of a.example?"),
        ("domains alias delete a.example www.a.example", "Delete the alias www.a.example of a.example?"),
    ],
)
class TestWhatDeletes:
    def test_needs_yes_where_nobody_can_be_asked(
        self, stored: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, arguments: str, question: str
    ) -> None:
        before = stored.requests

        with Path("domains.csv").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            run = mailchannels(*arguments.split())

        assert run.code == 2
        assert run.err == "mailchannels: --yes: is needed to delete where nobody can be asked; nothing was sent\n"
        assert stored.requests == before

    def test_asks_on_a_terminal(
        self, stored: Simulator, mailchannels: Cli, terminal: list[str], arguments: str, question: str
    ) -> None:
        before = stored.requests
        terminal += ["n\n", "y\n"]

        refused, agreed = (mailchannels(*arguments.split()) for _ in range(2))

        assert (refused.code, agreed.code) == (1, 0)
        assert refused.err.startswith(question)
        assert stored.requests == before + 1

    def test_does_not_ask_with_yes(
        self, stored: Simulator, mailchannels: Cli, terminal: list[str], arguments: str, question: str
    ) -> None:
        run = mailchannels(*arguments.split(), "--yes")

        assert (run.code, run.err) == (0, "")


def test_what_is_removed_is_gone(stored: Simulator, mailchannels: Cli) -> None:
    mailchannels("domains", "settings", "a.example", "--yes", "--no-admins", "--no-aliases", "--no-downstream")

    domain = document(mailchannels, "a.example")
    assert (domain["admins"], domain["aliases"], domain["downstreamAddresses"]) == ([], [], [])


def test_downstream_set_prints_what_is_stored(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "downstream", "set", "b.example", "10 10 25 m1.example.", "20  5 2525 m2.example.")

    assert (run.code, run.out) == (0, "stored 10 10 25 m1.example.\nstored 20 5 2525 m2.example.\n")


def test_downstream_set_none_deletes_all(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "downstream", "set", "a.example", "--none", "--yes")

    assert run.out == "deleted all mail servers of a.example\n"
    assert mailchannels("domains", "downstream", "list", "a.example").out == ""


def test_a_mail_server_that_cannot_be_right_is_named_by_its_position(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "downstream", "set", "a.example", "1 1 25 mx.example.", "1 1 25 mx.example")

    assert run.code == 2
    assert run.err.startswith("mailchannels: RECORD[1].target: 'mx.example' must end in a dot")


def test_downstream_list_goes_beyond_the_first_page(stored: Simulator, mailchannels: Cli) -> None:
    records = [f"{priority} 10 25 mx.example." for priority in range(10)]
    mailchannels("domains", "downstream", "set", "a.example", *records)

    run = mailchannels("domains", "downstream", "list", "a.example")

    assert run.out.splitlines() == [record.replace(" ", "\t") for record in records]


def test_an_alias_is_added_and_deleted(stored: Simulator, mailchannels: Cli) -> None:
    added = mailchannels("domains", "alias", "add", "b.example", "Bücher.example")
    shown = document(mailchannels, "b.example")["aliases"]
    deleted = mailchannels("domains", "alias", "delete", "--yes", "b.example", "xn--bcher-kva.example")

    assert (added.code, added.out) == (0, "added the alias xn--bcher-kva.example to b.example\n")
    assert shown == ["xn--bcher-kva.example"]
    assert (deleted.code, deleted.out) == (0, "deleted the alias xn--bcher-kva.example of b.example\n")
    assert not document(mailchannels, "b.example").get("aliases")


def test_an_alias_that_is_taken_gives_1_and_the_reason(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("domains", "alias", "add", "b.example", "a.example")

    assert (run.code, run.out) == (1, "")
    assert "409 a.example is already in use" in run.err


def test_a_domain_is_handed_over_to_the_key_in_a_file(
    stored: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "new").write_text("new-secret\n")

    run = mailchannels("domains", "api-key", "a.example", "--new-key-file", "new")

    assert (run.code, run.out, run.err) == (0, "handed a.example over to the new key\n", "")
    assert mailchannels("domains", "get", "a.example").code == 1
    monkeypatch.setenv("MAILCHANNELS_API_KEY", "new-secret")
    assert mailchannels("domains", "get", "a.example").code == 0


def test_a_new_key_comes_from_standard_input(stored: Simulator, mailchannels: Cli, tmp_path: Path) -> None:
    process = start("domains", "api-key", "a.example", "--new-key-file", "-", stdin=subprocess.PIPE)

    run = finish(process, "new-secret\nmore\n")

    assert run.code == 0
    (tmp_path / "new").write_text("new-secret")
    assert mailchannels("domains", "get", "a.example", "--api-key-file", "new").code == 0


def test_a_new_key_typed_on_a_terminal_is_not_shown(
    stored: Simulator, mailchannels: Cli, terminal: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailchannels.cli.options.getpass", lambda prompt: "new-secret")

    run = mailchannels("domains", "api-key", "a.example", "--new-key-file", "-")

    assert run.code == 0
    assert "new-secret" not in run.out + run.err


def test_a_new_key_that_is_not_typed_changes_nothing(
    stored: Simulator, mailchannels: Cli, terminal: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("mailchannels.cli.options.getpass", leave)

    run = mailchannels("domains", "api-key", "a.example", "--new-key-file", "-")

    assert (run.code, run.err) == (2, "mailchannels: --new-key-file: is empty\n")


@pytest.mark.parametrize(
    "arguments", [["--new-key", "s3cret"], ["--new-key=s3cret"], ["--new-key-file", "s3cret"]], ids=str
)
def test_a_new_key_among_the_arguments_is_refused_and_not_repeated(
    stored: Simulator, mailchannels: Cli, arguments: list[str]
) -> None:
    run = mailchannels("domains", "api-key", "a.example", *arguments)

    assert run.code == 2
    assert "--new-key-file" in run.err
    assert "s3cret" not in run.err


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\n", b"a\x07b\n"])
def test_a_file_without_a_key_changes_nothing(
    stored: Simulator, mailchannels: Cli, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "new").write_bytes(content)

    run = mailchannels("domains", "api-key", "a.example", "--new-key-file", "new")

    assert run.code == 2
    assert run.err.startswith("mailchannels: --new-key-file: ")
    assert mailchannels("domains", "get", "a.example").code == 0
