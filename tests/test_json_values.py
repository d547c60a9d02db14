"""What is read strictly can be saved and read back equal; what cannot is refused, with its place."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from persistence_pipeline.json_values import MAX_DEPTH, MAX_DIGITS, JsonError, storable, storable_text, strict_json
from persistence_pipeline.records import ToolCall

ANY_TEXT = st.text(st.characters(), max_size=8)
"""With halves of surrogate pairs."""
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    ANY_TEXT,
    st.sampled_from([-0.0, 1e22, 5e-324, 2**63, 10 ** (MAX_DIGITS - 1)]),
    st.sampled_from(["\x00", "\u00e9", "e\u0301"]),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3), max_leaves=8
)


def _nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def _same(one: Any, other: Any) -> bool:
    """Equal in value, type and order; 0.0 is not -0.0."""
    return repr(one) == repr(other)


@settings(max_examples=300, deadline=None)
@given(value=VALUES)
@example(value={"a": 1.0, "": "\x00", "\u00e9": 1, "e\u0301": 2})
def test_what_is_storable_survives_a_record(value: Any) -> None:
    try:
        storable(value)
    except JsonError as fault:
        assert "\n" not in str(fault)
        return
    call = ToolCall(name="x", arguments={"value": value})
    assert _same(ToolCall.model_validate_json(call.model_dump_json()).arguments["value"], value)
    assert _same(strict_json(json.dumps(value)), value)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(VALUES.map(json.dumps), ANY_TEXT, st.text('[]{}:,"\\ud8e019.-aN', max_size=30)))
def test_what_is_read_strictly_is_storable(text: str) -> None:
    with suppress(JsonError):
        storable(strict_json(text))


@settings(max_examples=200, deadline=None)
@given(text=ANY_TEXT)
def test_text_is_made_storable_and_else_left_alone(text: str) -> None:
    made = storable_text(text)
    storable(made)
    assert storable_text(made) == made
    halves = any("\ud800" <= character <= "\udfff" for character in text)
    assert (made == text) == (not halves)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": {"b": 1, "b": 1}}', "a.b: the key is given twice"),
        ("[1, NaN]", "1: NaN is not a JSON number"),
        ('{"a": -Infinity}', "a: -Infinity is not a JSON number"),
        ('{"a": 1e999}', "a: 1e999 is beyond the range of numbers"),
        ('{"a": "\\ud83d"}', "a: half of a surrogate pair, which is not text"),
        ('{"a": "\ud83d"}', "a: half of a surrogate pair, which is not text"),
        ('{"\\udc00": 1}', r"a key with half of a surrogate pair, which is not text: '\udc00'"),
        ("9" * (MAX_DIGITS + 1), f"an integer of more than {MAX_DIGITS} digits"),
        ("{'a': 1}", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[" * 100_000, "nested deeper than 64 levels"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(ValueError) as refused:
        strict_json(text)
    assert str(refused.value) == expected


def test_levels_are_counted() -> None:
    strict_json(_nested(MAX_DEPTH))
    with pytest.raises(JsonError, match="nested too deep"):
        strict_json(_nested(MAX_DEPTH + 1))
    strict_json(_nested(MAX_DEPTH + 1), max_depth=MAX_DEPTH + 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: 2}, "a key that is no text: 1"),
        ((1, 2), "a tuple is not a JSON value"),
        ([float("nan")], "0: nan is not a JSON number"),
    ],
)
def test_values_that_json_has_not_are_refused(value: Any, expected: str) -> None:
    with pytest.raises(JsonError) as refused:
        storable(value)
    assert str(refused.value) == expected


def test_an_integer_that_no_reader_takes_is_refused() -> None:
    storable([1 - 10**MAX_DIGITS, 10**MAX_DIGITS - 1])
    for value in (-(10**MAX_DIGITS), 10**MAX_DIGITS):
        with pytest.raises(JsonError, match=f"0: an integer of more than {MAX_DIGITS} digits"):
            storable([value])


def test_a_whole_pair_stays_and_its_halves_are_joined() -> None:
    assert strict_json(r'"\ud83d\ude00"') == "\U0001f600"
    assert storable_text("a\ud83d\ude00b\ud83dc") == "a\U0001f600b\ufffdc"
