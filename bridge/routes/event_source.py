"""``GET /v1/stream``: for ``EventSource``, which can send neither a body nor a header."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response

from bridge.accept import names_event_stream
from bridge.dialects.event_source import EventSourceDialect, EventSourceQuery
from bridge.dialects.plain import ErrorBody
from bridge.routes.answering import PerRequest
from bridge.stream import Head, stream_head

PATH = "/v1/stream"

router = APIRouter(tags=["completions"])

_FRAMES = """retry: 100
id: 6fc1a8

data: {"content":"Hello"}

data: {"content":"","finish_reason":"stop"}

data: [DONE]

"""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events with what the plain wire has in its frames; close the "
        "`EventSource` at `[DONE]`, which is the event `done` if events are named.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _FRAMES}},
    },
    204: {"description": "The `EventSource` has had its stream, and is to stop."},
    400: {"model": ErrorBody, "description": "A timeout can't be read."},
    403: {"model": ErrorBody, "description": "A page of another origin asks."},
    406: {"model": ErrorBody, "description": "`Accept` doesn't name `text/event-stream`."},
    422: {"model": ErrorBody, "description": "A parameter is missing or wrong."},
    "default": {"model": ErrorBody, "description": "The bridge can't serve the request now."},
}


@router.head(PATH, include_in_schema=False)
@router.get(PATH, response_class=Response, responses=_RESPONSES)
async def stream(
    query: Annotated[EventSourceQuery, Query()],
    request: Request,
    answering: PerRequest,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str, Header(description="`EventSource` has it when it returns.")] = "",
) -> Response:
    """Stream the answer to a question in the URL.

    An `EventSource` that isn't closed asks again, also when its connection broke: it is told that
    there is no more, rather than given another answer.
    """
    if not names_event_stream(accept):
        raise HTTPException(406, "This is for EventSource: Accept must name text/event-stream.")
    if not _same_origin(request, answering.settings.cors_origins):
        raise HTTPException(403, "This page's origin is not in BRIDGE_CORS_ORIGINS.")
    if last_event_id:
        return Response(status_code=204)
    dialect = EventSourceDialect(answering.request_id, named=query.events == "named")
    if request.method == "HEAD":
        return stream_head(dialect)
    return answering.stream(query.to_rpc(), dialect, Head.AT_ONCE)


def _same_origin(request: Request, allowed: list[str]) -> bool:
    # No browser asks before it sends a GET to another origin, and this one costs something.
    origin = request.headers.get("origin")
    if "*" in allowed or origin in allowed:
        return True
    if origin is not None:
        return origin.partition("://")[2] == request.headers.get("host")
    return request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
