"""What a file says, row by row, and what makes a file useless as a whole."""

import os
import threading
import tracemalloc
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from unittest import mock

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailchannels import Domain, DomainSettings, DownstreamAddress, InvalidInput
from mailchannels.jobs import lines
from mailchannels.jobs import source as source_room
from mailchannels.jobs.kinds import DOMAINS
from mailchannels.jobs.rows import Row
from mailchannels.jobs.source import open_source


def rows(path: Path, text: str, encoding: str = "utf-8") -> list[Row[Domain | str]]:
    path.write_bytes(text.encode(encoding))
    with open_source(str(path), DOMAINS) as source:
        return list(source)


@pytest.fixture
def csv_path(tmp_path: Path) -> Path:
    return tmp_path / "domains.csv"


@pytest.fixture
def jsonl_path(tmp_path: Path) -> Path:
    return tmp_path / "domains.jsonl"


def test_every_column_of_csv_reaches_the_domain(csv_path: Path) -> None:
    (row,) = rows(
        csv_path,
        "domain,subscription_handle,admins,aliases,downstream_addresses,abuse_policy,abuse_policy_override,"
        "spam_header_name,spam_header_value\n"
        "a.example, basic ,x@a.example; y@a.example,b.example,"
        "10 10 25 mx1.hosting.example.; 20 10 25 mx2.hosting.example.,flag,TRUE,X-Spam,yes\n",
    )

    assert row.value == Domain(
        "a.example",
        subscription_handle="basic",
        settings=DomainSettings("flag", abuse_policy_override=True, spam_header_name="X-Spam", spam_header_value="yes"),
        admins=["x@a.example", "y@a.example"],
        aliases=["b.example"],
        downstream_addresses=[
            DownstreamAddress(10, 10, 25, "mx1.hosting.example."),
            DownstreamAddress(20, 10, 25, "mx2.hosting.example."),
        ],
    )


def test_an_empty_cell_is_left_out_and_brackets_empty_the_list(csv_path: Path) -> None:
    (row,) = rows(csv_path, "domain,admins,aliases,abuse_policy\na.example,,[],\n")

    assert row.value == Domain("a.example", aliases=[])


def test_a_row_may_end_before_its_last_columns(csv_path: Path) -> None:
    (row,) = rows(csv_path, "domain,admins\na.example\n")

    assert row.value == Domain("a.example")


@pytest.mark.parametrize("text", ["domain,admins,,\na.example,,,\n", "domain,admins\na.example,, ,\n"])
def test_blank_cells_beyond_the_last_column_are_no_fault(csv_path: Path, text: str) -> None:
    (row,) = rows(csv_path, text)

    assert row.value == Domain("a.example")
    assert row.cells == {"domain": "a.example", "admins": ""}


@pytest.mark.parametrize(
    ("line", "cells", "surplus"),
    [
        ("a.example, x@a.example,1, 2 ", {"domain": "a.example", "admins": "x@a.example"}, ["1", "2"]),
        ('a.example,"x@a.example', {"domain": "a.example", "admins": '"x@a.example'}, ['a.example,"x@a.example']),
        ('"a.example', {"domain": '"a.example'}, ['"a.example']),
    ],
)
def test_a_row_that_cannot_be_taken_apart_keeps_its_cells_and_what_found_no_column(
    csv_path: Path, line: str, cells: dict[str, str], surplus: list[str]
) -> None:
    (row,) = rows(csv_path, f"domain,admins\n{line}\n")

    assert row.value is None
    assert (row.cells, row.surplus) == (cells, surplus)


def test_a_file_without_a_header_has_one_name_a_line(csv_path: Path) -> None:
    found = rows(csv_path, "a.example\n\nb.example\n")

    assert [(row.line, row.name) for row in found] == [(1, "a.example"), (3, "b.example")]


@pytest.mark.parametrize("header", ["Domain", "DOMAIN", '"domain"', " domain "])
def test_a_header_is_found_in_any_case(csv_path: Path, header: str) -> None:
    (row,) = rows(csv_path, f"{header}\na.example\n")

    assert row.value == "a.example"


def test_a_byte_order_mark_is_not_part_of_the_first_name(csv_path: Path) -> None:
    (row,) = rows(csv_path, "a.example\n", encoding="utf-8-sig")

    assert (row.line, row.name) == (1, "a.example")


