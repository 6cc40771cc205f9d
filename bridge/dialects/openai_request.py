"""A request of OpenAI's Chat Completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bridge.dialects.fields import MOST_TOKENS, JsonObject, Model, Text, Unsupported, written
from protos.completion.v1 import completion_pb2
from protos.completion.v1.completion_pb2 import Role, StreamCompletionRequest

ROLES = {
    "system": Role.ROLE_SYSTEM,
    "developer": Role.ROLE_SYSTEM,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
    "tool": Role.ROLE_TOOL,
}
MODES = {
    "none": completion_pb2.ToolChoice.MODE_NONE,
    "auto": completion_pb2.ToolChoice.MODE_AUTO,
    "required": completion_pb2.ToolChoice.MODE_REQUIRED,
    "function": completion_pb2.ToolChoice.MODE_REQUIRED,
}
Mode = Literal["none", "auto", "required"]
_MOST_CHOICES = 128
MOST_TOP_LOGPROBS = 20


def joined(text_of_part: Callable[[int, Any], str], content: Any) -> BeforeValidator:
    """Return what joins the texts of parts, each by ``text_of_part`` with its number.

    Args:
        text_of_part: Returns the text of a part.
        content: The type of what has no parts.
    """

    def join(given: Any) -> Any:
        if not isinstance(given, list):
            return given
        return "".join(text_of_part(number, part) for number, part in enumerate(given))

    return BeforeValidator(join, json_schema_input_type=content | list[dict[str, Any]])


def _text_of_part(number: int, part: Any) -> str:
    if isinstance(part, dict):
        kind = part.get("type")
        if kind in {"text", "refusal"} and isinstance(text := part.get(kind), str):
            return text
        if kind not in {"text", "refusal"}:
            raise PydanticCustomError(
                "part",
                "Part {number} is of the type {kind}; the bridge carries only parts of type text",
                {"number": number, "kind": repr(kind)},
            )
    raise PydanticCustomError(
        "part", "Part {number} must be an object with a type and a text", {"number": number}
    )


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def as_object(value: Any) -> Any:
    """Return what stands for an object with nothing but a ``type`` as that object."""
    return {"type": value} if isinstance(value, str) else value


def _only_text(modalities: list[str] | None) -> list[str] | None:
    if modalities not in (None, ["text"]):
        raise PydanticCustomError("unsupported", "The only modality of the bridge is text")
    return modalities


Content = Annotated[Text | None, joined(_text_of_part, str | None)]


class DescribedFunction(Protocol):
    """What both of OpenAI's APIs say of a function."""

    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


def function_to_rpc(function: DescribedFunction) -> completion_pb2.Tool:
    """Return the tool of the RPC."""
    return completion_pb2.Tool(
        name=function.name,
        description=function.description or "",
        parameters=written(function.parameters) if function.parameters else "",
        strict=function.strict,
    )


class NamedSchema(Protocol):
    """What both of OpenAI's APIs say of the schema that an answer has to fit."""

    name: str
    description: str | None
    schema_: dict[str, Any] | None
    strict: bool | None


def schema_to_rpc(schema: NamedSchema) -> completion_pb2.ResponseFormat:
    """Return the format of the RPC."""
    return completion_pb2.ResponseFormat(
        schema=written(schema.schema_) if schema.schema_ else "",
        name=schema.name,
        description=schema.description or "",
        strict=schema.strict,
    )


class FunctionCall(Model):
    """A function and its arguments, as the model has written them."""

    name: Text
    arguments: Text


class ToolCall(Model):
    """A call that the model has asked for."""

    id: Text
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(Model):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: Text | None = None
    function_call: Unsupported = None
    audio: Unsupported = None

    @model_validator(mode="after")
    def _says_something(self) -> ChatMessage:
        if self.content is None and not self.tool_calls:
            raise PydanticCustomError("content", "content is required")
        return self

    def to_rpc(self) -> completion_pb2.Message:
        """Return the message of the RPC."""
        return completion_pb2.Message(
            role=ROLES[self.role],
            content=self.content or "",
            tool_call_id=self.tool_call_id or "",
            tool_calls=[
                completion_pb2.ToolCall(
                    id=call.id, name=call.function.name, arguments=call.function.arguments
                )
                for call in self.tool_calls or ()
            ],
        )


