"""Messages as JSON: the same as the protobuf library's, for messages of every kind of field."""

from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.transcoding.json_writer import JsonOptions, JsonWriter
from bridge.transcoding.schema import Schema
from tests.transcoding.backend import schema_of
from tests.transcoding.conftest import Compile
from tests.transcoding.messages import OPTIONS, filled, proto


@pytest.fixture(scope="module")
def schema(compile_protos: Compile) -> Schema:
    return schema_of(compile_protos(p=proto()))


@given(st.data(), OPTIONS)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_is_written_as_the_library_does(
    schema: Schema, data: st.DataObject, options: JsonOptions
) -> None:
    message_type = GetMessageClass(schema.pool.FindMessageTypeByName("p.All"))
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
