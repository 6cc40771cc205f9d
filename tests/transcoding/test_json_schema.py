"""JSON Schemas of messages: what they say, and that they are of what is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.transcoding.json.writer import JsonOptions, JsonWriter
from bridge.transcoding.openapi.json_schema import JsonSchemas
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile
from tests.transcoding.messages import OPTIONS, filled, proto

ALL_NUMBERS = "ZERO = 0; ONE = 1; TWO = 2; THREE = 3; LESS = -1; LEAST = -2;"
IMPORTS = "".join(
    f'import "google/{name}.proto";\n'
    for name in (
        *("api/field_behavior", "protobuf/any", "protobuf/duration", "protobuf/empty"),
        *("protobuf/field_mask", "protobuf/struct", "protobuf/timestamp", "protobuf/wrappers"),
    )
)


@pytest.fixture(scope="module")
def all_kinds(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=proto(ALL_NUMBERS)))


@given(st.data(), OPTIONS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_valid(
    all_kinds: Schema, data: st.DataObject, options: JsonOptions
) -> None:
    descriptor = all_kinds.pool.FindMessageTypeByName("p.All")
    message = data.draw(filled(GetMessageClass(descriptor)))
    schemas = JsonSchemas(options, {})
    schema = _closed(schemas.message(descriptor), schemas)
    written = json.loads(JsonWriter(all_kinds.pool, options).write(message))
    Draft202012Validator(schema).validate(written)


def _closed(schema: Any, schemas: JsonSchemas) -> dict[str, Any]:
    """Return a schema with its components, none of which may have more than it says."""
    components = {
        name: {**one, "additionalProperties": False} if "properties" in one else one
        for name, one in schemas.components().items()
    }
    return {**schema, "components": {"schemas": components}}


def described(
    compile_protos: Compile, text: str, options: JsonOptions | None = None, *without: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of ``p.M``, and the components that it refers to."""
    path = compile_protos(p=f"package p;\n{IMPORTS}{text}", comments=True)
    schema = schema_of(path)
    schemas = JsonSchemas(options or JsonOptions(), schema.comments)
    paths = [tuple(path.split(".")) for path in without]
    found = schemas.message(schema.pool.FindMessageTypeByName("p.M"), paths)
    components = dict(schemas.components())
    return (found if without else components["p.M"]), components


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


NUMBERS = {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}
INT32 = {"type": "integer", "format": "int32"}
UINT32 = {"type": "integer", "format": "uint32", "minimum": 0}
INT64 = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
UINT64 = {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("bool", {"type": "boolean"}),
        ("string", {"type": "string"}),
        ("bytes", {"type": "string", "contentEncoding": "base64"}),
        *((f"{name}32", INT32) for name in ("int", "sint", "sfixed")),
        *((f"{name}32", UINT32) for name in ("uint", "fixed")),
        *((f"{name}64", INT64) for name in ("int", "sint", "sfixed")),
        *((f"{name}64", UINT64) for name in ("uint", "fixed")),
        ("double", {"anyOf": [{"type": "number", "format": "double"}, NUMBERS]}),
        ("float", {"anyOf": [{"type": "number", "format": "float"}, NUMBERS]}),
        ("Kind", ref("p.Kind")),
        ("M", ref("p.M")),
        ("repeated string", {"type": "array", "items": {"type": "string"}}),
        ("repeated M", {"type": "array", "items": ref("p.M")}),
        ("map<string, M>", {"type": "object", "additionalProperties": ref("p.M")}),
        (
            "map<int64, bool>",
            {
                "type": "object",
                "propertyNames": {"pattern": "^-?[0-9]+$"},
                "additionalProperties": {"type": "boolean"},
            },
        ),
        (
            "map<bool, Kind>",
            {
                "type": "object",
                "propertyNames": {"pattern": "^(true|false)$"},
                "additionalProperties": ref("p.Kind"),
            },
        ),
        ("google.protobuf.Timestamp", {"type": "string", "format": "date-time"}),
        ("google.protobuf.Struct", {"type": "object", "additionalProperties": True}),
        ("google.protobuf.Value", {"description": "Any JSON."}),
        ("google.protobuf.ListValue", {"type": "array", "items": {}}),
        ("google.protobuf.Empty", {"type": "object"}),
        ("google.protobuf.NullValue", {"type": "null"}),
        ("google.protobuf.BoolValue", {"type": ["boolean", "null"]}),
        ("google.protobuf.Int64Value", {**INT64, "type": ["string", "null"]}),
        (
            "google.protobuf.DoubleValue",
            {"anyOf": [{"type": "number", "format": "double"}, NUMBERS, {"type": "null"}]},
        ),
    ],
)
def test_each_type_has_the_schema_of_its_json(
    compile_protos: Compile, type_: str, expected: dict[str, Any]
) -> None:
    message, _ = described(
        compile_protos, f"enum Kind {{ ZERO = 0; }}\nmessage M {{ {type_} field = 1; }}"
    )
    assert message["properties"] == {"field": expected}


@pytest.mark.parametrize(
    ("type_", "right", "wrong"),
    [
        ("google.protobuf.Duration", ["0s", "-1.5s", "1.000000001s"], ["1", "1.5", "s", "1.s"]),
        ("google.protobuf.FieldMask", ["", "a.bC,d"], [["a"]]),
        ("google.protobuf.Any", [{"@type": "a.b/p.M", "x": 1}, {}], [{"@type": 1}, "p.M"]),
    ],
)
def test_a_well_known_type_has_its_own_form(
    compile_protos: Compile, type_: str, right: list[object], wrong: list[object]
) -> None:
    message, _ = described(compile_protos, f"message M {{ {type_} field = 1; }}")
    validator = Draft202012Validator(message)
    assert [value for value in right if not validator.is_valid({"field": value})] == []
    assert [value for value in wrong if validator.is_valid({"field": value})] == []


