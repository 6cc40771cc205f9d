"""Puts the path, the query and the body of an HTTP request into the request of an RPC.

The rules stand in the comments of ``google/api/http.proto``; JSON is that of
https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding import parameters
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.text import JsonError
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.routes import Route


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
        body: The fields that the body sets, as :func:`bridge.transcoding.json.text.parse` returns
            them.

    Raises:
        RequestError: they are not of that message.
    """
    descriptor = route.rpc.request
    message = GetMessageClass(descriptor)()
    _read_body(reader, body, message)
    in_query = parameters.of_query(reader, descriptor, query)
    _merge(reader, _beside(body, in_query, descriptor), message)
    in_path = parameters.of_path(reader, descriptor, values.items())
    for path in values:
        _clear(message, path)
    _merge(reader, in_path, message)
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


def _clear(message: Message, path: Sequence[str]) -> None:
    *outer, last = path
    for name in outer:
        if not message.HasField(name):
            return
        message = getattr(message, name)
    message.ClearField(last)
