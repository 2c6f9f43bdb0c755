"""Whatever form the answer to a batch has, it is understood: that nearly all say what was asked for is told at once.

The order of keys, nulls and what stands beside the domains is the API's to choose; what it says of each domain counts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import anyio
import attrs
import httpx
import pytest
from attrs import define
from conftest import HERE
from hypothesis import given, settings
from hypothesis import strategies as st

from mailchannels import AsyncMailChannels, BulkProvisionResult, Domain, DomainSettings, DownstreamAddress, Outcome
from mailchannels.batches import Provisioning
from mailchannels.echoes import Echo, echo_of_all
from mailchannels.fragments import DomainsInColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.usefixtures("environment")

SECTIONS = ("settings", "admins", "aliases", "downstreamAddress", "downstreamAddresses")

mail_servers = st.builds(
    DownstreamAddress,
    priority=st.sampled_from([0, 10]),
    weight=st.just(10),
    port=st.sampled_from([25, 2_525]),
    target=st.sampled_from(["mx.example.", "mx2.example."]),
)
sections = {
    "settings": st.builds(
        DomainSettings,
        abuse_policy=st.sampled_from([None, "flag"]),
        abuse_policy_override=st.sampled_from([None, False]),
        spam_header_value=st.sampled_from([None, "yes", "ä"]),
    ),
    "admins": st.lists(st.sampled_from(["a@b.example", "c@d.example"]), unique=True),
    "downstream_addresses": st.lists(mail_servers, max_size=2),
    "aliases": st.lists(st.sampled_from(["www.b.example", "www.bücher.example"]), unique=True),
}


@st.composite
def batches(draw: st.DrawFn) -> list[Domain]:
    """Draw domains that have the same sections, or each its own."""
    alike = draw(st.booleans())
    has = {name: draw(st.booleans()) for name in sections}
    return [
        Domain(
            f"d{number}.example",
            **{name: draw(some if alike else st.none() | some) for name, some in sections.items() if has[name]},  # type: ignore[arg-type]
        )
        for number in range(draw(st.integers(1, 4)))
    ]


@define
class Form:
    """How an API writes its answers."""

    order: Any
    servers: tuple[str, ...]
    keeps_nulls: bool
    handle: str | None
    comment: str | None
    errors: Any
    errors_come_first: bool
    separators: tuple[str, str]
    end: str
    is_ascii: bool

    def written(self, items: Sequence[Any], change: Callable[[list[Any]], object]) -> bytes:
        """Answer with what was asked for, but for a change."""
        successes = [{"code": 201, "domain": self._stored(item)} for item in items]
        if self.comment is not None:
            successes = [success | {"comment": self.comment} for success in successes]
        change(successes)
        document = {"successes": successes, "errors": self.errors}
        if self.errors == "left out":
            del document["errors"]
        if self.errors_come_first:
            document = dict(reversed(document.items()))
        text = json.dumps(self._ordered(document), separators=self.separators, ensure_ascii=self.is_ascii)
        return (text + self.end).encode()

    def _stored(self, item: Any) -> Any:
        stored = {key: value for key, value in item.items() if key not in {*SECTIONS[3:]} - {*self.servers}}
        if self.keeps_nulls:
            stored = dict.fromkeys((*SECTIONS[:3], *self.servers)) | stored
            if stored["settings"] is not None:
                unset = {"abusePolicy": None, "abusePolicyOverride": None, "spamHeaderName": None}
                stored["settings"] = unset | stored["settings"]
        return stored if self.handle is None else {**stored, "subscriptionHandle": self.handle}

    def _ordered(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._ordered(each) for each in value]
        if not isinstance(value, dict) or "successes" in value:
            return {key: self._ordered(each) for key, each in value.items()} if isinstance(value, dict) else value
        return {key: self._ordered(value[key]) for key in sorted(value, key=self.order)}


forms = st.builds(
    Form,
    order=st.sampled_from([str, lambda key: key[::-1], lambda key: (len(key), key)]),
    servers=st.sampled_from([SECTIONS[3:], SECTIONS[3:4], SECTIONS[4:]]),
    keeps_nulls=st.booleans(),
    handle=st.sampled_from([None, "demo"]),
    comment=st.sampled_from([None, "created", "créé"]),
    errors=st.sampled_from([[], None, "left out"]),
    errors_come_first=st.booleans(),
    separators=st.sampled_from([(",", ":"), (", ", ": ")]),
    end=st.sampled_from(["", "\n"]),
    is_ascii=st.booleans(),
)


def provisioned(
    domains: Sequence[Domain | str], form: Form, change: Callable[[list[Any]], object] = len
) -> BulkProvisionResult:
    def say(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=form.written(json.loads(request.content)["domains"], change))

    async def main() -> BulkProvisionResult:
        async with AsyncMailChannels("key", base_url=HERE, rate_limit=None, transport=httpx.MockTransport(say)) as api:
            return await api.domains.bulk_provision(domains, subscription_handle="demo")

    return anyio.run(main)


def canonical(domain: Domain, handle: str | None) -> Domain:
    aliases = domain.aliases and [alias.replace("bücher", "xn--bcher-kva") for alias in domain.aliases]
    return attrs.evolve(domain, aliases=aliases, subscription_handle=handle)


@given(batches(), forms)
@settings(max_examples=300)
def test_domains_that_are_told_as_they_were_sent_have_succeeded(domains: list[Domain], form: Form) -> None:
    result = provisioned(domains, form)

    assert [item.domain for item in result.successes] == [canonical(domain, form.handle) for domain in domains]
    assert {(item.code, item.comment, item.settings_applied) for item in result.successes} == {
        (201, form.comment, True)
    }
    assert result.errors == []


@given(st.integers(1, 4), forms)
def test_names_that_are_told_as_they_were_sent_have_succeeded(count: int, form: Form) -> None:
    names = [f"d{number}.example" for number in range(count)]

    result = provisioned(names, form)

    assert [item.domain for item in result.successes] == [Domain(name, form.handle) for name in names]
    assert {(item.code, item.comment, item.settings_applied) for item in result.successes} == {
        (201, form.comment, True)
    }


PLAIN = Form(str, SECTIONS[4:], False, None, None, [], False, (",", ":"), "", False)
FULL = [
    Domain(
        f"d{number}.example",
        settings=DomainSettings(abuse_policy="flag", spam_header_value="1"),
        admins=[f"a@d{number}.example"],
        downstream_addresses=[DownstreamAddress(10, 10, 25, "mx.example.")],
        aliases=[f"www.d{number}.example"],
    )
    for number in range(4)
]


def told(place: int, *path: str, value: Any) -> Callable[[list[Any]], object]:
    """Have one of the successes say something else."""

    def change(successes: list[Any]) -> None:
        document = successes[place]
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("settings", "abusePolicy"), "quarantine"),
        (("settings", "spamHeaderValue"), None),
        (("settings",), None),
        (("admins",), []),
        (("admins",), ["b@d.example"]),
        (("aliases",), None),
        (("downstreamAddresses",), []),
        (("downstreamAddresses",), [{"priority": 20, "weight": 10, "port": 25, "target": "mx.example."}]),
    ],
)
def test_what_one_domain_is_told_to_lack_is_told_of_that_one_alone(
    path: tuple[str, ...], value: Any, place: int
) -> None:
    result = provisioned(FULL, PLAIN, told(place, "domain", *path, value=value))

    assert [item.settings_applied for item in result.successes] == [number != place for number in range(4)]


@pytest.mark.parametrize("value", ["left out", None])
@pytest.mark.parametrize("section", ["settings", "admins", "aliases", "downstreamAddresses"])
def test_what_all_domains_are_told_to_lack_is_told_of_each(section: str, value: str | None) -> None:
    def without(successes: list[Any]) -> None:
        for success in successes:
            success["domain"][section] = value
            if value is not None:
                del success["domain"][section]

    result = provisioned(FULL, PLAIN, without)

    assert [item.settings_applied for item in result.successes] == [False] * 4


def test_a_setting_that_all_domains_are_told_to_lack_is_told_of_each() -> None:
    def without(successes: list[Any]) -> None:
        for success in successes:
            del success["domain"]["settings"]["abusePolicy"]

    result = provisioned(FULL, PLAIN, without)

    assert [item.settings_applied for item in result.successes] == [False] * 4


def test_what_some_domains_have_and_no_domain_is_told_to_have_is_told_of_those() -> None:
    def without(successes: list[Any]) -> None:
        for success in successes:
            success["domain"].pop("aliases", None)

    some = [domain if number % 2 else attrs.evolve(domain, aliases=None) for number, domain in enumerate(FULL)]
    result = provisioned(some, PLAIN, without)

    assert [item.settings_applied for item in result.successes] == [True, False, True, False]


@pytest.mark.parametrize("first", [True, False])
def test_an_error_counts_more_than_a_success_for_the_same_domain(first: bool) -> None:
    failed = [{"domain": {"domain": "d1.example"}, "code": 409, "comment": "taken"}]
    form = attrs.evolve(PLAIN, errors=failed, errors_come_first=first)

    result = provisioned(FULL, form)

    assert [(item.index, item.code) for item in result.errors] == [(1, 409)]
    assert [item.index for item in result.successes] == [0, 2, 3]


def test_what_an_answer_says_besides_does_not_matter() -> None:
    def with_more(successes: list[Any]) -> None:
        for success in successes:
            success["domain"]["region"] = success["since"] = 7

    result = provisioned(FULL, PLAIN, with_more)

    assert [item.domain for item in result.successes] == FULL
    assert all(item.settings_applied for item in result.successes)


def test_a_setting_that_nobody_asked_for_is_shown() -> None:
    result = provisioned(FULL, PLAIN, told(3, "domain", "settings", "spamHeaderName", value="X-Spam"))

    shown = [item.domain.settings.spam_header_name for item in result.successes if item.domain.settings is not None]
    assert shown == [None, None, None, "X-Spam"]
    assert all(item.settings_applied for item in result.successes)


@pytest.mark.parametrize("place", [0, 2])
def test_a_code_or_a_comment_of_one_domain_is_its_own(place: int) -> None:
    codes = provisioned(FULL, PLAIN, told(place, "code", value=200)).successes
    comments = provisioned(FULL, PLAIN, told(place, "comment", value="was there")).successes

    assert [item.code for item in codes] == [200 if number == place else 201 for number in range(4)]
    assert [item.comment for item in comments] == ["was there" if number == place else None for number in range(4)]


@pytest.mark.parametrize(
    "change",
    [list.reverse, lambda successes: successes.append(successes.pop(0))],
    ids=["backwards", "the first one last"],
)
def test_domains_in_another_order_are_matched_by_name(change: Callable[[list[Any]], object]) -> None:
    def numbered(successes: list[Any]) -> None:
        for number, success in enumerate(successes):
            success["comment"] = str(number)
        change(successes)

    result = provisioned(FULL, PLAIN, numbered)

    assert [(item.domain, item.comment) for item in result.successes] == [
        (domain, str(number)) for number, domain in enumerate(FULL)
    ]


@pytest.mark.parametrize("place", [0, 3])
def test_a_domain_that_is_left_out_is_unknown(place: int) -> None:
    result = provisioned(FULL, PLAIN, lambda successes: successes.pop(place))

    assert [(item.index, item.outcome) for item in result.errors] == [(place, Outcome.UNKNOWN)]
    assert len(result.successes) == 3


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (told(0, "code", value=201.0), "$.successes[0].code"),
        (told(0, "code", value=True), "$.successes[0].code"),
        (told(0, "comment", value=7), "$.successes[0].comment"),
        (told(0, "domain", "subscriptionHandle", value=7), "$.successes[0].domain.subscriptionHandle"),
        (told(0, "domain", value=7), "$.successes[0].domain"),
        (told(0, "domain", "settings", value=[7]), "$.successes[0].domain.settings"),
        (told(0, "domain", "downstreamAddresses", value=[7]), "$.successes[0].domain.downstreamAddresses[0]"),
        (told(2, "domain", "admins", value="a@b.example"), "$.successes[2].domain.admins"),
        (lambda successes: successes.insert(0, 7), "$.successes[0]"),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(change: Callable[[list[Any]], object], where: str) -> None:
    result = provisioned(FULL, PLAIN, change)

    assert {item.outcome for item in result.errors} == {Outcome.UNKNOWN}
    assert all(where in str(item.error) for item in result.errors)


@pytest.mark.parametrize("value", [True, 201.0, "201", None])
def test_a_code_that_is_no_whole_number_does_not_fit_a_lone_domain_either(value: Any) -> None:
    (error,) = provisioned(FULL[:1], PLAIN, told(0, "code", value=value)).errors

    assert "$.successes[0].code" in str(error.error)


@pytest.mark.parametrize("value", [7, ["demo"]])
@pytest.mark.parametrize("path", [("comment",), ("domain", "subscriptionHandle")])
def test_what_is_no_text_does_not_fit_a_lone_domain_either(path: tuple[str, ...], value: Any) -> None:
    (error,) = provisioned(FULL[:1], PLAIN, told(0, *path, value=value)).errors

    assert f"$.successes[0].{'.'.join(path)}" in str(error.error)


@pytest.mark.parametrize(
    ("begin", "end", "is_taken"),
    [
        (" \t\r\n{", "} \t\r\n", True),
        ("{", "", False),
        ("{", ',"errors":[}', False),
        ("{", ',"errors":[]}x', False),
        ("{", ',"errors":[7]}', False),
        ("{", "}\f", False),
        ("\v{", "}", False),
        ('{"errors":[7],', "}", False),
        ('{"errors":[],,', "}", False),
        ('{"successes":[{"code":' + "[" * 100_000, "}", False),
    ],
)
def test_only_an_answer_that_is_a_whole_document_is_taken(begin: str, end: str, is_taken: bool) -> None:
    def say(request: httpx.Request) -> httpx.Response:
        whole = PLAIN.written(json.loads(request.content)["domains"], len)
        middle = whole.removeprefix(b"{").removesuffix(b',"errors":[]}')
        return httpx.Response(200, content=begin.encode() + middle + end.encode())

    async def main() -> BulkProvisionResult:
        async with AsyncMailChannels("key", base_url=HERE, rate_limit=None, transport=httpx.MockTransport(say)) as api:
            return await api.domains.bulk_provision(FULL, subscription_handle="demo")

    assert len(anyio.run(main).successes) == (4 if is_taken else 0)


@given(forms.filter(lambda form: form.separators == (",", ":") and (form.comment or "").isascii()))
def test_an_answer_without_spaces_is_taken_as_a_whole_whatever_its_form(form: Form) -> None:
    batch = Provisioning(cast("Any", None), "demo", None, None, None).prepare([*FULL])
    assert isinstance(batch.subjects, DomainsInColumns)
    body = form.written([json.loads(fragment) for fragment in batch.fragments], len)

    assert echo_of_all(body, batch.subjects.sent) == Echo(201, form.comment, form.handle)
