"""Header sections: read from HPACK (RFC 7541), checked (RFC 9113, section 8.2), and written."""

from __future__ import annotations

import re
from collections.abc import Iterable

import hpack
from hpack.hpack import encode_integer

from bridge.upstream.http2.errors import ErrorCode, Http2Error, StreamError
from bridge.upstream.http2.frames import HEAD_BYTES

Field = tuple[bytes, bytes]

# A section beyond what a stream may have is decoded all the same, for the sake of the other
# streams: HPACK's state is the connection's. This is where that ends, since hpack takes time that
# grows with the square of a section's size: 40 seconds for 2 MB of the shortest fields.
_MOST_SECTION_BYTES = 128 * 1024

# RFC 7541, section 4.1.
_FIELD_OVERHEAD_BYTES = 32

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_FORBIDDEN_IN_VALUES = re.compile(rb"[\0\r\n]")
# Section 8.2.2.
OF_A_CONNECTION = ("connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade")
_FORBIDDEN_NAMES = frozenset(map(str.encode, OF_A_CONNECTION))


class HeaderBlock:
    """The fragments of a header section, from HEADERS to the last CONTINUATION.

    Attributes:
        stream_id: The stream that it is of.
        flags: Those of the HEADERS frame.
    """

    def __init__(self, stream_id: int, flags: int, fragment: bytes) -> None:
        self.stream_id = stream_id
        self.flags = flags
        self.encoded = bytearray(fragment)
        self._frames = 0

    def add(self, fragment: bytes) -> None:
        """Take the fragment of one CONTINUATION frame.

        Raises:
            Http2Error: the section is beyond all measure.
        """
        self.encoded += fragment
        self._frames += 1
        # Without the frames' heads, empty fragments could go on for ever.
        if len(self.encoded) + self._frames * HEAD_BYTES > _MOST_SECTION_BYTES:
            raise Http2Error(
                ErrorCode.ENHANCE_YOUR_CALM, f"a header section exceeds {_MOST_SECTION_BYTES} bytes"
            )


class HeaderReader:
    """Decodes the header sections of a connection, in their order."""

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(_MOST_SECTION_BYTES)

    def read(self, encoded: bytes) -> list[Field]:
        """Return the fields of a section.

        Raises:
            Http2Error: it can't be decoded, and with it nothing that follows.
        """
        try:
            return list(self._decoder.decode(encoded, raw=True))
        except hpack.OversizedHeaderListError as error:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, str(error)) from error
        except hpack.HPACKError as error:
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, str(error)) from error


def write_section(fields: Iterable[Field]) -> bytes:
    """Return the section of some fields, which makes no use of HPACK's table.

    To search the table for what is in it costs more than to send it: requests are few, and short.
    So the same fields are the same bytes, on every connection.
    """
    return _NO_TABLE + write_fields(fields)


def write_fields(fields: Iterable[Field]) -> bytes:
    """Return what stands for some fields behind others of the same section."""
    return b"".join(_literal(name, value) for name, value in fields)


# The table shrinks to nothing, in case that the server wants it smaller than it is at first
# (RFC 7541, sections 4.2 and 6.3).
_NO_TABLE = b"\x20"

_NEVER_INDEXED = 0x10


def _literal(name: bytes, value: bytes) -> bytes:
    # RFC 7541, section 6.2.3: a proxy must not put it into a table either, where the length of
    # what follows could tell of it.
    lengths = bytes(encode_integer(len(name), 7)), bytes(encode_integer(len(value), 7))
    return b"%c%b%b%b%b" % (_NEVER_INDEXED, lengths[0], name, lengths[1], value)


def section_bytes(fields: Iterable[Field]) -> int:
    """Return the size of a section as SETTINGS_MAX_HEADER_LIST_SIZE counts it."""
    return sum(len(name) + len(value) + _FIELD_OVERHEAD_BYTES for name, value in fields)


def check_response(fields: list[Field]) -> int:
    """Return the HTTP status of a response's header section.

    Raises:
        StreamError: the section is malformed.
    """
    if not fields or fields[0][0] != b":status":
        raise StreamError(ErrorCode.PROTOCOL_ERROR, "a response has no :status")
    status = fields[0][1]
    if not _STATUS.fullmatch(status):
        raise StreamError(ErrorCode.PROTOCOL_ERROR, f"{status[:20]!r} is no HTTP status")
    _check(fields[1:])
    return int(status)


def check_trailers(fields: list[Field]) -> None:
    """Check a trailer section.

    Raises:
        StreamError: it is malformed.
    """
    _check(fields)


def _check(fields: Iterable[Field]) -> None:
    for name, value in fields:
        if not _NAME.fullmatch(name) or name in _FORBIDDEN_NAMES:
            raise StreamError(
                ErrorCode.PROTOCOL_ERROR, f"a field can't be called {name[:40]!r} here"
            )
        if _FORBIDDEN_IN_VALUES.search(value):
            raise StreamError(
                ErrorCode.PROTOCOL_ERROR, f"the value of {name[:40]!r} has a line end or a NUL"
            )