def test_lines_are_counted_where_they_stand_in_the_file(csv_path: Path) -> None:
    found = rows(csv_path, '\ndomain,note\n\na.example,"one\r\ntwo\nthree"\n,\nb.example,\n"c.example",x\n')

    assert [(row.line, row.name) for row in found] == [(4, "a.example"), (8, "b.example"), (9, "c.example")]
    assert found[0].cells == {"domain": "a.example", "note": "one\r\ntwo\nthree"}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_ending_is_read(csv_path: Path, ending: str) -> None:
    found = rows(csv_path, ending.join(["domain", "a.example", "b.example", ""]))

    assert [(row.line, row.name) for row in found] == [(2, "a.example"), (3, "b.example")]


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ("a.example,,,maybe", "abuse_policy_override: 'maybe' is neither 'true' nor 'false'"),
        ("a.example,,10 10 mx.example.,", "downstream_addresses[0]: '10 10 mx.example.' is not 'priority weight port"),
        ("a.example,,1 1 25 a.; x 1 25 b.,", "downstream_addresses[1]: 'x 1 25 b.' is not"),
        ("a.example,;,,", "admins: ';' has no members"),
        ("a.example,[1],,", "admins: '[1]' starts like a JSON array"),
        ("a.example,[x,,", "admins: '[x' starts like a JSON array"),
        ("a.example,,,,x", "line: has 5 cells and the header has 4"),
        ('a.example,"x"y,,', "line: is not CSV"),
        ('a.example,"x,,', "line: is not CSV"),
    ],
)
def test_a_bad_row_names_its_line_and_costs_no_other_row(csv_path: Path, cells: str, complaint: str) -> None:
    found = rows(
        csv_path,
        "domain,admins,downstream_addresses,abuse_policy_override\n"
        f"first.example,,,\n{cells}\nlast.example,,,\nmore.example,,,\n",
    )

    assert [row.line for row in found] == [2, 3, 4, 5]
    assert str(found[1].error).startswith(complaint)
    assert found[1].value is None
    assert [row.name for row in found if row.value] == ["first.example", "last.example", "more.example"]


def test_an_unmatched_quote_does_not_swallow_the_quoted_rows_after_it(csv_path: Path) -> None:
    found = rows(csv_path, 'domain,admins\na.example,"x@a.example\nb.example,"x@b.example;y@b.example"\nc.example,\n')

    assert [(row.line, row.error is None) for row in found] == [(2, False), (3, True), (4, True)]


def test_unknown_columns_are_named_and_carried_along(csv_path: Path) -> None:
    csv_path.write_text("domain,admin,customer\na.example,x@a.example,17\n")
    with open_source(str(csv_path), DOMAINS) as source:
        (row,) = source

    assert source.ignored == ["admin", "customer"]
    assert row.cells == {"domain": "a.example", "admin": "x@a.example", "customer": "17"}


def test_columns_of_a_report_and_login_links_are_dropped(csv_path: Path) -> None:
    csv_path.write_text(
        "domain,login_link,line,code,reason,outcome,attempts,retryable\na.example,https://x.example/t,9,500,oops,failed,4,true\n"
    )
    with open_source(str(csv_path), DOMAINS) as source:
        (row,) = source

    assert source.columns == ["domain"]
    assert source.ignored == []
    assert row.value == "a.example"


def test_a_row_that_cannot_be_taken_apart_does_not_report_a_login_link(csv_path: Path) -> None:
    (row,) = rows(csv_path, "domain,login_link\na.example,https://x.example/secret,b\n")

    assert row.error is not None
    assert "secret" not in repr(row)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty"),
        ("domain\n", "has a header and no rows"),
        ("\ndomain,admins\n\n,,\n", "has a header and no rows"),
        (
            "domain,abusePolicy\na.example,flag\n",
            "has a column 'abusePolicy', which nothing is read from; call it",
        ),
        ("domain,Downstream Addresses\na.example,\n", "call it 'downstream_addresses'"),
        (
            "a.example,x@a.example\n",
            "starts with 'a.example', a row already; write a header before it",
        ),
        ("# domains\na.example\n", "'# domains', and comments are not read; take it out"),
        ("domain\tadmins\na.example\t\n", "is separated by tabs; save it as CSV separated by commas"),
        ("\n \n,,\n", "is empty"),
        ("name,admins\na.example,\n", "has no column 'domain': its first line has 'name', 'admins'"),
        ("domains\na.example\n", "has no column 'domain': its first line has 'domains'"),
        ("localhost\n", "has no column 'domain'"),
        ('{"domain": "a.example"}\n', "is to be called .jsonl or .ndjson"),
        ('"domain"s\na.example\n', "its header is not CSV"),
        ("domain;admins\na.example;\n", "is separated by semicolons; save it as CSV separated by commas"),
        ("domain,Domain\na.example,b.example\n", "more than one column 'domain'"),
        (b"domain\na.example\nb\xfccher.example\n", "line 3 is not UTF-8"),
        (b"b\xfccher.example\n", "line 1 is not UTF-8"),
        ("domain\na.example\n".encode("utf-16"), "line 1 is not UTF-8"),
    ],
)
def test_a_useless_file_is_refused_before_its_first_row(csv_path: Path, text: str | bytes, complaint: str) -> None:
    csv_path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(InvalidInput, match=r"^FILE: ") as caught:
        open_source(str(csv_path), DOMAINS)

    assert complaint in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path, complaint in [(tmp_path / "none.csv", "No such file"), (tmp_path, "directory")]:
        with pytest.raises(InvalidInput, match=complaint):
            open_source(str(path), DOMAINS)


