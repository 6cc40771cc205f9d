"""How a stream or a connection fails (RFC 9113, sections 5.4 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto


class ErrorCode(IntEnum):
    """The error codes of RST_STREAM and GOAWAY; others may come, and mean nothing special."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class FailureKind(Enum):
    """Who ended a stream before its time."""

    RESET = auto()
    """The server, with RST_STREAM."""
    MALFORMED = auto()
    """This side, since what the server sent on the stream is against the rules."""
    CONNECTION = auto()
    """Nobody in particular: the connection went away under it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stream ended before its time.

    Attributes:
        kind: Who ended it.
        code: The error code; often, but not always, an ``ErrorCode``.
        reason: What happened, in words for a log.
        unprocessed: Whether the server has certainly done nothing for the request (section 8.7).
    """

    kind: FailureKind
    code: int
    reason: str
    unprocessed: bool = False


class Http2Error(Exception):
    """What a server sent that ends the connection (section 5.4.1).

    Attributes:
        code: What it is told with GOAWAY.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class StreamError(Exception):
    """What a server sent that ends one stream (section 5.4.2).

    Attributes:
        code: What it is told with RST_STREAM.
    """

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def name(code: int) -> str:
    """Return ``CANCEL`` for 8, and ``error 57005`` for a code that has no name."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code}"
