"""The layout of frames (RFC 9113, sections 4.1 and 6)."""

from __future__ import annotations

from struct import Struct
from typing import Final

from bridge.upstream.http2.errors import ErrorCode, Http2Error

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# Plain numbers: they are compared for each frame.
DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

ACK: Final = 0x1
END_STREAM: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITIZED: Final = 0x20

HEAD = Struct(">HBBBL")
"""A frame's head: its length in two parts (16 and 8 bits), its type, its flags, its stream."""

HEAD_BYTES: Final = 9
LEAST_MAX_FRAME_BYTES: Final = 16384
MOST_MAX_FRAME_BYTES: Final = 2**24 - 1
MAX_WINDOW: Final = 2**31 - 1

_NUMBER = Struct(">L")
_TWO_NUMBERS = Struct(">LL")
_SETTING = Struct(">HL")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def rst_stream(stream_id: int, code: int) -> bytes:
    """Return an RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream_id, _NUMBER.pack(code))


def window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; of the connection for stream 0."""
    return frame(WINDOW_UPDATE, 0, stream_id, _NUMBER.pack(increment))


def go_away(code: int, reason: str = "") -> bytes:
    """Return a GOAWAY frame. A server that pushes nothing has no streams that it could name."""
    return frame(GOAWAY, 0, 0, _TWO_NUMBERS.pack(0, code) + reason.encode())


def header_frames(stream_id: int, block: bytes, max_frame_bytes: int) -> bytes:
    """Return HEADERS and, for a long block, CONTINUATION."""
    if len(block) <= max_frame_bytes:
        return frame(HEADERS, END_HEADERS, stream_id, block)
    parts = [block[at : at + max_frame_bytes] for at in range(0, len(block), max_frame_bytes)]
    kinds = [HEADERS, *[CONTINUATION] * (len(parts) - 1)]
    flags = [*[0] * (len(parts) - 1), END_HEADERS]
    return b"".join(
        frame(kind, flag, stream_id, part)
        for kind, flag, part in zip(kinds, flags, parts, strict=True)
    )


def read_number(payload: bytes) -> int:
    """Return the 31 bits that WINDOW_UPDATE and GOAWAY begin with.

    Raises:
        Http2Error: there are fewer.
    """
    if len(payload) < _NUMBER.size:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame is too short for its type")
    number: int = _NUMBER.unpack_from(payload)[0]
    return number & MAX_WINDOW


def read_code(payload: bytes, start: int = 0) -> int:
    """Return the error code at ``start``.

    Raises:
        Http2Error: there is none.
    """
    if len(payload) < start + _NUMBER.size:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a frame is too short for its type")
    code: int = _NUMBER.unpack_from(payload, start)[0]
    return code


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return the settings in the order in which they have to be taken.

    Raises:
        Http2Error: the payload is no list of settings.
    """
    if len(payload) % _SETTING.size:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS has a part of a setting")
    return list(_SETTING.iter_unpack(payload))


def unpad(flags: int, payload: bytes, start: int, stop: int) -> tuple[int, int]:
    """Return where the content of a frame is, whose payload is between ``start`` and ``stop``.

    Raises:
        Http2Error: the padding is longer than the payload.
    """
    if not flags & PADDED:
        return start, stop
    if start == stop:
        raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "a padded frame has no pad length")
    padding = payload[start]
    if start + 1 + padding > stop:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the padding is longer than its frame")
    return start + 1, stop - padding
