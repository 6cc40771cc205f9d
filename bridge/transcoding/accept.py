"""Which form of a stream a client asks for, by ``Accept`` (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.accept import media_ranges
from bridge.transcoding.formats import StreamFormat

LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
)


def stream_format(accept: str, default: StreamFormat) -> StreamFormat:
    """Return the form that a client likes best.

    Args:
        accept: The header; empty if there is none.
        default: For a client to which all are the same, or that knows none of them.
    """
    best, weight = default, 0.0
    for media_range, parameters in media_ranges(accept):
        asked = _format(media_range, parameters, default)
        quality = _quality(parameters)
        if asked is not None and quality > weight:
            best, weight = asked, quality
    return best


def _format(
    media_range: str, parameters: Mapping[str, str], default: StreamFormat
) -> StreamFormat | None:
    match media_range:
        case "text/event-stream" | "text/*":
            return StreamFormat.SSE
        case "application/json" if "stream" in parameters:
            return StreamFormat.NDJSON
        case "application/json":
            return StreamFormat.ARRAY
        case "*/*" | "application/*":
            return default
    return StreamFormat.NDJSON if media_range in LINES else None


def _quality(parameters: Mapping[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 1.0
