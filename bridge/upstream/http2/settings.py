"""What a server sets for the connection (RFC 9113, section 6.5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from bridge.upstream.http2.errors import ErrorCode, Http2Error
from bridge.upstream.http2.frames import (
    LEAST_MAX_FRAME_BYTES,
    MAX_WINDOW,
    MOST_MAX_FRAME_BYTES,
)


class Setting(IntEnum):
    """The settings that matter to a client; a server may send others."""

    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


@dataclass(slots=True)
class ServerSettings:
    """The settings of a server, at first as they are for one that sets nothing."""

    max_concurrent_streams: int = 2**32 - 1
    initial_window: int = 65535
    max_frame_bytes: int = LEAST_MAX_FRAME_BYTES

    def set(self, number: int, value: int) -> None:
        """Take one setting.

        Raises:
            Http2Error: a server must not set this.
        """
        match number:
            case Setting.ENABLE_PUSH:
                _check(value == 0, "a server enables push")
            case Setting.MAX_CONCURRENT_STREAMS:
                self.max_concurrent_streams = value
            case Setting.INITIAL_WINDOW_SIZE:
                _check(value <= MAX_WINDOW, "a window is too large", ErrorCode.FLOW_CONTROL_ERROR)
                self.initial_window = value
            case Setting.MAX_FRAME_SIZE:
                allowed = LEAST_MAX_FRAME_BYTES <= value <= MOST_MAX_FRAME_BYTES
                _check(allowed, f"frames can't have {value} bytes")
                self.max_frame_bytes = value


def _check(holds: bool, reason: str, code: ErrorCode = ErrorCode.PROTOCOL_ERROR) -> None:
    if not holds:
        raise Http2Error(code, reason)
