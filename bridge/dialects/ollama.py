"""Ollama's API: https://docs.ollama.com/api. A stream is JSON objects, each on its own line."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from bridge.answer import ToolCall
from bridge.dialects.errors import JsonErrorForm
from bridge.failure import Failure
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse

# The API has no name for the second, but clients take any.
_CUT_SHORT = {"length", "content_filter"}


class OllamaError(BaseModel):
    """Why a request was not served."""

    error: str


class OllamaErrors(JsonErrorForm):
    """A sentence in an object."""

    def body(self, failure: Failure) -> dict[str, Any]:
        """Return the object."""
        return {"error": failure.message}


class OllamaDialect:
    """Writes a stream as lines, or its whole as one object.

    Args:
        created_at: The time, as RFC 3339 writes it.
        model: The model that was asked for; may be empty.
        chat: Whether the text is a message, as of ``/api/chat``, or bare, as of ``/api/generate``.
    """

    media_type = "application/x-ndjson"
    errors = OllamaErrors()

    def __init__(self, created_at: str, model: str, *, chat: bool) -> None:
        self._created_at = created_at
        self._model = model
        self._chat = chat
        self._tool_calls: dict[int, ToolCall] = {}

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the line of the message's text. Tool calls wait until they are whole."""
        self._model = message.model or self._model
        for delta in message.tool_calls:
            self._tool_calls.setdefault(delta.index, ToolCall()).add(delta)
        return self._line(self._content(message.text), done=False) if message.text else b""

    def heartbeat(self) -> bytes:
        """Return a line with no text."""
        return self._line(self._content(""), done=False)

    def error(self, failure: Failure) -> bytes:
        """Return the line of the error, after which there is none with ``done``."""
        return _line(self.errors.body(failure))

    def closing(self, account: StreamAccount) -> bytes:
        """Return the tool calls, and the line that says why the model stopped."""
        calls = list(self._tool_calls.values())
        asked = self._line(self._content("", calls), done=False) if calls else b""
        return asked + self._line(self._content(""), done=True, **_ending(account))

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the object with the whole text."""
        assert account.answer is not None
        choice = account.answer.choice(0)
        self._model = account.model
        content = self._content(choice.text, choice.tool_calls)
        return self._object(content, done=True, **_ending(account))

    def _content(self, text: str, calls: list[ToolCall] | None = None) -> dict[str, Any]:
        if not self._chat:
            return {"response": text}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [
                {"function": {"name": call.name, "arguments": call.arguments_object()}}
                for call in calls
            ]
        return {"message": message}

    def _object(self, content: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {"model": self._model, "created_at": self._created_at, **content, **fields}

    def _line(self, content: dict[str, Any], **fields: Any) -> bytes:
        return _line(self._object(content, **fields))


def _line(value: dict[str, Any]) -> bytes:
    # Many clients split lines at U+0085 and U+2028, too: so nothing but ASCII stands in one.
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _ending(account: StreamAccount) -> dict[str, Any]:
    reason = account.finish_reason
    ending: dict[str, Any] = {"done_reason": reason if reason in _CUT_SHORT else "stop"}
    if account.usage is not None:
        ending["prompt_eval_count"] = account.usage.prompt_tokens
        ending["eval_count"] = account.usage.completion_tokens
    return ending