def test_a_file_that_cannot_be_read_to_its_end_is_refused(csv_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv_path.write_text("a.example\n")
    monkeypatch.setattr("mailchannels.jobs.source._count", mock.Mock(side_effect=OSError(5, "Input/output error")))

    with pytest.raises(InvalidInput, match=r"^FILE: cannot read '.*domains.csv': Input/output error$"):
        open_source(str(csv_path), DOMAINS)


def test_the_rows_of_a_file_are_counted_beforehand(csv_path: Path) -> None:
    csv_path.write_text('domain,note\na.example,"one\ntwo"\n\nb.example,\n')

    with open_source(str(csv_path), DOMAINS) as source:
        assert source.total == 2


def test_json_lines_are_read_in_the_vendors_spelling(jsonl_path: Path) -> None:
    found = rows(
        jsonl_path,
        '{"domain": "a.example", "downstreamAddresses": [], "settings": {"abusePolicy": "flag"}}\n\n'
        '{"domain": "b.example"}\n',
    )

    assert [(row.line, row.value) for row in found] == [
        (1, Domain("a.example", downstream_addresses=[], settings=DomainSettings("flag"))),
        (3, Domain("b.example")),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line: is not JSON"),
        ("[]", "line: is not a domain: $: expected object, found array"),
        ('{"admins": []}', "line: is not a domain: $.domain: is missing"),
        ('{"domain": "b.example", "admins": "x"}', "line: is not a domain: $.admins: expected array, found string"),
    ],
)
def test_a_bad_line_of_json_costs_no_other_line(jsonl_path: Path, line: str, complaint: str) -> None:
    found = rows(jsonl_path, f'{{"domain": "a.example"}}\n{line}\n{{"domain": "c.example"}}\n')

    assert [row.line for row in found] == [1, 2, 3]
    assert str(found[1].error).startswith(complaint)
    assert found[1].cells == {"domain": line}


def test_keys_of_json_that_mean_nothing_are_named_once(jsonl_path: Path) -> None:
    jsonl_path.write_text('{"domain": "a.example", "admin": [], "settings": {"policy": ""}}\n' * 2)
    with open_source(str(jsonl_path), DOMAINS) as source:
        before = list(source.ignored)
        assert len(list(source)) == 2

        assert before == source.ignored == ["admin", "settings.policy"]


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        ('"abuse_policy": "flag"', "abuse_policy: is not read under this name; write settings.abusePolicy"),
        ('"abusePolicy": "flag"', "abusePolicy: is not read under this name; write settings.abusePolicy"),
        (
            '"settings": {"abuse_policy": "flag"}',
            "settings.abuse_policy: is not read under this name; write settings.",
        ),
        ('"downstream_addresses": []', "downstream_addresses: is not read under this name; write downstreamAddresses"),
        ('"downstreamAddress": []', "downstreamAddress: is not read under this name; write downstreamAddresses"),
        ('"Settings": {}', "Settings: is not read under this name; write settings"),
        ('"settings": {"admins": []}', "settings.admins: is not read under this name; write admins"),
    ],
)
def test_a_key_of_ours_in_another_spelling_or_place_is_not_lost(jsonl_path: Path, member: str, complaint: str) -> None:
    jsonl_path.write_text(f'{{"domain": "a.example", {member}}}\n')
    with open_source(str(jsonl_path), DOMAINS) as source:
        (row,) = source

        assert row.value is None
        assert str(row.error).startswith(complaint)
        assert source.ignored == []


