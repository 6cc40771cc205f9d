"""What the tests of transcoding share."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

PACKAGES = Path(sysconfig.get_path("purelib"))
INCLUDED = Path(protoc.__file__).parent / "_proto"

# Compiles files, given by name, to a descriptor set, and returns where that is.
Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compile_protos(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    def compile_protos(*, imports: bool = True, comments: bool = False, **files: str) -> Path:
        folder = tmp_path_factory.mktemp("protos")
        for name, text in files.items():
            syntax = "" if text.startswith("syntax") else 'syntax = "proto3";\n'
            (folder / f"{name}.proto").write_text(syntax + text)
        path = folder / "set.binpb"
        arguments = [
            *("protoc", f"--proto_path={folder}", f"--proto_path={INCLUDED}"),
            *(f"--proto_path={PACKAGES}", f"--descriptor_set_out={path}"),
            *(["--include_imports"] if imports else []),
            *(["--include_source_info"] if comments else []),
            *(f"{name}.proto" for name in files),
        ]
        assert protoc.main(arguments) == 0
        return path

    return compile_protos


def files_of(path: Path) -> FileDescriptorSet:
    return FileDescriptorSet.FromString(path.read_bytes())
