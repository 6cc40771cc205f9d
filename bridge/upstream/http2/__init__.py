"""The client's side of HTTP/2 (RFC 9113), with no I/O: bytes come in, bytes and calls go out.

It serves what gRPC needs: requests that are sent whole, and answers that come in parts.
"""

from __future__ import annotations

from bridge.upstream.http2.connection import Connection
from bridge.upstream.http2.errors import ErrorCode, Failure, FailureKind
from bridge.upstream.http2.headers import Field, write_fields, write_section
from bridge.upstream.http2.stream import Receiver, Stream

__all__ = [
    "Connection",
    "ErrorCode",
    "Failure",
    "FailureKind",
    "Field",
    "Receiver",
    "Stream",
    "write_fields",
    "write_section",
]
