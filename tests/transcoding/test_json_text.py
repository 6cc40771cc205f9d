"""JSON's text: the values are those of Python's, with numbers as they were written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.transcoding.json.text import JsonError, Number, Repeating, parse, shown

TOKENS = st.sampled_from(
    [
        *'{}[]:," 0',
        *("true", "null", "NaN", "-1.5e3", "01", '"a"', '"\\ud800"', '"\\x00"', "\ufeff"),
    ]
)


def _python(value: Any) -> Any:
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, dict):
        return {name: _python(one) for name, one in value.items()}
    return [_python(one) for one in value] if isinstance(value, list) else value


def _expected(text: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


@given(st.lists(TOKENS, max_size=12).map("".join))
@settings(max_examples=1000, deadline=None)
def test_a_text_has_the_values_that_python_finds_in_it(text: str) -> None:
    try:
        expected = _expected(text)
    except ValueError:
        with pytest.raises(JsonError):
            parse(text.encode())
    else:
        assert _python(parse(text.encode())) == expected


@pytest.mark.parametrize("text", ["-0", "1.50", "1E400", "9" * 10_000, "0.1e-9"])
def test_a_number_is_kept_as_it_was_written(text: str) -> None:
    number = parse(text.encode())
    assert isinstance(number, Number)
    assert number == text


def test_an_object_that_has_a_name_twice_tells_it() -> None:
    value = parse(b'{"a":1,"b":{"c":1,"d":2,"d":3,"c":4},"e":5}')
    assert not isinstance(value, Repeating)
    assert isinstance(value["b"], Repeating)
    assert value["b"].name == "c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"null", "null"),
        (b"true", "true"),
        (b"1.50", "1.50"),
        (b'"a\\"b\\n"', '"a\\"b\\n"'),
        ('"\u8c37"'.encode(), '"\u8c37"'),
        (b'"\\ud800"', r'"\ud800"'),
        (b"[1]", "a list"),
        (b"{}", "an object"),
        (b'"' + b"a" * 50 + b'"', '"' + "a" * 40 + '..."'),
        (b"1" * 50, "1" * 40 + "..."),
    ],
)
def test_a_value_is_shown_shortened_and_in_characters_that_can_be_sent(
    text: bytes, expected: str
) -> None:
    assert shown(parse(text)) == expected
