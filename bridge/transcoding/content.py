"""The content of a request: of what media type it may be, and the messages that it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from bridge.transcoding.accept import LINES
from bridge.transcoding.request import RequestError, to_message
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
    pool: DescriptorPool,
    values: Mapping[tuple[str, ...], str],
    query: str,
    body: bytes,
    content_type: str,
    *,
    ignore_unknown: bool,
) -> Sequence[Message]:
    """Return what is sent with the RPC: one message, or all of a stream.

    A stream is a line of JSON for each message, or an array of them. What the path and the query
    set is set in its first.

    Args:
        route: See ``to_message``.
        pool: See ``to_message``.
        values: See ``to_message``.
        query: See ``to_message``.
        body: The content.
        content_type: Its type.
        ignore_unknown: See ``to_message``.

    Raises:
        RequestError: they are no messages of the RPC.
    """
    if route.takes_content:
        of_url = to_message(
            replace(route, body=""), pool, values, query, b"", ignore_unknown=ignore_unknown
        )
        return [_with_content(of_url, route, body, content_type)]
    if not route.rpc.client_streaming:
        return [to_message(route, pool, values, query, body, ignore_unknown=ignore_unknown)]
    bodies = _bodies(body)
    if not bodies and (values or query):
        bodies = [b""]
    messages = []
    for number, one in enumerate(bodies):
        of_first = (values, query) if number == 0 else ({}, "")
        try:
            messages.append(to_message(route, pool, *of_first, one, ignore_unknown=ignore_unknown))
        except RequestError as error:
            raise RequestError(f"[{number}].{error.field}".rstrip("."), error.reason) from None
    return messages


def _bodies(body: bytes) -> Sequence[bytes]:
    if body.lstrip()[:1] != b"[":
        return [line for line in body.split(b"\n") if line.strip()]
    try:
        elements = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("", f"The body is no JSON: {error}") from None
    return [json.dumps(element).encode() for element in elements]


def _with_content(message: Message, route: Route, body: bytes, content_type: str) -> Message:
    given: Any = message if route.body == WHOLE else getattr(message, route.body)
    given.data, given.content_type = body, content_type
    return message
