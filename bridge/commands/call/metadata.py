"""Reads the metadata that are given on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.commands.refusal import RefusalError
from bridge.upstream import Metadata
from bridge.upstream.metadata import BINARY, from_base64, is_custom, to_base64


def to_metadata(given: Iterable[str]) -> Metadata:
    """Return what each ``name: value`` is.

    Raises:
        RefusalError: one is not of that form, or no metadata of an application.
    """
    return [_entry(text) for text in given]


def _entry(text: str) -> tuple[str, str | bytes]:
    name, colon, value = (part.strip() for part in text.partition(":"))
    name = name.lower()
    if not colon:
        raise RefusalError(f"--metadata must be a name, a colon and a value, got {text!r}", 2)
    if not is_custom(name):
        raise RefusalError(f"--metadata: {name!r} can't be metadata of an application", 2)
    if not name.endswith(BINARY):
        # "ASCII-Value" of gRPC's PROTOCOL-HTTP2.
        if not (value.isascii() and value.isprintable()):
            raise RefusalError(f"--metadata: {name} must be printable ASCII, got {value!r}", 2)
        return name, value
    binary = from_base64(value.encode())
    if binary is None:
        raise RefusalError(f"--metadata: {name} must be base64, got {value!r}", 2)
    return name, binary


def as_text(metadata: Metadata) -> list[str]:
    """Return metadata as ``name: value``, each as it would be given."""
    return [
        f"{name}: {to_base64(value).decode() if isinstance(value, bytes) else value}"
        for name, value in metadata
    ]
