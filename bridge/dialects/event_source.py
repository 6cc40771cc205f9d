"""The plain wire for ``EventSource``, which can only GET, and reconnects when a stream ends.

The HTML standard's section 9.2 has the rules: a stream that ends is asked for again, with the id
of its last event, until the server answers 204.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bridge import sse
from bridge.dialects.fields import MOST_TOKENS, Text
from bridge.dialects.plain import PlainDialect, PlainErrors
from bridge.failure import Failure
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
)

# So soon an ``EventSource`` that wasn't closed comes back, and is told that there is no more.
_RETRY_MILLISECONDS = 100


class EventSourceQuery(BaseModel):
    """What is asked for, in the query of the URL."""

    model_config = ConfigDict(extra="ignore")

    prompt: Annotated[Text, Field(description="What the user says.")]
    system: Annotated[Text | None, Field(description="What holds for the whole answer.")] = None
    model: Annotated[
        Text | None, Field(description="A model of `/v1/models`; the backend's default if absent.")
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    events: Annotated[
        Literal["default", "named"],
        Field(description="`named`: `content`, `failure`, `finish`, `done`; else all `message`."),
    ] = "default"

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        messages = [Message(role=Role.ROLE_USER, content=self.prompt)]
        if self.system is not None:
            messages.insert(0, Message(role=Role.ROLE_SYSTEM, content=self.system))
        return StreamCompletionRequest(
            model=self.model or "",
            messages=messages,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )


class EventSourceDialect:
    """Writes a stream as events that an ``EventSource`` dispatches.

    Args:
        stream_id: The id of every event. A client that comes back has it, and so is known.
        named: Whether the events have names of their own.
    """

    media_type = sse.MEDIA_TYPE
    errors = PlainErrors()

    def __init__(self, stream_id: str, *, named: bool) -> None:
        self._plain = PlainDialect(comments=True)
        self._named = named
        self._opening = f"retry: {_RETRY_MILLISECONDS}\nid: {stream_id}\n\n".encode()

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the event of the message's text; a message with no text has none."""
        frame = self._plain.message(message)
        return self._open() + self._event("content", frame)

    def heartbeat(self) -> bytes:
        """Return a comment."""
        return self._plain.heartbeat()

    def error(self, failure: Failure) -> bytes:
        """Return the event of the failure, and ``[DONE]``."""
        return self._open() + self._last("failure", self._plain.error(failure))

    def closing(self, account: StreamAccount) -> bytes:
        """Return the event of the finish reason and the usage, if any were told, and ``[DONE]``."""
        return self._open() + self._last("finish", self._plain.closing(account))

    def _open(self) -> bytes:
        opening, self._opening = self._opening, b""
        return opening

    def _event(self, name: str, frame: bytes) -> bytes:
        return f"event: {name}\n".encode() + frame if self._named and frame else frame

    def _last(self, name: str, frames: bytes) -> bytes:
        return self._event(name, frames.removesuffix(sse.DONE)) + self._event("done", sse.DONE)
