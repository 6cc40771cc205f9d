"""Length-prefixed messages of a stream, put together from bytes that are there already."""

from __future__ import annotations

from typing import Protocol

from bench.order import FILLER, LEAST_SIZE, MODEL, PROMPT_TOKENS
from protos.completion.v1.completion_pb2 import (
    FinishReason,
    StreamCompletionResponse,
    Usage,
)

_INDEX = b"\x08"
_TEXT = b"\x12"

# One byte for each of these, then two, three, four: the widths of a varint.
_WIDEST_INDEX = 5


class Stamped(Protocol):
    """The messages of streams of one RPC, whose texts have one size."""

    @property
    def size(self) -> int:
        """The most bytes of a message with its prefix."""

    def message(self, index: int, now: int) -> bytes:
        """Return the message of number ``index``, stamped with ``now``."""

    def last(self, count: int) -> bytes:
        """Return the message that says how many there were before it."""


class Messages:
    """The messages of streams whose texts have ``text_bytes`` bytes.

    Attributes:
        size: The most bytes of a message with its prefix.
    """

    def __init__(self, text_bytes: int) -> None:
        assert text_bytes >= LEAST_SIZE
        self._before = _TEXT + varint(text_bytes) + b"#"
        self._filler = FILLER * (text_bytes - LEAST_SIZE)
        rest = len(self._before) + text_bytes - 1
        self._prefixes = [prefix(rest + width) for width in range(_WIDEST_INDEX + 1)]
        self._model = b"\x2a" + varint(len(MODEL)) + MODEL.encode()
        self.size = len(self._prefixes[0]) + rest + _WIDEST_INDEX
        self._indexes = [b""]

    def message(self, index: int, now: int) -> bytes:
        """Return the message of number ``index``, stamped with ``now``."""
        if not index:
            return self._first(now)
        try:
            field = self._indexes[index]
        except IndexError:
            known = len(self._indexes)
            self._indexes += [_INDEX + varint(number) for number in range(known, known + 4096)]
            field = self._indexes[index]
        return b"%b%b%b%07d%016d%b" % (
            self._prefixes[len(field)],
            field,
            self._before,
            index,
            now,
            self._filler,
        )

    def _first(self, now: int) -> bytes:
        text = b"%b%07d%016d%b" % (self._before, 0, now, self._filler)
        return prefix(len(text) + len(self._model)) + text + self._model

    def last(self, count: int) -> bytes:
        """Return the message that says how many there were before it."""
        usage = Usage(
            prompt_tokens=PROMPT_TOKENS,
            completion_tokens=count,
            total_tokens=PROMPT_TOKENS + count,
        )
        message = StreamCompletionResponse(
            index=count,
            text=f"={count:07d}",
            finish_reason=FinishReason.FINISH_REASON_STOP,
            usage=usage,
        ).SerializeToString()
        return prefix(len(message)) + message


def prefix(size: int) -> bytes:
    """Return what stands before a message of ``size`` bytes that isn't compressed."""
    return b"\x00" + size.to_bytes(4, "big")


def varint(number: int) -> bytes:
    """Return a number as protobuf encodes it."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
