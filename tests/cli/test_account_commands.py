"""Lists, recipients, subscriptions and the condition of the service."""

import sys
from pathlib import Path

import pytest

from mailchannels import APIError
from mailchannels.simulator import Faults, Simulator

from .conftest import Cli, running


@pytest.fixture
def stored(simulator: Simulator, mailchannels: Cli) -> Simulator:
    Path("domains.csv").write_text("a.example\n")
    assert mailchannels("domains", "provision", "domains.csv", "--subscription", "demo").code == 0
    assert mailchannels("users", "create", "x@a.example").code == 0
    return simulator


OWNERS = [
    ((), "the account"),
    (("--domain", "a.example"), "a.example"),
    (("--user", "x@a.example"), "x@a.example"),
]


@pytest.mark.parametrize(("option", "owner"), OWNERS, ids=[owner for _, owner in OWNERS])
def test_an_entry_is_added_and_deleted(
    stored: Simulator, mailchannels: Cli, option: tuple[str, ...], owner: str
) -> None:
    added = mailchannels("lists", "add", "blocklist", "203.0.113.7", *option)
    listed = mailchannels("lists", "list", "blocklist", *option)
    deleted = mailchannels("lists", "delete", "blocklist", "203.0.113.7", "--yes", *option)
    empty = mailchannels("lists", "list", "blocklist", *option)

    assert (added.code, added.out) == (0, f"added 203.0.113.7 (ip_address) to the blocklist of {owner}\n")
    assert listed.out == "203.0.113.7\tip_address\tblocklist\n"
    assert (deleted.code, deleted.out) == (0, f"deleted 203.0.113.7 from the blocklist of {owner}\n")
    assert empty.out == ""


@pytest.mark.parametrize(("option", "owner"), OWNERS, ids=[owner for _, owner in OWNERS])
def test_deleting_an_entry_asks_on_a_terminal(
    stored: Simulator,
    mailchannels: Cli,
    monkeypatch: pytest.MonkeyPatch,
    option: tuple[str, ...],
    owner: str,
) -> None:
    mailchannels("lists", "add", "safelist", "p.example", *option)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "n\n", raising=False)

    run = mailchannels("lists", "delete", "safelist", "p.example", *option)

    assert run.code == 1
    assert f"Delete p.example from the safelist of {owner}? [y/N]" in run.err
    assert mailchannels("lists", "list", "safelist", *option).out == "p.example\tdomain\tsafelist\n"


def test_deleting_an_entry_needs_yes_elsewhere(stored: Simulator, mailchannels: Cli) -> None:
    before = stored.requests

    run = mailchannels("lists", "delete", "safelist", "p.example")

    assert run.code == 2
    assert run.err.startswith("mailchannels: --yes: is needed")
    assert stored.requests == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--domain", "../users"), "--domain: '../users'"),
        (("--user", "nobody"), "--user: 'nobody' is no email address"),
    ],
)
def test_an_owner_that_cannot_be_is_named_by_its_option(
    stored: Simulator, mailchannels: Cli, arguments: tuple[str, str], complaint: str
) -> None:
    run = mailchannels("lists", "add", "safelist", "p.example", *arguments)

    assert run.code == 2
    assert run.err.startswith(f"mailchannels: {complaint}")


def test_an_owner_with_an_empty_name_is_not_the_account(stored: Simulator, mailchannels: Cli) -> None:
    for option in ("--domain", "--user"):
        assert mailchannels("lists", "add", "safelist", "p.example", option, "").code == 2

    assert mailchannels("lists", "list", "safelist").out == ""


