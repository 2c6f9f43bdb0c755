"""What cannot be right of a list, a recipient or a report is refused unsent, and the rest arrives to the letter."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
import respx
from conftest import HERE
from hypothesis import example, given, settings
from refusal import NEW_LIST, Arrived, Call, Slot, any_text, arrived, refused, request_of

from mailchannels import AsyncLists, AsyncMailChannels, AsyncService, AsyncUsers, SmtpEnvelope

JANE: Final = "jane@example.com"
MESSAGE: Final = "Subject: a\r\n\r\n"


@pytest_asyncio.fixture
async def unsent(environment: pytest.MonkeyPatch) -> AsyncIterator[AsyncMailChannels]:
    """A client for which every request is a failure."""
    with respx.mock:
        async with AsyncMailChannels("key", base_url=HERE, rate_limit=None) as client:
            yield client


# --- addresses


TAKES_AN_EMAIL: Final[dict[str, Call]] = {
    "create": lambda client, email: client.users.create(email),
    "add_list_entry": lambda client, email: client.users.add_list_entry(email, "safelist", "a"),
    "list_entries": lambda client, email: client.users.list_entries(email, "safelist"),
    "delete_list_entry": lambda client, email: client.users.delete_list_entry(email, "safelist", "a"),
}
BAD_EMAILS: Final = {
    "empty": "",
    "blank": " ",
    "no @": "example.com",
    "no name": "@example.com",
    "no domain": "jane@",
    "only an @": "@",
    "bad domain": "jane@a..example",
    "domain with an underscore": "jane@a_b.example",
    "domain as a path": "jane@../users",
    "domain with a query": "jane@example.com?x=1",
    "address literal": "jane@[192.0.2.1]",
    "space": "jane doe@example.com",
    "space before": " jane@example.com",
    "space after": "jane@example.com ",
    "no-break space": "jane\u00a0doe@example.com",
    "name and address": "Jane <jane@example.com>",
    "address in brackets": "<jane@example.com>",
    "two addresses in a line": "jane@example.com joe@example.com",
    "line feed": "jane@example.com\n",
    "header": "jane@example.com\r\nBcc: joe@example.com",
    "null": "jane\x00@example.com",
    "escape": "\x1b[2J@example.com",
    "surrogate": "\ud800@example.com",
    "number": 5,
    "none": None,
    "bytes": b"jane@example.com",
    "list": ["jane@example.com"],
}
SENT_ANYWAY: Final = {
    "two at signs": "jane@joe@example.com",
    "two addresses": "jane@example.com,joe@example.com",
    "no end": "a" * 70_000 + "@example.com",
}


@pytest.mark.parametrize("email", BAD_EMAILS.values(), ids=BAD_EMAILS)
@pytest.mark.parametrize("method", TAKES_AN_EMAIL)
@pytest.mark.asyncio
async def test_a_bad_address_is_refused_by_every_method(method: str, email: object, unsent: AsyncMailChannels) -> None:
    await refused(TAKES_AN_EMAIL[method](unsent, email), "email")


@pytest.mark.parametrize("email", SENT_ANYWAY.values(), ids=SENT_ANYWAY)
@pytest.mark.parametrize("method", TAKES_AN_EMAIL)
@pytest.mark.asyncio
async def test_an_address_that_no_mail_server_takes_is_refused(
    method: str, email: str, unsent: AsyncMailChannels
) -> None:
    await refused(TAKES_AN_EMAIL[method](unsent, email), "email")


# --- everything else that is passed to a method


def entries(list_entries: object) -> Call:
    return lambda client: client.users.create(JANE, list_entries=list_entries)


def report(*arguments: object, **details: object) -> Call:
    return lambda client: client.service.report(*arguments, **details)


def envelope(part: str, value: Any) -> SmtpEnvelope:
    return SmtpEnvelope(**{part: value})


BAD_LISTS: Final = {
    "unknown": "greylist",
    "in capitals": "Safelist",
    "with a space": "safelist ",
    "empty": "",
    "as a path": "../safelist",
    "none": None,
    "number": 5,
    "list": ["safelist"],
}
BAD_ITEMS: Final = {
    "empty": ("", "is empty"),
    "blank": (" \t", "is empty"),
    "CR": ("a\r", "control"),
    "NUL": ("\0", "control"),
    "surrogate": ("\ud800", "surrogate"),
    "321 characters": ("a" * 321, "321 characters long; at most 320"),
    "without end": ("a" * 70_000, "at most 320"),
    "none": (None, "not NoneType"),
    "number": (5, "not int"),
    "bytes": (b"a", "not bytes"),
    "list": (["a"], "not list"),
}
TAKES_A_LIST: Final[dict[str, Call]] = {
    "lists.add_list_entry": lambda client, name: client.lists.add_list_entry(name, "a"),
    "lists.list_entries": lambda client, name: client.lists.list_entries(name),
    "lists.delete_list_entry": lambda client, name: client.lists.delete_list_entry(name, "a"),
    "users.add_list_entry": lambda client, name: client.users.add_list_entry(JANE, name, "a"),
    "users.list_entries": lambda client, name: client.users.list_entries(JANE, name),
    "users.delete_list_entry": lambda client, name: client.users.delete_list_entry(JANE, name, "a"),
}
TAKES_AN_ITEM: Final[dict[str, Call]] = {
    "lists.add_list_entry": lambda client, item: client.lists.add_list_entry("safelist", item),
    "lists.delete_list_entry": lambda client, item: client.lists.delete_list_entry("safelist", item),
    "users.add_list_entry": lambda client, item: client.users.add_list_entry(JANE, "safelist", item),
    "users.delete_list_entry": lambda client, item: client.users.delete_list_entry(JANE, "safelist", item),
}
REFUSED: Final[dict[str, tuple[Call, str, str]]] = {
    "admin as text": (lambda client: client.users.create(JANE, admin="yes"), "admin", "True or False"),
    "admin as a number": (lambda client: client.users.create(JANE, admin=1), "admin", "True or False"),
    "admin None": (lambda client: client.users.create(JANE, admin=None), "admin", "True or False"),
    "unknown filter": (lambda client: client.users.create(JANE, filter="maybe"), "filter", "True, False or 'compute'"),
    "filter in capitals": (lambda client: client.users.create(JANE, filter="True"), "filter", "'True' is no filter"),
    "empty filter": (lambda client: client.users.create(JANE, filter=""), "filter", "'' is no filter"),
    "filter as a number": (lambda client: client.users.create(JANE, filter=1), "filter", "1 is no filter"),
    "filter as a list": (lambda client: client.users.create(JANE, filter=["true"]), "filter", "is no filter"),
    "entries of no list": (entries({}), "list_entries", "holds no entry"),
    "both lists empty": (entries({"safelist": [], "blocklist": []}), "list_entries", "holds no entry"),
    "one list, empty": (entries({"blocklist": ()}), "list_entries", "holds no entry"),
    "entries of an unknown list": (entries({"greylist": ["a"]}), "list_entries", "'greylist' is no list"),
    "entries of a nameless list": (entries({"": ["a"]}), "list_entries", "'' is no list"),
    "entries of two nameless lists": (entries({"": ["a"], " ": ["b"]}), "list_entries", "'' is no list"),
    "entries of None": (entries({None: ["a"]}), "list_entries", "None is no list"),
    "entries as a list": (entries(["a"]), "list_entries", "must map list names"),
    "entries as text": (entries("safelist"), "list_entries", "must map list names"),
    "items as one text": (entries({"safelist": "a"}), "list_entries['safelist']", "must be a list"),
    "items None": (entries({"safelist": None}), "list_entries['safelist']", "must be a list"),
    **{
        f"report type {what}": (report(kind, MESSAGE), "type", "'false_negative' or 'false_positive'")
        for what, kind in {
            "unknown": "spam", "in capitals": "FALSE_NEGATIVE", "empty": "", "None": None, "list": ["false_positive"],
        }.items()
    },
    "empty message": (report("false_positive", ""), "message_content", "is empty"),
    "blank message": (report("false_positive", " \r\n\t"), "message_content", "is empty"),
    "message as bytes": (report("false_positive", MESSAGE.encode()), "message_content", "decode the message first"),
    "message None": (report("false_positive", None), "message_content", "not NoneType"),
    "message with surrogate": (report("false_positive", "a\ud800"), "message_content", "surrogate"),
    "empty host": (report("false_positive", MESSAGE, sending_host=""), "sending_host", "is empty"),
    "host with LF": (report("false_positive", MESSAGE, sending_host="a\n"), "sending_host", "control"),
    "host with surrogate": (report("false_positive", MESSAGE, sending_host="\ud800"), "sending_host", "surrogate"),
    "host as a number": (report("false_positive", MESSAGE, sending_host=5), "sending_host", "not int"),
    "envelope as a dict": (
        report("false_positive", MESSAGE, smtp_envelope={"ehlo": "a"}),
        "smtp_envelope",
        "must be SmtpEnvelope, not dict",
    ),
    **{
        f"envelope with {part} {value!r}": (
            report("false_positive", MESSAGE, smtp_envelope=envelope(part, value)),
            f"smtp_envelope.{part}",
            said,
        )
        for part in ("ehlo", "mail_from", "rcpt_to")
        for value, said in [("", "is empty"), ("a\r\nb", "control"), ("\ud800", "surrogate"), (5, "not int")]
    },
}  # fmt: skip


@pytest.mark.parametrize("list_name", BAD_LISTS.values(), ids=BAD_LISTS)
@pytest.mark.parametrize("method", TAKES_A_LIST)
@pytest.mark.asyncio
async def test_a_list_of_another_name_is_refused(method: str, list_name: object, unsent: AsyncMailChannels) -> None:
    said = await refused(TAKES_A_LIST[method](unsent, list_name), "list_name")

    assert said.endswith("is no list; use 'safelist' or 'blocklist'")


@pytest.mark.parametrize(("item", "said"), BAD_ITEMS.values(), ids=BAD_ITEMS)
@pytest.mark.parametrize("method", TAKES_AN_ITEM)
@pytest.mark.asyncio
async def test_a_bad_item_is_refused(method: str, item: object, said: str, unsent: AsyncMailChannels) -> None:
    assert said in await refused(TAKES_AN_ITEM[method](unsent, item), "item")


@pytest.mark.parametrize("items", [[], ["a.example"]])
@pytest.mark.parametrize(("item", "said"), [row for row in BAD_ITEMS.values() if isinstance(row[0], str)])
@pytest.mark.asyncio
async def test_a_bad_item_of_a_new_recipient_is_refused_by_its_position(
    item: str, said: str, items: list[str], unsent: AsyncMailChannels
) -> None:
    call = unsent.users.create(JANE, list_entries={"safelist": ["b.example"], "blocklist": [*items, item]})

    assert said in await refused(call, f"list_entries['blocklist'][{len(items)}]")


@pytest.mark.parametrize(("call", "argument", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.asyncio
async def test_a_bad_argument_is_refused_by_name_and_limit(
    call: Call, argument: str, said: str, unsent: AsyncMailChannels
) -> None:
    assert said in await refused(call(unsent), argument)


# --- any text at all


def _user(**changes: str) -> Arrived:
    query = {"email_address": JANE, "admin": "false", **changes}
    return Arrived(["users"], tuple(query.items()))


def _reported(type_: str = "false_positive", **document: object) -> Arrived:
    return Arrived(["report"], (("report_type", type_),), {"messageContent": MESSAGE, **document})


def _current(name: str) -> str:
    return NEW_LIST.get(name, name)


SLOTS: Final = {
    "lists.add_list_entry list_name": Slot(
        lambda client, text: client.lists.add_list_entry(text, "item"),
        lambda text: Arrived(["lists", _current(text)], body={"item": "item"}),
    ),
    "lists.add_list_entry item": Slot(
        lambda client, text: client.lists.add_list_entry("safelist", text),
        lambda text: Arrived(["lists", "safelist"], body={"item": text}),
    ),
    "lists.list_entries list_name": Slot(
        lambda client, text: client.lists.list_entries(text),
        lambda text: Arrived(["lists", _current(text)]),
    ),
    "lists.delete_list_entry list_name": Slot(
        lambda client, text: client.lists.delete_list_entry(text, "item"),
        lambda text: Arrived(["lists", _current(text)], (("item", "item"),)),
    ),
    "lists.delete_list_entry item": Slot(
        lambda client, text: client.lists.delete_list_entry("safelist", text),
        lambda text: Arrived(["lists", "safelist"], (("item", text),)),
    ),
    "users.create email": Slot(
        lambda client, text: client.users.create(text),
        lambda text: _user(email_address=text),
    ),
    "users.create filter": Slot(
        lambda client, text: client.users.create(JANE, filter=text),
        lambda text: _user(filter=text),
    ),
    "users.create list_entries": Slot(
        lambda client, text: client.users.create(JANE, list_entries={text: ["item"]}),
        lambda text: _user()._replace(body={"list_entries": {_current(text): ["item"]}}),
    ),
    "users.create list_entries, an item": Slot(
        lambda client, text: client.users.create(JANE, list_entries={"blocklist": [text]}),
        lambda text: _user()._replace(body={"list_entries": {"blocklist": [text]}}),
    ),
    "users.add_list_entry email": Slot(
        lambda client, text: client.users.add_list_entry(text, "safelist", "item"),
        lambda text: Arrived(["users", text, "lists", "safelist"], body={"item": "item"}),
    ),
    "users.add_list_entry list_name": Slot(
        lambda client, text: client.users.add_list_entry(JANE, text, "item"),
        lambda text: Arrived(["users", JANE, "lists", _current(text)], body={"item": "item"}),
    ),
    "users.add_list_entry item": Slot(
        lambda client, text: client.users.add_list_entry(JANE, "safelist", text),
        lambda text: Arrived(["users", JANE, "lists", "safelist"], body={"item": text}),
    ),
    "users.list_entries email": Slot(
        lambda client, text: client.users.list_entries(text, "safelist"),
        lambda text: Arrived(["users", text, "lists", "safelist"]),
    ),
    "users.list_entries list_name": Slot(
        lambda client, text: client.users.list_entries(JANE, text),
        lambda text: Arrived(["users", JANE, "lists", _current(text)]),
    ),
    "users.delete_list_entry email": Slot(
        lambda client, text: client.users.delete_list_entry(text, "safelist", "item"),
        lambda text: Arrived(["users", text, "lists", "safelist"], (("item", "item"),)),
    ),
    "users.delete_list_entry list_name": Slot(
        lambda client, text: client.users.delete_list_entry(JANE, text, "item"),
        lambda text: Arrived(["users", JANE, "lists", _current(text)], (("item", "item"),)),
    ),
    "users.delete_list_entry item": Slot(
        lambda client, text: client.users.delete_list_entry(JANE, "safelist", text),
        lambda text: Arrived(["users", JANE, "lists", "safelist"], (("item", text),)),
    ),
    "service.report type": Slot(
        lambda client, text: client.service.report(text, MESSAGE),
        _reported,
    ),
    "service.report message_content": Slot(
        lambda client, text: client.service.report("false_positive", text),
        lambda text: _reported(messageContent=text),
    ),
    "service.report sending_host": Slot(
        lambda client, text: client.service.report("false_positive", MESSAGE, sending_host=text),
        lambda text: _reported(sendingHostInformation={"name": text}),
    ),
    "service.report smtp_envelope": Slot(
        lambda client, text: report("false_positive", MESSAGE, smtp_envelope=SmtpEnvelope(text, text, text))(client),
        lambda text: _reported(smtpEnvelopeInformation={"ehlo": text, "mailFrom": text, "rcptTo": text}),
    ),
}


def test_every_argument_that_holds_text_has_its_slot() -> None:
    arguments = {
        f"{module}.{name} {argument}"
        for module, cls in (("lists", AsyncLists), ("users", AsyncUsers), ("service", AsyncService))
        for name, method in vars(cls).items()
        if name[0] != "_"
        for argument in inspect.signature(method).parameters
    }

    without_text = {argument for argument in arguments if argument.split()[1] in {"self", "timeout", "admin"}}
    assert {slot.partition(",")[0] for slot in SLOTS} == arguments - without_text


@pytest.mark.parametrize("slot", SLOTS.values(), ids=SLOTS)
@given(text=any_text)
@example(text="..")
@example(text="../lists")
@example(text="safelist")
@example(text="blacklist")
@example(text="compute")
@example(text="false_negative")
@example(text="jane+a/b?c#d%2e@example.com")
@example(text="../../x@example.com")
@settings(max_examples=60, deadline=None)
def test_any_text_is_refused_or_arrives_as_that_one_value(slot: Slot, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        request = asyncio.run(request_of(slot, text))

    if request is not None:
        assert arrived(request) == slot.arrived(text)
        assert request.url.host == "127.0.0.1"
