"""The forms of a stream of messages."""

from __future__ import annotations

from enum import StrEnum


class StreamFormat(StrEnum):
    """What a stream of messages can be."""

    SSE = "sse"
    NDJSON = "ndjson"
    ARRAY = "array"


class ArrayFailure(StrEnum):
    """How an array tells that its stream failed."""

    ELEMENT = "element"
    CUT = "cut"