def test_an_item_that_is_too_long_is_refused(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("lists", "add", "safelist", "x" * 321)

    assert run.code == 2
    assert run.err == "mailchannels: ITEM: is 321 characters long; at most 320 are allowed\n"


def test_a_list_of_a_recipient_that_is_not_there_gives_1(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("lists", "list", "safelist", "--user", "z@a.example")

    assert (run.code, run.out) == (1, "")
    assert "404" in run.err


def test_a_recipient_is_created_with_lists(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels(
        "users", "create", "y@a.example", "--admin", "--filter", "false",
        "--safelist", "p.example", "--safelist", "q.example", "--blocklist", "198.51.100.1",
    )  # fmt: skip

    assert (run.code, run.err) == (0, "")
    assert run.out.splitlines() == [
        "created y@a.example (domain_admin; not filtered)",
        "added p.example (domain) to the safelist of y@a.example",
        "added q.example (domain) to the safelist of y@a.example",
        "added 198.51.100.1 (ip_address) to the blocklist of y@a.example",
    ]


def test_a_recipient_that_exists_stays_as_it_is_and_it_is_said(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("users", "create", "x@a.example", "--safelist", "p.example")

    assert (run.code, run.out) == (0, "x@a.example is there already and was not changed by the last request\n")
    assert "no entry was added" in run.err
    assert mailchannels("lists", "list", "safelist", "--user", "x@a.example").out == ""


def test_where_no_entry_was_asked_for_none_is_missed(stored: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("users", "create", "x@a.example")

    assert run.out == "x@a.example is there already and was not changed by the last request\n"
    assert run.err == ""


def test_a_full_limit_on_protected_addresses_stops(stored: Simulator, mailchannels: Cli) -> None:
    stored.state.set_address_limit("demo", 1)

    compute = mailchannels("users", "create", "y@a.example", "--filter", "compute")
    true = mailchannels("users", "create", "z@a.example", "--filter", "true")

    assert compute.out == "created y@a.example (user; not filtered)\n"
    assert true.code == 4
    assert "403 the limit on protected addresses is reached" in true.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nobody",), "EMAIL: 'nobody' is no email address"),
        (("y@a.example", "--safelist", ""), "--safelist[0]: is empty"),
        (("y@a.example", "--blocklist", "p.example", "--blocklist", "x" * 321), "--blocklist[1]: is 321 characters"),
    ],
)
def test_a_recipient_that_cannot_be_right_is_refused(
    stored: Simulator, mailchannels: Cli, arguments: tuple[str, ...], complaint: str
) -> None:
    run = mailchannels("users", "create", *arguments)

    assert run.code == 2
    assert run.err.startswith(f"mailchannels: {complaint}")


def test_subscriptions_count_their_domains(stored: Simulator, mailchannels: Cli) -> None:
    stored.state.set_address_limit("demo", 5)

    run = mailchannels("subscriptions")

    assert run.out == "demo\ttrue\tinbound\tInbound\t1\tdomains=10000000; protected-addresses=5\n"


def test_a_good_condition_is_one_line_and_0(simulator: Simulator, mailchannels: Cli) -> None:
    run = mailchannels("status")

    assert (run.code, run.out, run.err) == (0, "the service is in good condition\n", "")


@pytest.mark.parametrize(("fault", "code"), [("status=500", 3), ("status=503", 3), ("status=404", 1)])
def test_a_bad_condition_is_an_error(mailchannels: Cli, fault: str, code: int) -> None:
    with running(faults=Faults.parse(fault)):
        run = mailchannels("status")

    assert (run.code, run.out) == (code, "")
    assert run.err.startswith(f"mailchannels: GET /status: {fault.partition('=')[2]}")


def test_an_error_of_the_api_is_one_line_that_a_terminal_does_not_obey(
    simulator: Simulator, mailchannels: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise APIError("no\x1b[2J\nmore", status=418, method="GET", path="/status")

    monkeypatch.setattr("mailchannels.aio.service.AsyncService.status", fail)

    run = mailchannels("status")

    assert (run.code, run.err) == (1, "mailchannels: GET /status: 418 no [2J more\n")


@pytest.mark.parametrize(
    "command",
    [
        "lists add safelist p.example",
        "lists list safelist",
        "lists delete safelist p.example --yes",
        "users create y@a.example",
        "subscriptions",
        "domains settings a.example --abuse-policy flag",
        "domains downstream list a.example",
        "domains alias add a.example b.example",
        "status",
    ],
)
def test_every_command_needs_a_key_and_says_where_from(
    mailchannels: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    run = mailchannels(*command.split())

    assert (run.code, run.out) == (2, "")
    assert "set $MAILCHANNELS_API_KEY or use --api-key-file" in run.err
