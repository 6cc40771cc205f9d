"""Which metadata is an application's, and which is that of gRPC and HTTP."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.upstream.call import Metadata

_RESERVED = frozenset({"te", "content-type", "user-agent", "host", "content-length"})


def is_reserved(key: str) -> bool:
    """Return whether a key is not an application's.

    See "Custom-Metadata" of https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
    """
    return key.startswith((":", "grpc-")) or key in _RESERVED


def custom(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return what an application has put into ``metadata``, in its order."""
    return tuple((key, value) for key, value in metadata if not is_reserved(key))
