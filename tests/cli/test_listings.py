"""The three formats of everything that lists, on a terminal and elsewhere."""

import csv
import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailchannels.models import ListEntry
from mailchannels.simulator import Simulator

from .conftest import Cli, process_environment

LONG = "a-name-that-is-longer-than-its-column.customer-of-a-hosting-company.example"
LISTINGS = [
    ("domains list", ["domain", "subscription_handle", "admins"], {"domain", "subscriptionHandle", "admins"}),
    ("domains downstream list a.example", ["priority", "weight", "port", "target"], {"priority", "port", "target"}),
    ("lists list safelist", ["item", "type", "action"], {"item", "item_type", "action"}),
    ("lists list safelist --domain a.example", ["item", "type", "action"], {"item", "item_type", "action"}),
    ("lists list safelist --user x@a.example", ["item", "type", "action"], {"item", "item_type", "action"}),
    ("subscriptions", ["handle", "active", "plan_handle"], {"handle", "active", "plan", "limits"}),
]


@pytest.fixture
def stored(simulator: Simulator, mailchannels: Cli) -> Simulator:
    Path("domains.csv").write_text(
        "domain,admins,downstream_addresses\n"
        f"a.example,x@a.example; y@a.example,1 2 25 mx1.example.; 2 2 25 mx2.example.\n{LONG},,\n"
    )
    for command in (
        "domains provision domains.csv --subscription demo",
        "users create x@a.example --safelist user.example",
        "lists add safelist account.example",
        "lists add safelist domain.example --domain a.example",
    ):
        assert mailchannels(*command.split()).code == 0
    return simulator


