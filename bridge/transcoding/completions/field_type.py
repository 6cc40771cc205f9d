"""Which values fit a field, and how they are handed to the class of its message."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding.completions.variables import Kind
from bridge.transcoding.json.scalars import RANGES
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.spelling import instead_of
from bridge.transcoding.well_known import LIST_VALUE, STRUCT, VALUE, WRAPPERS

# Takes a value and the path of where it is from, which an error names.
Convert: TypeAlias = Callable[[Any, str], Any]

_FLOATS = {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}
_TYPES = {int(number): name for name, number in FieldDescriptorProto.Type.items()}
# What is JSON of any form, and what of variables fits it.
FREE: Final = {
    STRUCT: {Kind.JSON},
    VALUE: {*Kind},
    LIST_VALUE: {Kind.JSON, Kind.TEXTS},
}


def type_name(field: FieldDescriptor) -> str:
    """Return the type of a field as it stands in a proto."""
    if field.message_type is not None:
        return field.message_type.full_name
    if field.enum_type is not None:
        return field.enum_type.full_name
    return _TYPES[field.type].removeprefix("TYPE_").lower()


def is_wrapper(message: Descriptor) -> bool:
    """Return whether a message is a scalar with presence, such as ``Int32Value``."""
    return message.full_name in WRAPPERS


def converter(kind: Kind, field: FieldDescriptor) -> Convert:
    """Return what makes a value of a variable one of a field.

    What it returns raises ``RequestError`` if a value doesn't fit after all.

    Raises:
        ValueError: none fits.
    """
    message = field.message_type
    if message is not None and kind in FREE.get(message.full_name, ()):
        return _free_converter(kind, field)
    if message is not None and is_wrapper(message):
        wrapped = converter(kind, message.fields_by_name["value"])
        return lambda value, path: {"value": wrapped(value, path)}
    convert = _scalar_converter(kind, field.type)
    if convert is None:
        raise ValueError(f"it doesn't fit {field.full_name}, {type_name(field)}")
    return convert


def _scalar_converter(kind: Kind, kind_of_field: int) -> Convert | None:
    match kind:
        case Kind.TEXT | Kind.TEXTS | Kind.JSON if kind_of_field == FieldDescriptor.TYPE_STRING:
            return as_it_is
        case Kind.TEXT | Kind.TEXTS | Kind.JSON if kind_of_field == FieldDescriptor.TYPE_BYTES:
            return _encoded
        case Kind.NUMBER | Kind.INTEGER if kind_of_field in _FLOATS:
            return as_it_is
        case Kind.INTEGER if kind_of_field in RANGES:
            return _within(*RANGES[kind_of_field])
        case Kind.BOOLEAN if kind_of_field == FieldDescriptor.TYPE_BOOL:
            return as_it_is
    return None


def _free_converter(kind: Kind, field: FieldDescriptor) -> Convert:
    build = free_builder(field)
    read = loaded if kind is Kind.JSON else as_it_is

    def convert(value: Any, path: str) -> Any:
        try:
            return build(read(value, path))
        except ValueError as error:
            if isinstance(error, RequestError):
                raise
            raise RequestError(path, str(error)) from None

    return convert


def free_builder(field: FieldDescriptor) -> Callable[[Any], Any]:
    """Return what makes a message of JSON; it raises ``ValueError`` if the message isn't so free.

    Args:
        field: Its type is one of ``FREE``.
    """
    assert field.message_type is not None
    message = GetMessageClass(field.message_type)

    def build(value: Any) -> Any:
        try:
            return ParseDict(value, message())
        except (ParseError, TypeError, AttributeError):
            raise ValueError(f"it is no {type_name(field)}") from None

    return build


def constant(given: Any, field: FieldDescriptor) -> Any:
    """Return a value of JSON as one of a field, or one of its values if it is repeated.

    A text is one of bytes in UTF-8.

    Raises:
        ValueError: it doesn't fit.
    """
    if field.type == FieldDescriptor.TYPE_BYTES and isinstance(given, str | bytes):
        return given.encode() if isinstance(given, str) else given
    enum = field.enum_type
    if enum is not None and isinstance(given, str) and given not in enum.values_by_name:
        near = instead_of(given, enum.values_by_name)
        raise ValueError(f"{enum.full_name} has no value {given}{near}")
    if given is None:
        raise ValueError("it is empty")
    assert field.containing_type is not None
    message = GetMessageClass(field.containing_type)()
    try:
        ParseDict({field.name: [given] if field.is_repeated else given}, message)
    except (ParseError, TypeError, ValueError, AttributeError):
        raise ValueError(f"it doesn't fit {field.full_name}, {type_name(field)}") from None
    found = getattr(message, field.name)
    return found[0] if field.is_repeated else found


def as_it_is(value: Any, _: str) -> Any:
    """Return the value."""
    return value


def loaded(value: str, path: str) -> Any:
    """Return what is JSON.

    Raises:
        RequestError: it is none.
    """
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise RequestError(path, "It is no JSON") from None


def _encoded(value: str, _: str) -> bytes:
    return value.encode()


def _within(least: int, most: int) -> Convert:
    def convert(value: int, path: str) -> int:
        if not least <= value <= most:
            raise RequestError(path, f"The backend takes {least} to {most}")
        return value

    return convert