KINDS = """
// What it is.
enum Kind {
  option allow_alias = true;
  option deprecated = true;
  KIND_UNSPECIFIED = 0;
  // A long one.
  // Very long.
  NOVEL = 1;
  ROMAN = 1;
}
message M { Kind kind = 1; }
"""


def test_an_enum_is_a_name_of_which_its_values_are_told(compile_protos: Compile) -> None:
    _, components = described(compile_protos, KINDS)
    assert components["p.Kind"] == {
        "type": "string",
        "enum": ["KIND_UNSPECIFIED", "NOVEL", "ROMAN"],
        "description": "What it is.\n\n- `NOVEL`: A long one. Very long.",
        "deprecated": True,
    }


def test_an_enum_can_be_a_number_whose_names_are_told(compile_protos: Compile) -> None:
    _, components = described(compile_protos, KINDS, JsonOptions(enum_numbers=True))
    assert components["p.Kind"] == {
        "type": "integer",
        "format": "int32",
        "enum": [0, 1],
        "description": "What it is.\n\n- 0, `KIND_UNSPECIFIED`\n"
        "- 1, `NOVEL`: A long one. Very long.\n- 1, `ROMAN`",
        "deprecated": True,
    }


@pytest.mark.parametrize(
    ("proto_names", "names"),
    [(False, ["fullName", "x", "oneMore"]), (True, ["full_name", "y", "one_more"])],
)
def test_fields_have_the_names_that_are_written(
    compile_protos: Compile, proto_names: bool, names: list[str]
) -> None:
    text = """message M {
      string full_name = 1;
      string y = 2 [json_name = "x"];
      string one_more = 3 [(google.api.field_behavior) = REQUIRED];
    }"""
    message, _ = described(compile_protos, text, JsonOptions(proto_names=proto_names))
    assert list(message["properties"]) == names
    assert message["required"] == names[2:]


def test_what_is_said_of_fields_is_there(compile_protos: Compile) -> None:
    text = """
    // A message.
    message M {
      option deprecated = true;
      // Its name.
      string name = 1 [(google.api.field_behavior) = REQUIRED];
      M made = 2 [(google.api.field_behavior) = OUTPUT_ONLY, deprecated = true];
      // The last.
      M last = 3 [(google.api.field_behavior) = INPUT_ONLY];
      // So long.
      google.protobuf.Duration lasts = 4;
    }"""
    message, _ = described(compile_protos, text)
    assert message == {
        "type": "object",
        "description": "A message.",
        "properties": {
            "name": {"type": "string", "description": "Its name."},
            "made": {**ref("p.M"), "deprecated": True, "readOnly": True},
            "last": {**ref("p.M"), "description": "The last.", "writeOnly": True},
            "lasts": {
                "type": "string",
                "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
                "examples": ["1.5s"],
                "description": "So long.",
            },
        },
        "required": ["name"],
        "deprecated": True,
    }


def test_a_oneof_is_told(compile_protos: Compile) -> None:
    text = """message M {
      // Where it is.
      oneof place { string shelf_name = 1; string box = 2; bool lent = 3; }
      oneof single { string one = 4; }
      optional string maybe = 5;
    }"""
    message, _ = described(compile_protos, text)
    assert message["description"] == (
        "At most one of `shelfName`, `box` and `lent` is set.\n\nWhere it is."
    )


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ({}, True),
        ({"shelfName": ""}, True),
        ({"lent": True, "one": "", "maybe": ""}, True),
        ({"shelfName": "", "box": ""}, False),
        ({"lent": False, "shelfName": ""}, False),
        ({"box": "", "lent": False}, False),
    ],
)
def test_a_oneof_has_one_field_at_most(
    compile_protos: Compile, value: dict[str, Any], holds: bool
) -> None:
    text = """message M {
      oneof place { string shelf_name = 1; string box = 2; bool lent = 3; }
      oneof single { string one = 4; }
      optional string maybe = 5;
    }"""
    message, _ = described(compile_protos, text)
    assert Draft202012Validator(message).is_valid(value) == holds


def test_messages_refer_to_each_other_by_their_full_names(compile_protos: Compile) -> None:
    text = """
    message M { M sequel = 1; Other other = 2; message Other { map<string, M> all = 1; } }
    message Unused {}
    """
    message, components = described(compile_protos, text)
    assert message["properties"] == {"sequel": ref("p.M"), "other": ref("p.M.Other")}
    assert list(components) == ["p.M", "p.M.Other"]


def test_a_long_chain_of_messages_is_no_burden(compile_protos: Compile) -> None:
    chain = "\n".join(f"message M{n} {{ M{n + 1} next = 1; }}" for n in range(3000))
    _, components = described(
        compile_protos, f"message M {{ M0 next = 1; }}\n{chain}\nmessage M3000 {{}}"
    )
    assert len(components) == 3002


def test_fields_can_be_left_out_wherever_they_are(compile_protos: Compile) -> None:
    text = """
    message M {
      string name = 1 [(google.api.field_behavior) = REQUIRED];
      M inner = 2;
      int32 count = 3 [(google.api.field_behavior) = REQUIRED];
    }"""
    message, _ = described(compile_protos, text, None, "name", "inner.inner", "inner.count")
    assert message["required"] == ["count"]
    assert message["properties"] == {
        "inner": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        },
        "count": INT32,
    }
