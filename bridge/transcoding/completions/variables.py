"""What the template of a request can name, and what a request asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from bridge.transcoding.completions.file import CONTENT, PromptForm
from bridge.transcoding.json.writer import shortest
from bridge.transcoding.request_error import RequestError
from protos.completion.v1.completion_pb2 import (
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    Tool,
    ToolChoice,
)


class Kind(Enum):
    """What a variable has."""

    TEXT = auto()
    TEXTS = auto()
    NUMBER = auto()
    INTEGER = auto()
    BOOLEAN = auto()
    JSON = auto()


@dataclass(frozen=True, slots=True)
class Words:
    """What has one of some texts.

    Attributes:
        texts: All that there are.
    """

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """What has a list of things.

    Attributes:
        names: What each of them has.
    """

    names: Mapping[str, AnyKind]


AnyKind: TypeAlias = Kind | Words | Items

_ROLES = {
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_TOOL: "tool",
}
_MODES = {
    ToolChoice.MODE_NONE: "none",
    ToolChoice.MODE_AUTO: "auto",
    ToolChoice.MODE_REQUIRED: "required",
}

VARIABLES: Final[Mapping[str, AnyKind]] = {
    "model": Kind.TEXT,
    "messages": Items(
        {
            "role": Words(tuple(_ROLES.values())),
            "content": Kind.TEXT,
            "tool_calls": Items({"id": Kind.TEXT, "name": Kind.TEXT, "arguments": Kind.JSON}),
            "tool_call_id": Kind.TEXT,
            "tool_name": Kind.TEXT,
        }
    ),
    "system": Kind.TEXT,
    "prompt": Kind.TEXT,
    "temperature": Kind.NUMBER,
    "top_p": Kind.NUMBER,
    "max_tokens": Kind.INTEGER,
    "stop": Kind.TEXTS,
    "seed": Kind.INTEGER,
    "frequency_penalty": Kind.NUMBER,
    "presence_penalty": Kind.NUMBER,
    "tools": Items(
        {
            "name": Kind.TEXT,
            "description": Kind.TEXT,
            "parameters": Kind.JSON,
            "strict": Kind.BOOLEAN,
        }
    ),
    "tool_choice.mode": Words(tuple(_MODES.values())),
    "tool_choice.name": Kind.TEXT,
    "parallel_tool_calls": Kind.BOOLEAN,
    "response_format.schema": Kind.JSON,
    "response_format.name": Kind.TEXT,
    "response_format.description": Kind.TEXT,
    "response_format.strict": Kind.BOOLEAN,
}

_PENALTIES = ("frequency_penalty", "presence_penalty")
_NUMBERS = ("temperature", "top_p", *_PENALTIES)
_AS_THEY_ARE = ("model", "max_tokens", "seed", "parallel_tool_calls")
_SAMPLING = ("temperature", "top_p", "max_tokens", "stop", "seed", "top_logprobs")

# How many answers somebody waits for can't be ignored.
CHOICES: Final = "choices"
IGNORABLE: Final = frozenset(
    {
        *_SAMPLING,
        *_PENALTIES,
        "parallel_tool_calls",
        *("tools", "tools.description", "tools.parameters", "tools.strict"),
        *("tool_choice.mode", "tool_choice.name", "messages.tool_calls", "messages.tool_call_id"),
        *("response_format.schema", "response_format.strict"),
    }
)

_ANY_OBJECT = '{"type":"object"}'


@dataclass(frozen=True, slots=True)
class Scope:
    """The values of variables.

    Attributes:
        values: By name. What is absent isn't there.
        path: Where they are from, in the request; empty for the request itself.
        outer: What has further values.
    """

    values: Mapping[str, Any]
    path: str = ""
    outer: Scope | None = None

    def find(self, name: str) -> tuple[Scope, Any] | None:
        """Return the value of a variable, with the scope that has it."""
        if name in self.values:
            return self, self.values[name]
        return None if self.outer is None else self.outer.find(name)


def values(
    request: StreamCompletionRequest, prompt: PromptForm | None, used: frozenset[str]
) -> Scope:
    """Return the values of the variables that are used.

    With ``system`` among them, the others have no messages of that role.

    Args:
        request: Where they are from.
        prompt: How the conversation is written as one text; None: there may be but one message.
        used: The names.

    Raises:
        RequestError: the conversation can't be written as one text.
    """
    messages = list(enumerate(request.messages))
    found: dict[str, Any] = dict(_settings(request))
    scope = Scope(found)
    if "system" in used:
        texts = [one.content for _, one in messages if one.role == Role.ROLE_SYSTEM]
        messages = [(number, one) for number, one in messages if one.role != Role.ROLE_SYSTEM]
        if texts:
            found["system"] = "\n\n".join(texts)
    if "prompt" in used:
        found["prompt"] = _as_one_text(messages, prompt)
    found["messages"] = list(_messages(messages, scope))
    found["tools"] = [
        Scope(dict(_tool(tool)), f"tools.{number}.", scope)
        for number, tool in enumerate(request.tools)
    ]
    return scope


def _settings(request: StreamCompletionRequest) -> Iterator[tuple[str, Any]]:
    for field, value in request.ListFields():
        if field.name in _NUMBERS:
            yield field.name, shortest(value)
        elif field.name in _AS_THEY_ARE:
            yield field.name, value
        elif field.name == "stop":
            yield field.name, list(value)
    if request.HasField("tool_choice"):
        yield "tool_choice.mode", _MODES[request.tool_choice.mode]
        if request.tool_choice.name:
            yield "tool_choice.name", request.tool_choice.name
    if request.HasField("response_format"):
        yield from _response_format(request.response_format)


def _response_format(wanted: ResponseFormat) -> Iterator[tuple[str, Any]]:
    yield "response_format.schema", wanted.schema or _ANY_OBJECT
    if wanted.name:
        yield "response_format.name", wanted.name
    if wanted.description:
        yield "response_format.description", wanted.description
    if wanted.HasField("strict"):
        yield "response_format.strict", wanted.strict


def _messages(messages: Sequence[tuple[int, Message]], outer: Scope) -> Iterator[Scope]:
    tools: dict[str, str] = {}
    for number, message in messages:
        path = f"messages.{number}."
        found: dict[str, Any] = {"role": _ROLES[message.role]}
        scope = Scope(found, path, outer)
        if message.content or not message.tool_calls:
            found["content"] = message.content
        found["tool_calls"] = [
            Scope(
                {"id": call.id, "name": call.name, "arguments": call.arguments},
                f"{path}tool_calls.{position}.",
                scope,
            )
            for position, call in enumerate(message.tool_calls)
        ]
        tools.update((call.id, call.name) for call in message.tool_calls)
        if message.tool_call_id:
            found["tool_call_id"] = message.tool_call_id
            if message.tool_call_id in tools:
                found["tool_name"] = tools[message.tool_call_id]
        yield scope


def _tool(tool: Tool) -> Iterator[tuple[str, Any]]:
    yield "name", tool.name
    if tool.description:
        yield "description", tool.description
    if tool.parameters:
        yield "parameters", tool.parameters
    if tool.HasField("strict"):
        yield "strict", tool.strict


def _as_one_text(messages: Sequence[tuple[int, Message]], prompt: PromptForm | None) -> str:
    if prompt is None:
        if len(messages) != 1 or messages[0][1].role != Role.ROLE_USER:
            raise RequestError("messages", "The backend takes one message, and that of a user")
        return messages[0][1].content
    turns = {
        Role.ROLE_SYSTEM: prompt.system,
        Role.ROLE_USER: prompt.user,
        Role.ROLE_ASSISTANT: prompt.assistant,
    }
    written = []
    for number, message in messages:
        turn = turns.get(message.role)
        if turn is None:
            role = _ROLES[message.role]
            raise RequestError(f"messages.{number}.role", f"The backend takes no {role}")
        written.append(turn.replace(CONTENT, message.content))
    return "".join(written) + prompt.answer


def asked(request: StreamCompletionRequest) -> Iterator[tuple[str, str]]:
    """Yield what a request asks for, beside the conversation: a name, and the path of its field.

    What is as good as not asked for is left out, such as a penalty of 0.
    """
    yield from _asked_of_sampling(request)
    if request.choices > 1:
        yield CHOICES, CHOICES
    if request.HasField("response_format"):
        yield "response_format.schema", "response_format"
        if request.response_format.strict:
            yield "response_format.strict", "response_format.strict"
    if request.tools:
        yield from _asked_of_tools(request)
    for number, message in enumerate(request.messages):
        for name in ("tool_calls", "tool_call_id"):
            if getattr(message, name):
                yield f"messages.{name}", f"messages.{number}.{name}"


def _asked_of_sampling(request: StreamCompletionRequest) -> Iterator[tuple[str, str]]:
    for field, value in request.ListFields():
        if field.name in _SAMPLING or (field.name in _PENALTIES and value):
            yield field.name, field.name


def _asked_of_tools(request: StreamCompletionRequest) -> Iterator[tuple[str, str]]:
    yield "tools", "tools"
    for number, tool in enumerate(request.tools):
        for name in ("description", "parameters", "strict"):
            if getattr(tool, name):
                yield f"tools.{name}", f"tools.{number}.{name}"
    choice = request.tool_choice
    if choice.mode in {ToolChoice.MODE_NONE, ToolChoice.MODE_REQUIRED}:
        yield "tool_choice.mode", "tool_choice"
    if choice.name:
        yield "tool_choice.name", "tool_choice.name"
    if request.HasField("parallel_tool_calls") and not request.parallel_tool_calls:
        yield "parallel_tool_calls", "parallel_tool_calls"