@pytest.mark.parametrize(
    "line",
    [
        '{"domain":"a.example"}',
        '{"domain":"a.example","admins":[],"aliases":["b.example"]}',
        '{"domain":"a.example","admins":["a;b@a.example","[c@a.example"]}',
        '{"domain":"a.example","downstreamAddresses":[{"priority":1,"weight":2,"port":25,"target":"mx.a.example."}]}',
        '{"domain":"a.example","settings":{"abusePolicyOverride":false,"spamHeaderName":"X"}}',
        '{"domain":"a.example","subscriptionHandle":"basic"}',
    ],
)
def test_a_line_of_json_as_cells_reads_back_as_the_same_domain(jsonl_path: Path, csv_path: Path, line: str) -> None:
    (row,) = rows(jsonl_path, line)
    cells = {name: '"' + cell.replace('"', '""') + '"' for name, cell in row.cells.items()}

    (again,) = rows(csv_path, ",".join(cells) + "\n" + ",".join(cells.values()) + "\n")

    assert again.value == row.value


@pytest.mark.parametrize(
    "line",
    [
        '{"domain":"a.example","settings":{"spamHeaderValue":" yes "}}',
        '{"domain":"a.example","downstreamAddresses":[{"priority":1,"weight":2,"port":25,"target":"mx a.example."}]}',
    ],
)
def test_a_line_of_json_that_no_cells_can_say_is_reported_whole(jsonl_path: Path, line: str) -> None:
    (row,) = rows(jsonl_path, line)

    assert row.cells == {"domain": line}


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # Open for both, so that neither end waits for the other.
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"domain\na.example\n")

    with open_source(str(pipe), DOMAINS) as source:
        reader = iter(source)
        assert next(reader).name == "a.example"
        os.close(writer)

        assert source.total is None
        assert list(reader) == []


@pytest.mark.asyncio
async def test_what_was_read_of_a_stream_is_left_over_where_nobody_waits_for_the_rest(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"domain\na.example\nb.example\n")
    left: list[str] = []

    with open_source(str(pipe), DOMAINS) as source:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(source.take, 1_000)
            with anyio.fail_after(30):
                while len(left) < 2:
                    await anyio.sleep(0.01)
                    left += [row.name for row in source.left_over()]
            tasks.cancel_scope.cancel()
        os.close(writer)
        for thread in threading.enumerate():
            if thread.name == "mailchannels-reader":
                await anyio.to_thread.run_sync(thread.join, 30)

    assert left == ["a.example", "b.example"]


def test_bytes_that_are_not_utf8_cost_a_stream_only_their_row(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b'domain,note\na.example,"one\nt\xfcwo"\nb\xfccher.example,\nc.example,\n')

    with open_source(str(pipe), DOMAINS) as source:
        os.close(writer)
        found = list(source)

    assert [(row.line, row.value is not None) for row in found] == [(2, False), (3, False), (4, False), (5, True)]
    assert str(found[0].error) == "line: has a quoted cell that is not UTF-8"
    assert str(found[2].error) == "line: is not UTF-8"


LINES = [
    "a.example,x@a.example",
    "",
    " , ",
    '"b.example"',
    'c.example,"x;',
    'y"',
    "d.example,,surplus",
    "e.example,\0",
    "f.example",
    "g.example\rh.example",
    "i.example\x85",
    "{}",
    "  j.example",
]
HEADERS = ["", "domain", "domain,admins", "note,domain", "domain,line,code,reason,outcome,attempts,retryable"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(HEADERS), st.lists(st.sampled_from(LINES), max_size=12))
@example("domain,admins", ["a.example", "b.example", "c.example", 'd.example,"x;', 'y"', "e.example"])
@example("domain,admins", ["f.example," + "x" * 200_000, "a.example"])
@example("domain", ["a.example", "x" * 140_000, "b.example"])
def test_a_file_has_the_rows_that_a_stream_of_the_same_lines_has(tmp_path: Path, header: str, text: list[str]) -> None:
    def told(found: Iterable[Row[Domain | str]]) -> list[tuple[object, ...]]:
        return [(row.line, row.name, row.value, str(row.error), row.cells, row.surplus) for row in found]

    path, pipe = tmp_path / "domains.csv", tmp_path / "pipe"
    path.write_bytes("\n".join([*filter(None, [header]), "first.example", *text]).encode())
    if not pipe.exists():
        os.mkfifo(pipe)
    # Rows of a file are read in blocks, those of a stream one by one.
    with mock.patch.object(lines, "_BLOCK", 40), open_source(str(path), DOMAINS) as source:
        of_file = told(source)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    with open_source(str(pipe), DOMAINS) as source:
        of_stream = told(source)
    writer.join()

    assert of_file == of_stream


