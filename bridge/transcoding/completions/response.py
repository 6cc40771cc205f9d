"""What of a file tells where the parts of responses are, checked against their message."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.status import Status
from bridge.transcoding.completions.field_path import FieldPath, Read, ReadAll, parse
from bridge.transcoding.completions.field_type import type_name
from bridge.transcoding.completions.file import (
    FAILURES,
    ErrorSource,
    FinishSource,
    ResponseForm,
    TextSource,
    ToolCallSource,
    UsageSource,
)
from bridge.transcoding.completions.reader import (
    FinishParts,
    NewText,
    ReadText,
    ResponseParts,
    TextDecoder,
    ToolCallParts,
)
from bridge.transcoding.json.scalars import RANGES
from bridge.transcoding.json.writer import JsonWriter
from bridge.transcoding.spelling import instead_of
from bridge.transcoding.well_known import STRUCT
from bridge.upstream.call import RpcError
from protos.completion.v1.completion_pb2 import FinishReason

_REASONS: Final[Mapping[str, FinishReason.ValueType]] = {
    name.removeprefix("FINISH_REASON_").lower(): value
    for name, value in FinishReason.items()
    if value
}
_TEXT = frozenset({FieldDescriptor.TYPE_STRING})
_TEXT_OR_BYTES = _TEXT | {FieldDescriptor.TYPE_BYTES}
_INTEGER = frozenset(RANGES)


def check(form: ResponseForm, message: Descriptor, problems: list[str]) -> ResponseParts | None:
    """Return what reads a response.

    Args:
        form: As it stands in the file.
        message: What the service answers with.
        problems: Gets a sentence for each; then there may be nothing.
    """
    parts: dict[str, Any] = {}

    def add(name: str, make: Callable[[], Any]) -> None:
        try:
            parts[name] = make()
        except ValueError as error:
            problems.append(f"response.{name}: {error}")

    add("text", lambda: _text(form.text, message))
    add("finish_reason", lambda: [_finish(source, message) for source in form.finish_reason])
    add("usage", lambda: _usage(form.usage, message))
    add("model", lambda: form.model and _reader(message, form.model, _TEXT, ""))
    add("tool_calls", lambda: form.tool_calls and _tool_calls(form.tool_calls, message))
    add("error", lambda: form.error and _refusal(form.error, message))
    if len(parts) < len(ResponseForm.model_fields):
        return None
    return ResponseParts(
        GetMessageClass(message),
        parts["text"],
        parts["finish_reason"],
        parts["usage"],
        parts["model"],
        parts["tool_calls"],
        parts["error"],
    )


def _path(message: Descriptor, text: str, types: frozenset[int]) -> FieldPath:
    path = parse(message, text)
    if path.field.type not in types:
        raise ValueError(f"{path.field.full_name} is of the wrong type, {type_name(path.field)}")
    return path


def _reader(message: Descriptor, text: str, types: frozenset[int], absent: Any) -> Read:
    path = _path(message, text, types)
    if path.many:
        raise ValueError(f"{text} are several values, and one is needed")
    return path.reader(absent)


def _optional_integer(message: Descriptor, text: str | None) -> Read | None:
    return None if text is None else _reader(message, text, _INTEGER, 0)


def _text(source: TextSource, message: Descriptor) -> Callable[[], ReadText]:
    path = _path(message, source.path, _TEXT_OR_BYTES)
    is_bytes = path.field.type == FieldDescriptor.TYPE_BYTES
    empty = b"" if is_bytes else ""
    read = _joined(path.reader_of_all(), empty) if path.many else path.reader(empty)
    if is_bytes:
        return _bytes(read, source)
    if source.skip_bytes:
        raise ValueError(f"{path.field.full_name} is text, of which no bytes can be skipped")
    return (lambda: NewText(read)) if source.whole else (lambda: read)


def _bytes(read: Read, source: TextSource) -> Callable[[], ReadText]:
    skip = source.skip_bytes
    if not source.whole:
        return lambda: TextDecoder(read, skip)
    # Half a character at the end is left to the next message.
    return lambda: NewText(
        lambda message: codecs.utf_8_decode(read(message)[skip:], "replace", False)[0]
    )


def _joined(read: ReadAll, empty: Any) -> Read:
    return lambda message: empty.join(read(message))


def _finish(source: FinishSource, message: Descriptor) -> FinishParts:
    path = parse(message, source.path)
    if path.many:
        raise ValueError(f"{source.path} are several values, and one is needed")
    reasons: dict[Any, FinishReason.ValueType] = {}
    failures: dict[Any, tuple[Status, str]] = {}
    for name, meaning in _meanings(source, path.field).items():
        value = _value(name, path.field)
        if meaning in _REASONS:
            reasons[value] = _REASONS[meaning]
        elif meaning in FAILURES:
            failures[value] = FAILURES[meaning], f"The backend ended the answer with {name}."
        else:
            near = instead_of(meaning, [*_REASONS, *FAILURES])
            raise ValueError(f"{meaning} is no finish reason, and no status of a failure{near}")
    return FinishParts(path.reader(None), reasons, failures)


def _meanings(source: FinishSource, field: FieldDescriptor) -> Mapping[str | bool, str]:
    if source.values:
        return source.values
    if field.type == FieldDescriptor.TYPE_STRING:
        return {name: name for name in _REASONS}
    raise ValueError(f"values has to say what those of {field.full_name} mean")


def _value(name: str | bool, field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        found = field.enum_type.values_by_name.get(str(name))
        if found is None:
            near = instead_of(str(name), field.enum_type.values_by_name)
            raise ValueError(f"{field.enum_type.full_name} has no value {name}{near}")
        return found.number
    wanted = {FieldDescriptor.TYPE_BOOL: bool, FieldDescriptor.TYPE_STRING: str}.get(field.type)
    if wanted is None:
        raise ValueError(f"{field.full_name} is of the wrong type, {type_name(field)}")
    if not isinstance(name, wanted):
        raise ValueError(f"{name} is no value of {field.full_name}, {type_name(field)}")
    return name


def _usage(source: UsageSource, message: Descriptor) -> Read | None:
    paths = source.prompt_tokens, source.completion_tokens, source.total_tokens
    if not any(paths):
        return None
    prompt, completion, total = (_optional_integer(message, path) or _none for path in paths)
    return lambda response: (prompt(response), completion(response), total(response))


def _none(_: Message) -> int:
    return 0


def _tool_calls(source: ToolCallSource, message: Descriptor) -> ToolCallParts:
    each = parse(message, source.each)
    inner = each.field.message_type
    if inner is None:
        raise ValueError(f"{each.field.full_name} is no message")
    return ToolCallParts(
        each.reader_of_all(),
        _reader(inner, source.name, _TEXT, ""),
        _arguments(inner, source.arguments),
        None if source.id is None else _reader(inner, source.id, _TEXT, ""),
        _optional_integer(inner, source.index),
    )


def _arguments(message: Descriptor, text: str) -> Read:
    path = parse(message, text)
    struct = path.field.message_type
    if struct is None or struct.full_name != STRUCT:
        return _reader(message, text, _TEXT, "")
    read = path.reader(None)
    writer = JsonWriter(message.file.pool)

    def written(call: Message) -> str:
        found = read(call)
        return "{}" if found is None else writer.write(found).decode()

    return written


def _refusal(source: ErrorSource, message: Descriptor) -> Callable[[Message], None]:
    text = source.message and _reader(message, source.message, _TEXT, "")
    code = source.code and _reader(message, source.code, _INTEGER, 0)
    status = FAILURES[source.status]

    def refuse(response: Message) -> None:
        told = text(response) if text else ""
        number = code(response) if code else 0
        if told or number:
            raise RpcError(Status.from_code(number) if number else status, told)

    return refuse
