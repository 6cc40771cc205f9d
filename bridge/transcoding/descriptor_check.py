"""What protobuf's library takes in the descriptor of a file, and compilers never write.

``descriptor.proto`` is of proto2, so texts in it may be no UTF-8. The library has bytes for them,
or fails when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

_ENTRY = [("key", 1), ("value", 2)]
_NO_KEYS = frozenset(
    (
        FieldDescriptorProto.TYPE_BYTES,
        FieldDescriptorProto.TYPE_DOUBLE,
        FieldDescriptorProto.TYPE_ENUM,
        FieldDescriptorProto.TYPE_FLOAT,
        FieldDescriptorProto.TYPE_GROUP,
        FieldDescriptorProto.TYPE_MESSAGE,
    )
)


def problems(file: FileDescriptorProto) -> Iterator[str]:
    """Yield why a file can't be used, with the full names of what is wrong in it."""
    if not all(isinstance(name, str) for name in (file.name, *file.dependency)):
        yield "its name, or that of an import, isn't UTF-8"
    yield from _of_messages(file.message_type, file.package)


def _of_messages(messages: Iterable[DescriptorProto], package: str) -> Iterator[str]:
    for message in messages:
        name = f"{package}.{message.name}".lstrip(".")
        if message.options.map_entry and not _is_entry(message):
            yield f"{name} is no entry of a map, which has a key and a value"
        for field in message.field:
            if not isinstance(field.json_name, str):
                yield f"the name of {name}.{field.name} in JSON isn't UTF-8"
        yield from _of_messages(message.nested_type, name)


def _is_entry(message: DescriptorProto) -> bool:
    fields = [(field.name, field.number) for field in message.field]
    return (
        fields == _ENTRY
        and message.field[0].type not in _NO_KEYS
        and all(field.label == FieldDescriptorProto.LABEL_OPTIONAL for field in message.field)
    )
