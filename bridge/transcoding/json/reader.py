"""Reads messages from JSON, by https://protobuf.dev/programming-guides/json/.

``google.protobuf.json_format`` takes more than that, such as ``true`` for a number, or a list for a
message. Here an error tells the path of the field, and what it has to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bridge.transcoding import well_known
from bridge.transcoding.json.scalars import Convert, boolean_key, conversion, double, string, wrong
from bridge.transcoding.json.text import JsonError, Number, Repeating, shown
from bridge.transcoding.json.times import parse_duration, parse_timestamp

# Reads into a message, a field of it, or a list, what is given there. The message is so deep in
# others.
Read = Callable[[Any, Any, int], None]
# Reads into a map, under a key.
ReadEntry = Callable[[Any, Any, Any, int], None]

# What protobuf's decoders take of messages in each other.
_MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an object.

    Attributes:
        name: Its name in the proto.
        group: Its oneof, or itself: one of a group can be set.
        takes_null: Whether null is a value of it.
        read: What reads it.
        descriptor: The field.
    """

    name: str
    group: str
    takes_null: bool
    read: Read
    descriptor: FieldDescriptor


class JsonReader:
    """Reads messages of one pool.

    Args:
        pool: Where the types are that an ``Any`` can have.
        ignore_unknown: Whether fields that a message doesn't have, and names that an enum doesn't
            have, are left out.
    """

    def __init__(self, pool: DescriptorPool, *, ignore_unknown: bool = False) -> None:
        self.ignore_unknown = ignore_unknown
        self._pool = pool
        self._messages: dict[Descriptor, Read] = {}
        self._fields: dict[Descriptor, dict[str, _Field]] = {}
        self._well_known: dict[str, Read] = {
            well_known.ANY: self._any,
            well_known.DURATION: _duration,
            well_known.FIELD_MASK: _field_mask,
            well_known.LIST_VALUE: _list_value,
            well_known.STRUCT: _struct,
            well_known.TIMESTAMP: _timestamp,
            well_known.VALUE: _value,
        }

    def read(self, given: Any, message: Message) -> None:
        """Set what is given in a message that is empty.

        Args:
            given: As :func:`bridge.transcoding.json.text.parse` returns it.
            message: What is set.

        Raises:
            JsonError: it is of no such message.
        """
        self._message(message.DESCRIPTOR)(message, given, 1)

    def field(self, message: Any, name: str) -> FieldDescriptor | None:
        """Return the field of a message that has a name in the proto or in JSON.

        Args:
            message: The descriptor of the message.
            name: The name.
        """
        field: FieldDescriptor | None = message.fields_by_name.get(name)
        if field is not None:
            return field
        found = (self._fields.get(message) or self._find_fields(message)).get(name)
        return None if found is None else found.descriptor

    def _message(self, descriptor: Any) -> Read:
        read = self._messages.get(descriptor)
        if read is None:
            read = self._messages[descriptor] = self._read_message(descriptor)
        return read

    def _read_message(self, descriptor: Descriptor) -> Read:
        name = descriptor.full_name
        if name in well_known.WRAPPERS:
            return _wrapper(conversion(descriptor.fields_by_name["value"]))
        return self._well_known.get(name) or self._object(descriptor)

    def _object(self, descriptor: Descriptor) -> Read:
        def read(message: Any, given: Any, depth: int) -> None:
            _check_object(given, _name)
            fields = self._fields.get(descriptor) or self._find_fields(descriptor)
            there: dict[str, _Field] = {}
            for name, value in given.items():
                field = fields.get(name) or self._unlisted(descriptor, name)
                if field is None or (value is None and not field.takes_null):
                    continue
                try:
                    _check_alone(field, there)
                    field.read(message, value, depth)
                except JsonError as error:
                    raise error.within(name) from None

        return read

    def _find_fields(self, descriptor: Any) -> dict[str, _Field]:
        found = [(field, self._field(field)) for field in descriptor.fields]
        fields = {field.name: made for field, made in found}
        fields.update({field.json_name: made for field, made in found})
        # Whole, as other threads read large bodies.
        self._fields[descriptor] = fields
        return fields

    def _unlisted(self, descriptor: Descriptor, name: str) -> _Field | None:
        if descriptor.is_extendable and name.startswith("[") and name.endswith("]"):
            try:
                field = self._pool.FindExtensionByName(name[1:-1])
            except KeyError:
                pass
            else:
                if field.containing_type == descriptor:
                    return self._field(field)
        if self.ignore_unknown:
            return None
        raise JsonError(_name(name), "there is no such field")

    def _field(self, field: FieldDescriptor) -> _Field:
        oneof = field.containing_oneof
        kind = field.message_type or field.enum_type
        return _Field(
            name=field.name,
            group=field.full_name if oneof is None else oneof.full_name,
            takes_null=not field.is_repeated
            and kind is not None
            and kind.full_name in (well_known.VALUE, well_known.NULL_VALUE),
            read=self._read_field(field),
            descriptor=field,
        )

    def _read_field(self, field: FieldDescriptor) -> Read:
        get = _get(field)
        if not field.is_repeated:
            if field.message_type is None:
                return _set_scalar(field, self._conversion(field))
            return _set_message(get, self._message(field.message_type))
        entry = field.message_type
        if entry is None:
            return _list(get, _append(self._conversion(field)))
        if entry.GetOptions().map_entry:
            return self._map(get, entry)
        return _list(get, _add(self._message(entry)))

    def _map(self, get: Callable[[Any], Any], entry: Descriptor) -> Read:
        keys, values = entry.fields_by_name["key"], entry.fields_by_name["value"]
        key = boolean_key if keys.type == FieldDescriptor.TYPE_BOOL else conversion(keys)
        if values.message_type is None:
            return _map(get, key, _set_entry(self._conversion(values)))
        return _map(get, key, _read_entry(self._message(values.message_type)))

    def _conversion(self, field: FieldDescriptor) -> Convert:
        return conversion(field, ignore_unknown=self.ignore_unknown)

    def _any(self, message: Any, given: Any, depth: int) -> None:
        _check_object(given, _name)
        if not given:
            return
        descriptor = self._type(given)
        inner = GetMessageClass(descriptor)()
        fields = {name: value for name, value in given.items() if name != "@type"}
        if descriptor.full_name in well_known.WELL_KNOWN:
            self._value_of_any(inner, fields, depth)
        else:
            _read_into(self._message(descriptor), inner, fields, depth + 1)
        message.type_url = given["@type"]
        message.value = inner.SerializePartialToString()

    def _type(self, given: dict[str, Any]) -> Descriptor:
        if "@type" not in given:
            raise JsonError("@type", "it is missing")
        try:
            _, slash, name = string(given["@type"]).rpartition("/")
            if slash:
                return self._pool.FindMessageTypeByName(name)
        except JsonError as error:
            raise error.within("@type") from None
        except KeyError:
            pass
        raise JsonError("@type", f"there is no type {shown(given['@type'])}")

    def _value_of_any(self, inner: Any, fields: dict[str, Any], depth: int) -> None:
        if "value" not in fields:
            raise JsonError("value", "it is missing")
        for name in fields:
            if name != "value" and not self.ignore_unknown:
                raise JsonError(_name(name), "there is no such field")
        try:
            _read_into(self._message(inner.DESCRIPTOR), inner, fields["value"], depth + 1)
        except JsonError as error:
            raise error.within("value") from None


