"""What descriptor sets make, and what is wrong with those that make nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from bridge.transcoding.schema import SchemaError, build, read
from tests.transcoding.conftest import Compile

LIBRARY = """
package library.v1;
import "google/api/annotations.proto";
import "google/protobuf/empty.proto";
message GetRequest { string name = 1; }
message Book { string name = 1; Book sequel = 2; }
service Library {
  rpc Get(GetRequest) returns (Book) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/v1/{name=books/*}" };
  }
  rpc Watch(google.protobuf.Empty) returns (stream Book);
  rpc Import(stream Book) returns (google.protobuf.Empty);
}
"""


def test_a_service_has_its_methods(compile_protos: Compile) -> None:
    schema = build(read([compile_protos(library=LIBRARY)]))
    get, watch, imported = schema.services["library.v1.Library"]
    assert (get.path, get.request.full_name, get.response.full_name) == (
        "/library.v1.Library/Get",
        "library.v1.GetRequest",
        "library.v1.Book",
    )
    assert get.rule is not None
    assert get.rule.get == "/v1/{name=books/*}"
    assert (get.no_side_effects, watch.no_side_effects) == (True, False)
    assert watch.rule is None
    assert [(one.client_streaming, one.server_streaming) for one in (get, watch, imported)] == [
        (False, False),
        (False, True),
        (True, False),
    ]


def test_a_service_needs_no_package(compile_protos: Compile) -> None:
    path = compile_protos(bare="message M {}\nservice S { rpc Do(M) returns (M); }")
    assert [method.path for method in build(read([path])).services["S"]] == ["/S/Do"]


def test_what_compilers_bring_may_be_left_out(compile_protos: Compile) -> None:
    path = compile_protos(library=LIBRARY, imports=False)
    assert len(FileDescriptorSet.FromString(path.read_bytes()).file) == 1
    assert "library.v1.Library" in build(read([path])).services


def test_sets_may_share_files(compile_protos: Compile) -> None:
    shared = "package shared;\nmessage M {}"
    use = 'import "shared.proto";\nservice S%d { rpc Do(shared.M) returns (shared.M); }'
    paths = [compile_protos(shared=shared, **{f"use{n}": use % n}) for n in (1, 2)]
    assert {*build(read(paths)).services} == {"S1", "S2"}


def test_a_missing_import_is_named(compile_protos: Compile) -> None:
    use = 'import "shared.proto";\nmessage N { M m = 1; }'
    path = compile_protos(shared="message M {}", use=use)
    files = [file for file in read([path]) if file.name == "use.proto"]
    with pytest.raises(SchemaError) as caught:
        build(files)
    assert str(caught.value) == (
        "use.proto imports shared.proto, which is missing: "
        "make the set with buf build, or with protoc --include_imports"
    )


def test_a_file_that_differs_between_sets_is_named(compile_protos: Compile, tmp_path: Path) -> None:
    one = compile_protos(same="message M {}")
    other = tmp_path / "other.binpb"
    changed = FileDescriptorSet.FromString(one.read_bytes())
    changed.file[0].message_type[0].name = "N"
    other.write_bytes(changed.SerializeToString())
    with pytest.raises(SchemaError) as caught:
        list(read([one, other]))
    assert str(caught.value) == f"same.proto is not the same in {one} and in {other}"


def test_two_files_that_define_the_same_name_are_named(compile_protos: Compile) -> None:
    paths = [compile_protos(**{name: "package p;\nmessage M {}"}) for name in ("a", "b")]
    with pytest.raises(SchemaError, match=r"b\.proto can't be used: .*p\.M"):
        build(read(paths))


def test_a_set_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    text = tmp_path / "a.proto"
    text.write_text('syntax = "proto3";')
    missing = tmp_path / "missing.binpb"
    with pytest.raises(SchemaError) as caught:
        list(read([text, missing]))
    assert str(caught.value).splitlines() == [
        f"{text} is no descriptor set: make one with buf build -o {text}",
        f"{missing} can't be read: No such file or directory",
    ]


def test_files_that_import_each_other_are_named(compile_protos: Compile) -> None:
    files = [*read([compile_protos(a="message A {}", b='import "a.proto";\nmessage B {A a = 1;}')])]
    files[0].dependency.append("b.proto")
    with pytest.raises(SchemaError, match=r"files import each other: .*a\.proto imports b\.proto"):
        build(files)


def test_a_long_chain_of_imports_is_no_burden() -> None:
    files = FileDescriptorSet()
    for number in range(3000):
        file = files.file.add(name=f"{number}.proto")
        if number:
            file.dependency.append(f"{number - 1}.proto")
    build(reversed(files.file))
