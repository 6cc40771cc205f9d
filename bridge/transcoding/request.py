"""Puts the path, the query and the body of an HTTP request into the request of an RPC.

The rules stand in the comments of ``google/api/http.proto``; JSON is that of
https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding.routes import WHOLE, Route, is_text

# How the library tells of a field, from the outermost inwards.
_OUTER = re.compile(r"Failed to parse (\S+) field: ")
_UNKNOWN = re.compile(r'Message type "[^"]*" has no field named "([^"]*)" at "[^".]*\.?([^"]*)"')
_PLACE = re.compile(r' at "?[\w.\[\]]+"?$')

# In a URL, what Envoy and grpc-gateway both take.
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


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
    pool: DescriptorPool,
    values: Mapping[tuple[str, ...], str],
    query: str,
    body: bytes,
    *,
    ignore_unknown: bool = False,
) -> Message:
    """Return the request of the RPC.

    What the path sets comes before the query, and that before the body.

    Args:
        route: How the RPC is called.
        pool: Where the types are that an ``Any`` can have.
        values: The values of fields that the path sets.
        query: The query of the URL, as it was sent.
        body: The body, in JSON.
        ignore_unknown: Whether fields that the message doesn't have are left out.

    Raises:
        RequestError: they are not of that message.
    """
    message_type = GetMessageClass(route.rpc.request)
    message = message_type()
    if route.body:
        given = _loads(body)
        _merge(given if route.body == WHOLE else {route.body: given}, message, pool, ignore_unknown)
    elif body:
        raise RequestError("", f"{route} takes no body")
    tree: dict[str, Any] = {}
    for name, value in _pairs(query):
        with suppress(*[_UnknownFieldError] if ignore_unknown else ()):
            _set(tree, _fields(route.rpc.request, name.split(".")), value)
    _merge(tree, message, pool, ignore_unknown)
    tree = {}
    for path, value in values.items():
        _set(tree, _fields(route.rpc.request, path), value)
        _clear(message, path)
    _merge(tree, message, pool, ignore_unknown)
    return message


def _loads(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError("", f"The body is no JSON: {error}") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(twice, "it is there twice")
    return found


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise RequestError("", "The query isn't UTF-8.") from None


def _merge(given: Any, message: Message, pool: DescriptorPool, ignore_unknown: bool) -> None:
    read = type(message)()
    if not isinstance(given, dict) and not _is_well_known(message):
        raise RequestError("", f"It is no {message.DESCRIPTOR.full_name}.")
    try:
        ParseDict(given, read, ignore_unknown_fields=ignore_unknown, descriptor_pool=pool)
    except ParseError as error:
        raise named(str(error)) from None
    except (TypeError, ValueError, AttributeError):
        raise RequestError("", f"It is no {message.DESCRIPTOR.full_name}.") from None
    message.MergeFrom(read)


def _is_well_known(message: Message) -> bool:
    return message.DESCRIPTOR.file.package == "google.protobuf"


def named(told: str) -> RequestError:
    """Return what the message of a ``ParseError`` tells, with the path of the field."""
    names = []
    while (outer := _OUTER.match(told)) is not None:
        names.append(outer[1])
        told = told[outer.end() :]
    told = told.split("\n")[0]
    unknown = _UNKNOWN.match(told)
    if unknown is not None:
        return RequestError(
            ".".join(filter(None, [unknown[2], unknown[1]])), "there is no such field"
        )
    reason = _PLACE.sub("", told.rstrip(".")).removeprefix("Failed to parse ")
    return RequestError(".".join(names), reason)


def _fields(message: Descriptor, path: Sequence[str]) -> list[FieldDescriptor]:
    """Return the fields of a path, each in the message of the one before."""
    found: list[FieldDescriptor] = []
    for name in path:
        inside = message if not found else _single_message(found[-1])
        field = None if inside is None else _field(inside, name)
        if field is None:
            raise _UnknownFieldError(".".join(path), "there is no such field")
        found.append(field)
    return found


def _single_message(field: FieldDescriptor) -> Descriptor | None:
    return None if field.is_repeated else field.message_type


def _field(message: Descriptor, name: str) -> FieldDescriptor | None:
    found = message.fields_by_name.get(name)
    return found or next((field for field in message.fields if field.json_name == name), None)


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
    wrapped = field.message_type
    if field.type != FieldDescriptor.TYPE_BOOL and (
        wrapped is None or wrapped.full_name != "google.protobuf.BoolValue"
    ):
        return value
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise RequestError(told, f"it is true or false, not {value!r}") from None


def _clear(message: Message, path: Sequence[str]) -> None:
    *outer, last = path
    for name in outer:
        if not message.HasField(name):
            return
        message = getattr(message, name)
    message.ClearField(last)
