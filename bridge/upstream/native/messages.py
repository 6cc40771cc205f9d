"""The messages in a stream's content: each has a prefix, and may be compressed.

The form is ``Length-Prefixed-Message`` of
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import zlib
from struct import Struct

from bridge.status import Status
from bridge.upstream.call import RpcError

ACCEPTED_ENCODINGS = b"gzip, deflate"

_PREFIX = Struct(">BL")
PREFIX_BYTES = _PREFIX.size

# zlib's `wbits` of the format.
_FORMATS = {"gzip": 31, "deflate": 15}


def prefixed(message: bytes) -> bytes:
    """Return ``message`` as it is sent, uncompressed."""
    return _PREFIX.pack(0, len(message)) + message


class Compressed(bytes):
    """A message that is still to be inflated."""

    __slots__ = ()


class MessageReader:
    """Takes messages out of the content of one answer.

    Args:
        max_bytes: The size of the largest message that is taken.

    Attributes:
        encoding: The ``grpc-encoding`` of the answer; empty without one.
        compressed: Whether there was a compressed message.
    """

    __slots__ = ("_max_bytes", "_needed", "_partial", "compressed", "encoding")

    def __init__(self, max_bytes: int) -> None:
        self.encoding = ""
        self.compressed = False
        self._max_bytes = max_bytes
        self._partial = bytearray()
        self._needed = PREFIX_BYTES

    @property
    def in_a_message(self) -> bool:
        """Whether a message has begun, and is not here whole."""
        return bool(self._partial)

    def read(self, buffer: bytes, start: int, stop: int, messages: list[bytes]) -> None:
        """Add what is whole to ``messages``.

        Args:
            buffer: Has the content from ``start`` to ``stop``.
            start: Where the next part of the content begins.
            stop: Where it ends.
            messages: Where the messages are put, without their prefix.

        Raises:
            RpcError: the content is corrupt, or a message is too large.
        """
        if self._partial:
            self._partial += buffer[start:stop]
            if len(self._partial) < self._needed:
                return
            buffer, start, stop = bytes(self._partial), 0, len(self._partial)
            self._partial.clear()
        while stop - start >= PREFIX_BYTES:
            flag, size = _PREFIX.unpack_from(buffer, start)
            if flag or size > self._max_bytes:
                self._check(flag, size)
            end = start + PREFIX_BYTES + size
            if end > stop:
                self._needed = end - start
                break
            message = buffer[start + PREFIX_BYTES : end]
            messages.append(Compressed(message) if flag else message)
            start = end
        else:
            self._needed = PREFIX_BYTES
        if start < stop:
            self._partial += buffer[start:stop]

    def _check(self, flag: int, size: int) -> None:
        if flag > 1:
            raise RpcError(Status.INTERNAL, cause=f"a message has the unknown flag {flag}")
        if flag and self.encoding not in _FORMATS:
            raise RpcError(
                Status.INTERNAL, cause=f"a message is compressed as {self.encoding or 'nothing'!r}"
            )
        if size > self._max_bytes:
            raise _too_large(f"a message has {size} bytes")
        self.compressed = True

    def inflate(self, message: bytes) -> bytes:
        """Return a message as it was before it was compressed, if it was.

        Raises:
            RpcError: it can't be inflated, or is too large then.
        """
        if not isinstance(message, Compressed):
            return message
        inflate = zlib.decompressobj(_FORMATS[self.encoding])
        try:
            plain = inflate.decompress(message, self._max_bytes + 1)
        except zlib.error as error:
            raise RpcError(Status.INTERNAL, cause=f"a message can't be inflated: {error}") from None
        if len(plain) > self._max_bytes:
            raise _too_large(f"a message of {len(message)} bytes inflates to too many")
        if not inflate.eof or inflate.unused_data:
            raise RpcError(Status.INTERNAL, cause="a compressed message is cut off, or too long")
        return plain


def _too_large(cause: str) -> RpcError:
    return RpcError(
        Status.RESOURCE_EXHAUSTED, "A message of the backend is too large.", cause=cause
    )
