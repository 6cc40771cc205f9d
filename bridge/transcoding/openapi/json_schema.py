"""JSON Schemas of messages, by https://protobuf.dev/programming-guides/json/.

They are of what ``json_writer`` writes, in the dialect of OpenAPI 3.1, which is that of JSON Schema
2020-12. Requests may be written in more ways, which are not told: names of the proto beside those
in lowerCamelCase, numbers for 64 bits, numbers for enums, null for what has no value.

Of what is written, two things break them: a number that an enum has no name for, and a message
without a field that is ``REQUIRED`` (``google.api.field_behavior``), which requests must have, but
answers leave out where it has its default.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from google.api.field_behavior_pb2 import INPUT_ONLY, OUTPUT_ONLY, REQUIRED, field_behavior
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    OneofDescriptor,
)

from bridge.transcoding import well_known
from bridge.transcoding.json.writer import JsonOptions

JsonSchema = dict[str, Any]

# The names of a field, from a message inwards.
FieldPath = tuple[str, ...]

_WELL_KNOWN: Mapping[str, JsonSchema] = {
    well_known.TIMESTAMP: {"type": "string", "format": "date-time"},
    well_known.DURATION: {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
        "examples": ["1.5s"],
        "description": "Seconds, as in `1.5s`.",
    },
    well_known.FIELD_MASK: {
        "type": "string",
        "description": "Paths of fields in lowerCamelCase, as in `author.fullName,tags`.",
    },
    well_known.STRUCT: {"type": "object", "additionalProperties": True},
    well_known.VALUE: {"description": "Any JSON."},
    well_known.LIST_VALUE: {"type": "array", "items": {}},
    f"{well_known.PACKAGE}Empty": {"type": "object"},
    well_known.ANY: {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
        "description": "A message with the URL of its type, which ends with its full name.",
    },
}

_INT32 = {"type": "integer", "format": "int32"}
_UINT32 = {"type": "integer", "format": "uint32", "minimum": 0}
_INT64 = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
_UINT64 = {"type": "string", "format": "uint64", "pattern": "^[0-9]+$"}
_NOT_FINITE = {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}
_SCALARS: Mapping[int, JsonSchema] = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_DOUBLE: {"anyOf": [{"type": "number", "format": "double"}, _NOT_FINITE]},
    FieldDescriptor.TYPE_FLOAT: {"anyOf": [{"type": "number", "format": "float"}, _NOT_FINITE]},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
_KEY_PATTERNS = {
    FieldDescriptor.TYPE_BOOL: "^(true|false)$",
    **{
        kind: "^-?[0-9]+$" for kind, schema in _SCALARS.items() if "int" in schema.get("format", "")
    },
}


def has_own_form(message: Descriptor) -> bool:
    """Return whether the JSON of a message isn't an object of its fields."""
    return message.full_name in _WELL_KNOWN or message.full_name in well_known.WRAPPERS


def is_required(field: FieldDescriptor) -> bool:
    """Return whether a request must have a field, as its label or ``field_behavior`` says."""
    return field.is_required or REQUIRED in _behavior(field)


def is_output_only(field: FieldDescriptor) -> bool:
    """Return whether a field means nothing in a request, as its ``field_behavior`` says."""
    return OUTPUT_ONLY in _behavior(field)


def _behavior(field: FieldDescriptor) -> Collection[int]:
    found: Collection[int] = field.GetOptions().Extensions[field_behavior]
    return found


