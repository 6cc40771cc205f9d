"""A request of OpenAI's Responses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bridge.dialects.fields import MOST_TOKENS, JsonObject, Model, Text, Unsupported
from bridge.dialects.openai_request import (
    MODES,
    MOST_TOP_LOGPROBS,
    ROLES,
    Mode,
    as_object,
    function_to_rpc,
    joined,
    schema_to_rpc,
)
from protos.completion.v1 import completion_pb2
from protos.completion.v1.completion_pb2 import Role, StreamCompletionRequest

_LOGPROBS = "message.output_text.logprobs"
_TEXTS = frozenset({"input_text", "output_text", "text"})


def _text_of_part(number: int, part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS and isinstance(text := part.get("text"), str):
        return text
    raise PydanticCustomError(
        "part",
        "Part {number} is of the type {kind}; the bridge carries only text",
        {"number": number, "kind": repr(kind)},
    )


def _as_items(given: Any) -> Any:
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        return given
    return [_with_type(item) for item in given if _type(item) != "reasoning"]


def _type(item: Any) -> Any:
    return item.get("type") if isinstance(item, dict) else None


def _with_type(item: Any) -> Any:
    if isinstance(item, dict) and "type" not in item and "role" in item:
        return {**item, "type": "message"}
    return item


def _not_stored(value: bool | None) -> bool | None:
    if value:
        raise PydanticCustomError("store", "The bridge stores no responses")
    return value


def _only_logprobs(include: list[str] | None) -> list[str] | None:
    if set(include or ()) - {_LOGPROBS, "reasoning.encrypted_content"}:
        raise PydanticCustomError("include", f"Of these, the bridge has only {_LOGPROBS}")
    return include


Joined = Annotated[Text, joined(_text_of_part, str)]


class MessageItem(Model):
    """Something that was said."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Joined


class CallItem(Model):
    """A call that the model has asked for."""

    type: Literal["function_call"]
    call_id: Text
    name: Text
    arguments: Text


class OutputItem(Model):
    """What came of a call."""

    type: Literal["function_call_output"]
    call_id: Text
    output: Joined


class ReasoningItem(Model):
    """What a model has thought, which another can't read: it is left out."""

    type: Literal["reasoning"]


Item = Annotated[MessageItem | CallItem | OutputItem, Field(discriminator="type")]


class ResponsesTool(Model):
    """A function that the model may ask for."""

    type: Literal["function"]
    name: Text
    description: Text | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class ResponsesToolChoice(Model):
    """Whether the model may ask for tools, or has to."""

    type: Literal["none", "auto", "required", "function"]
    name: Text = ""

    def to_rpc(self) -> completion_pb2.ToolChoice:
        """Return the tool choice of the RPC."""
        return completion_pb2.ToolChoice(mode=MODES[self.type], name=self.name)

    def as_json(self) -> str | dict[str, Any]:
        """Return it as it was sent."""
        return self.type if self.type != "function" else {"type": self.type, "name": self.name}


class TextFormat(Model):
    """What the text has to be."""

    type: Literal["text", "json_object", "json_schema"]
    name: Text = ""
    description: Text | None = None
    schema_: Annotated[JsonObject | None, Field(alias="schema")] = None
    strict: bool | None = None

    def to_rpc(self) -> completion_pb2.ResponseFormat | None:
        """Return the format of the RPC; None for text."""
        return None if self.type == "text" else schema_to_rpc(self)


class TextConfig(Model):
    """How the text is to be."""

    format: TextFormat | None = None


class OpenAIResponsesRequest(Model):
    """A response to create.

    The bridge stores nothing: `store` and what relies on it are refused. Fields that only advise
    (`reasoning`, `truncation`, `user`, ...) are ignored, as are those that OpenAI doesn't know.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"model": "", "input": "Hello!"}]})

    input: Annotated[
        list[Item],
        BeforeValidator(_as_items, json_schema_input_type=str | list[Item | ReasoningItem]),
        Field(min_length=1),
    ]
    model: Annotated[
        Text | None, Field(description="A model of `/v1/models`; the backend's default if absent.")
    ] = None
    instructions: Text | None = None
    stream: bool | None = False
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_output_tokens: Annotated[int | None, Field(ge=1, le=MOST_TOKENS)] = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=MOST_TOP_LOGPROBS)] = None
    include: Annotated[list[str] | None, AfterValidator(_only_logprobs)] = None
    text: TextConfig | None = None
    tools: list[ResponsesTool] | None = None
    tool_choice: Annotated[
        ResponsesToolChoice | None,
        BeforeValidator(as_object, json_schema_input_type=Mode | ResponsesToolChoice | None),
    ] = None
    parallel_tool_calls: bool | None = None
    metadata: dict[str, str] | None = None
    store: Annotated[bool | None, AfterValidator(_not_stored)] = None
    previous_response_id: Unsupported = None
    conversation: Unsupported = None
    background: Unsupported = None
    prompt: Unsupported = None
    max_tool_calls: Unsupported = None
    moderation: Unsupported = None

    @model_validator(mode="after")
    def _names_a_function(self) -> OpenAIResponsesRequest:
        choice = self.tool_choice
        if choice is not None and (choice.type == "function") != bool(choice.name):
            raise PydanticCustomError("function", "tool_choice: The type 'function' needs a name")
        return self

    @property
    def logprobs(self) -> bool:
        """Whether the probabilities of tokens are asked for."""
        return _LOGPROBS in (self.include or ()) or self.top_logprobs is not None

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC, with what is absent here absent there."""
        choice, text = self.tool_choice, self.text
        wanted = None if text is None or text.format is None else text.format.to_rpc()
        return StreamCompletionRequest(
            model=self.model or "",
            messages=self._messages(),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_output_tokens,
            tools=[function_to_rpc(tool) for tool in self.tools or ()],
            tool_choice=None if choice is None else choice.to_rpc(),
            parallel_tool_calls=self.parallel_tool_calls,
            response_format=wanted,
            top_logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def repeated(self) -> dict[str, Any]:
        """Return what a response repeats of its request."""
        choice, tools = self.tool_choice, self.tools or ()
        return {
            "model": self.model or "",
            "instructions": self.instructions,
            "metadata": self.metadata or {},
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_output_tokens": self.max_output_tokens,
            "tools": [tool.model_dump(exclude_unset=True) for tool in tools],
            "tool_choice": "auto" if choice is None else choice.as_json(),
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "access_programs": None,
            "error": None,
            "incomplete_details": None,
            "previous_response_id": None,
        }

    def _messages(self) -> Iterable[completion_pb2.Message]:
        messages: list[completion_pb2.Message] = []
        if self.instructions is not None:
            messages.append(
                completion_pb2.Message(role=Role.ROLE_SYSTEM, content=self.instructions)
            )
        for item in self.input:
            match item:
                case MessageItem():
                    role = ROLES[item.role]
                    messages.append(completion_pb2.Message(role=role, content=item.content))
                case OutputItem():
                    messages.append(
                        completion_pb2.Message(
                            role=Role.ROLE_TOOL, tool_call_id=item.call_id, content=item.output
                        )
                    )
                case CallItem():
                    # The calls of one answer, and what was said before them, are one message.
                    if not messages or messages[-1].role != Role.ROLE_ASSISTANT:
                        messages.append(completion_pb2.Message(role=Role.ROLE_ASSISTANT))
                    messages[-1].tool_calls.add(
                        id=item.call_id, name=item.name, arguments=item.arguments
                    )
        return messages
