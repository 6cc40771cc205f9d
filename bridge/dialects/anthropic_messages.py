"""Anthropic's Messages: https://docs.anthropic.com/en/api/messages."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from pydantic import BaseModel

from bridge import sse
from bridge.answer import Choice
from bridge.dialects.errors import JsonErrorForm
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from bridge.upstream import RpcError
from protos.completion.v1.completion_pb2 import StreamCompletionResponse, ToolCallDelta

_INVALID = "invalid_request_error"
_ERROR_TYPES = {
    Status.INVALID_ARGUMENT: _INVALID,
    Status.FAILED_PRECONDITION: _INVALID,
    Status.OUT_OF_RANGE: _INVALID,
    Status.UNAUTHENTICATED: "authentication_error",
    Status.PERMISSION_DENIED: "permission_error",
    Status.NOT_FOUND: "not_found_error",
    Status.RESOURCE_EXHAUSTED: "rate_limit_error",
    Status.DEADLINE_EXCEEDED: "timeout_error",
    Status.UNAVAILABLE: "overloaded_error",
}
_OVERLOADED = 529

_STOP_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}

# What Anthropic's types must have, and nobody has told the bridge.
_UNTOLD_STOP = {"container": None, "stop_details": None}
_UNTOLD_DELTA_USAGE = {
    "cache_creation_input_tokens": None,
    "cache_read_input_tokens": None,
    "output_tokens_details": None,
    "server_tool_use": None,
}
_UNTOLD_USAGE = {
    **_UNTOLD_DELTA_USAGE,
    "cache_creation": None,
    "inference_geo": None,
    "service_tier": None,
    "speed": None,
}

_BEFORE_TEXT = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
    b'"delta":{"type":"text_delta","text":'
)
_AFTER_TEXT = b"}}\n\n"


class AnthropicError(BaseModel):
    """What went wrong."""

    type: str
    message: str


class AnthropicErrorBody(BaseModel):
    """Why a request was not served."""

    type: Literal["error"]
    error: AnthropicError
    request_id: str | None


class AnthropicErrors(JsonErrorForm):
    """Anthropic's error object."""

    def http(self, status: Status) -> int:
        """Return the status of the canonical mapping, but 529 for a server that is away."""
        return _OVERLOADED if status is Status.UNAVAILABLE else status.http

    def body(self, failure: Failure) -> dict[str, Any]:
        """Return the object."""
        kind = _ERROR_TYPES.get(failure.status, "api_error")
        error = {"type": kind, "message": failure.message}
        return {"type": "error", "error": error, "request_id": failure.request_id}


class AnthropicDialect:
    """Writes a stream as the events of a message, or its whole as a message.

    The blocks of a message come one after the other. A stream in which the model goes on with a
    tool call whose block has ended can't be told in them, and fails.

    Args:
        message_id: The id of the answer.
        model: The model that was asked for; may be empty.
    """

    media_type = sse.MEDIA_TYPE
    errors = AnthropicErrors()

    def __init__(self, message_id: str, model: str) -> None:
        self._message: dict[str, Any] = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **_UNTOLD_STOP,
            "diagnostics": None,
            "usage": {"input_tokens": 0, "output_tokens": 0, **_UNTOLD_USAGE},
        }
        self._begun = False
        self._blocks = 0
        self._tool_call: int | None = None
        self._before_text = b""

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the events of what is new, and ``message_start`` before the first."""
        opening = b"" if self._begun else self._begin(message.model)
        text = message.text
        if text:
            if not self._before_text:
                opening += self._begin_text()
            opening += self._before_text + orjson.dumps(text) + _AFTER_TEXT
        for call in message.tool_calls:
            opening += self._tool_use(call)
        return opening

    def heartbeat(self) -> bytes:
        """Return a ``ping``."""
        return sse.event_frame({"type": "ping"})

    def error(self, failure: Failure) -> bytes:
        """Return the ``error`` event, after which there is no ``message_stop``."""
        return sse.event_frame(self.errors.body(failure))

    def closing(self, account: StreamAccount) -> bytes:
        """Return why the model stopped, what it used, and ``message_stop``."""
        opening = b"" if self._begun else self._begin("")
        delta = {"stop_reason": _stop_reason(account), "stop_sequence": None, **_UNTOLD_STOP}
        usage = {**_usage(account), **_UNTOLD_DELTA_USAGE}
        ending = {"type": "message_delta", "delta": delta, "usage": usage}
        return (
            opening
            + self._end_block()
            + sse.event_frame(ending)
            + sse.event_frame({"type": "message_stop"})
        )

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the message."""
        assert account.answer is not None
        return {
            **self._message,
            "model": account.model,
            "content": _blocks(account.answer.choice(0)),
            "stop_reason": _stop_reason(account),
            "usage": {**_usage(account), **_UNTOLD_USAGE},
        }

    def _begin(self, model: str) -> bytes:
        self._begun = True
        self._message["model"] = model or self._message["model"]
        return sse.event_frame({"type": "message_start", "message": self._message})

    def _begin_block(self, block: dict[str, Any]) -> bytes:
        ending = self._end_block()
        start = {
            "type": "content_block_start",
            "index": self._blocks,
            "content_block": block,
        }
        self._blocks += 1
        return ending + sse.event_frame(start)

    def _begin_text(self) -> bytes:
        beginning = self._begin_block(_text_block(""))
        self._before_text = _BEFORE_TEXT % (self._blocks - 1)
        return beginning

    def _end_block(self) -> bytes:
        if not self._before_text and self._tool_call is None:
            return b""
        self._before_text, self._tool_call = b"", None
        return sse.event_frame({"type": "content_block_stop", "index": self._blocks - 1})

    def _tool_use(self, call: ToolCallDelta) -> bytes:
        events = b""
        if call.index != self._tool_call:
            if not call.id:
                cause = f"the backend went on with tool call {call.index} after it began another"
                raise RpcError(Status.INTERNAL, cause=cause)
            events += self._begin_block(_tool_use_block(call.id, call.name, {}))
            self._tool_call = call.index
        if call.arguments:
            delta = {"type": "input_json_delta", "partial_json": call.arguments}
            index = self._blocks - 1
            events += sse.event_frame(
                {"type": "content_block_delta", "index": index, "delta": delta}
            )
        return events


def _stop_reason(account: StreamAccount) -> str:
    return _STOP_REASONS.get(account.finish_reason or "", "end_turn")


def _usage(account: StreamAccount) -> dict[str, int]:
    # The SDK's type must have numbers; a backend that tells none has used an unknown number.
    usage = account.usage
    return {
        "input_tokens": usage.prompt_tokens if usage else 0,
        "output_tokens": usage.completion_tokens if usage else 0,
    }


def _blocks(choice: Choice) -> list[dict[str, Any]]:
    text = [_text_block(choice.text)] if choice.text else []
    return text + [
        _tool_use_block(call.id, call.name, call.arguments_object()) for call in choice.tool_calls
    ]


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "citations": None}


def _tool_use_block(call_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    caller = {"type": "direct"}
    return {"type": "tool_use", "id": call_id, "name": name, "input": given, "caller": caller}
