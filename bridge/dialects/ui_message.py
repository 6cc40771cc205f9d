"""The UI message stream of Vercel's AI SDK, version 1.

https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import orjson

from bridge import sse
from bridge.answer import ToolCall
from bridge.dialects.errors import ErrorForm
from bridge.failure import Failure
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse, ToolCallDelta

HEADERS: Mapping[str, str] = MappingProxyType({"x-vercel-ai-ui-message-stream": "v1"})

_FINISH_REASONS = {
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
}


class UIMessageErrors(ErrorForm):
    """A sentence: ``useChat`` shows the body as it is."""

    media_type = "text/plain; charset=utf-8"

    def content(self, failure: Failure) -> bytes:
        """Return the sentence."""
        return failure.message.encode()


class UIMessageDialect:
    """Writes a stream as the parts of a message of ``useChat``.

    Args:
        message_id: The id of the answer.
    """

    media_type = sse.MEDIA_TYPE
    errors = UIMessageErrors()

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._begun = False
        self._texts = 0
        self._before_text = b""
        self._tool_calls: dict[int, ToolCall] = {}

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the parts of what is new, and ``start`` before the first."""
        parts = self._begin()
        if text := message.text:
            parts += self._begin_text()
            parts += self._before_text + orjson.dumps(text) + b"}\n\n"
        for delta in message.tool_calls:
            parts += self._tool_input(delta)
        return parts

    def heartbeat(self) -> bytes:
        """Return a comment, which the SDK passes over."""
        return sse.PING

    def error(self, failure: Failure) -> bytes:
        """Return the ``error`` part, and ``[DONE]``; there is no ``finish``."""
        return sse.json_frame({"type": "error", "errorText": failure.message}) + sse.DONE

    def closing(self, account: StreamAccount) -> bytes:
        """Return what ends the parts, why the model stopped, and ``[DONE]``."""
        finish = {
            "type": "finish",
            "finishReason": _FINISH_REASONS.get(account.finish_reason or "", "stop"),
        }
        return (
            self._begin()
            + self._end_text()
            + b"".join(map(_whole_input, self._tool_calls.values()))
            + sse.json_frame({"type": "finish-step"})
            + sse.json_frame(finish)
            + sse.DONE
        )

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        start = {"type": "start", "messageId": self._message_id}
        return sse.json_frame(start) + sse.json_frame({"type": "start-step"})

    def _begin_text(self) -> bytes:
        if self._before_text:
            return b""
        text_id = f"text-{self._texts}"
        self._texts += 1
        self._before_text = b'data: {"type":"text-delta","id":"%b","delta":' % text_id.encode()
        return sse.json_frame({"type": "text-start", "id": text_id})

    def _end_text(self) -> bytes:
        if not self._before_text:
            return b""
        self._before_text = b""
        return sse.json_frame({"type": "text-end", "id": f"text-{self._texts - 1}"})

    def _tool_input(self, delta: ToolCallDelta) -> bytes:
        parts = self._end_text()
        call = self._tool_calls.get(delta.index)
        if call is None:
            call = self._tool_calls[delta.index] = ToolCall()
            start = {
                "type": "tool-input-start",
                "toolCallId": delta.id,
                "toolName": delta.name,
            }
            parts += sse.json_frame(start)
        call.add(delta)
        if delta.arguments:
            part = {
                "type": "tool-input-delta",
                "toolCallId": call.id,
                "inputTextDelta": delta.arguments,
            }
            parts += sse.json_frame(part)
        return parts


def _whole_input(call: ToolCall) -> bytes:
    part = {"toolCallId": call.id, "toolName": call.name}
    try:
        given = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        why = {"input": call.arguments, "errorText": "The arguments are not JSON."}
        return sse.json_frame({"type": "tool-input-error", **part, **why})
    return sse.json_frame({"type": "tool-input-available", **part, "input": given})
