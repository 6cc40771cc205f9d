"""Anthropic's API, for the SDKs that speak it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from bridge.dialects.anthropic_messages import AnthropicDialect, AnthropicErrorBody
from bridge.dialects.anthropic_request import AnthropicRequest
from bridge.routes.answering import PerRequest, event_stream
from bridge.status import Status
from bridge.upstream import RpcError

router = APIRouter(prefix="/anthropic/v1", tags=["anthropic"])

_FRAMES = """event: message_start
data: {"type":"message_start","message":{...}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{...}}

event: message_stop
data: {"type":"message_stop"}

"""

_FAILED_FRAMES = """event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"The backend is not available."}}

"""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "With `stream`: events as Anthropic's API has them; on a failure after the "
        "first, one `error` in the place of `message_stop`. Otherwise: a message.",
        "content": {
            "text/event-stream": event_stream(_FRAMES, _FAILED_FRAMES),
            "application/json": {"schema": {"type": "object"}},
        },
    },
    "default": {
        "model": AnthropicErrorBody,
        "description": "The request is not valid, or failed before its first message.",
    },
}


@router.post("/messages", response_class=Response, responses=_RESPONSES)
async def create_message(body: AnthropicRequest, answering: PerRequest) -> Response:
    """Answer a conversation as Anthropic's Messages do; also at `/v1/messages`."""
    dialect = AnthropicDialect(f"msg_{answering.request_id}", body.model or "")
    return answering.answer(body.to_rpc(), dialect, stream=body.stream)


@router.post("/messages/count_tokens", include_in_schema=False)
async def count_tokens() -> None:
    """Say that the backend can't count tokens without answering."""
    raise RpcError(Status.UNIMPLEMENTED, "The backend can't count the tokens of a message.")
