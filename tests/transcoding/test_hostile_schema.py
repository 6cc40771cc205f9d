"""Descriptor sets that are huge, recursive or wrong: a schema soon, or an error that names why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.api.annotations_pb2 import http
from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.app import open_backends
from bridge.routes import openapi
from bridge.settings import Settings
from bridge.transcoding.catalog import Catalog
from bridge.transcoding.exposed import Exposed, expose
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.json.writer import JsonOptions
from bridge.transcoding.openapi.document import describe
from bridge.transcoding.openapi.parameters import MOST_IN_QUERY
from bridge.transcoding.request import to_message
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.schema import Schema, SchemaError, build
from tests.conftest import beside_the_loop, http_client, on_each_transport, serving_bridge
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile, files_of

STRING = FieldDescriptorProto.TYPE_STRING
BYTES = FieldDescriptorProto.TYPE_BYTES
MESSAGE = FieldDescriptorProto.TYPE_MESSAGE
# The positions of bytes, and what they are changed to.
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4)


def exposed(schema: Schema) -> Exposed:
    return expose(schema, ["*"], None, None, JsonOptions(), False, {})


def document(schema: Schema) -> dict[str, Any]:
    found = describe(exposed(schema).table, JsonOptions(), schema.comments)
    return {"openapi": "3.1.0", "info": {"title": "Test", "version": "1"}, **found}


def field(name: str, number: int, kind: Any = STRING, type_name: str = "") -> FieldDescriptorProto:
    made = FieldDescriptorProto(name=name, number=number, type=kind, json_name=name)
    made.label = FieldDescriptorProto.LABEL_OPTIONAL
    if type_name:
        made.type_name = type_name
    return made


def large(methods: int, each: int = 100) -> list[FileDescriptorProto]:
    """Return files with ``each`` methods, whose messages have ten fields and the next message."""
    files = []
    for number in range(methods // each):
        package = f"p{number}"
        file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        file.dependency.append("google/api/annotations.proto")
        service = file.service.add(name="S")
        for index in range(each):
            texts = [field(f"field_{one}", one) for one in range(1, 11)]
            following = field("next", 11, MESSAGE, f".{package}.M{(index + 1) % each}")
            message = file.message_type.add(name=f"M{index}", field=[*texts, following])
            type_name = f".{package}.{message.name}"
            method = service.method.add(
                name=f"R{index}", input_type=type_name, output_type=type_name
            )
            method.options.Extensions[http].get = f"/v1/{package}/{index}/{{field_1}}"
        files.append(file)
    return files


def test_tens_of_thousands_of_methods_have_routes_in_512_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.binpb"
    path.write_bytes(FileDescriptorSet(file=large(20_000)).SerializeToString())
    found = subprocess.run(
        [
            *("prlimit", f"--data={512 << 20}", sys.executable, "-m", "bridge", "routes"),
            *("--descriptors", str(path), "--services", "*"),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert len(found.stdout.splitlines()) == 20_001


@on_each_transport
async def test_a_schema_is_made_beside_the_event_loop() -> None:
    schema = build(large(100))
    async with serving(schema, {}) as address:
        chosen = Settings(backend=address, services=["*"])
        catalog = Catalog(["*"], [], beside_the_loop(exposed), reflection=True)
        async with open_backends(chosen) as backends:
            await catalog.read(backends)
    assert catalog.exposed is not None
    assert set(schema.services) <= set(catalog.exposed.services)


@on_each_transport
@pytest.mark.on_default_transport
async def test_a_schema_is_described_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.binpb"
    path.write_bytes(FileDescriptorSet(file=large(100)).SerializeToString())
    monkeypatch.setattr(openapi, "describe", beside_the_loop(describe))
    chosen = Settings(services=["*"], descriptors=[path], shutdown_grace=0)
    async with (
        serving_bridge(chosen) as running,
        http_client(running.url, timeout=60) as http,
    ):
        described = await http.get("/openapi.json")
    assert b'"/v1/p0/99/{field_1}"' in described.content


def test_files_that_import_each_other_in_a_ring_are_named() -> None:
    names = [f"{number}.proto" for number in range(3)]
    files = [
        FileDescriptorProto(name=name, dependency=[names[number - 1]])
        for number, name in enumerate(names)
    ]
    with pytest.raises(SchemaError) as caught:
        build(files)
    (problem,) = caught.value.problems
    told, _, ring = problem.partition(": ")
    assert told == "files import each other"
    first, *others, last = ring.split(" imports ")
    assert (first, {first, *others}, len(others)) == (last, {*names}, 2)


RING = """
package p;
import "google/api/annotations.proto";
message A { string name = 1; A self = 2; B b = 3; repeated A many = 4; map<string, C> by_name = 5; }
message B { oneof one { A a = 1; C c = 2; } }
message C { A a = 1; string name = 2; map<string, A> others = 3; }
service S {
  rpc Get(A) returns (C) { option (google.api.http) = { get: "/v1/{b.c.a.b.a.name=**}" }; }
  rpc Put(A) returns (stream C) { option (google.api.http) = { put: "/v1" body: "b" }; }
}
"""


def test_messages_that_have_each_other_in_a_ring_come_to_an_end(compile_protos: Compile) -> None:
    schema = schema_of(compile_protos(ring=RING))
    found = document(schema)
    OpenAPIV31SpecValidator(found).validate()
    assert {"p.A", "p.B", "p.C"} <= {*found["components"]["schemas"]}
    served = exposed(schema)
    match = served.table.match("GET", "/v1/x/y")
    assert match is not None
    message: Any = to_message(match.route, served.reader, match.values, "b.a.self.name=z", {})
    assert message.b.c.a.b.a.name == "x/y"
    put = served.table.match("PUT", "/v1")
    assert put is not None
    inner: dict[str, Any] = {}
    for _ in range(60):
        inner = {"c": {"a": {"b": inner}}}
    with pytest.raises(RequestError, match=r"it is nested too deep$"):
        to_message(put.route, served.reader, {}, "", {"b": inner})


def test_messages_that_have_each_other_in_many_fields_are_no_burden() -> None:
    file = FileDescriptorProto(name="wide.proto", package="p", syntax="proto3")
    for name in range(60):
        others = [field(f"to_{one}", one + 1, MESSAGE, f".p.M{one}") for one in range(60)]
        file.message_type.add(name=f"M{name}", field=[*others, field("text", 100)])
    method = file.service.add(name="S").method.add(name="Get", input_type=".p.M0")
    method.output_type = ".p.M0"
    method.options.Extensions[http].get = "/v1"
    found = document(build([file]))
    parameters = [one["name"] for one in found["paths"]["/v1"]["get"]["parameters"]]
    assert parameters == ["text"]
    del file.message_type[0].field[10:60]
    parameters = [
        one["name"] for one in document(build([file]))["paths"]["/v1"]["get"]["parameters"]
    ]
    assert parameters == [*(f"to_{one}.text" for one in range(1, 10)), "text"]
    assert len(parameters) < MOST_IN_QUERY


def test_a_template_with_very_many_segments_is_refused() -> None:
    (file,) = large(1, each=1)
    file.service[0].method[0].options.Extensions[http].get = "/a" * 101
    with pytest.raises(ExposureError, match=r"^p0\.S\.R0: .* it has more than 100 segments$"):
        exposed(build([file]))


def wrong(change: Callable[[FileDescriptorProto], object]) -> list[FileDescriptorProto]:
    file = FileDescriptorProto(name="f.proto", package="p", syntax="proto3")
    file.message_type.add(name="M", field=[field("name", 1)])
    file.service.add(name="S").method.add(name="Do", input_type=".p.M", output_type=".p.M")
    change(file)
    return [file]


def entry(fields: Sequence[FieldDescriptorProto]) -> Callable[[FileDescriptorProto], object]:
    """Return what gives the message a map with such entries."""

    def change(file: FileDescriptorProto) -> None:
        message = file.message_type[0]
        inner = message.nested_type.add(name="MapEntry", field=fields)
        inner.options.map_entry = True
        of_map = field("map", 2, MESSAGE, ".p.M.MapEntry")
        of_map.label = FieldDescriptorProto.LABEL_REPEATED
        message.field.append(of_map)

    return change


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (
            lambda file: file.message_type[0].field.append(field("other", 2, MESSAGE, ".p.Gone")),
            "'.p.Gone'",
        ),
        (lambda file: file.message_type.add(name="M"), "'p.M'"),
        (lambda file: file.enum_type.add(name="E"), "(p.E)"),
        (lambda file: setattr(file.service[0].method[0], "input_type", ".p.S"), "p.S.Do"),
        (lambda file: file.message_type[0].field.append(field("other", 1)), "field number (1)"),
        (lambda file: file.message_type.add(name="1"), "(1)"),
    ],
)
def test_what_protobuf_refuses_is_told_with_the_file_and_the_name(
    change: Callable[[FileDescriptorProto], object], name: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        build(wrong(change))
    (problem,) = caught.value.problems
    assert problem.startswith("f.proto can't be used: ")
    assert name in problem
    assert ("\n" in problem, "pool" in problem) == (False, False)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (field("value", 1), field("key", 2)),
        (field("key", 1), field("value", 3)),
        (field("key", 1, BYTES), field("value", 2)),
        (field("key", 1, MESSAGE, ".p.M"), field("value", 2)),
    ],
)
def test_entries_of_a_map_that_are_none_are_refused(fields: Sequence[FieldDescriptorProto]) -> None:
    with pytest.raises(SchemaError) as caught:
        build(wrong(entry(fields)))
    assert str(caught.value) == (
        "f.proto can't be used: p.M.MapEntry is no entry of a map, which has a key and a value"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"theName", "the name of p.M.name in JSON isn't UTF-8"),
        (b"other.proto", "its name, or that of an import, isn't UTF-8"),
    ],
)
def test_a_name_that_is_not_utf_8_is_told(text: bytes, problem: str) -> None:
    (file,) = wrong(lambda file: file.dependency.append("other.proto"))
    file.message_type[0].field[0].json_name = "theName"
    raw = file.SerializeToString()
    assert raw.count(text) == 1
    with pytest.raises(SchemaError) as caught:
        build([FileDescriptorProto.FromString(raw.replace(text, b"\xff" * len(text)))])
    assert caught.value.problems[0] == f"f.proto can't be used: {problem}"


@pytest.mark.parametrize("name", ["google/protobuf/\0.proto", "google/api/../x.proto", "\0", ""])
def test_an_import_of_a_strange_name_is_missing(name: str) -> None:
    with pytest.raises(SchemaError) as caught:
        build(wrong(lambda file: file.dependency.append(name)))
    assert str(caught.value).startswith(f"f.proto imports {name}, which is missing: ")


def test_comments_may_be_of_another_encoding_or_of_what_is_not_there() -> None:
    (file,) = wrong(lambda file: None)
    for path, comment in (([4, 0], "caf?"), ([4, 7], "Nothing."), ([4, -1], "Nothing.")):
        file.source_code_info.location.add(path=path, leading_comments=comment)
    raw = file.SerializeToString().replace(b"caf?", b"caf\xe9")
    schema = build([FileDescriptorProto.FromString(raw)])
    assert schema.comments == {"p.M": "caf\ufffd"}


@pytest.fixture(scope="session")
def ring(compile_protos: Compile) -> bytes:
    path = compile_protos(ring=RING, imports=False, comments=True)
    return files_of(path).file[0].SerializeToString()


@given(CHANGES)
@settings(max_examples=300)
def test_whatever_a_file_has_it_makes_a_schema_or_is_refused(
    ring: bytes, changes: Sequence[tuple[int, int]]
) -> None:
    raw = bytearray(ring)
    for position, byte in changes:
        raw[position % len(raw)] = byte
    with suppress(DecodeError, ExposureError):
        document(build([FileDescriptorProto.FromString(bytes(raw))]))
