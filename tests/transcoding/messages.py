"""A message with fields of every kind, and values for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

from bridge.transcoding.json.writer import JsonOptions

SCALARS = [
    *("double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32"),
    *("fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"),
]
WELL_KNOWN = [
    *("Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Empty", "Any"),
    *(f"{name}Value" for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32")),
    *(f"{name}Value" for name in ("Bool", "String", "Bytes")),
]
KEYS = [name for name in SCALARS if name not in ("double", "float", "bytes")]
FILES = ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")

_TYPES = [*SCALARS, "Kind", "All", *(f"google.protobuf.{name}" for name in WELL_KNOWN)]
_NAMES = {type_: type_.rpartition(".")[2].lower() for type_ in _TYPES}
_FIELDS = [
    *(f"{type_} one_{name}" for type_, name in _NAMES.items()),
    *(f"repeated {type_} many_{name}" for type_, name in _NAMES.items()),
    *(f"optional {type_} maybe_{_NAMES[type_]}" for type_ in [*SCALARS, "Kind"]),
    *(f"map<{key}, int64> by_{key}" for key in KEYS),
    *(f"map<string, {type_}> map_{name}" for type_, name in _NAMES.items()),
    "google.protobuf.NullValue nothing",
]
FIELD_NAMES = [field.rpartition(" ")[2] for field in _FIELDS]
_ONE_OF = "oneof one { string a_text = 901; All an_other = 902; bool a_truth = 903; }"


def _message(name: str, fields: Sequence[str], one_of: str = "") -> str:
    numbered = "\n".join(f"{field} = {number};" for number, field in enumerate(fields, 1))
    return f"message {name} {{ {numbered} {one_of} }}"


# Messages that have few fields, of each kind some.
PARTS = {
    f"Part{start}": _message(f"Part{start}", _FIELDS[start::20], _ONE_OF if start % 4 == 3 else "")
    for start in range(20)
}


def proto(kinds: str = "ZERO = 0; ONE = 1; NEGATIVE = -1;") -> str:
    """Return the file of ``p.All``, whose enum has some of the numbers that fields get."""
    return "\n".join(
        [
            "package p;",
            *(f'import "google/protobuf/{name}.proto";' for name in FILES),
            f"enum Kind {{ {kinds} }}",
            _message("All", _FIELDS, _ONE_OF),
            *PARTS.values(),
        ]
    )


FLOATS = st.floats(width=32)
INTEGERS = {
    **dict.fromkeys(["int32", "sint32", "sfixed32"], st.integers(-(2**31), 2**31 - 1)),
    **dict.fromkeys(["uint32", "fixed32"], st.integers(0, 2**32 - 1)),
    **dict.fromkeys(["int64", "sint64", "sfixed64"], st.integers(-(2**63), 2**63 - 1)),
    **dict.fromkeys(["uint64", "fixed64"], st.integers(0, 2**64 - 1)),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES: dict[int, st.SearchStrategy[Any]] = {
    **{getattr(FieldDescriptor, f"TYPE_{name.upper()}"): one for name, one in INTEGERS.items()},
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_FLOAT: FLOATS,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=5),
}
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)
MASKS = st.sampled_from(["a", "b_c", "d.e_f"])
# How messages are filled that have a form of their own in JSON.
FILL: dict[str, Callable[[st.DrawFn, Any], object]] = {
    "Timestamp": lambda draw, message: message.FromNanoseconds(draw(st.integers(0, 2**60))),
    "Duration": lambda draw, message: message.FromNanoseconds(draw(st.integers(-(2**60), 2**60))),
    "FieldMask": lambda draw, message: message.paths.extend(draw(st.lists(MASKS, max_size=3))),
    "Struct": lambda draw, message: message.update(draw(OBJECTS)),
    "ListValue": lambda draw, message: message.extend(draw(st.lists(JSON, max_size=3))),
    "Value": lambda draw, message: message.struct_value.update({"value": draw(JSON)}),
    "Any": lambda draw, message: message.Pack(fill(draw, all_of(message), depth=0)),
    "Empty": lambda draw, message: None,
}


def all_of(message: Any) -> Message:
    return GetMessageClass(message.DESCRIPTOR.file.pool.FindMessageTypeByName("p.All"))()


def fill_wrapper(draw: st.DrawFn, message: Any) -> None:
    message.value = draw(VALUES[message.DESCRIPTOR.fields_by_name["value"].type])


def fill(draw: st.DrawFn, message: Any, depth: int) -> Any:
    """Set some fields, and messages in them to a depth; return the message."""
    descriptor: Descriptor = message.DESCRIPTOR
    if descriptor.file.package == "google.protobuf":
        FILL.get(descriptor.name, fill_wrapper)(draw, message)
        return message
    if depth < 0:
        return message
    for field in draw(st.lists(st.sampled_from(list(descriptor.fields)), max_size=25)):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            fill_map(draw, getattr(message, field.name), field.message_type, depth)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            if field.is_repeated:
                inner = inner.add()
            else:
                inner.SetInParent()
            fill(draw, inner, depth - 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(value_of(field), max_size=3)))
        else:
            setattr(message, field.name, draw(value_of(field)))
    return message


def fill_map(draw: st.DrawFn, found: Any, entry: Descriptor, depth: int) -> None:
    key = draw(value_of(entry.fields_by_name["key"]))
    value = entry.fields_by_name["value"]
    if value.message_type is None:
        found[key] = draw(value_of(value))
    else:
        fill(draw, found[key], depth - 1)


def value_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is None:
        return VALUES[field.type]
    # Enums of proto3 are open.
    return st.sampled_from([0]) if field.enum_type.name == "NullValue" else st.integers(-2, 3)


@st.composite
def filled(draw: st.DrawFn, message_type: type[Message]) -> Any:
    return fill(draw, message_type(), depth=2)


OPTIONS = st.builds(JsonOptions, st.booleans(), st.booleans(), st.booleans())
