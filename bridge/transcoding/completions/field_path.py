"""Paths of fields, such as ``choices[0].delta.content``: found once, then read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from bridge.transcoding.spelling import instead_of

ALL: Final = "*"

_STEP = re.compile(r"([A-Za-z_]\w*)(?:\[(\d{1,9}|\*)\])?", re.ASCII)

# The name of a field, and which of its values, if it is repeated.
_Step: TypeAlias = tuple[str, int | str | None]
Read: TypeAlias = Callable[[Message], Any]
ReadAll: TypeAlias = Callable[[Message], Iterable[Any]]


class FieldPathError(ValueError):
    """A path that leads nowhere."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A path from a message to one of its fields, or those of its fields.

    Attributes:
        text: As it was written.
        field: The last field.
        many: Whether it leads to several values.
    """

    text: str
    field: FieldDescriptor
    many: bool
    _steps: tuple[_Step, ...]

    def reader(self, absent: Any) -> Read:
        """Return what reads the one value; ``absent`` if what is repeated has none there."""
        return _one(self._steps, absent)

    def reader_of_all(self) -> ReadAll:
        """Return what reads all values. A message that isn't set is none."""
        single = self.field.message_type is not None and not self.field.is_repeated
        return _all(self._steps, single)


def parse(message: Descriptor, text: str) -> FieldPath:
    """Find a path.

    Args:
        message: Where it begins.
        text: Names of fields with dots between them. Which value of a repeated one is meant stands
            behind it, from 0, as in ``choices[0]``; ``[*]`` is all of them.

    Raises:
        FieldPathError: there is no such field, or not of such a type.
    """
    steps: list[_Step] = []
    field: FieldDescriptor | None = None
    for part in text.split("."):
        found = _STEP.fullmatch(part)
        if found is None:
            raise FieldPathError(f"{part!r} is no name of a field")
        field = named_field(message if field is None else _inside(field), found[1])
        index = found[2]
        _check(field, index)
        steps.append((field.name, index if index in {None, ALL} else int(index)))
    assert field is not None
    return FieldPath(text, field, any(index == ALL for _, index in steps), tuple(steps))


def named_field(message: Descriptor, name: str) -> FieldDescriptor:
    """Return a field, by its own name or that in JSON.

    Raises:
        FieldPathError: there is none.
    """
    by_name = message.fields_by_name
    field = by_name.get(name)
    field = field or next((one for one in message.fields if one.json_name == name), None)
    if field is None:
        near = instead_of(name, by_name)
        raise FieldPathError(f"{message.full_name} has no field {name}{near}")
    return field


def is_map(field: FieldDescriptor) -> bool:
    """Return whether a field is a map."""
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _inside(field: FieldDescriptor) -> Descriptor:
    if field.message_type is None:
        raise FieldPathError(f"{field.full_name} is no message, so nothing is in it")
    return field.message_type


def _check(field: FieldDescriptor, index: str | None) -> None:
    if is_map(field):
        raise FieldPathError(f"{field.full_name} is a map, and no path leads into one")
    if field.is_repeated and index is None:
        raise FieldPathError(
            f"{field.full_name} is repeated: {field.name}[0] is its first value, "
            f"{field.name}[*] are all"
        )
    if index is not None and not field.is_repeated:
        raise FieldPathError(f"{field.full_name} is not repeated")


def _one(steps: Sequence[_Step], absent: Any) -> Read:
    values, index, rest = _split(steps)
    if index is None:
        return values
    inner = _one(rest, absent) if rest else None

    def read(message: Message) -> Any:
        found = values(message)
        if len(found) <= index:
            return absent
        return found[index] if inner is None else inner(found[index])

    return read


def _all(steps: Sequence[_Step], single_message: bool) -> ReadAll:
    values, index, rest = _split(steps)
    if index is None:
        return _if_set(steps) if single_message else lambda message: (values(message),)
    if not rest:
        return values if index == ALL else lambda message: values(message)[index : index + 1]
    inner = _all(rest, single_message)
    if index == ALL:
        return lambda message: [last for one in values(message) for last in inner(one)]

    def read(message: Message) -> Iterable[Any]:
        found = values(message)
        return inner(found[index]) if len(found) > index else ()

    return read


def _if_set(steps: Sequence[_Step]) -> ReadAll:
    *outer, (last, _) = steps
    parent = attrgetter(".".join(name for name, _ in outer)) if outer else None

    def read(message: Message) -> Iterable[Any]:
        inside = message if parent is None else parent(message)
        return (getattr(inside, last),) if inside.HasField(last) else ()

    return read


def _split(steps: Sequence[_Step]) -> tuple[Read, Any, Sequence[_Step]]:
    """Return what reads the first field that is repeated, which value of it is meant, and the rest.

    If none is repeated, it reads the last field.
    """
    for number, (_, index) in enumerate(steps, 1):
        if index is not None or number == len(steps):
            return attrgetter(".".join(name for name, _ in steps[:number])), index, steps[number:]
    raise AssertionError("a path has a step")