class JsonSchemas:
    """The schemas of messages, which refer to each other by their full names.

    Args:
        options: How messages are written.
        comments: What is told of services, messages and so on; see ``comments.of_file``.
    """

    def __init__(self, options: JsonOptions, comments: Mapping[str, str]) -> None:
        self._options = options
        self._comments = comments
        self._waiting: list[Descriptor | EnumDescriptor] = []
        self._components: dict[str, JsonSchema] = {}

    def components(self) -> Mapping[str, JsonSchema]:
        """Return all that has been referred to, by full names, in their order."""
        while self._waiting:
            one = self._waiting.pop()
            schema = self._enum(one) if isinstance(one, EnumDescriptor) else self._object(one)
            self._components[one.full_name] = schema
        return dict(sorted(self._components.items()))

    def message(self, message: Descriptor, without: Collection[FieldPath] = ()) -> JsonSchema:
        """Return the schema of a message.

        Args:
            message: Its type.
            without: Fields that are left out.
        """
        if message.full_name in well_known.WRAPPERS:
            return _nullable(_SCALARS[message.fields_by_name["value"].type])
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        return self._object(message, without) if without else self._reference(message)

    def field(self, field: FieldDescriptor, without: Collection[FieldPath] = ()) -> JsonSchema:
        """Return the schema of a field, with what is told of it.

        Args:
            field: Of any message.
            without: Fields in it that are left out.
        """
        schema = self._values(field, without)
        behavior = _behavior(field)
        for key, holds in (
            ("description", self._comments.get(field.full_name)),
            ("deprecated", field.GetOptions().deprecated),
            ("readOnly", OUTPUT_ONLY in behavior),
            ("writeOnly", INPUT_ONLY in behavior),
        ):
            if holds:
                schema[key] = holds
        return schema

    def parameter(self, field: FieldDescriptor) -> JsonSchema:
        """Return the schema of a field that a path or a query sets: of one value, never null."""
        wrapped = field.message_type
        if wrapped is not None and wrapped.full_name in well_known.WRAPPERS:
            field = wrapped.fields_by_name["value"]
        return self._value(field, ())

    def name(self, field: FieldDescriptor) -> str:
        """Return the name of a field in JSON."""
        return field.name if self._options.proto_names else field.json_name

    def _values(self, field: FieldDescriptor, without: Collection[FieldPath]) -> JsonSchema:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            return self._map(entry)
        value = self._value(field, without)
        return {"type": "array", "items": value} if field.is_repeated else value

    def _value(self, field: FieldDescriptor, without: Collection[FieldPath]) -> JsonSchema:
        if field.message_type is not None:
            return self.message(field.message_type, without)
        if field.enum_type is None:
            return dict(_SCALARS[field.type])
        if field.enum_type.full_name == well_known.NULL_VALUE and not self._options.enum_numbers:
            return {"type": "null"}
        return self._reference(field.enum_type)

    def _map(self, entry: Descriptor) -> JsonSchema:
        keys = _KEY_PATTERNS.get(entry.fields_by_name["key"].type)
        schema: JsonSchema = {"type": "object"}
        if keys is not None:
            schema["propertyNames"] = {"pattern": keys}
        schema["additionalProperties"] = self._value(entry.fields_by_name["value"], ())
        return schema

    def _reference(self, referred: Descriptor | EnumDescriptor) -> JsonSchema:
        name = referred.full_name
        if name not in self._components:
            self._components[name] = {}
            self._waiting.append(referred)
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Descriptor, without: Collection[FieldPath] = ()) -> JsonSchema:
        fields = [field for field in message.fields if (field.name,) not in without]
        schema: JsonSchema = {
            "type": "object",
            **self._told(message, *self._told_exclusions(message, fields)),
            "properties": {
                self.name(field): self.field(field, inside(field.name, without)) for field in fields
            },
        }
        required = [self.name(field) for field in fields if is_required(field)]
        if required:
            schema["required"] = required
        exclusions = self._exclusions(message, fields)
        return {**schema, "dependentSchemas": exclusions} if exclusions else schema

    def _told_exclusions(
        self, message: Descriptor, fields: Sequence[FieldDescriptor]
    ) -> Iterator[str]:
        for oneof, names in self._oneofs(message, fields):
            *before, last = (f"`{name}`" for name in names)
            yield f"At most one of {', '.join(before)} and {last} is set."
            yield self._comments.get(f"{message.full_name}.{oneof.name}", "")

    def _exclusions(self, message: Descriptor, fields: Sequence[FieldDescriptor]) -> JsonSchema:
        """Return what a field of a oneof leaves no room for: those after it."""
        return {
            name: {"properties": dict.fromkeys(names[number:], False)}
            for _, names in self._oneofs(message, fields)
            for number, name in enumerate(names[:-1], 1)
        }

    def _oneofs(
        self, message: Descriptor, fields: Sequence[FieldDescriptor]
    ) -> Iterator[tuple[OneofDescriptor, Sequence[str]]]:
        for oneof in message.oneofs:
            names = [self.name(field) for field in oneof.fields if field in fields]
            if len(names) > 1:
                yield oneof, names

    def _enum(self, enum: EnumDescriptor) -> JsonSchema:
        told = self._told(enum, self._list_of_values(enum))
        if self._options.enum_numbers:
            numbers = sorted({value.number for value in enum.values})
            return {**_INT32, "enum": numbers, **told}
        return {"type": "string", "enum": [value.name for value in enum.values], **told}

    def _told(self, of: Descriptor | EnumDescriptor, *more: str) -> JsonSchema:
        told: JsonSchema = {}
        description = "\n\n".join(filter(None, [self._comments.get(of.full_name), *more]))
        if description:
            told["description"] = description
        if of.GetOptions().deprecated:
            told["deprecated"] = True
        return told

    def _list_of_values(self, enum: EnumDescriptor) -> str:
        lines = []
        for value in enum.values:
            comment = " ".join(self._comments.get(f"{enum.full_name}.{value.name}", "").split())
            if self._options.enum_numbers:
                lines.append(f"- {value.number}, `{value.name}`: {comment}".removesuffix(": "))
            elif comment:
                lines.append(f"- `{value.name}`: {comment}")
        return "\n".join(lines)


def inside(name: str, paths: Collection[FieldPath]) -> frozenset[FieldPath]:
    """Return what of ``paths`` is in a field, as paths from there."""
    return frozenset(path[1:] for path in paths if path[0] == name and len(path) > 1)


def _nullable(schema: JsonSchema) -> JsonSchema:
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}
