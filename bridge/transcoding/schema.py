"""What services there are, and of what messages: descriptors, made from files of protos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from itertools import chain
from pathlib import Path

from google.api.annotations_pb2 import http
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError

from bridge.transcoding import comments, descriptor_check
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.spelling import instead_of

# What a status can have as details, whatever a service's own files import.
_STATUS_FILES = ("google/rpc/status.proto", "google/rpc/error_details.proto")

# Files that compilers bring themselves, and that are the same for all. Sets may leave them out.
_COMMON = ("google/protobuf/", "google/api/", "google/rpc/")

# How protobuf begins to say what is wrong with a file.
_NOT_BUILT = "Couldn't build proto file into descriptor pool: "


class SchemaError(ExposureError):
    """Files that make no schema."""


@dataclass(frozen=True, slots=True)
class RpcMethod:
    """A method of a service.

    Attributes:
        service: The full name of its service.
        name: Its own.
        request: What it takes.
        response: What it answers, once or in a stream.
        client_streaming: Whether it takes a stream.
        server_streaming: Whether it answers with a stream.
        idempotency: What its options say of calling it twice.
        deprecated: Whether it should be called no more, as its options say.
        rule: The ``google.api.http`` of its options, if it has one.
    """

    service: str
    name: str
    request: Descriptor
    response: Descriptor
    client_streaming: bool
    server_streaming: bool
    idempotency: MethodOptions.IdempotencyLevel.ValueType
    deprecated: bool
    rule: HttpRule | None

    @property
    def path(self) -> str:
        """The path of the RPC."""
        return f"/{self.service}/{self.name}"

    @property
    def no_side_effects(self) -> bool:
        """Whether to call it changes nothing."""
        return self.idempotency == MethodOptions.NO_SIDE_EFFECTS

    @property
    def idempotent(self) -> bool:
        """Whether to call it twice is as good as once."""
        return self.idempotency != MethodOptions.IDEMPOTENCY_UNKNOWN


@dataclass(frozen=True, slots=True)
class Schema:
    """Services with their methods.

    Attributes:
        pool: All descriptors.
        services: The methods of each service, by its full name.
        names: Those of all services that there are, also of such that were not read.
        comments: What the protos say of each name; see ``comments.of_file``.
    """

    pool: DescriptorPool
    services: Mapping[str, Sequence[RpcMethod]]
    names: Sequence[str]
    comments: Mapping[str, str]

    def missing(self, service: str) -> str:
        """Say why a service is not in ``services``, and which one may be meant."""
        if service in self.names:
            return f"the backend can't describe the service {service}"
        there = f": there is {', '.join(self.names) or 'none'}"
        return f"there is no service {service}{instead_of(service, self.names) or there}"


def read(paths: Iterable[Path]) -> Iterator[FileDescriptorProto]:
    """Yield the files of descriptor sets, each once.

    They are made by ``protoc --include_imports --descriptor_set_out`` or ``buf build``.

    Raises:
        SchemaError: a set can't be read, or two have files of one name that are not the same.
    """
    found: dict[str, tuple[FileDescriptorProto, Path]] = {}
    problems = []
    for path in paths:
        try:
            files = FileDescriptorSet.FromString(path.read_bytes()).file
        except OSError as error:
            problems.append(f"{path} can't be read: {error.strerror}")
            continue
        except DecodeError:
            problems.append(f"{path} is no descriptor set: make one with buf build -o {path}")
            continue
        for file in files:
            earlier, where = found.setdefault(file.name, (file, path))
            if _without_source(earlier) != _without_source(file):
                problems.append(f"{file.name} is not the same in {where} and in {path}")
    if problems:
        raise SchemaError(problems)
    for file, _ in found.values():
        yield file


def _without_source(file: FileDescriptorProto) -> FileDescriptorProto:
    bare = FileDescriptorProto()
    bare.CopyFrom(file)
    bare.ClearField("source_code_info")
    return bare


def build(files: Iterable[FileDescriptorProto], names: Iterable[str] = ()) -> Schema:
    """Return the schema that files make together.

    Args:
        files: With all that they import, but what compilers bring themselves.
        names: Services that are known to be there, whether the files define them or not.

    Raises:
        SchemaError: a file is wrong, an import is missing, or two files define the same name.
    """
    by_name = _with_common(_status_files() | _checked(files))
    pool = _pool(by_name)
    services = {}
    for file in by_name.values():
        prefix = f"{file.package}." if file.package else ""
        for service in file.service:
            name = prefix + service.name
            methods = pool.FindServiceByName(name).methods
            services[name] = [
                _method(method, declared)
                for method, declared in zip(methods, service.method, strict=True)
            ]
    commented = chain.from_iterable(map(comments.of_file, by_name.values()))
    return Schema(pool, services, list(dict.fromkeys([*services, *names])), dict(commented))


def _checked(files: Iterable[FileDescriptorProto]) -> dict[str, FileDescriptorProto]:
    by_name = {file.name: file for file in files}
    problems = [
        f"{name} can't be used: {problem}"
        for name, file in by_name.items()
        for problem in descriptor_check.problems(file)
    ]
    if problems:
        raise SchemaError(problems)
    return by_name


def _pool(files: Mapping[str, FileDescriptorProto]) -> DescriptorPool:
    pool = DescriptorPool()
    problems = []
    for name in _in_order(files):
        try:
            pool.Add(files[name])
        except (EncodeError, TypeError) as error:
            problems.append(f"{name} can't be used: {str(error).removeprefix(_NOT_BUILT).strip()}")
    if problems:
        raise SchemaError(problems)
    return pool


def _status_files() -> dict[str, FileDescriptorProto]:
    files = (_common(name) for name in _STATUS_FILES)
    return {file.name: file for file in files if file is not None}


def _with_common(files: dict[str, FileDescriptorProto]) -> dict[str, FileDescriptorProto]:
    problems = []
    waiting = list(files.values())
    while waiting:
        file = waiting.pop()
        for name in file.dependency:
            if name in files:
                continue
            common = _common(name)
            if common is None:
                problems.append(
                    f"{file.name} imports {name}, which is missing: "
                    "make the set with buf build, or with protoc --include_imports"
                )
            else:
                files[name] = common
                waiting.append(common)
    if problems:
        raise SchemaError(problems)
    return files


def _common(name: str) -> FileDescriptorProto | None:
    if not name.startswith(_COMMON):
        return None
    try:
        module = import_module(f"{name.removesuffix('.proto').replace('/', '.')}_pb2")
    except (ImportError, ValueError):
        return None
    file = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def _in_order(files: Mapping[str, FileDescriptorProto]) -> Iterator[str]:
    try:
        yield from TopologicalSorter(
            {file.name: list(file.dependency) for file in files.values()}
        ).static_order()
    except CycleError as error:
        names = " imports ".join(error.args[1])
        raise SchemaError([f"files import each other: {names}"]) from None


def _method(method: MethodDescriptor, declared: MethodDescriptorProto) -> RpcMethod:
    options = declared.options
    return RpcMethod(
        service=method.containing_service.full_name,
        name=method.name,
        request=method.input_type,
        response=method.output_type,
        client_streaming=declared.client_streaming,
        server_streaming=declared.server_streaming,
        idempotency=options.idempotency_level,
        deprecated=options.deprecated,
        rule=options.Extensions[http] if options.HasExtension(http) else None,
    )