class Function(Model):
    """A function that the model may ask for."""

    name: Text
    description: Text | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(Model):
    """A tool that the model may ask for."""

    type: Literal["function"]
    function: Function


class FunctionName(Model):
    """A function by its name."""

    name: Text


class ToolChoice(Model):
    """Whether the model may ask for tools, or has to."""

    type: Literal["none", "auto", "required", "function"]
    function: FunctionName | None = None

    @model_validator(mode="after")
    def _names_a_function(self) -> ToolChoice:
        if (self.type == "function") != (self.function is not None):
            raise PydanticCustomError("function", "The type 'function' needs a function")
        return self

    def to_rpc(self) -> completion_pb2.ToolChoice:
        """Return the tool choice of the RPC."""
        name = "" if self.function is None else self.function.name
        return completion_pb2.ToolChoice(mode=MODES[self.type], name=name)


class JsonSchema(Model):
    """The schema that the answer has to fit."""

    name: Text
    description: Text | None = None
    schema_: Annotated[JsonObject | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(Model):
    """What the answer has to be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_a_schema(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise PydanticCustomError("schema", "The type 'json_schema' needs a json_schema")
        return self

    def to_rpc(self) -> completion_pb2.ResponseFormat | None:
        """Return the format of the RPC; None for text."""
        schema = self.json_schema
        if schema is None:
            return None if self.type == "text" else completion_pb2.ResponseFormat()
        return schema_to_rpc(schema)


class StreamOptions(Model):
    """What a stream has to tell."""

    include_usage: bool | None = None


class OpenAIChatRequest(Model):
    """A chat completion to create.

    Fields that only advise (`reasoning_effort`, `service_tier`, `user`, ...) are ignored, as are
    those that OpenAI doesn't know.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "", "messages": [{"role": "user", "content": "Hello!"}]}]
        },
    )

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    model: Annotated[
        Text | None, Field(description="A model of `/v1/models`; the backend's default if absent.")
    ] = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    max_tokens: Annotated[
        int | None, Field(ge=1, le=MOST_TOKENS, description="The older name of the one before.")
    ] = None
    n: Annotated[int | None, Field(ge=1, le=_MOST_CHOICES)] = None
    stop: Annotated[
        list[Text] | None,
        BeforeValidator(_as_list, json_schema_input_type=str | list[str] | None),
    ] = None
    seed: Annotated[int | None, Field(ge=0, le=2**64 - 1)] = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MOST_TOP_LOGPROBS)] = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Annotated[
        ToolChoice | None,
        BeforeValidator(as_object, json_schema_input_type=Mode | ToolChoice | None),
    ] = None
    parallel_tool_calls: bool | None = None
    modalities: Annotated[list[str] | None, AfterValidator(_only_text)] = None
    audio: Unsupported = None
    function_call: Unsupported = None
    functions: Unsupported = None
    logit_bias: Unsupported = None
    moderation: Unsupported = None
    store: Unsupported = None
    web_search_options: Unsupported = None

    @model_validator(mode="after")
    def _fits_together(self) -> OpenAIChatRequest:
        if self.top_logprobs is not None and not self.logprobs:
            raise PydanticCustomError("logprobs", "top_logprobs needs logprobs to be true")
        older, newer = self.max_tokens, self.max_completion_tokens
        if None not in (older, newer) and older != newer:
            raise PydanticCustomError(
                "tokens", "max_tokens and max_completion_tokens are two names of one limit"
            )
        return self

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return self.n or 1

    @property
    def only_text(self) -> bool:
        """Whether nothing but text is asked for, in one answer."""
        return self.choices == 1 and not self.tools and not self.logprobs

    @property
    def include_usage(self) -> bool:
        """Whether a stream has to tell the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        wanted = self.response_format
        return StreamCompletionRequest(
            model=self.model or "",
            messages=[message.to_rpc() for message in self.messages],
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=self.stop or (),
            seed=self.seed,
            choices=self.n or 0,
            tools=[function_to_rpc(tool.function) for tool in self.tools or ()],
            tool_choice=None if self.tool_choice is None else self.tool_choice.to_rpc(),
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=None if wanted is None else wanted.to_rpc(),
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )
