"""The plain wire: ``data:`` lines with one JSON object each, then ``[DONE]``.

It is made for a client that splits the body on blank lines, takes ``data: `` away, stops at
``[DONE]``, throws on a truthy ``error``, and appends ``content`` to the page.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from bridge import sse
from bridge.dialects.errors import JsonErrorForm
from bridge.dialects.fields import MOST_TOKENS, Text
from bridge.failure import Failure
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
)

_ROLES = {
    "system": Role.ROLE_SYSTEM,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
}


class ChatMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "user", "assistant"]
    content: Text


class ChatRequest(BaseModel):
    """A conversation to complete. Fields that are not listed here are ignored."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "Hello!"}]}]},
    )

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    model: Annotated[
        Text | None, Field(description="A model of `/v1/models`; the backend's default if absent.")
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    stream: Annotated[bool, Field(description="false: one JSON object with the whole answer.")] = (
        True
    )

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        return StreamCompletionRequest(
            model=self.model or "",
            messages=[Message(role=_ROLES[m.role], content=m.content) for m in self.messages],
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )


class PlainUsage(BaseModel):
    """The tokens that the request has used, as the backend counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class PlainAnswer(BaseModel):
    """The answer to a request with `"stream": false`."""

    content: str
    finish_reason: str | None = None
    usage: PlainUsage | None = None
    model: str | None = None


class FieldViolation(BaseModel):
    """A field of the request that is wrong."""

    field: str = Field(description="Its path, as in `messages.0.role`.")
    description: str


class ErrorBody(BaseModel):
    """Why a request was not served."""

    error: str
    code: str = Field(description="The name of a gRPC status.")
    retryable: bool = Field(description="Whether the same request may succeed a little later.")
    fields: list[FieldViolation] | None = Field(
        None, description="Each wrong field; only when the body is JSON but not a valid request."
    )


class PlainErrors(JsonErrorForm):
    """The error object of the plain wire."""

    invalid = 422

    def body(self, failure: Failure) -> dict[str, Any]:
        """Return what stands in an error frame, and each field that is wrong."""
        body = _error(failure)
        if failure.fields:
            body["fields"] = [
                {"field": path, "description": description} for path, description in failure.fields
            ]
        return body


class PlainDialect:
    """Writes a stream as the plain wire.

    Args:
        comments: Whether the client understands SSE's comments.
    """

    media_type = sse.MEDIA_TYPE
    errors = PlainErrors()

    def __init__(self, *, comments: bool = False) -> None:
        self._heartbeat = sse.PING if comments else sse.json_frame({"content": ""})

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the frame of the message's text; a message with no text has none."""
        text = message.text
        return b'data: {"content":' + orjson.dumps(text) + b"}\n\n" if text else b""

    def heartbeat(self) -> bytes:
        """Return a comment, or an empty text for a client that knows no comments."""
        return self._heartbeat

    def error(self, failure: Failure) -> bytes:
        """Return the one error frame, and ``[DONE]``."""
        return sse.json_frame(_error(failure)) + sse.DONE

    def closing(self, account: StreamAccount) -> bytes:
        """Return the finish reason and the usage, if the backend told any, and ``[DONE]``."""
        ending = _ending(account)
        return (sse.json_frame({"content": "", **ending}) if ending else b"") + sse.DONE

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the whole text with the finish reason, the usage and the model."""
        assert account.answer is not None
        answer = {"content": account.answer.choice(0).text, **_ending(account)}
        return {**answer, "model": account.model} if account.model else answer


def _error(failure: Failure) -> dict[str, Any]:
    status = failure.status
    return {"error": failure.message, "code": status.name, "retryable": status.retryable}


def _ending(account: StreamAccount) -> dict[str, Any]:
    ending: dict[str, Any] = {}
    if account.finish_reason is not None:
        ending["finish_reason"] = account.finish_reason
    if account.usage is not None:
        ending["usage"] = asdict(account.usage)
    return ending
