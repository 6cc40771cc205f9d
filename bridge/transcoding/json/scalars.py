"""Values of JSON as those of fields that are no messages.

https://protobuf.dev/programming-guides/json/ has the table. Numbers can be strings too, as those of
64 bits have to be.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from bridge.transcoding.json.text import JsonError, shown
from bridge.transcoding.well_known import NULL_VALUE

Convert = Callable[[Any], Any]

_INT32 = -(2**31), 2**31 - 1
_INT64 = -(2**63), 2**63 - 1
_UINT32 = 0, 2**32 - 1
_UINT64 = 0, 2**64 - 1
# The least and the largest integer of a type of fields.
RANGES: Final[Mapping[int, tuple[int, int]]] = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
# No integer of 64 bits has more.
_DIGITS = 20
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}", re.ASCII)
_URL_SAFE = str.maketrans("-_", "+/")
_BOOLEAN_KEYS = {"true": True, "false": False}
_FLOAT32 = struct.Struct("<f")


def wrong(wanted: str, given: Any) -> JsonError:
    """Return the error of a value that is no ``wanted``."""
    return JsonError("", f"it has to be {wanted}, not {shown(given)}")


def conversion(field: FieldDescriptor, *, ignore_unknown: bool = False) -> Convert:
    """Return what makes a value of a field, or of its elements, of JSON's.

    It raises ``JsonError`` if it can't.

    Args:
        field: The field; no message.
        ignore_unknown: Whether names that an enum doesn't have are ``None``, not an error.
    """
    if field.enum_type is not None:
        return _enum(field.enum_type, ignore_unknown)
    return _CONVERSIONS[field.type]


def boolean_key(given: str) -> bool:
    """Return the key of a map that has booleans for them.

    Raises:
        JsonError: it is none.
    """
    try:
        return _BOOLEAN_KEYS[given]
    except KeyError:
        raise wrong('"true" or "false"', given) from None


def string(given: Any) -> str:
    """Return a string.

    Raises:
        JsonError: it is none, or none that UTF-8 can have.
    """
    if type(given) is not str:
        raise wrong("a string", given)
    try:
        given.encode()
    except UnicodeEncodeError:
        raise JsonError("", "it has half of a surrogate pair") from None
    return given


def double(given: Any) -> float:
    """Return a number of 64 bits.

    Raises:
        JsonError: it is none.
    """
    number = _number(given)
    if number is None:
        raise wrong("a number of 64 bits", given)
    return number


def _float(given: Any) -> float:
    number = _number(given)
    if number is None or not _fits_32_bits(number):
        raise wrong("a number of 32 bits", given)
    return number


def _fits_32_bits(number: float) -> bool:
    try:
        _FLOAT32.pack(number)
    except OverflowError:
        return False
    return True


def _number(given: Any) -> float | None:
    if not isinstance(given, str):
        return None
    if _NUMBER.fullmatch(given) is None:
        return _NOT_FINITE.get(given)
    number = float(given)
    return number if math.isfinite(number) else None


def _integer(lowest: int, highest: int) -> Convert:
    def convert(given: Any) -> int:
        number = _whole(given)
        if number is None or not lowest <= number <= highest:
            raise wrong(f"an integer from {lowest} to {highest}", given)
        return number

    return convert


def _whole(given: Any) -> int | None:
    found = _NUMBER.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        return None
    if found.lastindex is None and len(given) <= _DIGITS:
        return int(given)
    try:
        number = Decimal(given)
    except InvalidOperation:
        return None
    if number.adjusted() >= _DIGITS or number != number.to_integral_value():
        return None
    return int(number)


def _bool(given: Any) -> bool:
    if given is not True and given is not False:
        raise wrong("true or false", given)
    return given


def _bytes(given: Any) -> bytes:
    if type(given) is not str or _BASE64.fullmatch(given) is None:
        raise wrong("a string in base64", given)
    digits = given.rstrip("=")
    padded = digits + "=" * (-len(digits) % 4)
    if len(digits) % 4 == 1 or given not in (digits, padded):
        raise wrong("a string in base64", given)
    return b64decode(padded.translate(_URL_SAFE))


def _enum(enum: EnumDescriptor, ignore_unknown: bool) -> Convert:
    numbers = {value.name: value.number for value in enum.values}
    known = set(numbers.values())

    def convert(given: Any) -> int | None:
        if isinstance(given, str) and given in numbers:
            return numbers[given]
        if given is None and enum.full_name == NULL_VALUE:
            return 0
        number = _whole(given)
        if number is not None and (number in known if enum.is_closed else _is_int32(number)):
            return number
        if ignore_unknown and number is None and type(given) is str:
            return None
        raise wrong(f"a value of {enum.full_name}", given)

    return convert


def _is_int32(number: int) -> bool:
    least, most = _INT32
    return least <= number <= most


_CONVERSIONS: dict[int, Convert] = {
    FieldDescriptor.TYPE_DOUBLE: double,
    FieldDescriptor.TYPE_FLOAT: _float,
    **{kind: _integer(*ends) for kind, ends in RANGES.items()},
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_STRING: string,
    FieldDescriptor.TYPE_BYTES: _bytes,
}
