"""One spelling for every name: what is taken, what it becomes, and that the short way gives what the long way does."""

from __future__ import annotations

import re

import idna
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailchannels import InvalidInput
from mailchannels.names import (
    are_short_addresses,
    canonical_name,
    canonical_names,
    canonical_or_folded,
    is_plain_address,
)

quickly = settings(deadline=None, max_examples=80)

plain_labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?", fullmatch=True)
foreign_labels = st.one_of(
    st.sampled_from(["Bücher", "straße", "例え", "ΣΊΣΥΦΟΣ", "ﬁ", "XN--bcher-Kva", "xn--strae-oqa", "\u212aelvin"]),
    st.text(st.characters(categories=["Ll", "Lu", "Lo", "Nd"]), min_size=1, max_size=6),
)
odd_labels = st.one_of(
    st.text(st.sampled_from("aZ09-üßσςé\u0301中ー。\uff0e_\u200d\u00ad"), max_size=8),
    st.text(st.characters(exclude_categories=[]), max_size=5),
    st.from_regex(r"xn--[a-z0-9-]{0,8}", fullmatch=True),
    plain_labels.map(lambda label: label * 5),
)


def dotted(labels: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda parts, end: ".".join(parts) + end, st.lists(labels, min_size=1, max_size=4), ends)


ends = st.sampled_from(["", "."])
good_names = dotted(plain_labels | foreign_labels).filter(lambda name: accepted(name) is not None)
names = dotted(plain_labels | foreign_labels | odd_labels)
ascii_names = st.from_regex(r"[a-zA-Z0-9-]{1,64}(\.[a-zA-Z0-9-]{1,64}){0,4}\.?", fullmatch=True)


def accepted(name: str) -> str | None:
    try:
        return canonical_name(name)
    except InvalidInput:
        return None


def by_idna(name: str) -> str | None:
    """What the idna package makes of a name, without any short way."""
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").removesuffix(".")
    except (idna.IDNAError, UnicodeError):
        return None
    return encoded if len(encoded) <= 253 else None


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com", "example.com"),
        ("example.com.", "example.com"),
        ("localhost", "localhost"),
        ("1.2.example", "1.2.example"),
        ("a-b--c.example", "a-b--c.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("BU\u0308CHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.Example.", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("\uff45\uff58ample\uff0ecom", "example.com"),
        ("\u212aelvin.example", "kelvin.example"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example"),
        (f"{'a.' * 126}a", f"{'a.' * 126}a"),
        (f"{'a.' * 126}a.", f"{'a.' * 126}a"),
    ],
)
def test_a_name_has_one_spelling(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("bad name.example", "it contains a space"),
        (" a.example", "it contains a space"),
        ("https://a.example/x", "it looks like a URL; give its host alone"),
        ("me@a.example", "it looks like an email address; give what follows the @"),
        ("a.example/x", "it contains a slash"),
        ("a.example:25", "it contains a colon; give a name without a port"),
        ("a_b.example", "it contains an underscore"),
    ],
)
def test_what_is_often_given_instead_of_a_name_is_told_plainly(name: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical_name(name)

    assert str(caught.value) == f"domain: {name!r} is not a domain name: {complaint}"


@pytest.mark.parametrize("name", [f"{'a' * 64}.example", f"{'a.' * 127}a", f"{'ü.' * 60}example"])
def test_a_name_longer_than_it_may_be_as_a_labels_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="long"):
        canonical_name(name)


def test_a_refused_name_is_called_what_the_caller_calls_it() -> None:
    with pytest.raises(InvalidInput, match=r"^domains\[3\]: ") as caught:
        canonical_name("a/b", "domains[3]")

    assert caught.value.argument == "domains[3]"


def test_a_refused_name_leaves_no_other_error_in_its_traceback() -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical_name("-a.example")

    assert caught.value.__suppress_context__ is True


@quickly
@given(good_names)
def test_the_canonical_form_of_a_canonical_form_is_itself(name: str) -> None:
    canonical = canonical_name(name)

    assert canonical_name(canonical) == canonical


@quickly
@given(good_names)
def test_a_canonical_name_is_made_of_what_a_path_can_hold(name: str) -> None:
    canonical = canonical_name(name)

    assert re.fullmatch(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", canonical)
    assert len(canonical) <= 253


@quickly
@given(good_names)
def test_what_is_accepted_the_idna_package_accepts_unchanged(name: str) -> None:
    canonical = canonical_name(name)

    assert idna.encode(canonical).decode("ascii") == canonical


@quickly
@given(names)
@example("\u212a.example")
@example("İ.example")
def test_any_name_is_what_the_idna_package_makes_of_it(name: str) -> None:
    assert accepted(name) == by_idna(name)


@quickly
@given(ascii_names)
@example("ab--c.example")
@example("a.--b.example")
@example("a--.example")
@example("a.b-")
@example("-")
def test_the_short_way_for_ascii_agrees_with_the_idna_package(name: str) -> None:
    assert accepted(name) == by_idna(name)


@quickly
@given(ascii_names)
def test_case_and_the_last_dot_make_no_difference(name: str) -> None:
    assert accepted(name.swapcase().removesuffix(".") + ".") == accepted(name.removesuffix("."))


@quickly
@given(good_names)
def test_a_name_and_its_unicode_form_are_the_same(name: str) -> None:
    canonical = canonical_name(name)

    assert canonical_name(idna.decode(canonical)) == canonical


@quickly
@given(names)
def test_a_name_to_compare_by_is_the_canonical_one_or_the_text_in_lower_case(name: str) -> None:
    assert canonical_or_folded(name) == (accepted(name) or name.lower().removesuffix("."))


@quickly
@given(st.lists(names, max_size=5))
@example(["a.example", "b.example\nc.example"])
@example(["a.example\nb.example", ""])
@example(["a.example", ""])
@example(["a" * 64, "b.example"])
def test_many_names_are_what_each_of_them_is(several: list[str]) -> None:
    each = [accepted(name) for name in several]

    if None in each:
        with pytest.raises(InvalidInput):
            canonical_names(several)
    else:
        assert canonical_names(several) == each


@quickly
@given(st.lists(st.text(st.sampled_from("aZ0._-@!/ü\n "), max_size=9) | st.emails(), max_size=3))
@example(["a@b.example", "c@d.example\ne@f.example"])
@example(["a@b.example\nc@d.example", ""])
@example([f"{'a' * 64}@b.example"])
@example(["a.-@b.example", "A!@b"])
@example(["a@.b", "a@b.", "a@b-", "a@-b", "a@b..c"])
def test_no_address_is_told_to_be_in_order_together_that_is_not_alone(several: list[str]) -> None:
    assert not are_short_addresses(several) or all(map(is_plain_address, several))


@pytest.mark.parametrize("several", [["a@b.example", None], ["a@b.example", b"c@d.example"], ["a@b.example", 1]])
def test_what_is_no_text_is_no_address(several: list[str]) -> None:
    assert not are_short_addresses(several)
