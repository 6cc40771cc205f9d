"""What a client accepts, by ``Accept`` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def media_ranges(accept: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the media ranges of a header, each with its parameters, all in lower case."""
    for part in accept.split(","):
        media_range, *rest = (piece.strip().lower() for piece in part.split(";"))
        pairs = (piece.partition("=") for piece in rest)
        yield media_range, {name.strip(): value.strip() for name, _, value in pairs}


def names_event_stream(accept: str) -> bool:
    """Return whether a header names the media type of Server-Sent Events."""
    return any(media_range == "text/event-stream" for media_range, _ in media_ranges(accept))
