"""Metadata as header fields, both ways.

The rules are those of https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from bridge import __version__
from bridge.status import Status
from bridge.upstream.call import Metadata
from bridge.upstream.http2 import Field, write_fields, write_section
from bridge.upstream.http2.headers import OF_A_CONNECTION
from bridge.upstream.metadata import BINARY, from_base64, is_custom, to_base64
from bridge.upstream.native.messages import ACCEPTED_ENCODINGS

_OF_EVERY_CALL = write_fields(
    [
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"grpc-accept-encoding", ACCEPTED_ENCODINGS),
        (b"user-agent", f"grpc-python-sse-bridge/{__version__}".encode()),
    ]
)
_CODE = re.compile(r"\d{1,9}", re.ASCII)

_ASCII_VALUE = re.compile(r"[\x20-\x7e]*")

# The largest unit with which a deadline fits into eight digits, but the smallest that does.
_UNITS = (("n", 1e-9), ("u", 1e-6), ("m", 1e-3), ("S", 1.0), ("M", 60.0), ("H", 3600.0))
_LONGEST_TIMEOUT = 99_999_999

# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_BY_HTTP_STATUS = {
    400: Status.INTERNAL,
    401: Status.UNAUTHENTICATED,
    403: Status.PERMISSION_DENIED,
    404: Status.UNIMPLEMENTED,
    429: Status.UNAVAILABLE,
    431: Status.INTERNAL,
    502: Status.UNAVAILABLE,
    503: Status.UNAVAILABLE,
    504: Status.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Target:
    """Where calls go.

    Attributes:
        scheme: ``http`` or ``https``.
        authority: The name of the backend.
    """

    scheme: str
    authority: str


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    """The headers of a request, but for its timeout, which is what is left when it is sent.

    Attributes:
        pseudo_headers: Those, as they are sent.
        fields: The others, as they are sent.
    """

    pseudo_headers: bytes
    fields: bytes

    def section(self, seconds: float | None) -> bytes:
        """Return the header section of a call that has so many seconds; None for any time."""
        timeouts = [] if seconds is None else [(b"grpc-timeout", timeout(seconds))]
        return self.pseudo_headers + write_fields(timeouts) + self.fields


def request_headers(target: Target, path: str, metadata: Metadata) -> RequestHeaders:
    """Return the headers of a request.

    Args:
        target: Where it goes.
        path: ``/package.Service/Method``.
        metadata: What is sent beside the message.

    Raises:
        ValueError: a key or a value can't be sent.
    """
    given = [_to_field(key, value) for key, value in metadata]
    return RequestHeaders(_pseudo_headers(target, path), _OF_EVERY_CALL + write_fields(given))


@lru_cache(maxsize=1024)
def _pseudo_headers(target: Target, path: str) -> bytes:
    return write_section(
        [
            (b":method", b"POST"),
            (b":scheme", target.scheme.encode()),
            (b":path", path.encode()),
            (b":authority", target.authority.encode()),
        ]
    )


def timeout(seconds: float) -> bytes:
    """Return ``grpc-timeout``'s value: as exactly as its eight digits allow."""
    for unit, length in _UNITS:
        count = max(1, round(seconds / length))
        if count <= _LONGEST_TIMEOUT:
            return f"{count}{unit}".encode()
    return f"{_LONGEST_TIMEOUT}H".encode()


def read_metadata(fields: Iterable[Field]) -> list[tuple[str, str | bytes]]:
    """Return the metadata of a header section: all of it but the pseudo-header fields.

    A binary value that is none is left out: it must not spoil the rest.
    """
    metadata: list[tuple[str, str | bytes]] = []
    for raw_key, raw in fields:
        key = raw_key.decode("ascii")
        if key.startswith(":"):
            continue
        if key.endswith(BINARY):
            values = (from_base64(part) for part in raw.split(b","))
            metadata += [(key, value) for value in values if value is not None]
        else:
            metadata.append((key, raw.decode("utf-8", "replace")))
    return metadata


def read_status(trailers: Metadata) -> tuple[Status | None, str]:
    """Return the status of trailers, None without one, and its message.

    A status that can't be read is UNKNOWN.
    """
    codes = [value for key, value in trailers if key == "grpc-status"]
    messages = [value for key, value in trailers if key == "grpc-message"]
    message = _unquote(str(messages[0])) if messages else ""
    if not codes:
        return None, message
    if len(codes) > 1 or not _CODE.fullmatch(str(codes[0])):
        return Status.UNKNOWN, message
    return Status.from_code(int(codes[0])), message


def status_of_http(status: int) -> Status:
    """Return what an answer means that carries no status of its own."""
    return _BY_HTTP_STATUS.get(status, Status.UNKNOWN)


def _to_field(key: str, value: str | bytes) -> Field:
    if not is_custom(key) or key in OF_A_CONNECTION:
        raise ValueError(f"{key!r} can't be a key of metadata")
    if key.endswith(BINARY):
        raw = value.encode() if isinstance(value, str) else value
        return key.encode(), to_base64(raw)
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    # RFC 9113, section 8.2.1; PROTOCOL-HTTP2.md allows to take it away.
    text = text.strip(" ")
    if not _ASCII_VALUE.fullmatch(text):
        raise ValueError(f"the value of {key!r} in metadata is not printable ASCII")
    return key.encode(), text.encode()


def _unquote(message: str) -> str:
    return unquote_to_bytes(message).decode("utf-8", "replace")
