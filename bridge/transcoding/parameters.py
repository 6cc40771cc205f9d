"""The values of a URL, as JSON has them.

Which fields they can set stands in the comments of ``google/api/http.proto``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.scalars import wrong
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.routes import is_text
from bridge.transcoding.well_known import FIELD_MASK, WELL_KNOWN, WRAPPERS

# In a URL, what Envoy and grpc-gateway both take beside the forms of JSON.
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_PLUS = re.compile(r"^\+(?=[0-9.])")
_NO_WHOLE = re.compile(r"^-?(?=\.[0-9])")
_NO_FRACTION = re.compile(r"(?<=[0-9])\.(?![0-9])")
_UNDERSCORED = re.compile(r"_([a-z])")

_TEXTS = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


class _UnknownFieldError(RequestError):
    pass


def of_query(reader: JsonReader, message: Descriptor, query: str) -> dict[str, Any]:
    """Return what a query sets, as :func:`bridge.transcoding.json.text.parse` returns it.

    Args:
        reader: Knows the names of fields, and whether others are ignored.
        message: Whose fields they are.
        query: As it was sent.

    Raises:
        RequestError: it isn't UTF-8, or sets what it can't.
    """
    tree: dict[str, Any] = {}
    for name, value in _pairs(query):
        try:
            _set(tree, _fields(reader, message, name.split(".")), value)
        except _UnknownFieldError:
            if not reader.ignore_unknown:
                raise
    return tree


def of_path(
    reader: JsonReader, message: Descriptor, values: Iterable[tuple[Sequence[str], str]]
) -> dict[str, Any]:
    """Return what a path sets; see ``of_query``.

    Args:
        reader: See ``of_query``.
        message: See ``of_query``.
        values: The paths of fields, with their values.

    Raises:
        RequestError: a value is none of its field.
    """
    tree: dict[str, Any] = {}
    for path, value in values:
        _set(tree, _fields(reader, message, path), value)
    return tree


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RequestError("", "The query isn't UTF-8.") from None


def _fields(reader: JsonReader, message: Descriptor, path: Sequence[str]) -> list[FieldDescriptor]:
    """Return the fields of a path, each in the message of the one before."""
    found: list[FieldDescriptor] = []
    for name in path:
        inside = message if not found else _single_message(found[-1])
        field = None if inside is None else reader.field(inside, name)
        if field is None:
            raise _UnknownFieldError(".".join(path), "there is no such field")
        found.append(field)
    return found


def _single_message(field: FieldDescriptor) -> Descriptor | None:
    inside = field.message_type
    if inside is None or field.is_repeated or inside.full_name in WELL_KNOWN:
        return None
    return inside


def _set(tree: dict[str, Any], fields: Sequence[FieldDescriptor], value: str) -> None:
    *outer, last = fields
    told = ".".join(field.name for field in fields)
    for field in outer:
        tree = tree.setdefault(field.name, {})
    if last.message_type is not None and not is_text(last.message_type):
        raise RequestError(told, "it is a message: name a field of it")
    if last.is_repeated:
        tree.setdefault(last.name, []).append(_value(last, told, value))
    elif last.name in tree:
        raise RequestError(told, "it is set twice")
    else:
        tree[last.name] = _value(last, told, value)


def _value(field: FieldDescriptor, told: str, value: str) -> Any:
    """Return what JSON has for what a URL has."""
    message = field.message_type
    if message is not None and message.full_name in WRAPPERS:
        return _value(message.fields_by_name["value"], told, value)
    if message is not None:
        return _camel_case(value) if message.full_name == FIELD_MASK else value
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _boolean(told, value)
    return value if field.type in _TEXTS else _number(value, field.type in _FLOATS)


def _boolean(told: str, value: str) -> bool:
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise RequestError(told, wrong("true or false", value).reason) from None


def _number(value: str, is_float: bool) -> str:
    value = _PLUS.sub("", value)
    return _NO_FRACTION.sub("", _NO_WHOLE.sub(r"\g<0>0", value)) if is_float else value


def _camel_case(mask: str) -> str:
    return _UNDERSCORED.sub(lambda found: found[1].upper(), mask)
