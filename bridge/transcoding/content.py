"""The content of a request: of what media type it may be, and the messages that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from bridge.transcoding.accept import LINES
from bridge.transcoding.json.reader import JsonReader
from bridge.transcoding.json.text import JsonError, parse
from bridge.transcoding.request import to_message
from bridge.transcoding.request_error import RequestError
from bridge.transcoding.routes import WHOLE, Route


def refusal(route: Route, content_type: str) -> str | None:
    """Return why a content can't be read that is of this type, or None if it can.

    A page of another origin may send some types without asking first: they must not be read
    as JSON.
    """
    if route.takes_content:
        return None
    media_type = content_type.split(";")[0].strip().lower()
    if media_type.startswith("application/grpc"):
        return f"{media_type} is not spoken here, but JSON over HTTP is."
    if media_type in LINES and route.rpc.client_streaming:
        return None
    if media_type == "application/json" or media_type.endswith("+json"):
        return None
    lines = " or 'application/x-ndjson'" if route.rpc.client_streaming else ""
    return f"The body must be sent with 'Content-Type: application/json'{lines}."


def to_messages(
    route: Route,
    reader: JsonReader,
    values: Mapping[tuple[str, ...], str],
    query: str,
    body: bytes,
    content_type: str,
) -> Sequence[Message]:
    """Return what is sent with the RPC: one message, or all of a stream.

    A stream is a line of JSON for each message, or an array of them. What the path and the query
    set is set in its first.

    Args:
        route: See ``to_message``.
        reader: See ``to_message``.
        values: See ``to_message``.
        query: See ``to_message``.
        body: The content.
        content_type: Its type.

    Raises:
        RequestError: they are no messages of the RPC.
    """
    if route.takes_content:
        of_url = to_message(route, reader, values, query, {})
        return [_with_content(of_url, route, body, content_type)]
    if body and not route.body:
        raise RequestError("", f"{route} takes no body")
    if not route.rpc.client_streaming:
        fields = _fields(route, _parsed(body)) if body else {}
        return [to_message(route, reader, values, query, fields)]
    given = [_fields(route, one) for one in _elements(body)]
    if not given and (values or query):
        given = [{}]
    messages = []
    for number, fields in enumerate(given):
        of_first = (values, query) if number == 0 else ({}, "")
        try:
            messages.append(to_message(route, reader, *of_first, fields))
        except RequestError as error:
            raise error.within(f"[{number}]") from None
    return messages


def _elements(body: bytes) -> Sequence[Any]:
    if body.lstrip()[:1] == b"[":
        elements: Sequence[Any] = _parsed(body)
        return elements
    lines = filter(bytes.strip, body.split(b"\n"))
    return [_parsed(line, f"[{number}]") for number, line in enumerate(lines)]


def _parsed(text: bytes, place: str = "") -> Any:
    try:
        return parse(text)
    except JsonError as error:
        raise RequestError(place, f"The body is no JSON: {error.reason}") from None


def _fields(route: Route, given: Any) -> Any:
    return given if route.body == WHOLE else {route.body: given}


def _with_content(message: Message, route: Route, body: bytes, content_type: str) -> Message:
    given: Any = message if route.body == WHOLE else getattr(message, route.body)
    given.data, given.content_type = body, content_type
    return message
