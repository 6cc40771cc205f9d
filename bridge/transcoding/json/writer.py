"""Writes messages as JSON, by https://protobuf.dev/programming-guides/json/.

It writes what ``google.protobuf.json_format`` writes, which looks at the descriptor of each field
anew for each message. Here what a field needs is found once.
"""

from __future__ import annotations

import math
import struct
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding import well_known
from bridge.transcoding.json.times import duration_text, timestamp_text

Write = Callable[[Any], Any]

# To ask a message for each field is quicker than for a list of those that it has, if they are so
# few, and so few of them have presence, as those of a oneof have.
_FEW = 16
_FEW_WITH_PRESENCE = 4

_FLOAT32 = struct.Struct("<f")
_SHORTEST = ("%.6g", "%.7g", "%.8g")
_FAILURES = (DecodeError, RecursionError, TypeError, ValueError)


class JsonWriteError(ValueError):
    """A message that JSON can't have, such as one with a time after the year 9999."""


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


# The name of a field in JSON and in the proto, whether it has presence, and what writes its value,
# if that isn't written as it is. Tuples are the quickest to take apart.
_Field = tuple[str, str, bool, Write | None]
# The fields of a message, and what is written of those that it doesn't have.
_Plan = tuple[list[_Field], dict[str, Any]]


class JsonWriter:
    """Writes messages of one pool.

    Args:
        pool: Where the types are that an ``Any`` can have.
        options: How they are written.
    """

    def __init__(self, pool: DescriptorPool, options: JsonOptions | None = None) -> None:
        self._pool = pool
        self._options = options or JsonOptions()
        self._messages: dict[Descriptor, Write] = {}
        self._fields: dict[FieldDescriptor, _Field] = {}
        self._plans: dict[Descriptor, _Plan] = {}
        self._well_known: dict[str, Write] = {
            well_known.ANY: self._any,
            well_known.DURATION: lambda message: duration_text(message.seconds, message.nanos),
            well_known.FIELD_MASK: lambda message: message.ToJsonString(),
            well_known.LIST_VALUE: _list_value,
            well_known.STRUCT: _struct,
            well_known.TIMESTAMP: lambda message: timestamp_text(message.seconds, message.nanos),
            well_known.VALUE: _value,
        }

    def write(self, message: Message) -> bytes:
        """Return a message as JSON.

        Raises:
            JsonWriteError: it can't be written, or has an ``Any`` of a type that isn't in the pool.
        """
        try:
            return orjson.dumps(self._message(message.DESCRIPTOR)(message))
        except _FAILURES as error:
            raise _failure(message, error) from error

    def to_json(self, message: Message) -> Any:
        """Return a message as what JSON is made of.

        Raises:
            JsonWriteError: see ``write``.
        """
        try:
            return self._message(message.DESCRIPTOR)(message)
        except _FAILURES as error:
            raise _failure(message, error) from error

    def of_field(self, field: FieldDescriptor) -> Callable[[Message], bytes]:
        """Return what writes one field of a message, also if it has no value.

        It raises ``JsonWriteError`` as ``write`` does.
        """
        _, name, _, write = self._field(field)

        def of_field(message: Message) -> bytes:
            value = getattr(message, name)
            try:
                return orjson.dumps(value if write is None else write(value))
            except _FAILURES as error:
                raise _failure(message, error) from error

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
        if name in self._well_known:
            return self._well_known[name]
        with_presence = sum(field.has_presence for field in descriptor.fields)
        if (
            len(descriptor.fields) > _FEW
            or with_presence > _FEW_WITH_PRESENCE
            or descriptor.is_extendable
        ):
            return self._many
        return self._few

    def _few(self, message: Message) -> dict[str, Any]:
        descriptor: Any = message.DESCRIPTOR
        fields, defaults = self._plans.get(descriptor) or self._plan(descriptor)
        written = defaults.copy()
        for name, proto_name, has_presence, write in fields:
            if has_presence:
                if not message.HasField(proto_name):
                    continue
                value = getattr(message, proto_name)
            else:
                value = getattr(message, proto_name)
                if not value and not _is_negative_zero(value):
                    continue
            written[name] = value if write is None else write(value)
        return written

    def _many(self, message: Message) -> dict[str, Any]:
        descriptor: Any = message.DESCRIPTOR
        _, defaults = self._plans.get(descriptor) or self._plan(descriptor)
        fields: dict[Any, _Field] = self._fields
        written = defaults.copy()
        for field, value in message.ListFields():
            name, _, _, write = fields.get(field) or self._field(field)
            written[name] = value if write is None else write(value)
        return written

    def _plan(self, descriptor: Descriptor) -> _Plan:
        fields = [self._field(field) for field in descriptor.fields]
        defaults = {}
        if self._options.defaults:
            absent = [field for field in descriptor.fields if not field.has_presence]
            defaults = {self._name(field): self._default(field) for field in absent}
        plan = self._plans[descriptor] = fields, defaults
        return plan

    def _default(self, field: FieldDescriptor) -> Any:
        if field.is_repeated:
            return {} if _is_map(field) else []
        write = self._value(field)
        return field.default_value if write is None else write(field.default_value)

    def _field(self, field: Any) -> _Field:
        found = self._fields.get(field)
        if found is None:
            found = self._name(field), field.name, field.has_presence, self._of_field(field)
            self._fields[field] = found
        return found

    def _name(self, field: FieldDescriptor) -> str:
        if field.is_extension:
            return f"[{field.full_name}]"
        return field.name if self._options.proto_names else field.json_name

    def _of_field(self, field: FieldDescriptor) -> Write | None:
        if _is_map(field):
            return self._map(field.message_type)
        write = self._value(field)
        if not field.is_repeated:
            return write
        # A slice is a list, and quicker to go through than what it is of.
        if write is None:
            return lambda values: values[:]
        return lambda values: list(map(write, values[:]))

    def _map(self, entry: Any) -> Write:
        keys, write = entry.fields_by_name["key"], self._value(entry.fields_by_name["value"])
        if keys.type == FieldDescriptor.TYPE_STRING:
            if write is None:
                return lambda items: {name: items[name] for name in items}
            return lambda items: {name: write(items[name]) for name in items}
        key = _boolean if keys.type == FieldDescriptor.TYPE_BOOL else str
        if write is None:
            return lambda items: {key(name): items[name] for name in items}
        return lambda items: {key(name): write(items[name]) for name in items}

    def _value(self, field: FieldDescriptor) -> Write | None:
        if field.message_type is not None:
            return self._message(field.message_type)
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        return _SCALARS.get(field.type)

    def _enum(self, enum: EnumDescriptor) -> Write | None:
        if self._options.enum_numbers:
            return None
        if enum.full_name == well_known.NULL_VALUE:
            return _null
        numbers = {value.number for value in enum.values}
        names = {number: enum.values_by_number[number].name for number in numbers}
        return _EnumNames(names).__getitem__

    def _wrapped(self, field: FieldDescriptor) -> Write:
        write = self._value(field)
        return attrgetter("value") if write is None else lambda message: write(message.value)

    def _any(self, message: Any) -> dict[str, Any]:
        if not message.type_url and not message.value:
            return {}
        name = message.type_url.rpartition("/")[2]
        try:
            descriptor = self._pool.FindMessageTypeByName(name)
        except KeyError:
            raise ValueError(f"it has an Any of {name}, which isn't known") from None
        inner = GetMessageClass(descriptor).FromString(message.value)
        written = self._message(descriptor)(inner)
        if descriptor.full_name in well_known.WELL_KNOWN:
            return {"@type": message.type_url, "value": written}
        return {"@type": message.type_url, **written}


