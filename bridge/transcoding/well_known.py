"""The messages that have a form of their own in JSON.

They are those of https://protobuf.dev/reference/protobuf/google.protobuf/ but ``Empty``.
"""

from __future__ import annotations

PACKAGE = "google.protobuf."

ANY = f"{PACKAGE}Any"
TIMESTAMP = f"{PACKAGE}Timestamp"
DURATION = f"{PACKAGE}Duration"
FIELD_MASK = f"{PACKAGE}FieldMask"
STRUCT = f"{PACKAGE}Struct"
VALUE = f"{PACKAGE}Value"
LIST_VALUE = f"{PACKAGE}ListValue"
NULL_VALUE = f"{PACKAGE}NullValue"

WRAPPERS = frozenset(
    f"{PACKAGE}{name}Value"
    for name in (
        *("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"),
    )
)
# In JSON, these are no objects.
TEXTS = WRAPPERS | {TIMESTAMP, DURATION, FIELD_MASK}
# An ``Any`` has these under the name ``value``.
WELL_KNOWN = TEXTS | {ANY, STRUCT, VALUE, LIST_VALUE}
