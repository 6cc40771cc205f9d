"""``POST /v1/chat/completions``: a conversation in, a stream out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from bridge.accept import names_event_stream
from bridge.dialects.plain import ChatRequest, ErrorBody, PlainAnswer, PlainDialect
from bridge.routes.answering import PerRequest, event_stream
from bridge.status import Status
from bridge.stream import Head

router = APIRouter(tags=["completions"])

_FRAMES = """data: {"content":"Hello"}

data: {"content":" there."}

data: {"content":"","finish_reason":"stop"}

data: [DONE]

"""

_FAILED_FRAMES = """data: {"content":"Hello"}

data: {"error":"The backend is not available.","code":"UNAVAILABLE","retryable":true}

data: [DONE]

"""

_STREAM_DESCRIPTION = """\
Frames of `data: <payload>` and a blank line, each as soon as it is known:

1. `{"content": "..."}` for every message that carries text.
2. At the end of a finished stream, perhaps one
   `{"content": "", "finish_reason": "stop", "usage": {...}}`.
3. On any failure, also before the first message, exactly one
   `{"error": "...", "code": "UNAVAILABLE", "retryable": true}`.
4. Always, last, exactly once, `[DONE]`. A stream that ends without it was cut by the network.

With `"stream": false`: one JSON object."""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": _STREAM_DESCRIPTION,
        "content": {"text/event-stream": event_stream(_FRAMES, _FAILED_FRAMES)},
        "model": PlainAnswer,
    },
    400: {"model": ErrorBody, "description": "The body is not JSON, or a timeout can't be read."},
    415: {"model": ErrorBody, "description": "The body is not declared as JSON."},
    422: {"model": ErrorBody, "description": "A field is missing or wrong."},
    "default": {
        "model": ErrorBody,
        "description": 'With `Prefer: status` or `"stream": false`: the RPC failed, and this is '
        "its status in HTTP. "
        + ", ".join(f"{s.name}: {s.http}" for s in Status if s is not Status.OK)
        + ".",
    },
}


@router.post("/v1/chat/completions", response_class=Response, responses=_RESPONSES)
@router.post("/chat/completions", include_in_schema=False)
async def complete(
    body: ChatRequest,
    answering: PerRequest,
    prefer: Annotated[
        list[str], Header(description="`status`: an RPC that fails early is an HTTP status.")
    ] = [],  # noqa: B006 - FastAPI copies it
    accept: Annotated[
        str, Header(description="`text/event-stream`: heartbeats are comments.")
    ] = "",
) -> Response:
    """Stream the answer to a conversation."""
    if not body.stream:
        return answering.whole(body.to_rpc(), PlainDialect())
    dialect = PlainDialect(comments=names_event_stream(accept))
    status_first = answering.settings.prefer_status or wants_status(prefer)
    if not status_first:
        return answering.stream(body.to_rpc(), dialect, Head.AT_ONCE)
    headers = {"preference-applied": "status"}
    return answering.stream(body.to_rpc(), dialect, Head.WITH_MESSAGE, headers=headers)


def wants_status(prefer: Sequence[str]) -> bool:
    """Return whether ``Prefer`` headers (RFC 7240) name the preference ``status``."""
    preferences = ",".join(prefer).split(",")
    return any(part.split(";")[0].strip().lower() == "status" for part in preferences)
