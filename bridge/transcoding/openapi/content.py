"""What OpenAPI 3.1 can say of the bodies of requests and of answers.

It has schemas of whole bodies only. So a stream of frames or of lines is a string there, with
examples. ``x-itemSchema`` has what OpenAPI 3.2 has in ``itemSchema``: the schema of one frame, or
of one line.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from bridge.transcoding.json.writer import JsonOptions, JsonWriter
from bridge.transcoding.openapi.json_schema import (
    FieldPath,
    JsonSchema,
    JsonSchemas,
    inside,
    is_required,
)
from bridge.transcoding.routes import WHOLE, Route

_ANYTHING = "*/*"
_JSON = "application/json"
_LINES = "application/x-ndjson"
_EVENTS = "text/event-stream"

_A_LINE_EACH = "Each message is a line."
_OF_EVENTS = (
    "Each message is a frame `data: <JSON>`. A failure is a frame `event: failure` with "
    '`data: {"error": <google.rpc.Status>}`. The last frame is always `data: [DONE]`.'
)
_OF_LINES = f'{_A_LINE_EACH} If the stream fails, the last is `{{"error": <google.rpc.Status>}}`.'
_OF_ELEMENTS = (
    'Each message is an element. If the stream fails, the last is `{"error": <google.rpc.Status>}`.'
)
_ERROR = '{"error":{"code":14,"message":"The server is gone."}}'


class Contents:
    """Describes the bodies of routes.

    Args:
        schemas: Has the schemas of messages.
        options: How messages are written.
    """

    def __init__(self, schemas: JsonSchemas, options: JsonOptions) -> None:
        self._schemas = schemas
        self._options = replace(options, defaults=True)

    def request_body(self, route: Route) -> dict[str, Any] | None:
        """Return the ``requestBody`` of a route, None if it takes none.

        A field that the path sets isn't in it.
        """
        if not route.body:
            return None
        return {"content": self._taken(route), "required": _must_be_there(route)}

    def responses(self, route: Route) -> dict[str, Any]:
        """Return the ``responses`` of a route."""
        told = "A stream of answers." if route.rpc.server_streaming else "The answer."
        failed = {_JSON: {"schema": self._schemas.message(Status.DESCRIPTOR)}}
        return {
            "200": {"description": told, "content": self._answered(route)},
            "default": {"description": "An error.", "content": failed},
        }

    def _taken(self, route: Route) -> dict[str, Any]:
        if route.takes_content:
            return {_ANYTHING: {}}
        message, name = route.rpc.request, "" if route.body == WHOLE else route.body
        schema = self._schema(message, name, _set_by_path(route))
        if route.rpc.client_streaming:
            return {_LINES: {"schema": _text(_A_LINE_EACH), "x-itemSchema": schema}}
        return {_JSON: {"schema": schema}}

    def _answered(self, route: Route) -> dict[str, Any]:
        if route.answers_content:
            return {_ANYTHING: {}}
        message, name = route.rpc.response, route.response_body
        schema = self._schema(message, name)
        if route.rpc.server_streaming:
            return self._stream(schema, self._sample(message, name))
        return {_JSON: {"schema": schema}}

    def _schema(
        self, message: Descriptor, name: str, without: Collection[FieldPath] = ()
    ) -> JsonSchema:
        if not name:
            return self._schemas.message(message, without)
        return self._schemas.field(message.fields_by_name[name], inside(name, without))

    def _stream(self, schema: JsonSchema, sample: str) -> dict[str, Any]:
        error = {
            "type": "object",
            "properties": {"error": self._schemas.message(Status.DESCRIPTOR)},
            "required": ["error"],
        }
        item = {"anyOf": [schema, error]}
        frame, line = f"data: {sample}\n\n", f"{sample}\n"
        return {
            _EVENTS: {
                "schema": _text(_OF_EVENTS),
                "x-itemSchema": _event(item),
                "examples": _examples(
                    f"{frame}{frame}data: [DONE]\n\n",
                    f"{frame}event: failure\ndata: {_ERROR}\n\ndata: [DONE]\n\n",
                ),
            },
            _LINES: {
                "schema": _text(_OF_LINES),
                "x-itemSchema": item,
                "examples": _examples(line + line, f"{line}{_ERROR}\n"),
            },
            _JSON: {"schema": {"type": "array", "items": item, "description": _OF_ELEMENTS}},
        }

    def _sample(self, descriptor: Descriptor, name: str) -> str:
        """Return the JSON of a message, or of a field of it, with default values."""
        writer = JsonWriter(descriptor.file.pool, self._options)
        write = writer.of_field(descriptor.fields_by_name[name]) if name else writer.write
        return write(GetMessageClass(descriptor)()).decode()


def _set_by_path(route: Route) -> frozenset[FieldPath]:
    return frozenset(variable.field_path for variable in route.template.variables)


def _must_be_there(route: Route) -> bool:
    fields = route.rpc.request.fields
    if route.body != WHOLE:
        return any(is_required(field) for field in fields if field.name == route.body)
    paths = _set_by_path(route)
    return any(is_required(field) for field in fields if (field.name,) not in paths)


def _text(description: str) -> JsonSchema:
    return {"type": "string", "description": description}


def _event(item: JsonSchema) -> JsonSchema:
    data = {"type": "string", "contentMediaType": _JSON, "contentSchema": item}
    return {
        "type": "object",
        "properties": {
            "event": {"const": "failure"},
            "data": {"anyOf": [data, {"const": "[DONE]"}]},
        },
        "required": ["data"],
    }


def _examples(finished: str, failed: str) -> dict[str, Any]:
    return {
        "finished": {"summary": "A whole answer", "value": finished},
        "failed": {"summary": "An answer that failed", "value": failed},
    }
