"""OpenAI's API, for the SDKs that speak it."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Response

from bridge.dialects.openai_chat import OpenAIChatDialect, OpenAIErrorBody
from bridge.dialects.openai_request import OpenAIChatRequest
from bridge.dialects.openai_responses import OpenAIResponsesDialect
from bridge.dialects.openai_responses_request import OpenAIResponsesRequest
from bridge.routes.answering import PerRequest, event_stream

router = APIRouter(prefix="/openai", tags=["openai"])

_FRAMES = """data: {"id":"chatcmpl-1","object":"chat.completion.chunk",...,"choices":[\
{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}

data: {...,"choices":[{"index":0,"delta":{"content":"Hello"},...}]}

data: {...,"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}

data: [DONE]

"""

_FAILED_FRAMES = """data: {...,"choices":[{"index":0,"delta":{"content":"Hello"},...}]}

data: {"error":{"message":"The backend is not available.","type":"server_error","param":null,\
"code":"unavailable"}}

data: [DONE]

"""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "With `stream`: chunks as OpenAI's API has them; on a failure after the "
        "first, one `error`; always, last, `[DONE]`. Otherwise: a chat completion.",
        "content": {
            "text/event-stream": event_stream(_FRAMES, _FAILED_FRAMES),
            "application/json": {"schema": {"type": "object"}},
        },
    },
    "default": {
        "model": OpenAIErrorBody,
        "description": "The request is not valid, or failed before its first message.",
    },
}


@router.post("/v1/chat/completions", response_class=Response, responses=_RESPONSES)
@router.post("/chat/completions", include_in_schema=False)
async def create_chat_completion(body: OpenAIChatRequest, answering: PerRequest) -> Response:
    """Answer a conversation as OpenAI's Chat Completions do.

    At `/v1/chat/completions` it is this for OpenAI's SDKs, and for requests that ask for it.
    """
    dialect = OpenAIChatDialect(
        f"chatcmpl-{answering.request_id}",
        int(time.time()),
        body.model or "",
        choices=body.choices,
        only_text=body.only_text,
        include_usage=body.include_usage,
        logprobs=bool(body.logprobs),
    )
    return answering.answer(body.to_rpc(), dialect, stream=bool(body.stream))


_RESPONSE_FRAMES = """event: response.created
data: {"type":"response.created","sequence_number":0,"response":{...}}

...

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"delta":"Hello",...}

...

event: response.completed
data: {"type":"response.completed","sequence_number":8,"response":{...}}

data: [DONE]

"""

_RESPONSE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "With `stream`: events as OpenAI's API has them; on a failure after the "
        "first, `response.failed` and `error`; always, last, `[DONE]`. Otherwise: a response.",
        "content": {
            "text/event-stream": {"schema": {"type": "string"}, "example": _RESPONSE_FRAMES},
            "application/json": {"schema": {"type": "object"}},
        },
    },
    "default": _RESPONSES["default"],
}


@router.post("/v1/responses", response_class=Response, responses=_RESPONSE_RESPONSES)
@router.post("/responses", include_in_schema=False)
async def create_response(body: OpenAIResponsesRequest, answering: PerRequest) -> Response:
    """Answer a conversation as OpenAI's Responses do; also at `/v1/responses`."""
    dialect = OpenAIResponsesDialect(
        f"resp_{answering.request_id}",
        int(time.time()),
        body.repeated(),
        logprobs=body.logprobs,
    )
    return answering.answer(body.to_rpc(), dialect, stream=bool(body.stream))
