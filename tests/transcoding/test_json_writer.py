"""Messages as JSON: the same as the protobuf library's, for messages of every kind of field."""

from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.transcoding.json.writer import JsonOptions, JsonWriteError, JsonWriter
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile
from tests.transcoding.messages import OPTIONS, PARTS, filled, proto


@pytest.fixture(scope="module")
def schema(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=proto()))


@given(st.data(), st.sampled_from(["All", *PARTS]), OPTIONS)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_is_written_as_the_library_does(
    schema: Schema, data: st.DataObject, name: str, options: JsonOptions
) -> None:
    message_type = GetMessageClass(schema.pool.FindMessageTypeByName(f"p.{name}"))
    message = data.draw(filled(message_type))
    expected = MessageToDict(
        message,
        always_print_fields_with_no_presence=options.defaults,
        preserving_proto_field_name=options.proto_names,
        use_integers_for_enums=options.enum_numbers,
        descriptor_pool=schema.pool,
    )
    written = json.loads(JsonWriter(schema.pool, options).write(message))
    assert written == json.loads(json.dumps(expected))


@pytest.mark.parametrize("name", ["All", "Part0"])
def test_zero_is_there_if_it_has_a_sign(schema: Schema, name: str) -> None:
    message_type = GetMessageClass(schema.pool.FindMessageTypeByName(f"p.{name}"))
    assert JsonWriter(schema.pool).write(message_type(one_double=-0.0)) == b'{"oneDouble":-0.0}'


def test_an_any_of_an_unknown_type_is_refused_with_it(schema: Schema) -> None:
    message_type = GetMessageClass(schema.pool.FindMessageTypeByName("p.All"))
    message = message_type(one_any={"type_url": "example.org/p.None"})
    problem = r"^A p\.All can't be written: it has an Any of p\.None, which isn't known$"
    with pytest.raises(JsonWriteError, match=problem):
        JsonWriter(schema.pool).write(message)
