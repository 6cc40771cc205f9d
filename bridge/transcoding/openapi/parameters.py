"""What of a request stands in the path and the query, as parameters of OpenAPI."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bridge.transcoding.openapi.json_schema import (
    FieldPath,
    JsonSchema,
    JsonSchemas,
    has_own_form,
    is_output_only,
    is_required,
)
from bridge.transcoding.openapi.path import OpenApiPath
from bridge.transcoding.path_template import REST
from bridge.transcoding.routes import WHOLE, Route, is_text

# How many names the parameter of a query can have, as in a.b.c.
QUERY_DEPTH = 4
# How many parameters a query has before no more are looked for a level deeper: of messages that
# have each other in many fields, there is no end of them.
MOST_IN_QUERY = 1000

# The fields that a name has, from a message inwards.
_Fields = tuple[FieldDescriptor, ...]

_SEVERAL_SEGMENTS = "x-severalSegments"
_TOLD_OF_SEGMENTS = (
    "It can be several segments, or none; the slashes between them are not percent-encoded."
)


class Parameters:
    """Describes the parameters of routes.

    Args:
        schemas: Has the schemas of fields.
        comments: What protos say of fields; see ``comments.of_file``.
    """

    def __init__(self, schemas: JsonSchemas, comments: Mapping[str, str]) -> None:
        self._schemas = schemas
        self._comments = comments

    def of_path(self, route: Route, path: OpenApiPath) -> Iterator[dict[str, Any]]:
        """Yield the parameters of a path, in their order.

        OpenAPI has none for several segments: ``x-severalSegments`` tells which are.
        """
        for number, name in path.names.items():
            yield self._of_segment(route, path, number, name)

    def of_query(self, route: Route) -> Iterator[dict[str, Any]]:
        """Yield the parameters of the query: the fields that neither path nor body sets.

        Those are left out that a query can't set, which are maps and repeated messages, and those
        that mean nothing in a request. Messages are not looked at inside another of their type,
        nor for names of more than ``QUERY_DEPTH`` parts, nor if there may be more than
        ``MOST_IN_QUERY`` then.
        """
        if route.body == WHOLE:
            return
        elsewhere = {variable.field_path for variable in route.template.variables}
        for fields in _queried(route.rpc.request, elsewhere | {(route.body,)}):
            yield self._of_fields(fields)

    def _of_segment(
        self, route: Route, path: OpenApiPath, number: int, name: str
    ) -> dict[str, Any]:
        schema: JsonSchema = {"type": "string"}
        fields: Sequence[FieldDescriptor] = ()
        notes = []
        further: dict[str, Any] = {}
        variable = route.template.variable(number)
        if variable is not None:
            fields = _fields(route.rpc.request, variable.field_path)
            value, field_name = path.value(variable), ".".join(variable.field_path)
            if value == f"{{{name}}}":
                schema = self._schemas.parameter(fields[-1])
            if value != f"{{{field_name}}}":
                notes.append(f"`{field_name}` is `{value}`.")
        if route.template.segments[number] == REST:
            notes.append(_TOLD_OF_SEGMENTS)
            further[_SEVERAL_SEGMENTS] = True
        told = self._told(fields, *notes)
        return {"name": name, "in": "path", "required": True, **told, "schema": schema, **further}

    def _of_fields(self, fields: Sequence[FieldDescriptor]) -> dict[str, Any]:
        name = ".".join(map(self._schemas.name, fields))
        schema = self._schemas.parameter(fields[-1])
        parameter: dict[str, Any] = {"name": name, "in": "query", **self._told(fields)}
        if all(map(is_required, fields)):
            parameter["required"] = True
        if fields[-1].is_repeated:
            return {**parameter, "explode": True, "schema": {"type": "array", "items": schema}}
        return {**parameter, "schema": schema}

    def _told(self, fields: Sequence[FieldDescriptor], *notes: str) -> dict[str, Any]:
        comments = [self._comments.get(field.full_name, "") for field in fields[-1:]]
        description = "\n\n".join(filter(None, [*comments, *notes]))
        told: dict[str, Any] = {"description": description} if description else {}
        if any(field.GetOptions().deprecated for field in fields):
            told["deprecated"] = True
        return told


def _fields(message: Descriptor, path: FieldPath) -> list[FieldDescriptor]:
    found: list[FieldDescriptor] = []
    inner: Descriptor | None = message
    for name in path:
        assert inner is not None
        found.append(inner.fields_by_name[name])
        inner = found[-1].message_type
    return found


def _queried(message: Descriptor, elsewhere: Collection[FieldPath]) -> list[_Fields]:
    found: list[_Fields] = []
    entered: list[tuple[_Fields, Descriptor]] = [((), message)]
    while entered:
        nested: list[tuple[_Fields, Descriptor]] = []
        for fields in _one_deeper(entered, elsewhere):
            inner = fields[-1].message_type
            if inner is None or is_text(inner):
                found.append(fields)
            elif not fields[-1].is_repeated and not has_own_form(inner) and _is_near(inner, fields):
                nested.append((fields, inner))
        many = len(found) + sum(len(inner.fields) for _, inner in nested) > MOST_IN_QUERY
        entered = [] if many else nested
    return sorted(found, key=lambda fields: [field.index for field in fields])


def _one_deeper(
    entered: Iterable[tuple[_Fields, Descriptor]], elsewhere: Collection[FieldPath]
) -> Iterator[_Fields]:
    for outer, message in entered:
        for field in message.fields:
            fields = (*outer, field)
            if tuple(one.name for one in fields) not in elsewhere and not is_output_only(field):
                yield fields


def _is_near(inner: Descriptor, fields: _Fields) -> bool:
    within = [field.containing_type for field in fields]
    return len(fields) < QUERY_DEPTH and inner not in within
