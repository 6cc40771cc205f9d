"""A request of Anthropic's Messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bridge.dialects.fields import MOST_TOKENS, JsonObject, Model, Text, Unsupported, written
from protos.completion.v1 import completion_pb2
from protos.completion.v1.completion_pb2 import Role, StreamCompletionRequest

_ROLES = {"user": Role.ROLE_USER, "assistant": Role.ROLE_ASSISTANT}
_MODES = {
    "none": completion_pb2.ToolChoice.MODE_NONE,
    "auto": completion_pb2.ToolChoice.MODE_AUTO,
    "any": completion_pb2.ToolChoice.MODE_REQUIRED,
    "tool": completion_pb2.ToolChoice.MODE_REQUIRED,
}


def _as_blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class TextBlock(Model):
    """Text."""

    type: Literal["text"]
    text: Text


class ThinkingBlock(Model):
    """What a model has thought, which another can't read: it is left out."""

    type: Literal["thinking", "redacted_thinking"]


class ToolUseBlock(Model):
    """A call that the model has asked for."""

    type: Literal["tool_use"]
    id: Text
    name: Text
    input: JsonObject


Texts = Annotated[
    list[TextBlock], BeforeValidator(_as_blocks, json_schema_input_type=str | list[TextBlock])
]


class ToolResultBlock(Model):
    """What came of a call."""

    type: Literal["tool_result"]
    tool_use_id: Text
    content: Texts = Field([])


def _kind(block: Any) -> str | None:
    kind = block.get("type") if isinstance(block, dict) else getattr(block, "type", None)
    return {"redacted_thinking": "thinking"}.get(kind, kind) if isinstance(kind, str) else None


Block = Annotated[
    Annotated[TextBlock, Tag("text")]
    | Annotated[ThinkingBlock, Tag("thinking")]
    | Annotated[ToolUseBlock, Tag("tool_use")]
    | Annotated[ToolResultBlock, Tag("tool_result")],
    Discriminator(
        _kind,
        custom_error_type="block",
        custom_error_message="The bridge carries only blocks of text, tool_use and tool_result",
    ),
]


class AnthropicMessage(Model):
    """One message of the conversation."""

    role: Literal["user", "assistant"]
    content: Annotated[
        list[Block], BeforeValidator(_as_blocks, json_schema_input_type=str | list[Block])
    ]

    def to_rpc(self) -> Iterator[completion_pb2.Message]:
        """Return the messages of the RPC: each result of a tool is one of its own."""
        for block in self.content:
            if isinstance(block, ToolResultBlock):
                yield completion_pb2.Message(
                    role=Role.ROLE_TOOL,
                    tool_call_id=block.tool_use_id,
                    content=_text(block.content),
                )
        calls = [
            completion_pb2.ToolCall(id=b.id, name=b.name, arguments=written(b.input))
            for b in self.content
            if isinstance(b, ToolUseBlock)
        ]
        texts = [block for block in self.content if isinstance(block, TextBlock)]
        if texts or calls or not any(isinstance(b, ToolResultBlock) for b in self.content):
            yield completion_pb2.Message(
                role=_ROLES[self.role], content=_text(texts), tool_calls=calls
            )


class AnthropicTool(Model):
    """A tool that the model may ask for."""

    type: Literal["custom"] | None = None
    name: Text
    description: Text | None = None
    input_schema: JsonObject
    strict: bool | None = None

    def to_rpc(self) -> completion_pb2.Tool:
        """Return the tool of the RPC."""
        return completion_pb2.Tool(
            name=self.name,
            description=self.description or "",
            parameters=written(self.input_schema),
            strict=self.strict,
        )


class AnthropicToolChoice(Model):
    """Whether the model may ask for tools, or has to."""

    type: Literal["none", "auto", "any", "tool"]
    name: Text | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _names_a_tool(self) -> AnthropicToolChoice:
        if self.type == "tool" and not self.name:
            raise PydanticCustomError("tool", "The type 'tool' needs a name")
        return self

    def to_rpc(self) -> completion_pb2.ToolChoice:
        """Return the tool choice of the RPC."""
        name = (self.name or "") if self.type == "tool" else ""
        return completion_pb2.ToolChoice(mode=_MODES[self.type], name=name)


class OutputFormat(Model):
    """The schema that the answer has to fit."""

    type: Literal["json_schema"]
    schema_: Annotated[JsonObject, Field(alias="schema")]


class OutputConfig(Model):
    """What the answer has to be."""

    format: OutputFormat | None = None


class AnthropicRequest(Model):
    """A message to create.

    Fields that only advise (`thinking`, `metadata`, `service_tier`, ...) are ignored, as are those
    that Anthropic doesn't know.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "",
                    "max_tokens": 1024,
                    "messages": [{"role": "user", "content": "Hello!"}],
                }
            ]
        },
    )

    messages: Annotated[list[AnthropicMessage], Field(min_length=1)]
    model: Annotated[
        Text | None, Field(description="A model of `/v1/models`; the backend's default if absent.")
    ] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    system: Texts = Field([])
    stream: bool = False
    stop_sequences: list[Text] | None = None
    temperature: Annotated[float | None, Field(ge=0, le=1)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    output_config: OutputConfig | None = None
    top_k: Unsupported = None
    container: Unsupported = None
    mcp_servers: Unsupported = None

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        system = [completion_pb2.Message(role=Role.ROLE_SYSTEM, content=_text(self.system))]
        choice = self.tool_choice
        alone = choice.disable_parallel_tool_use if choice else None
        return StreamCompletionRequest(
            model=self.model or "",
            messages=[
                *(system if self.system else ()),
                *(message for one in self.messages for message in one.to_rpc()),
            ],
            max_tokens=self.max_tokens,
            stop=self.stop_sequences or (),
            temperature=self.temperature,
            top_p=self.top_p,
            tools=[tool.to_rpc() for tool in self.tools or ()],
            tool_choice=None if choice is None else choice.to_rpc(),
            parallel_tool_calls=None if alone is None else not alone,
            response_format=self._response_format(),
        )

    def _response_format(self) -> completion_pb2.ResponseFormat | None:
        if self.output_config is None or self.output_config.format is None:
            return None
        return completion_pb2.ResponseFormat(schema=written(self.output_config.format.schema_))


def _text(blocks: list[TextBlock]) -> str:
    return "".join(block.text for block in blocks)
