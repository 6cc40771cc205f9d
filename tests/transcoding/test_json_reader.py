"""Messages from JSON: what is written is read as it was, for messages of every kind of field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.text import JsonError, parse
from bridge.transcoding.json.writer import JsonOptions, JsonWriter
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile
from tests.transcoding.messages import FIELD_NAMES, OPTIONS, PARTS, filled, proto


@pytest.fixture(scope="module")
def schema(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=proto()))


def _all(schema: Schema) -> Any:
    return GetMessageClass(schema.pool.FindMessageTypeByName("p.All"))()


@given(st.data(), st.sampled_from(["All", *PARTS]), OPTIONS)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_is_read_as_it_was_written(
    schema: Schema, data: st.DataObject, name: str, options: JsonOptions
) -> None:
    message_type = GetMessageClass(schema.pool.FindMessageTypeByName(f"p.{name}"))
    text = JsonWriter(schema.pool, options).write(data.draw(filled(message_type)))
    message = message_type()
    JsonReader(schema.pool).read(parse(text), message)
    assert json.loads(JsonWriter(schema.pool, options).write(message)) == json.loads(text)


NAMES = st.sampled_from([*FIELD_NAMES, "@type", "value", "a", "true", "1"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["NaN", "ONE", "1s", "2026-01-02T03:04:05Z", "a/p.All", "a/p.Part0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), st.booleans())
@settings(max_examples=1000, deadline=None)
def test_json_is_a_message_or_an_error_of_a_field(
    schema: Schema, value: dict[str, Any], ignore_unknown: bool
) -> None:
    reader = JsonReader(schema.pool, ignore_unknown=ignore_unknown)
    problem = _problem(reader, json.dumps(value).encode(), _all(schema))
    assert problem is None or problem.startswith(tuple(value))


def _problem(reader: JsonReader, text: bytes, message: Message) -> str | None:
    try:
        reader.read(parse(text), message)
    except JsonError as error:
        return str(error)
    return None
