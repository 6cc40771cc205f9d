"""HTTP headers as metadata, and metadata as HTTP headers.

What is binary in gRPC is base64 in HTTP:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Custom-Metadata".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from urllib.parse import quote

from bridge.transcoding.request_error import RequestError
from bridge.upstream import Metadata
from bridge.upstream.metadata import BINARY, from_base64, to_base64

_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def to_metadata(headers: Iterable[tuple[bytes, bytes]], names: Collection[str]) -> Metadata:
    """Return the headers of a request that have one of ``names``, as metadata.

    Raises:
        RequestError: a binary one isn't base64.
    """
    return [
        (name, _binary(name, value) if name.endswith(BINARY) else value.decode("latin-1"))
        for raw_name, value in headers
        if (name := raw_name.decode("latin-1").lower()) in names
    ]


def to_headers(metadata: Metadata, names: Collection[str]) -> Mapping[str, str]:
    """Return the metadata that have one of ``names``, as headers; several are put together."""
    found: dict[str, str] = {}
    for name, value in metadata:
        if name in names:
            told = _told(value)
            found[name] = f"{found[name]}, {told}" if name in found else told
    return found


def _binary(name: str, value: bytes) -> bytes:
    found = from_base64(value)
    if found is None:
        raise RequestError("", f"The header {name} isn't base64")
    return found


def _told(value: str | bytes) -> str:
    if isinstance(value, bytes):
        return to_base64(value).decode()
    return quote(value, safe=_PRINTABLE)
