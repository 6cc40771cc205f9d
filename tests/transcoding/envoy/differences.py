"""The differences between the bridge and Envoy that are known, each with who is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.transcoding.formats import StreamFormat
from tests.transcoding.envoy.answers import MISSING, Mismatch
from tests.transcoding.envoy.asked import Asked
from tests.transcoding.envoy.occurrences import (
    ANYTHING,
    FLOAT,
    FLOAT_OR_DOUBLE,
    INTEGER,
    MASK,
    NUMBER,
    Occurs,
    at,
    ends_with_slash,
    has_a_name_twice,
    has_empty_segment,
    has_encoded_literal,
    has_no_body,
    has_no_type,
    has_other_digits,
    has_verb_of_another_method,
    in_any,
    in_body,
    is_by_its_json_name,
    is_for_another_method,
    is_head,
    is_in_more,
    is_in_well_known,
    is_nameless,
    is_negative_zero,
    is_no_json,
    is_no_utf8_path,
    is_no_utf8_query,
    is_odd_mask,
    is_of_another_type,
    is_of_lines,
    is_request_of_query,
    is_set_by_path_and_otherwise,
    is_twice_in_query,
    name_is_encoded,
    refused,
    refused_there,
    takes_lines,
    texts,
    wrong,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A way in which the bridge and Envoy differ.

    Attributes:
        name: What it is about.
        envoy: What Envoy does.
        here: What the bridge does.
        right: Who is right, and why.
        example: A request that shows it.
        occurs: Whether it is what is seen in a mismatch.
    """

    name: str
    envoy: str
    here: str
    right: str
    example: Asked
    occurs: Occurs


def named(mismatch: Mismatch) -> list[str]:
    """Return the names of the differences that a mismatch is."""
    return [difference.name for difference in DIFFERENCES if difference.occurs(mismatch)]


def table() -> str:
    """Return the table in docs/transcoding.md."""
    rows = ["| | Envoy | here | who is right |", "|---|---|---|---|"]
    rows += [f"| {one.name} | {one.envoy} | {one.here} | {one.right} |" for one in DIFFERENCES]
    return "\n".join(rows) + "\n"


def _get(target: str) -> Asked:
    return Asked("GET", target)


def _post(body: str, path: str = "/v1/all") -> Asked:
    return Asked("POST", path, body)


