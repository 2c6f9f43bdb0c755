"""The models: through JSON and back, what results add up to, and where a login link is not to be seen."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specification import document, needs_specification

import mailchannels
from mailchannels import (
    Alias,
    BulkError,
    BulkLoginLinkItem,
    BulkLoginLinkResult,
    BulkProvisionItem,
    BulkProvisionResult,
    BulkResult,
    Conflict,
    Domain,
    DomainPage,
    DomainSettings,
    DownstreamAddress,
    Limit,
    ListEntry,
    LoginLink,
    Outcome,
    Plan,
    ProvisionedDomain,
    SmtpEnvelope,
    Statistics,
    Subscription,
    User,
    wire,
)
from mailchannels.fragments import of_domains

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

quickly = settings(deadline=None, max_examples=60)

LINK: Final = "https://console.example/login?token=t0k3n"

whole = st.integers(min_value=-(2**63), max_value=2**63 - 1)
text = st.text(max_size=20)
maybe_text = st.none() | text
policies = st.none() | st.sampled_from(["block", "flag", "quarantine"])


def listed(members: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.lists(members, max_size=3)


domain_settings = st.builds(DomainSettings, policies, st.none() | st.booleans(), maybe_text, maybe_text)
addresses = st.builds(DownstreamAddress, whole, whole, whole, text)
domains = st.builds(
    Domain,
    text,
    maybe_text,
    st.none() | domain_settings,
    st.none() | listed(text),
    st.none() | listed(addresses),
    st.none() | listed(text),
)
entries = st.builds(ListEntry, text, text, text)
recipients = st.builds(wire.Recipient, text, listed(text), st.none() | st.booleans())
plans = st.builds(Plan, text, text)
limits = st.builds(Limit, text, text)
commented_domains = st.builds(wire.CommentedDomain, domains, whole, maybe_text)
commented_links = st.builds(wire.CommentedLoginLink, text, whole, maybe_text, maybe_text)
MODELS: Final[dict[type, SearchStrategy[Any]]] = {
    DomainSettings: domain_settings,
    DownstreamAddress: addresses,
    wire.DownstreamRecords: st.builds(wire.DownstreamRecords, st.none() | listed(addresses)),
    Domain: domains,
    DomainPage: st.builds(DomainPage, listed(domains), whole),
    Alias: st.builds(Alias, domains, text),
    ListEntry: entries,
    LoginLink: st.builds(LoginLink, text),
    wire.Recipient: recipients,
    wire.CreatedRecipient: st.builds(wire.CreatedRecipient, st.none() | recipients, st.none() | listed(entries)),
    Plan: plans,
    Limit: limits,
    Subscription: st.builds(Subscription, text, st.booleans(), plans, listed(limits), whole),
    SmtpEnvelope: st.builds(SmtpEnvelope, maybe_text, maybe_text, maybe_text),
    wire.CommentedDomain: commented_domains,
    wire.CommentedLoginLink: commented_links,
    wire.ProvisionedBatch: st.builds(
        wire.ProvisionedBatch, st.none() | listed(st.dictionaries(text, text)), st.none() | listed(commented_domains)
    ),
    wire.LoginLinkBatch: st.builds(
        wire.LoginLinkBatch, st.none() | listed(commented_links), st.none() | listed(commented_links)
    ),
}
FULL: Final = Domain(
    "example.com",
    "basic",
    DomainSettings("flag", abuse_policy_override=True, spam_header_name="X-Spam", spam_header_value="yes"),
    ["root@example.com"],
    [DownstreamAddress(10, 10, 25, "mx.example.")],
    ["alias.example"],
)


SUBSCRIPTION: Final = Subscription("basic", True, Plan("basic", "Basic"), [Limit("domains", "1000")], 12)
OURS: Final = {
    BulkLoginLinkItem,
    BulkLoginLinkResult,
    BulkProvisionItem,
    BulkProvisionResult,
    BulkResult,
    ProvisionedDomain,
    Statistics,
    User,
}
"""What a caller is given and what no document of the API is: it is put together of models that are."""


def test_no_model_of_the_wire_is_left_out_here() -> None:
    public = {value for name in mailchannels.__all__ if attrs.has(value := getattr(mailchannels, name))}
    inner = {value for value in vars(wire).values() if isinstance(value, type) and attrs.has(value)}

    assert MODELS.keys() == (public | inner) - OURS


# --- JSON


@pytest.mark.parametrize("kind", MODELS)
@quickly
@given(data=st.data())
def test_a_model_survives_json(kind: type, data: st.DataObject) -> None:
    model = data.draw(MODELS[kind])

    assert wire.load(wire.dump(wire.unstructured(model)), kind) == model


@pytest.mark.parametrize("kind", MODELS)
@quickly
@given(data=st.data())
def test_no_null_is_ever_written(kind: type, data: st.DataObject) -> None:
    document = wire.unstructured(data.draw(MODELS[kind]))

    assert not list(_nulls(document))


def _nulls(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _nulls(member)
    elif value is None:
        yield value


KEYS: Final = [
    "abusePolicy", "code", "domain", "domains", "ehlo", "list_entries", "recipient", "records", "settings", "total",
]  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
@quickly
@given(
    document=st.recursive(
        st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | text,
        lambda parts: (
            listed(parts)
            | st.dictionaries(
                text | st.sampled_from(KEYS),
                parts,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_model_or_a_misfit_that_says_where(kind: type, document: object) -> None:
    body = wire.dump(document)

    outcome: object
    try:
        outcome = wire.load(body, kind)
    except wire.Misfit as misfit:
        outcome = misfit

    assert isinstance(outcome, kind) or str(outcome).startswith("$")


@pytest.mark.parametrize(
    ("kind", "document", "misfit"),
    [
        (wire.ProvisionedBatch, {"successes": [7], "errors": 7}, "$.errors: expected array, found whole number"),
        (DomainPage, {"domains": None, "total": "7"}, "$.total: expected whole number, found string"),
    ],
)
def test_a_misfit_is_where_the_document_is_wrong_and_not_before(kind: type, document: object, misfit: str) -> None:
    with pytest.raises(wire.Misfit) as caught:
        wire.load(wire.dump(document), kind)

    assert str(caught.value) == misfit


@needs_specification
@pytest.mark.parametrize(
    ("model", "definition"),
    [
        (FULL, "Domain"),
        (FULL.settings, "DomainSettings"),
        (DownstreamAddress(1, 1, 1, "mx."), "DownstreamAddress"),
        (DomainPage([], 0), "GetDomainsResponse"),
        (ListEntry("safelist", "a.example", "domain"), "ListItem"),
        (LoginLink(LINK), "LoginLinkResponse"),
        (Alias(FULL, "a.example"), "Alias"),
        (Plan("basic", "Basic"), "Plan"),
        (Limit("domains", "1000"), "Limit"),
        (SUBSCRIPTION, "Subscription"),
        (SmtpEnvelope("mail.example", "a@b.example", "c@d.example"), "EnvelopeInformation"),
        (wire.Recipient("a@b.example", ["user"], filter=True), "Recipient"),
        (wire.CommentedDomain(FULL, 201, "new"), "CommentedDomain"),
        (wire.CommentedLoginLink("a.example", 200, "new", LINK), "CommentedLoginLink"),
    ],
)
def test_a_model_is_spelt_as_the_specification_spells_it(model: object, definition: str) -> None:
    assert wire.unstructured(model).keys() == document()["definitions"][definition]["properties"].keys()


def test_a_batch_item_names_its_mail_servers_twice_and_no_subscription() -> None:
    (written,) = of_domains([FULL], FULL.subscription_handle).fragments
    item = orjson.loads(written)

    assert item["downstreamAddress"] == item["downstreamAddresses"] == [attrs.asdict(FULL.downstream_addresses[0])]  # type: ignore[index]
    assert "subscriptionHandle" not in item


def test_a_batch_item_without_mail_servers_names_none() -> None:
    (written,) = of_domains([Domain("example.com", aliases=[])], None).fragments

    assert written == b'{"aliases":[],"domain":"example.com"}'


def test_nothing_of_ours_is_left_in_the_json_of_a_provisioned_domain() -> None:
    stored = ProvisionedDomain("example.com", "basic", created=True)

    assert json.loads(wire.dump(wire.unstructured(stored))) == {"domain": "example.com", "subscriptionHandle": "basic"}


@needs_specification
def test_the_answer_to_a_new_recipient_is_spelt_as_the_specification_spells_it() -> None:
    created = wire.CreatedRecipient(wire.Recipient("a@b.example", []), [])

    schema = document()["paths"]["/users"]["put"]["responses"]["201"]["schema"]
    assert wire.unstructured(created).keys() == schema["properties"].keys()


# --- results


def provisioned(index: int, outcome: Outcome = Outcome.SUCCEEDED) -> BulkProvisionItem:
    return BulkProvisionItem(index=index, domain=Domain(f"{index}.example"), outcome=outcome)


outcomes = st.sampled_from(Outcome)
results = st.lists(outcomes, max_size=12).map(
    lambda drawn: [provisioned(i, outcome) for i, outcome in enumerate(drawn)]
)


@quickly
@given(results, st.randoms(use_true_random=False), st.integers(0, 12))
def test_results_add_to_what_one_call_would_have_given(items: list[BulkProvisionItem], random: Any, cut: int) -> None:
    shuffled = random.sample(items, len(items))

    merged = BulkProvisionResult.of(shuffled[:cut]) + BulkProvisionResult.of(shuffled[cut:])

    assert merged == BulkProvisionResult.of(items)


@quickly
@given(results, st.randoms(use_true_random=False))
def test_both_lists_are_ordered_and_hold_every_item_once(items: list[BulkProvisionItem], random: Any) -> None:
    result = BulkProvisionResult.of(random.sample(items, len(items)))

    indices = [[item.index for item in part] for part in (result.successes, result.errors)]
    assert indices == [sorted(part) for part in indices]
    assert sorted(itertools.chain(*indices)) == [*range(len(items))]


def test_only_what_succeeded_is_a_success() -> None:
    result = BulkProvisionResult.of([provisioned(i, outcome) for i, outcome in enumerate(Outcome)])

    assert [item.outcome for item in result.successes] == [Outcome.SUCCEEDED]
    assert [item.outcome for item in result.errors] == [Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_SENT]


def test_an_empty_result_adds_nothing() -> None:
    result = BulkProvisionResult.of([provisioned(0)])

    assert result + BulkProvisionResult() == BulkProvisionResult() + result == result


def test_adding_leaves_the_summands_as_they_are() -> None:
    first, second = BulkProvisionResult.of([provisioned(0)]), BulkProvisionResult.of([provisioned(1)])

    _ = first + second

    assert (len(first.successes), len(second.successes)) == (1, 1)


def test_results_of_different_calls_do_not_add() -> None:
    with pytest.raises(TypeError):
        _ = BulkProvisionResult() + BulkLoginLinkResult()  # type: ignore[operator]


def test_a_result_without_errors_raises_nothing() -> None:
    BulkProvisionResult.of([provisioned(0)]).raise_for_errors()


def test_a_result_with_errors_raises_one_that_holds_it_all() -> None:
    failed = attrs.evolve(provisioned(3, Outcome.FAILED), comment="another customer's")
    result = BulkProvisionResult.of([provisioned(0), failed])

    with pytest.raises(BulkError, match=r"^1 of 2 items did not succeed; .* index 3: failed, another") as caught:
        result.raise_for_errors()

    assert caught.value.result is result


@pytest.mark.parametrize(
    ("outcome", "code", "retryable"),
    [
        (Outcome.SUCCEEDED, 201, False),
        (Outcome.FAILED, None, False),
        (Outcome.FAILED, 400, False),
        (Outcome.FAILED, 409, False),
        (Outcome.FAILED, 500, True),
        (Outcome.FAILED, 503, True),
        (Outcome.UNKNOWN, None, True),
        (Outcome.NOT_SENT, None, True),
    ],
)
def test_an_item_says_whether_it_may_succeed_another_time(outcome: Outcome, code: int | None, retryable: bool) -> None:
    assert attrs.evolve(provisioned(0, outcome), code=code).retryable is retryable


def test_an_outcome_reads_as_its_word() -> None:
    assert [str(outcome) for outcome in Outcome] == ["succeeded", "failed", "unknown", "not_sent"]


# --- login links


def linked() -> BulkLoginLinkItem:
    return BulkLoginLinkItem(
        index=0, domain="example.com", code=200, comment="new", outcome=Outcome.SUCCEEDED, login_link=LINK
    )


HOLDERS: Final = {
    "link": LoginLink(LINK),
    "item": linked(),
    "result": BulkLoginLinkResult.of([linked()]),
    "error": BulkError("one", result=BulkLoginLinkResult.of([linked()])),
    "wire": wire.CommentedLoginLink("example.com", 200, None, LINK),
    "batch": wire.LoginLinkBatch([wire.CommentedLoginLink("example.com", 200, None, LINK)]),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_no_repr_shows_a_login_link(holder: object) -> None:
    assert "t0k3n" not in f"{holder!r} {holder!s}"


def test_a_masked_repr_still_tells_a_link_from_none() -> None:
    item = linked()

    assert "login_link='***'" in repr(item)
    assert "login_link=None" in repr(attrs.evolve(item, login_link=None))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["item", "result", "error"])
def test_a_pickle_carries_no_login_link(name: str, protocol: int) -> None:
    assert b"t0k3n" not in pickle.dumps(HOLDERS[name], protocol)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_item_comes_back_with_everything_else(protocol: int) -> None:
    item = attrs.evolve(linked(), error=Conflict("taken", status=409, method="POST", path="/domains"))

    restored = pickle.loads(pickle.dumps(item, protocol))

    assert attrs.evolve(restored, error=None) == attrs.evolve(item, error=None, login_link=None)
    assert str(restored.error) == str(item.error)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_login_link_refuses_to_be_pickled_and_is_not_quoted(protocol: int) -> None:
    with pytest.raises(TypeError, match="credential") as caught:
        pickle.dumps(LoginLink(LINK), protocol)

    assert "t0k3n" not in str(caught.value)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", ["link", "item", "result"])
def test_a_copy_keeps_the_link_and_is_another_object(name: str, duplicate: Any) -> None:
    holder = HOLDERS[name]

    copied = duplicate(holder)

    assert copied == holder
    assert copied is not holder


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "model",
    [
        FULL,
        ProvisionedDomain("example.com", created=True),
        DomainPage([FULL], 1),
        Alias(FULL, "a.example"),
        ListEntry("safelist", "a", "domain"),
        User("a@b.example", ["user"], filter=None, list_entries=[ListEntry("safelist", "a", "domain")], created=True),
        SUBSCRIPTION,
        SmtpEnvelope(ehlo="mail.example"),
    ],
)
def test_models_without_a_credential_survive_pickling(model: object, protocol: int) -> None:
    assert pickle.loads(pickle.dumps(model, protocol)) == model
