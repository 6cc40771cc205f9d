"""Texts for the fields of the echo service, in URLs and in JSON: right ones, and odd ones."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

Texts = st.SearchStrategy[str]


@dataclass(frozen=True, slots=True)
class Values:
    """Texts that a field can have, and odd ones, which may be values or not."""

    valid: Texts
    odd: Sequence[str] = ()


def among(*texts: str) -> Texts:
    return st.sampled_from(texts)


def between(low: int, high: int) -> Texts:
    return st.integers(low, high).map(str) | among("0", "1", str(low), str(high))


INT32 = between(-(1 << 31), (1 << 31) - 1)
INT64 = between(-(1 << 63), (1 << 63) - 1)
UINT32 = between(0, (1 << 32) - 1)
UINT64 = between(0, (1 << 64) - 1)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False).map(str)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False).map(str)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8) | (
    among(
        *("a", "a b", "ä/ö", "100%", "x:y", "..", ".", "a%2Fb", "a/b", "+", "~", "*", "&=#?", "'"),
        *("\U0001f600", "true", "null", "1", '"', "\\", "{}"),
    )
)
BASE64 = st.binary(max_size=6).flatmap(
    lambda raw: among(b64encode(raw).decode(), urlsafe_b64encode(raw).decode().rstrip("="))
)
ODD_INTEGERS = (
    *("1.0", "1e3", "1E2", "1.5", "1e-1", "10e-1", "-0", "-1", "1e30", "2147483648", "-2147483649"),
    *("4294967296", "9223372036854775808", "-9223372036854775809", "18446744073709551616"),
)
ODD_INTEGER_TEXTS = (
    *(
        "+1",
        "01",
        "-01",
        "0x10",
        " 1",
        "1 ",
        "",
        "one",
        "1_0",
        "true",
        "NaN",
        "null",
        "\u0661",
        "1.",
    ),
    ".5",
    *("1e", "--1", "-"),
)
ODD_NUMBERS = (
    *("1e39", "-1e39", "3.5e38", "1e400", "-1e400", "1e-46", "1e-400", "1E+2", "-0.0", "-0"),
)
ODD_NUMBER_TEXTS = (
    *("inf", "nan", "-inf", "INF", "infinity", "-NaN", "+1", "+Infinity", ".5", "5.", "01"),
    *("0x1p3", ""),
    *("one", " 1", "1 ", "true", "1,5", "1_0", "1e", "null", "\u0661", "1f"),
)
ODD_BASE64 = (
    *("?", "A", "AQ=", "AQI=A", "=", "AQ I", "AR==", "AQI==", "ä", "-/+_", "AQIDBA", "A===", ""),
)
TIMES = among(
    *("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5+01:00", "0001-01-01T00:00:00Z"),
    *("9999-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00.001Z", "1969-12-31T23:59:59.9Z"),
    *("2024-02-29T12:00:00-00:30", "2020-01-01T00:00:00.123456Z"),
)
ODD_TIMES = (
    *("now", "", "2020-01-01", "2020-01-01T00:00:00", "2020-01-01 00:00:00Z", "1577836800", "null"),
    *("2020-01-01t00:00:00Z", "2020-01-01T00:00:00z", "2023-02-29T00:00:00Z"),
    "2020-01-01T24:00:00Z",
    *("2020-01-01T00:00:60Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2020-1-1T0:0:0Z"),
    *("2020-01-01T00:00:00.1234567891Z", "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00+0100"),
    *("0001-01-01T00:00:00+00:01", " 2020-01-01T00:00:00Z", "2020-13-01T00:00:00Z"),
    *("2020-01-01T00:00:00+24:00", "2020-01-01T00:00:00+01:60", "2020-01-01T00:00:00,5Z"),
    *("2020-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"),
)
DURATIONS = among(
    *("1s", "1.5s", "-0.000000001s", "0s", "-1s", "315576000000s", "3.000000001s", "-1.000001s"),
    *("-315576000000s", "0.001s"),
)
ODD_DURATIONS = (
    *("1", "1m", "", "s", "1.s", ".5s", "1.0000000001s", "315576000001s", "1 s", "+1s", "1e3s"),
    "-s",
    *("--1s", "1S", "-0s", " 1s", "01s", "1.5", "1h", "null", "0x1s", "315576000000.5s", "-.5s"),
)
MASKS = among("a,b", "fooBar", "", "a.b,cD.eF", "a", "a1")
ODD_MASKS = (
    *("foo_bar", "a, b", "a,,b", "Foo", "*", "a b", "fooBar.", "ä", "a_1", "a,", ",", "a.b_c"),
    "_a",
    *("a..b", "1", "a-b", "fooBAR", "a(b,c)", 'a["b"]'),
)
ODD_TRUTHS = (
    *("1", "0", "TRUE", "True", "t", "f", "T", "F", "", "yes", "no", "on", "null", "y", "n"),
    " true",
)
ODD_ENUMS = ("0", "1", "2", "7", "-1", "2147483647", "2147483648", "1.0", "1e0", "1.5")
ODD_ENUM_TEXTS = (
    *("some", "Some", "OTHER", "", "null", " SOME", "echo.v1.SOME", "Kind.SOME", "+1", "01"),
)

# As they are in a URL.
IN_URL: Mapping[str, Values] = {
    "text": Values(TEXTS, ["", '"a"', "\x00", "a\nb"]),
    "int32": Values(INT32, [*ODD_INTEGERS, *ODD_INTEGER_TEXTS]),
    "int64": Values(INT64, [*ODD_INTEGERS, *ODD_INTEGER_TEXTS]),
    "uint32": Values(UINT32, [*ODD_INTEGERS, *ODD_INTEGER_TEXTS]),
    "uint64": Values(UINT64, [*ODD_INTEGERS, *ODD_INTEGER_TEXTS]),
    "float": Values(
        FLOATS | among("NaN", "Infinity", "-Infinity"), [*ODD_NUMBERS, *ODD_NUMBER_TEXTS]
    ),
    "double": Values(
        DOUBLES | among("NaN", "Infinity", "-Infinity"), [*ODD_NUMBERS, *ODD_NUMBER_TEXTS]
    ),
    "bool": Values(among("true", "false"), ODD_TRUTHS),
    "bytes": Values(BASE64, ODD_BASE64),
    "enum": Values(among("NONE", "SOME", "MANY"), [*ODD_ENUMS, *ODD_ENUM_TEXTS]),
    "time": Values(TIMES, ODD_TIMES),
    "duration": Values(DURATIONS, ODD_DURATIONS),
    "mask": Values(MASKS, ODD_MASKS),
}
PARAMETERS: Mapping[str, str] = {
    "text": "text",
    "left": "text",
    "wrapped_text": "text",
    "wrappedText": "text",
    "odd_name": "text",
    "odd-name": "text",
    "texts": "text",
    "i32": "int32",
    "maybe": "int32",
    "right": "int32",
    "numbers": "int32",
    "i64": "int64",
    "s64": "int64",
    "wrapped": "int64",
    "u32": "uint32",
    "u64": "uint64",
    "f": "float",
    "d": "double",
    "flag": "bool",
    "wrapped_flag": "bool",
    "raw": "bytes",
    "kind": "enum",
    "kinds": "enum",
    "at": "time",
    "lasts": "duration",
    "mask": "mask",
}
NO_PARAMETERS = (
    *("unknown", "inner", "struct", "value", "any", "empty", "more", "counts", "by_number", "Text"),
    *("inner.unknown", "text.a", "texts.a", "more.text", "counts.a", "at.seconds", "wrapped.value"),
    *("struct.fields", "oddName", "i32.", ".i32", "inner..i32", "", "choice", "lasts.nanos", "I32"),
    *("mask.paths", "any.type_url", "any.typeUrl", "by_number.1", "texts[]", "value.string_value"),
    *("value.stringValue", "wrapped_text.value", "inner.inner", "empty.a", "texts[0]", "kind.a"),
)

ATOMS = (
    *("1", "1.5", "true", "null", '"x"', '""', "[]", "{}", "[1]", '{"a":1}', "[[]]", "[null]"),
    '"1"',
)


def as_strings(*texts: str) -> list[str]:
    return [json.dumps(text) for text in texts]


def bare_and_quoted(*texts: str) -> list[str]:
    return [*texts, *as_strings(*texts)]


def number_or_string(texts: Texts) -> Texts:
    return texts.flatmap(lambda text: among(text, f'"{text}"'))


def array(elements: Texts) -> Texts:
    return st.lists(elements, max_size=3).map(lambda found: f"[{', '.join(found)}]")


def json_object(names: Texts, values: Texts) -> Texts:
    pairs = st.lists(
        st.tuples(names, values), max_size=3, unique_by=lambda pair: json.loads(pair[0])
    )
    return pairs.map(lambda found: f"{{{','.join(f'{name}:{value}' for name, value in found)}}}")


STRINGS = TEXTS.flatmap(
    lambda text: among(json.dumps(text), json.dumps(text, ensure_ascii=False))
) | (among('""', '"\\ud83d\\ude00"', '"\\/"', '"\\u0000"'))
ANY_JSON = st.recursive(
    among("null", "true", "false", "0", "-1.5", "1e3") | STRINGS,
    lambda inner: array(inner) | json_object(STRINGS, inner),
    max_leaves=4,
)
NOT_FINITE = among('"NaN"', '"Infinity"', '"-Infinity"')
IN_JSON: Mapping[str, Values] = {
    "text": Values(
        STRINGS,
        [
            *ATOMS,
            *('"\\ud800"', '"\\udc00x"', "'a'", '"\\x"', '"a\nb"', '"\\u12"', '"\\ud800\\ud800"'),
            '"a',
        ],
    ),
    **{
        name: Values(
            number_or_string(valid),
            [*ATOMS, *bare_and_quoted(*ODD_INTEGERS, *ODD_INTEGER_TEXTS)],
        )
        for name, valid in {
            "int32": INT32,
            "int64": INT64,
            "uint32": UINT32,
            "uint64": UINT64,
        }.items()
    },
    **{
        name: Values(
            number_or_string(valid) | NOT_FINITE,
            [
                *ATOMS,
                *bare_and_quoted(*ODD_NUMBERS, *ODD_NUMBER_TEXTS),
                "NaN",
                "Infinity",
                "-Infinity",
            ],
        )
        for name, valid in {"float": FLOATS, "double": DOUBLES}.items()
    },
    "bool": Values(
        among("true", "false"), [*ATOMS, *as_strings("true", "false", *ODD_TRUTHS), "0", "TRUE"]
    ),
    "bytes": Values(BASE64.map(json.dumps), [*ATOMS, *as_strings(*ODD_BASE64)]),
    "enum": Values(
        among('"NONE"', '"SOME"', '"MANY"', "0", "1", "2", "9", "-1"),
        [*ATOMS, *bare_and_quoted(*ODD_ENUMS), *as_strings(*ODD_ENUM_TEXTS)],
    ),
    "time": Values(TIMES.map(json.dumps), [*ATOMS, *as_strings(*ODD_TIMES)]),
    "duration": Values(DURATIONS.map(json.dumps), [*ATOMS, *as_strings(*ODD_DURATIONS)]),
    "mask": Values(MASKS.map(json.dumps), [*ATOMS, *as_strings(*ODD_MASKS)]),
    "texts": Values(
        array(STRINGS), [*ATOMS, '["a", null]', '[["a"]]', '{"0":"a"}', '["a",]', '["a" "b"]']
    ),
    "numbers": Values(
        array(between(-5, 5)), [*ATOMS, "[1.5]", '["1"]', "[true]", '"1,2"', "[1,[2]]"]
    ),
    "kinds": Values(array(among('"SOME"', "2", "9")), [*ATOMS, '["x"]', '"SOME"', "[7.0]"]),
    "counts": Values(
        json_object(TEXTS.map(json.dumps), between(-5, 5)),
        [
            *ATOMS,
            *('{"a":null}', '{"a":1,"a":2}', '[{"key":"a","value":1}]', '{"a":"x"}', '{"":1}'),
            '{"a":{}}',
        ],
    ),
    "by_number": Values(
        among("{}", '{"1":{}}', '{"-5":{"text":"a"}, "7":{}}'),
        [
            *ATOMS,
            *(f'{{"{key}":{{}}}}' for key in (*ODD_INTEGERS, *ODD_INTEGER_TEXTS)),
            *('{"1":null}', '{"1":{},"01":{}}', '{"1":{"unknown":1}}', '{"1":{},"1":{}}'),
            '{"1":[]}',
        ],
    ),
    "struct": Values(
        json_object(STRINGS, ANY_JSON), [*ATOMS, '{"a":1,"a":2}', '{"a":NaN}', '{"fields":{}}']
    ),
    "value": Values(
        ANY_JSON,
        [
            *ATOMS,
            *("NaN", "1e400", "-0", "1.0", '"\\ud800"', "12345678901234567890", '{"a":1,"a":2}'),
            '"NaN"',
        ],
    ),
    "more": Values(
        among("[]", "[{}]", '[{"text":"a"},{}]'),
        [*ATOMS, '[{"unknown":1}]', '{"text":"a"}', '[{"text":"a"},null]', '["a"]'],
    ),
    "any": Values(
        among(
            *('{"@type":"type.googleapis.com/echo.v1.All","text":"a"}', "{}"),
            *('{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}',),
            *('{"text":"a","@type":"type.googleapis.com/echo.v1.All"}',),
            *('{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"a":1}}',),
            *('{"@type":"type.googleapis.com/google.protobuf.Empty"}',),
            *('{"@type":"type.googleapis.com/google.protobuf.Int64Value","value":"5"}',),
        ),
        [
            *ATOMS,
            *('{"@type":"echo.v1.All"}', '{"@type":"type.googleapis.com/no.Such"}', '{"text":"a"}'),
            *(
                '{"@type":"type.googleapis.com/echo.v1.All","unknown":1}',
                '{"@type":"/echo.v1.All"}',
            ),
            *('{"@type":"example.com/x/echo.v1.All"}', '{"@type":""}', '{"@type":1}'),
            *('{"@type":"type.googleapis.com/google.protobuf.Duration"}',),
            *('{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s","a":1}',),
            *('{"@type":"type.googleapis.com/google.protobuf.Empty","value":{}}',),
            *(
                '{"@type":"type.googleapis.com/echo.v1.All","@type":"type.googleapis.com/echo.v1.All"}',
            ),
            *('{"@type":"type.googleapis.com/google.protobuf.Value","value":null}',),
            *('{"@type":"type.googleapis.com/google.protobuf.Any","value":{}}',),
        ],
    ),
    "empty": Values(among("{}"), ATOMS),
}
MEMBERS: Mapping[str, str] = {
    **PARAMETERS,
    **{
        name: name
        for name in (
            *("texts", "numbers", "kinds", "counts", "by_number", "struct", "value"),
            *("more", "any", "empty"),
        )
    },
    "byNumber": "by_number",
}
NO_MEMBERS = (
    *("oddName", "Text", "unknown", "inner.text", "", "choice", "@type", "[echo.v1.All]", "I32"),
    "te xt",
)