def on_a_terminal(*arguments: str, columns: int = 80) -> str:
    """Run the command line on a terminal of this width and give what it shows."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**process_environment(), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mailchannels", *arguments], stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    shown = b""
    try:
        while part := os.read(ours, 65_536):
            shown += part
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(ours)
    assert process.wait(30) == 0
    return shown.decode()


@pytest.mark.parametrize(("command", "columns", "keys"), LISTINGS, ids=[command for command, _, _ in LISTINGS])
class TestEveryListing:
    def test_is_an_object_a_line_in_the_vendors_spelling(
        self, stored: Simulator, mailchannels: Cli, command: str, columns: list[str], keys: set[str]
    ) -> None:
        run = mailchannels(*command.split(), "--format", "json")

        assert run.code == 0
        assert keys <= json.loads(run.out.splitlines()[0]).keys()

    def test_has_a_header_as_csv(
        self, stored: Simulator, mailchannels: Cli, command: str, columns: list[str], keys: set[str]
    ) -> None:
        run = mailchannels(*command.split(), "--format", "csv")

        header, *rows = csv.reader(io.StringIO(run.out))
        assert run.code == 0
        assert header[: len(columns)] == columns
        assert {len(row) for row in rows} == {len(header)}

    def test_is_columns_separated_by_tabs_where_there_is_no_terminal(
        self, stored: Simulator, mailchannels: Cli, command: str, columns: list[str], keys: set[str]
    ) -> None:
        run = mailchannels(*command.split(), "--format", "table")

        assert run.out == mailchannels(*command.split()).out
        assert len({line.count("\t") for line in run.out.splitlines()}) == 1
        assert columns[0] not in run.out

    def test_is_a_table_with_a_header_on_a_terminal(
        self, stored: Simulator, command: str, columns: list[str], keys: set[str]
    ) -> None:
        lines = on_a_terminal(*command.split()).splitlines()

        assert columns[0] in lines[0] + lines[1]
        assert max(map(len, lines)) <= 80


def test_lists_of_different_owners_are_different_lists(stored: Simulator, mailchannels: Cli) -> None:
    owners = ((), ("--domain", "a.example"), ("--user", "x@a.example"))

    listed = [mailchannels("lists", "list", "safelist", *owner).out for owner in owners]

    assert listed == [f"{name}.example\tdomain\tsafelist\n" for name in ("account", "domain", "user")]


def test_a_narrow_terminal_folds_and_loses_nothing(stored: Simulator) -> None:
    shown = on_a_terminal("domains", "list", columns=60)

    folded = "".join(line.split(" ")[0] for line in shown.splitlines())
    assert LONG in folded


def test_a_long_listing_begins_before_all_of_it_is_there(simulator: Simulator, mailchannels: Cli) -> None:
    names = [f"d{number}.example" for number in range(1_001)]
    Path("many.csv").write_text("\n".join(names))
    assert mailchannels("domains", "provision", "many.csv", "--subscription", "demo").code == 0

    firsts = [line.split()[0] for line in on_a_terminal("domains", "list").splitlines() if line.split()]

    assert [first for first in firsts if first.endswith(".example")] == names
    assert [place for place, first in enumerate(firsts) if first == "domain"] == [0, 1_002]


def test_members_of_a_list_stand_one_below_the_other(stored: Simulator) -> None:
    lines = on_a_terminal("domains", "list", columns=120).splitlines()

    assert [line.rstrip()[-17:] for line in lines[2:4]] == ["2 25 mx1.example.", "2 25 mx2.example."]


@pytest.mark.parametrize("format_", ["json", "csv"])
def test_a_listing_of_domains_can_be_provisioned(stored: Simulator, mailchannels: Cli, format_: str) -> None:
    before = mailchannels("domains", "list", "--format", "json").out
    file = Path({"json": "again.jsonl", "csv": "again.csv"}[format_])
    file.write_text(mailchannels("domains", "list", "--format", format_).out)

    run = mailchannels("domains", "provision", str(file), "--subscription", "demo", "--overwrite")

    assert run.code == 0
    assert mailchannels("domains", "list", "--format", "json").out == before


@pytest.mark.parametrize("command", ["list --format csv", "list --format json", "get a.example"])
def test_spaces_within_a_value_stay(stored: Simulator, mailchannels: Cli, command: str) -> None:
    mailchannels("domains", "settings", "a.example", "--spam-header-value", "very  likely")

    assert "very  likely" in mailchannels("domains", *command.split()).out


def test_nothing_to_list_is_nothing_but_a_header_in_csv(simulator: Simulator, mailchannels: Cli) -> None:
    outputs = [mailchannels("lists", "list", "blocklist", "--format", f).out for f in ("table", "json", "csv")]

    assert outputs == ["", "", "item,type,action\n"]
    assert on_a_terminal("lists", "list", "blocklist") == ""


HOSTILE = "x\x1b[31m\t\x9b2J\u202e\n[red]é.example"


@pytest.fixture
def hostile(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def answer() -> None:
        async def fetch(*_: object, **__: object) -> list[ListEntry]:
            return [ListEntry(action="safelist", item=HOSTILE, type="domain")]

        monkeypatch.setattr("mailchannels.aio.lists.AsyncLists.list_entries", fetch)

    return answer


@pytest.mark.parametrize("format_", ["table", "csv"])
def test_what_a_terminal_would_obey_is_left_out(mailchannels: Cli, hostile: Callable[[], None], format_: str) -> None:
    hostile()

    run = mailchannels("lists", "list", "safelist", "--format", format_)

    assert run.out.splitlines()[-1].startswith("x [31m 2J [red]é.example")


def test_json_escapes_what_a_terminal_would_obey(mailchannels: Cli, hostile: Callable[[], None]) -> None:
    hostile()

    run = mailchannels("lists", "list", "safelist", "--format", "json")

    assert run.out.rstrip("\n").isprintable()
    assert json.loads(run.out)["item"] == HOSTILE


def test_markup_in_a_table_is_text(simulator: Simulator, mailchannels: Cli) -> None:
    mailchannels("lists", "add", "safelist", "[red]x@y.example")

    assert "[red]x@y.example" in on_a_terminal("lists", "list", "safelist")
