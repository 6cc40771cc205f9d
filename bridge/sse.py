"""Frames of Server-Sent Events, as the HTML standard's section 9.2 defines them."""

from __future__ import annotations

from typing import Any

import orjson

MEDIA_TYPE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"


def json_frame(payload: dict[str, Any]) -> bytes:
    r"""Return ``data: <payload>\n\n`` with ``payload`` as one line of JSON.

    JSON escapes every control character inside a string, so the line can't end early.
    """
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def event_frame(payload: dict[str, Any]) -> bytes:
    """Return the frame of ``payload``, with its ``type`` as the name of the event."""
    return f"event: {payload['type']}\n".encode() + json_frame(payload)