def test_lines_within_quotes_are_not_counted_as_rows_wherever_a_block_ends(csv_path: Path) -> None:
    csv_path.write_text(
        'domain,admins\na.example,"x@a.example;\n' + "y@a.example;\n" * 9 + 'z@a.example"\nb.example,\n'
    )

    with mock.patch.object(lines, "_BLOCK", 16), open_source(str(csv_path), DOMAINS) as source:
        assert source.total == 2
        assert [row.name for row in source] == ["a.example", "b.example"]


def test_a_line_of_json_that_is_not_utf8_costs_a_stream_only_its_row(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b'{"domain": "a.example"}\n{"domain": "b\xfccher.example"}\n{"domain": "c.example"}\n')

    with open_source(str(pipe), DOMAINS) as source:
        os.close(writer)
        found = list(source)

    assert [(row.line, row.value is not None) for row in found] == [(1, True), (2, False), (3, True)]
    assert str(found[1].error) == "line: is not UTF-8"


def test_a_stream_whose_first_line_is_not_utf8_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"b\xfccher.example\n")

    with pytest.raises(InvalidInput, match="is not UTF-8 in its first line; save it as UTF-8"):
        open_source(str(pipe), DOMAINS)
    os.close(writer)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "first", "line"),
    [
        ("domains.csv", "domain", "d{}.example"),
        ("domains.csv", "domain,admins", "d{0}.example,x@d{0}.example"),
        ("domains.csv", "domain,admins", '"d{0}.example","x@d{0}.example"'),
        ("domains.jsonl", "", '{{"domain": "d{0}.example", "admins": ["x@d{0}.example"]}}'),
    ],
)
async def test_no_text_of_a_file_is_read_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first: str, line: str
) -> None:
    readers: set[int] = set()

    class Told(TextIOWrapper):
        def read(self, size: int | None = -1, /) -> str:
            readers.add(threading.get_ident())
            return super().read(size)

        def __next__(self) -> str:  # type: ignore[override]  # as it is in truth
            readers.add(threading.get_ident())
            return super().__next__()

    path = tmp_path / name
    path.write_text("\n".join([*filter(None, [first]), *(line.format(number) for number in range(5_000))]))
    opened = path.open("rb")  # the source closes it
    monkeypatch.setattr(source_room, "_text", lambda _: Told(opened, encoding="utf-8", newline=""))
    with open_source(str(path), DOMAINS) as source:
        readers.clear()
        found: list[str] = []
        while rows_of := await source.take(1_000):
            found += [row.name for row in rows_of]

    assert found == [f"d{number}.example" for number in range(5_000)]
    assert readers
    assert threading.get_ident() not in readers


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", ["read", "readline"])
async def test_where_a_file_cannot_be_read_further_the_rows_before_it_are_given_and_none_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    calls: list[str] = []

    class Failing(TextIOWrapper):
        has_begun = False

        def read(self, size: int | None = -1, /) -> str:
            return self.called("read", super().read(size))

        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # as it is in truth
            return self.called("readline", super().readline(size))

        def called(self, name: str, text: str) -> str:
            calls.append(name)
            if self.has_begun and calls.count(fails) == 3:
                raise OSError(5, "Input/output error")
            return text

    path = tmp_path / "domains.csv"
    path.write_text("domain\n" + "".join(f"d{number}.example\n" for number in range(100, 200)))
    failing = Failing(path.open("rb"), encoding="utf-8", newline="")
    monkeypatch.setattr(source_room, "_text", lambda _: failing)
    monkeypatch.setattr(lines, "_BLOCK", 130)  # ten lines and a bit
    with open_source(str(path), DOMAINS) as source:
        calls.clear()
        failing.has_begun = True
        found = [row.name for row in await source.take(1_000)]
        with pytest.raises(OSError, match="Input/output"):
            await source.take(1_000)

    assert 20 <= len(found) < 40
    assert found == [f"d{number}.example" for number in range(100, 100 + len(found))]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        with path.open("w") as file:
            file.write("domain,admins\n")
            file.writelines(f"d{i}.example,x@d{i}.example\n" for i in range(count))
        tracemalloc.start()
        try:
            with open_source(str(path), DOMAINS) as source:
                assert sum(1 for _ in source) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)

    assert peak(20_000) < peak(2_000) + 100_000
