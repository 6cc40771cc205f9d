"""Writes messages as JSON, by https://protobuf.dev/programming-guides/json/.

It writes what ``google.protobuf.json_format`` writes, which looks at the descriptor of each field
anew for each message. Here what a field needs is found once.
"""

from __future__ import annotations

import math
import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from bridge.transcoding import well_known

Write = Callable[[Any], Any]

_DYNAMIC = {well_known.ANY, well_known.STRUCT, well_known.VALUE, well_known.LIST_VALUE}

_INT64 = {
    *(FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64),
    *(FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64),
}
_FLOAT32 = struct.Struct("<f")


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """How messages are written.

    Attributes:
        defaults: Whether fields that have no presence are there when they have no value.
        proto_names: Whether fields have the names of the proto, not those in lowerCamelCase.
        enum_numbers: Whether enums are numbers, not names.
    """

    defaults: bool = False
    proto_names: bool = False
    enum_numbers: bool = False


class JsonWriter:
    """Writes messages of one pool.

    Args:
        pool: Where the types are that an ``Any`` can have.
        options: How they are written.
    """

    def __init__(self, pool: DescriptorPool, options: JsonOptions | None = None) -> None:
        self._pool = pool
        self._options = options or JsonOptions()
        self._fields: dict[FieldDescriptor, tuple[str, Write | None]] = {}
        self._messages: dict[Descriptor, Write] = {}

    def write(self, message: Message) -> bytes:
        """Return a message as JSON.

        Raises:
            TypeError: it has an ``Any`` of a type that isn't in the pool.
        """
        return orjson.dumps(self.to_json(message))

    def to_json(self, message: Message) -> Any:
        """Return a message as what JSON is made of.

        Raises:
            TypeError: see ``write``.
        """
        return self._message(message.DESCRIPTOR)(message)

    def of_field(self, field: FieldDescriptor) -> Callable[[Message], bytes]:
        """Return what writes one field of a message, also if it has no value."""
        name, (_, write) = field.name, self._field(field)

        def of_field(message: Message) -> bytes:
            value = getattr(message, name)
            return orjson.dumps(value if write is None else write(value))

        return of_field

    def _message(self, descriptor: Any) -> Write:
        write = self._messages.get(descriptor)
        if write is None:
            write = self._messages[descriptor] = self._of_message(descriptor)
        return write

    def _of_message(self, descriptor: Descriptor) -> Write:
        name = descriptor.full_name
        if name in well_known.WRAPPERS:
            return self._wrapped(descriptor.fields_by_name["value"])
        if name in well_known.TEXTS:
            return _json_string
        if name in _DYNAMIC:
            return self._by_library
        return self._with_defaults if self._options.defaults else self._object

    def _object(self, message: Message) -> dict[str, Any]:
        fields: dict[Any, tuple[str, Write | None]] = self._fields
        written = {}
        for field, value in message.ListFields():
            name, write = fields.get(field) or self._field(field)
            written[name] = value if write is None else write(value)
        return written

    def _with_defaults(self, message: Message) -> dict[str, Any]:
        written = self._object(message)
        for field in message.DESCRIPTOR.fields:
            name, write = self._field(field)
            if name not in written and not field.has_presence:
                value = getattr(message, field.name)
                written[name] = value if write is None else write(value)
        return written

    def _by_library(self, message: Message) -> Any:
        return MessageToDict(
            message,
            always_print_fields_with_no_presence=self._options.defaults,
            preserving_proto_field_name=self._options.proto_names,
            use_integers_for_enums=self._options.enum_numbers,
            descriptor_pool=self._pool,
        )

    def _wrapped(self, field: FieldDescriptor) -> Write:
        write = self._value(field)
        return _value if write is None else lambda message: write(message.value)

    def _field(self, field: Any) -> tuple[str, Write | None]:
        found = self._fields.get(field)
        if found is None:
            found = self._fields[field] = self._name(field), self._of_field(field)
        return found

    def _name(self, field: FieldDescriptor) -> str:
        if field.is_extension:
            return f"[{field.full_name}]"
        return field.name if self._options.proto_names else field.json_name

    def _of_field(self, field: FieldDescriptor) -> Write | None:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            return self._map(entry)
        write = self._value(field)
        if not field.is_repeated:
            return write
        return list if write is None else lambda values: [write(value) for value in values]

    def _map(self, entry: Descriptor) -> Write:
        keys, values = entry.fields_by_name["key"], entry.fields_by_name["value"]
        key = _boolean if keys.type == FieldDescriptor.TYPE_BOOL else str
        write = self._value(values)
        if write is None:
            return lambda items: {key(name): items[name] for name in items}
        return lambda items: {key(name): write(items[name]) for name in items}

    def _value(self, field: FieldDescriptor) -> Write | None:
        kind = field.type
        if field.message_type is not None:
            descriptor = field.message_type
            return lambda message: self._message(descriptor)(message)
        if kind in _INT64:
            return str
        if kind == FieldDescriptor.TYPE_DOUBLE:
            return _double
        if kind == FieldDescriptor.TYPE_FLOAT:
            return _float
        if kind == FieldDescriptor.TYPE_BYTES:
            return _base64
        return None if field.enum_type is None else self._enum(field.enum_type)

    def _enum(self, enum: EnumDescriptor) -> Write | None:
        if self._options.enum_numbers:
            return None
        if enum.full_name == well_known.NULL_VALUE:
            return _null
        names = {number: value.name for number, value in enum.values_by_number.items()}
        return lambda number: names.get(number, number)


def _json_string(message: Any) -> str:
    text = message.ToJsonString()
    assert isinstance(text, str)
    return text


def _value(message: Any) -> Any:
    return message.value


def _null(_: int) -> None:
    return None


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _double(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _float(value: float) -> float | str:
    return shortest(value) if math.isfinite(value) else _double(value)


def shortest(value: float) -> float:
    """Return the shortest number that has the same 32 bits."""
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        if _FLOAT32.unpack(_FLOAT32.pack(short))[0] == value:
            return short
    return float(f"{value:.9g}")