def _failure(message: Message, error: Exception) -> JsonWriteError:
    return JsonWriteError(f"A {message.DESCRIPTOR.full_name} can't be written: {error}")


class _EnumNames(dict[int, str]):
    """The names of an enum's numbers; of those that have none, the number."""

    def __missing__(self, number: int) -> Any:
        return number


def _is_map(field: FieldDescriptor) -> bool:
    entry = field.message_type
    return entry is not None and field.is_repeated and entry.GetOptions().map_entry


def _is_negative_zero(value: Any) -> bool:
    return type(value) is float and math.copysign(1, value) < 0


def _struct(message: Any) -> dict[str, Any]:
    fields = message.fields
    return {name: _value(fields[name]) for name in fields}


def _list_value(message: Any) -> list[Any]:
    return [_value(value) for value in message.values[:]]


def _value(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    return _VALUES[kind](getattr(message, kind))


def _null(_: int) -> None:
    return None


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode()


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"a Value can't be {value}")
    return value


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
    bits = _FLOAT32.pack(value)
    for form in _SHORTEST:
        short = float(form % value)
        if _FLOAT32.pack(short) == bits:
            return short
    return float(f"{value:.9g}")


_VALUES: dict[str, Write] = {
    "null_value": _null,
    "number_value": _finite,
    "string_value": str,
    "bool_value": bool,
    "struct_value": _struct,
    "list_value": _list_value,
}
_SCALARS: dict[int, Write] = {
    FieldDescriptor.TYPE_DOUBLE: _double,
    FieldDescriptor.TYPE_FLOAT: _float,
    FieldDescriptor.TYPE_INT64: str,
    FieldDescriptor.TYPE_UINT64: str,
    FieldDescriptor.TYPE_SINT64: str,
    FieldDescriptor.TYPE_FIXED64: str,
    FieldDescriptor.TYPE_SFIXED64: str,
    FieldDescriptor.TYPE_BYTES: _base64,
}
