"""Puts the path, the query and the body of an HTTP request into the request of an RPC.

The rules stand in the comments of ``google/api/http.proto``; JSON is that of
https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding.json_reader import JsonReader
from bridge.transcoding.json_scalars import wrong
from bridge.transcoding.json_text import JsonError
from bridge.transcoding.routes import Route, is_text
from bridge.transcoding.well_known import FIELD_MASK, WELL_KNOWN, WRAPPERS

# In a URL, what Envoy and grpc-gateway both take beside the forms of JSON.
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_PLUS = re.compile(r"^\+(?=[0-9.])")
_NO_WHOLE = re.compile(r"^-?(?=\.[0-9])")
_NO_FRACTION = re.compile(r"(?<=[0-9])\.(?![0-9])")
_UNDERSCORED = re.compile(r"_([a-z])")

_TEXTS = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
_FLOATS = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}


class RequestError(ValueError):
    """A request that is no message.

    Attributes:
        field: The path of the field that is wrong; empty for all of it.
        reason: What is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason


class _UnknownFieldError(RequestError):
    pass


def to_message(
    route: Route,
    reader: JsonReader,
    values: Mapping[tuple[str, ...], str],
    query: str,
    body: Any,
) -> Message:
    """Return the request of the RPC.

    What the path sets comes before the body, and that before the query.

    Args:
        route: How the RPC is called.
        reader: What reads the values of fields.
        values: The values of fields that the path sets.
        query: The query of the URL, as it was sent.
        body: The fields that the body sets, as :func:`bridge.transcoding.json_text.parse` returns
            them.

    Raises:
        RequestError: they are not of that message.
    """
    message = GetMessageClass(route.rpc.request)()
    _read_body(reader, body, message)
    tree: dict[str, Any] = {}
    for name, value in _pairs(query):
        with suppress(*[_UnknownFieldError] if reader.ignore_unknown else ()):
            _set(tree, _fields(reader, route.rpc.request, name.split(".")), value)
    _merge(reader, _beside(body, tree, route.rpc.request), message)
    tree = {}
    for path, value in values.items():
        _set(tree, _fields(reader, route.rpc.request, path), value)
        _clear(message, path)
    _merge(reader, tree, message)
    _check_required(message)
    return message


def _check_required(message: Any) -> None:
    if not message.IsInitialized():
        raise RequestError(message.FindInitializationErrors()[0], "it is required")


def _read_body(reader: JsonReader, body: Any, message: Message) -> None:
    try:
        reader.read(body, message)
    except JsonError as error:
        reason = error.reason if error.field else f"The body is no message: {error.reason}"
        raise RequestError(error.field, reason) from None


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RequestError("", "The query isn't UTF-8.") from None


def _beside(
    body: Any, tree: Mapping[str, Any], message: Descriptor, within: str = ""
) -> dict[str, Any]:
    """Return what a query sets and the body doesn't; lists may come from both."""
    found = {}
    for name, value in tree.items():
        field = message.fields_by_name[name]
        inside, in_body = field.message_type, _given(body, field)
        if inside is not None and isinstance(value, dict) and in_body is not None:
            found[name] = _beside(in_body, value, inside, f"{within}{name}.")
        elif in_body is None or field.is_repeated:
            _check_oneof(body, field, within)
            found[name] = value
    return found


def _given(body: Any, field: FieldDescriptor) -> Any:
    if not isinstance(body, dict):
        return None
    return body.get(field.name, body.get(field.json_name))


def _check_oneof(body: Any, field: FieldDescriptor, within: str) -> None:
    for other in field.containing_oneof.fields if field.containing_oneof else ():
        if other != field and _given(body, other) is not None:
            raise RequestError(within + field.name, f"it can't be there together with {other.name}")


def _merge(reader: JsonReader, tree: Mapping[str, Any], message: Message) -> None:
    if not tree:
        return
    read = type(message)()
    try:
        reader.read(tree, read)
    except JsonError as error:
        raise RequestError(error.field, error.reason) from None
    message.MergeFrom(read)


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


def _clear(message: Message, path: Sequence[str]) -> None:
    *outer, last = path
    for name in outer:
        if not message.HasField(name):
            return
        message = getattr(message, name)
    message.ClearField(last)
