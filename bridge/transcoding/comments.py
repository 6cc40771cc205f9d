"""The comments of protos, as descriptors carry them.

Where they stand is told in the comments of ``google.protobuf.SourceCodeInfo``. ``buf build`` and
``protoc --include_source_info`` keep them. What a server's reflection tells has none, as a rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

# What is written for the API's makers only: https://google.aip.dev/192.
_INTERNAL = re.compile(r"\(--.*?--\)", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """Yield full names with their comments.

    They are of services, methods, messages, fields, oneofs, enums and their values. A value's name
    stands in that of its enum, though protobuf has it beside.
    """
    for location in file.source_code_info.location:
        comment = _text(location.leading_comments or location.trailing_comments)
        name = _name(file, location.path) if comment else None
        if name is not None:
            yield name, comment


def summary(comment: str) -> str:
    """Return the first sentence of a comment, or its first paragraph if that is shorter."""
    paragraph = " ".join(comment.split("\n\n")[0].split())
    return _SENTENCE_END.split(paragraph)[0].removesuffix(".")


def _name(file: FileDescriptorProto, path: Sequence[int]) -> str | None:
    element: Any = file
    names = [file.package] if file.package else []
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = element.DESCRIPTOR.fields_by_number.get(number)
        inner = field.message_type if field is not None and field.is_repeated else None
        if inner is None or "name" not in inner.fields_by_name:
            return None
        elements = getattr(element, field.name)
        if not 0 <= index < len(elements):
            return None
        element = elements[index]
        names.append(element.name)
    return ".".join(names) if path and len(path) % 2 == 0 else None


def _text(comment: str | bytes) -> str:
    # Protobuf has bytes of what isn't UTF-8, and protoc takes that in comments.
    if isinstance(comment, bytes):
        comment = comment.decode(errors="replace")
    lines = [line.removeprefix(" ").rstrip() for line in comment.splitlines()]
    return _INTERNAL.sub("", "\n".join(lines)).strip()
