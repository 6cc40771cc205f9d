"""Which metadata is an application's, and how that is written.

The rules are in "Custom-Metadata" of
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable

from bridge.upstream.call import Metadata

# How a key ends whose values are bytes.
BINARY = "-bin"

_KEY = re.compile(r"[0-9a-z_.\-]+")
_RESERVED = frozenset({"te", "content-type", "user-agent", "host", "content-length"})


def is_reserved(key: str) -> bool:
    """Return whether a key is not an application's."""
    return key.startswith((":", "grpc-")) or key in _RESERVED


def is_custom(key: str) -> bool:
    """Return whether an application can send a key."""
    return _KEY.fullmatch(key) is not None and not is_reserved(key)


def to_base64(value: bytes) -> bytes:
    """Return a binary value as it is sent."""
    return b64encode(value).rstrip(b"=")


def from_base64(value: bytes) -> bytes | None:
    """Return a binary value that was sent, with or without padding; None if it is none."""
    value = value.strip()
    try:
        return b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return None


def custom(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return what an application has put into ``metadata``, in its order."""
    return tuple((key, value) for key, value in metadata if not is_reserved(key))