def _name(name: str) -> str:
    return shown(name)[1:-1]


def _key(name: str) -> str:
    return f"[{shown(name)}]"


def _check_object(given: Any, step: Callable[[str], str]) -> None:
    if not isinstance(given, dict):
        raise wrong("an object", given)
    if isinstance(given, Repeating):
        raise JsonError(step(given.name), "it is there twice")


def _check_alone(field: _Field, there: dict[str, _Field]) -> None:
    other = there.get(field.group)
    if other is field:
        raise JsonError("", "it is there twice")
    if other is not None:
        raise JsonError("", f"it can't be there together with {other.name}")
    there[field.group] = field


def _check_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise JsonError("", "it is nested too deep")


def _read_into(read: Read, message: Any, given: Any, depth: int) -> None:
    _check_depth(depth)
    read(message, given, depth)


def _get(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.is_extension:
        return lambda message: message.Extensions[field]
    return attrgetter(field.name)


def _set_scalar(field: FieldDescriptor, convert: Convert) -> Read:
    def read_field(message: Any, given: Any, _: int) -> None:
        value = convert(given)
        if value is None:
            return
        if field.is_extension:
            message.Extensions[field] = value
        else:
            setattr(message, field.name, value)

    return read_field


def _set_message(get: Callable[[Any], Any], read: Read) -> Read:
    def read_field(message: Any, given: Any, depth: int) -> None:
        inner = get(message)
        inner.SetInParent()
        _read_into(read, inner, given, depth + 1)

    return read_field


def _list(get: Callable[[Any], Any], read_one: Read) -> Read:
    def read_field(message: Any, given: Any, depth: int) -> None:
        if not isinstance(given, list):
            raise wrong("a list", given)
        elements = get(message)
        for index, one in enumerate(given):
            try:
                read_one(elements, one, depth)
            except JsonError as error:
                raise error.within(f"[{index}]") from None

    return read_field


def _append(convert: Convert) -> Read:
    def read_field(elements: Any, given: Any, _: int) -> None:
        value = convert(given)
        if value is not None:
            elements.append(value)

    return read_field


def _add(read: Read) -> Read:
    return lambda elements, given, depth: _read_into(read, elements.add(), given, depth + 1)


def _map(get: Callable[[Any], Any], key: Convert, read_entry: ReadEntry) -> Read:
    def read_field(message: Any, given: Any, depth: int) -> None:
        _check_object(given, _key)
        _check_depth(depth + bool(given))
        entries = get(message)
        for name, one in given.items():
            try:
                position = key(name)
                if position in entries:
                    raise JsonError("", "it is there twice")
                read_entry(entries, position, one, depth + 1)
            except JsonError as error:
                raise error.within(_key(name)) from None

    return read_field


def _set_entry(convert: Convert) -> ReadEntry:
    def read_field(entries: Any, key: Any, given: Any, _: int) -> None:
        value = convert(given)
        if value is not None:
            entries[key] = value

    return read_field


def _read_entry(read: Read) -> ReadEntry:
    return lambda entries, key, given, depth: _read_into(read, entries[key], given, depth + 1)


def _wrapper(convert: Convert) -> Read:
    def read(message: Any, given: Any, _: int) -> None:
        message.value = convert(given)

    return read


def _timestamp(message: Any, given: Any, _: int) -> None:
    try:
        message.seconds, message.nanos = parse_timestamp(string(given))
    except ValueError:
        raise wrong('a time such as "2026-01-02T03:04:05Z"', given) from None


def _duration(message: Any, given: Any, _: int) -> None:
    try:
        message.seconds, message.nanos = parse_duration(string(given))
    except ValueError:
        raise wrong('a duration such as "1.5s"', given) from None


def _field_mask(message: Any, given: Any, _: int) -> None:
    try:
        message.FromJsonString(string(given))
    except ValueError:
        raise wrong('fields in lowerCamelCase such as "name,fullName"', given) from None


def _value(message: Any, given: Any, depth: int) -> None:
    if given is None:
        message.null_value = 0
    elif isinstance(given, bool):
        message.bool_value = given
    elif isinstance(given, Number):
        message.number_value = double(given)
    elif isinstance(given, str):
        message.string_value = string(given)
    elif isinstance(given, list):
        _put_list_value(message, given, depth)
    else:
        _put_struct_value(message, given, depth)


_struct: Read = _map(attrgetter("fields"), string, _read_entry(_value))
_list_value: Read = _list(attrgetter("values"), _add(_value))
_put_list_value = _set_message(attrgetter("list_value"), _list_value)
_put_struct_value = _set_message(attrgetter("struct_value"), _struct)
