"""What ``useChat`` of Vercel's AI SDK asks for: ``/api/chat``, if a setting says so."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from bridge.dialects.ui_message import HEADERS, UIMessageDialect
from bridge.dialects.ui_message_request import UIMessageRequest
from bridge.routes.answering import PerRequest, event_stream
from bridge.stream import Head

router = APIRouter(prefix="/ui-message/api/chat", tags=["ui-message"])

_FRAMES = """data: {"type":"start","messageId":"msg-1"}

data: {"type":"start-step"}

data: {"type":"text-start","id":"text-0"}

data: {"type":"text-delta","id":"text-0","delta":"Hello"}

data: {"type":"text-end","id":"text-0"}

data: {"type":"finish-step"}

data: {"type":"finish","finishReason":"stop"}

data: [DONE]

"""

_FAILED_FRAMES = """data: {"type":"text-delta","id":"text-0","delta":"Hello"}

data: {"type":"error","errorText":"The backend is not available."}

data: [DONE]

"""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The parts of a message; on a failure after the first, one `error`; always, "
        "last, `[DONE]`.",
        "content": {
            "text/event-stream": event_stream(_FRAMES, _FAILED_FRAMES),
        },
    },
    "default": {
        "content": {"text/plain": {"schema": {"type": "string"}}},
        "description": "The request is not valid, or failed before its first message: a sentence.",
    },
}


@router.post("", response_class=Response, responses=_RESPONSES)
async def chat(body: UIMessageRequest, answering: PerRequest) -> Response:
    """Answer a conversation as `useChat` wants it; at `/api/chat` with `BRIDGE_API_CHAT`."""
    dialect = UIMessageDialect(f"msg-{answering.request_id}")
    return answering.stream(body.to_rpc(), dialect, Head.WITH_MESSAGE, headers=HEADERS)


@router.get("/{chat_id}/stream", status_code=204, include_in_schema=False)
async def resume(chat_id: str) -> None:
    """Tell a page that comes back that there is no stream to go on with."""
