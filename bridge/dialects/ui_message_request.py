"""A request of ``useChat`` of Vercel's AI SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bridge.dialects.fields import MOST_TOKENS, JsonValue, Text, written
from protos.completion.v1 import completion_pb2
from protos.completion.v1.completion_pb2 import Role, StreamCompletionRequest

_ROLES = {
    "system": Role.ROLE_SYSTEM,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
}

# What a page keeps for itself, or what a model has thought.
_LEFT_OUT = frozenset({"step-start", "reasoning", "source-url", "source-document"})


class Part(BaseModel):
    """A part of a message that is carried: text, or a call of a tool."""

    model_config = ConfigDict(strict=True, populate_by_name=True)

    type: Text
    text: Text = ""
    tool_call_id: Annotated[Text, Field(alias="toolCallId")] = ""
    tool_name: Annotated[Text, Field(alias="toolName")] = ""
    state: Text = ""
    input: JsonValue = None
    output: JsonValue = None
    error_text: Annotated[Text, Field(alias="errorText")] = ""

    @property
    def is_tool(self) -> bool:
        """Whether it is a call of a tool."""
        return self.type == "dynamic-tool" or self.type.startswith("tool-")

    def call(self) -> completion_pb2.ToolCall:
        """Return the call, of a part that is one."""
        name = self.tool_name or self.type.removeprefix("tool-")
        return completion_pb2.ToolCall(
            id=self.tool_call_id, name=name, arguments=written(self.input)
        )

    def result(self) -> completion_pb2.Message | None:
        """Return what came of the call, of a part that is one; None if nothing has come yet."""
        match self.state:
            case "output-available":
                content = self.output if isinstance(self.output, str) else written(self.output)
            case "output-error":
                content = self.error_text
            case "output-denied":
                content = "The user has not allowed this call."
            case _:
                return None
        return completion_pb2.Message(
            role=Role.ROLE_TOOL, tool_call_id=self.tool_call_id, content=content
        )


def _carried(parts: Any) -> Any:
    if not isinstance(parts, list):
        return parts
    return [part for number, part in enumerate(parts) if _is_carried(number, part)]


def _is_carried(number: int, part: Any) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str) or kind == "text" or kind == "dynamic-tool":
        return True
    if kind in _LEFT_OUT or kind.startswith("data-"):
        return False
    if kind.startswith("tool-"):
        return True
    raise PydanticCustomError(
        "part",
        "Part {number} is of the type {kind}; the bridge carries only text and tools",
        {"number": number, "kind": repr(kind)},
    )


class UIMessage(BaseModel):
    """One message of the conversation."""

    model_config = ConfigDict(strict=True)

    role: Literal["system", "user", "assistant"]
    parts: Annotated[list[Part], BeforeValidator(_carried)]

    def to_rpc(self) -> Iterator[completion_pb2.Message]:
        """Return the messages of the RPC: each result of a tool is one of its own."""
        calls = [part for part in self.parts if part.is_tool]
        yield completion_pb2.Message(
            role=_ROLES[self.role],
            content="".join(part.text for part in self.parts if part.type == "text"),
            tool_calls=[part.call() for part in calls],
        )
        yield from filter(None, (part.result() for part in calls))


class UIMessageRequest(BaseModel):
    """What ``useChat`` sends, and what a page may add to its ``body``.

    The fields `id`, `trigger` and `messageId` are ignored, as the bridge keeps no chats.
    """

    model_config = ConfigDict(
        strict=True,
        populate_by_name=True,
        json_schema_extra={
            "examples": [
                {"messages": [{"role": "user", "parts": [{"type": "text", "text": "Hello!"}]}]}
            ]
        },
    )

    messages: Annotated[list[UIMessage], Field(min_length=1)]
    model: Annotated[
        Text | None, Field(description="A model of `/v1/models`; the backend's default if absent.")
    ] = None
    system: Annotated[Text | None, Field(description="What holds for the whole answer.")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    max_output_tokens: Annotated[
        int | None, Field(alias="maxOutputTokens", ge=1, le=MOST_TOKENS)
    ] = None

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        messages = [message for one in self.messages for message in one.to_rpc()]
        if self.system is not None:
            system = completion_pb2.Message(role=Role.ROLE_SYSTEM, content=self.system)
            messages.insert(0, system)
        return StreamCompletionRequest(
            model=self.model or "",
            messages=messages,
            temperature=self.temperature,
            max_tokens=self.max_output_tokens,
        )