DIFFERENCES: Sequence[Difference] = (
    Difference(
        "A path that has other methods",
        "404",
        "405",
        "here: that is what 405 is for (RFC 9110)",
        Asked("PUT", "/v1/all"),
        at("status", is_for_another_method),
    ),
    Difference(
        "`HEAD` where there is `GET`",
        "404",
        "what `GET` has, without a body",
        "here: a server has to have both (RFC 9110)",
        Asked("HEAD", "/v1/all"),
        at("status", is_head),
    ),
    Difference(
        "A body that isn't declared as JSON",
        "is read as JSON; gRPC's types are passed through",
        "415",
        "here: pages of other origins can send such types unasked",
        Asked("POST", "/v1/all", "{}", "text/plain"),
        at("status|media type|", is_of_another_type),
    ),
    Difference(
        "A body where the rule has none",
        'is read as if the rule had `body: "*"`',
        "400",
        "here: without `body` there is none (http.proto)",
        Asked("DELETE", "/v1/all", '{"text":"a"}'),
        refused(r"\w+ /v1/.* takes no body"),
    ),
    Difference(
        "A name in a body that is no field",
        "is ignored",
        "400; ignored with `BRIDGE_JSON_IGNORE_UNKNOWN`",
        "here: so the mapping has it by default",
        _post('{"unknown":1}'),
        refused("there is no such field", in_body),
    ),
    Difference(
        "A name that is twice in an object, or a field by two names",
        "the last counts, or both",
        "400",
        "here: it can't be told what is meant; RFC 8259 leaves it open",
        _post('{"text":"a","text":"b"}'),
        refused("it is there twice", has_a_name_twice),
    ),
    Difference(
        "A parameter that is there twice, though its field isn't repeated",
        "the last counts",
        "400",
        "nobody: http.proto speaks of repeated fields only",
        _get("/v1/all?i32=1&i32=2"),
        refused("it is set twice", is_twice_in_query),
    ),
    Difference(
        "A field that the path sets, and the query or the body too",
        "the body comes first, then the query",
        "the path comes first, then the body",
        "here: what the path sets is no field of the others (http.proto)",
        _get("/v1/one/a?text=b"),
        at(".*", is_set_by_path_and_otherwise),
    ),
    Difference(
        "A field by its JSON name in the body, and in the query too",
        "the query comes first",
        "the body comes first, as with the name of the proto",
        "here, and grpc-gateway: what the body has is no parameter (http.proto)",
        Asked("POST", "/v1/all?wrapped_text=a", '{"wrappedText":"b"}'),
        at(".*", is_by_its_json_name),
    ),
    Difference(
        "A path that isn't UTF-8",
        "goes to the backend as it is",
        "404",
        "here: a string is UTF-8",
        _get("/v1/one/%FF"),
        at("status", is_no_utf8_path),
    ),
    Difference(
        "A query that isn't UTF-8",
        "goes to the backend as it is",
        "400",
        "here: a string is UTF-8",
        _get("/v1/all?text=%FF"),
        refused(r"The query isn't UTF-8\.", is_no_utf8_query),
    ),
    Difference(
        "An empty segment for `*`",
        "is one, but not at the end of a path",
        "404",
        "nobody: RFC 3986 has such segments, but here a name that was left out is none",
        _get("/v1/shelves//books/a"),
        at("status", has_empty_segment),
    ),
    Difference(
        "A slash at the end of a path",
        "is left out",
        "is there: only `**` matches it",
        "here: no template has it",
        _get("/v1/all/"),
        at("status|text", ends_with_slash),
    ),
    Difference(
        "A literal of a template that comes percent-encoded",
        "is another path",
        "is the same path",
        "here: they are equivalent (RFC 3986)",
        _get("/v1/%61ll"),
        at("status|text", has_encoded_literal),
    ),
    Difference(
        "A colon and the verb of another HTTP method's template",
        "404",
        "belongs to the segment",
        "here: a template of the method matches the path",
        _get("/v1/one/a:cancel"),
        at("status", has_verb_of_another_method),
    ),
    Difference(
        "A parameter whose name is percent-encoded",
        "is no field",
        "is decoded",
        "here: the names of a query are encoded as its values are",
        _get("/v1/all?inner%2Etext=a"),
        refused_there("Could not find field", name_is_encoded),
    ),
    Difference(
        "A parameter without a name",
        "is ignored",
        "400",
        "nobody: http.proto doesn't say",
        _get("/v1/all?=a"),
        refused("there is no such field", is_nameless),
    ),
    Difference(
        "A `Value` as a parameter",
        "is a string",
        "400",
        "here: parameters are primitive (http.proto)",
        _get("/v1/all?value=1"),
        refused("it is a message: name a field of it"),
    ),
    Difference(
        "`at.seconds`, `wrapped.value` and such as parameters",
        "set what is inside",
        "400",
        "Envoy by the letter of http.proto; but in JSON these have no fields",
        _get("/v1/all?at.seconds=1"),
        refused("there is no such field", is_in_well_known),
    ),
    Difference(
        "A field of a repeated message as a parameter",
        "sets it in one more message",
        "400",
        "here: they must not be mapped to parameters (http.proto)",
        _get("/v1/all?more.text=a"),
        refused("there is no such field", is_in_more),
    ),
    Difference(
        "A body that is no JSON: single quotes, a comma at the end, raw newlines, `1.`, `\\x`",
        "is read",
        "400",
        "here: JSON is that of RFC 8259",
        _post("{'text':'a',}"),
        refused(rf"The body is no JSON: {ANYTHING}", is_no_json),
    ),
    Difference(
        "A value for a list, an object or a list for a value, null in a list or a map",
        "is wrapped, left out, or its last element counts",
        "400",
        "here: the mapping has no such thing",
        _post('{"texts":"a"}'),
        refused(f"{wrong(ANYTHING, 'null', 'an object', 'a list')}|{wrong('a list', ANYTHING)}"),
    ),
    Difference(
        "Other texts for booleans: in JSON all, in a URL `yes`, `no`, `y` and `n`",
        "are booleans",
        "400",
        "here: the mapping has `true` and `false`",
        _post('{"flag":"true"}'),
        refused(
            wrong(
                "true or false",
                *texts("true", "false", "TRUE", "True", "t", "f", "T", "F"),
                *texts("1", "0", "yes", "no", "y", "n"),
            )
        ),
    ),
    Difference(
        '`"+1"`, `".5"` and `"5."` in JSON, and `0x1p3`',
        "are numbers",
        "400; the first three are numbers in a URL",
        "here: what a string has is a number of JSON",
        _post('{"i32":"+1"}'),
        refused(wrong(NUMBER, *texts("+1", ".5", "5.", "0x1p3"))),
    ),
    Difference(
        "A number below the lowest of `int64`",
        "is the lowest",
        "400",
        "here: it is out of range",
        _post('{"i64":-9223372036854775809}'),
        refused(wrong(INTEGER, "-9223372036854775809")),
    ),
    Difference(
        "A time or a duration in another form, such as `2020-1-1T0:0:0Z`, `:60Z`, `+1s`",
        "is taken",
        "400",
        "here: the mapping has RFC 3339, and decimals with an `s`",
        _get("/v1/all?lasts=1.s"),
        refused(
            wrong(
                'a (?:time|duration) such as ".*?"',
                *texts("2020-1-1T0:0:0Z", "2020-01-01T00:00:60Z", " 2020-01-01T00:00:00Z"),
                *texts("2020-01-01T00:00:00.Z", "2020-01-01T00:00:00+01:60"),
                *texts("1.s", "1 s", "+1s", " 1s"),
            )
        ),
    ),
    Difference(
        "A `FieldMask` in snake_case in JSON",
        "is taken",
        "400; in a URL it is taken, if lowerCamelCase has a form for it",
        "here: the mapping has lowerCamelCase",
        _post('{"mask":"foo_bar"}'),
        refused(wrong('fields in lowerCamelCase such as ".*?"', '".*_.*"')),
    ),
    Difference(
        "A blank in base64",
        "is left out",
        "400",
        "here: RFC 4648 has none",
        _get("/v1/all?raw=AQ%20I"),
        refused(wrong("a string in base64", '"AQ I"')),
    ),
    Difference(
        "An `Any` with no value",
        "has an empty one",
        "400",
        "here: the mapping puts it under `value`",
        _post('{"any":{"@type":"type.googleapis.com/google.protobuf.Duration"}}'),
        refused("it is missing", in_any),
    ),
    Difference(
        "`1.0`, `1e3` and `-0` for integers, in a URL or a string",
        "400",
        "are integers",
        "here: the mapping takes exponents, quoted or not",
        _get("/v1/all?i32=1e3"),
        refused_there(
            r'[\w.\[\]]+: invalid value "(1\.0|1e3|1E2|10e-1|-0)" for type TYPE_S?U?INT\d\d'
        ),
    ),
    Difference(
        "A number that an enum doesn't have, or `1.0`, in a URL or a string",
        "400",
        "is a value of it",
        "here: enums of proto3 are open. As a number Envoy takes it, too",
        _get("/v1/all?kind=7"),
        refused_there(
            r'[\w.\[\]]+: invalid value "(7|-1|2147483647|1\.0|1e0)" for type type\.\S+Kind'
        ),
    ),
    Difference(
        "The type of an `Any` that isn't at `type.googleapis.com`",
        "400",
        "is taken",
        "here: any host may stand there (any.proto)",
        _post('{"any":{"@type":"example.com/echo.v1.All"}}'),
        refused_there(r"[\w.\[\]]*any: invalid value Invalid type URL"),
    ),
    Difference(
        "Requests as lines, and an empty body for none",
        "400",
        "are taken",
        "both may: http.proto says nothing of streams",
        _post("{}\n{}\n", "/v1/sum"),
        refused_there("Expected an array|Unexpected end of string|Parsing terminated", takes_lines),
    ),
    Difference(
        "A query, and an empty list of requests",
        "sends no request",
        "sends one, with what the query sets",
        "both may: http.proto says nothing of streams",
        Asked("POST", "/v1/sum?text=a", "[]"),
        at(".*", is_request_of_query),
    ),
    Difference(
        "`response_body`",
        "is ignored",
        "is the answer",
        "here: http.proto",
        _get("/v1/only/text?text=a"),
        at("response body", lambda mismatch: True),
    ),
    Difference(
        "A stream that fails after its first message",
        "ends as if it were whole",
        "says so, as the table above has it",
        "here: nothing in Envoy's answer tells of it",
        _get("/v1/many?count=1&fail=10"),
        at("failure", lambda mismatch: mismatch.here["code"] > 0),
    ),
    Difference(
        "An empty body for a field that is a list or a value",
        "400",
        "sets nothing",
        "both may: http.proto doesn't say. grpc-gateway does as here",
        Asked("PATCH", "/v1/texts/a", ""),
        refused_there(": invalid value Starting an object on a scalar", has_no_body),
    ),
    Difference(
        "The type of a stream of lines",
        "is `application/json`",
        "is `application/x-ndjson`",
        "here: lines are no JSON text",
        Asked("GET", "/v1/many?count=1", form=StreamFormat.NDJSON),
        at("media type", is_of_lines),
    ),
    Difference(
        "An `HttpBody` that has no type",
        "is `application/json`, or has none",
        "is `application/octet-stream`",
        "here: nothing is known of it",
        Asked("POST", "/v1/content/a", "", ""),
        at("media type", has_no_type),
    ),
    Difference(
        "The end of events",
        "is that of the body",
        "is `[DONE]`, too",
        "both may: an `EventSource` can't tell the end of a body from a broken connection",
        Asked("GET", "/v1/many?count=1", form=StreamFormat.SSE),
        at("end", lambda mismatch: mismatch.asked.form is StreamFormat.SSE),
    ),
    Difference(
        "The `details` of an error that has none",
        "are not there",
        "are `[]`",
        "both may: the mapping has both",
        _get("/v1/all?fail=5"),
        at("details", lambda mismatch: mismatch.here == []),
    ),
    Difference(
        "The message of UNKNOWN, INTERNAL and DATA_LOSS",
        "is told",
        "is a sentence",
        "both may: here it shall not tell of the inside of a backend",
        _get("/v1/all?fail=13"),
        at("message", lambda mismatch: mismatch.here.startswith("The request failed. Request id:")),
    ),
    Difference(
        "The digits of a `float`",
        "are sometimes one more",
        "are as few as there can be",
        "both: the 32 bits are the same",
        _get("/v1/all?f=1.506658958180352e%2B16"),
        at(FLOAT, has_other_digits),
    ),
    Difference(
        "`-0`, not in a string, for a `float`, a `double` or a `Value`",
        "loses its sign",
        "keeps it",
        "here: JSON has it, and so have they",
        _post('{"d":-0}'),
        at(FLOAT_OR_DOUBLE, is_negative_zero),
    ),
    Difference(
        "Odd paths in a `FieldMask`, such as `Foo`, `fooBAR`, `a,,b`",
        "are not written as they were given",
        "are",
        "here: what is written is what was read",
        _get("/v1/all?mask=fooBAR"),
        at(MASK, is_odd_mask),
    ),
    Difference(
        "A quotation mark in a `FieldMask`",
        "makes the answer no JSON",
        "is escaped",
        "here: JSON is that of RFC 8259",
        _get("/v1/all?mask=a%5B%22b%22%5D"),
        at(
            "",
            lambda mismatch: (
                mismatch.envoy.json is MISSING and b'"mask":"a["b"]"' in mismatch.envoy.body
            ),
        ),
    ),
)
