"""The rules of ``completion.proto`` that the schema's types can't express."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from backend.status import Violation, bad_request
from protos.completion.v1.completion_pb2 import (
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    Tool,
    ToolChoice,
)

MAX_STOP_STRINGS = 16
MAX_CHOICES = 128
MAX_TOP_LOGPROBS = 20
# Names are quoted in errors and logged.
MAX_MODEL_LENGTH = 256

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def validate(request: StreamCompletionRequest) -> None:
    """Check every field of ``request``.

    Raises:
        RpcError: INVALID_ARGUMENT that names all wrong fields.
    """
    violations = [
        *_model(request),
        *_messages(request),
        *_sampling(request),
        *_stop(request),
        *_tools(request),
        *_tool_choice(request),
        *_response_format(request.response_format),
    ]
    if violations:
        raise bad_request(violations)


def _model(request: StreamCompletionRequest) -> Iterator[Violation]:
    if len(request.model) > MAX_MODEL_LENGTH:
        yield "model", f"must be at most {MAX_MODEL_LENGTH} characters, got {len(request.model)}"


def _messages(request: StreamCompletionRequest) -> Iterator[Violation]:
    if not request.messages:
        yield "messages", "at least 1 message is required"
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        yield from _role(f"{path}.role", message)
        yield from _tool_calls(path, message)


def _role(path: str, message: Message) -> Iterator[Violation]:
    if message.role == Role.ROLE_UNSPECIFIED:
        yield path, "is required"
    elif message.role not in Role.values():
        yield path, f"{message.role} is not a role"


def _tool_calls(path: str, message: Message) -> Iterator[Violation]:
    if message.tool_calls and message.role != Role.ROLE_ASSISTANT:
        yield f"{path}.tool_calls", "only an assistant calls tools"
    for index, call in enumerate(message.tool_calls):
        if not call.id:
            yield f"{path}.tool_calls[{index}].id", "is required"
        if not call.name:
            yield f"{path}.tool_calls[{index}].name", "is required"
    if bool(message.tool_call_id) != (message.role == Role.ROLE_TOOL):
        why = "only a tool has one" if message.tool_call_id else "is required of a tool"
        yield f"{path}.tool_call_id", why


def _sampling(request: StreamCompletionRequest) -> Iterator[Violation]:
    # Negated comparisons, so that NaN is refused too.
    if request.HasField("temperature") and not 0 <= request.temperature <= 2:
        yield "temperature", f"must be from 0 to 2, got {request.temperature:g}"
    if request.HasField("top_p") and not 0 < request.top_p <= 1:
        yield "top_p", f"must be above 0 and at most 1, got {request.top_p:g}"
    if request.HasField("max_tokens") and request.max_tokens < 1:
        yield "max_tokens", "must be 1 or more, got 0"
    if request.choices > MAX_CHOICES:
        yield "choices", f"must be at most {MAX_CHOICES}, got {request.choices}"
    if request.top_logprobs > MAX_TOP_LOGPROBS:
        yield "top_logprobs", f"must be at most {MAX_TOP_LOGPROBS}, got {request.top_logprobs}"
    for name in ("frequency_penalty", "presence_penalty"):
        penalty = getattr(request, name)
        if not -2 <= penalty <= 2:
            yield name, f"must be from -2 to 2, got {penalty:g}"


def _stop(request: StreamCompletionRequest) -> Iterator[Violation]:
    if len(request.stop) > MAX_STOP_STRINGS:
        yield "stop", f"at most {MAX_STOP_STRINGS} strings are allowed, got {len(request.stop)}"
    for index, string in enumerate(request.stop):
        if not string:
            yield f"stop[{index}]", "must not be empty"


def _tools(request: StreamCompletionRequest) -> Iterator[Violation]:
    names: set[str] = set()
    for index, tool in enumerate(request.tools):
        yield from _tool(f"tools[{index}]", tool)
        if tool.name in names:
            yield f"tools[{index}].name", f"there is another tool {tool.name!r}"
        names.add(tool.name)


def _tool(path: str, tool: Tool) -> Iterator[Violation]:
    if not _TOOL_NAME.fullmatch(tool.name):
        yield f"{path}.name", "must be 1 to 64 letters, digits, _ or -"
    yield from _schema(f"{path}.parameters", tool.parameters)


def _tool_choice(request: StreamCompletionRequest) -> Iterator[Violation]:
    if not request.HasField("tool_choice"):
        return
    choice = request.tool_choice
    if choice.mode not in ToolChoice.Mode.values()[1:]:
        yield "tool_choice.mode", "is required"
    if choice.mode == ToolChoice.MODE_REQUIRED and not request.tools:
        yield "tool_choice", "there are no tools"
    if not choice.name:
        return
    if choice.mode != ToolChoice.MODE_REQUIRED:
        yield "tool_choice.name", "needs MODE_REQUIRED"
    if choice.name not in {tool.name for tool in request.tools}:
        yield "tool_choice.name", f"there is no tool {choice.name!r}"


def _response_format(wanted: ResponseFormat) -> Iterator[Violation]:
    yield from _schema("response_format.schema", wanted.schema)


def _schema(path: str, schema: str) -> Iterator[Violation]:
    if not schema:
        return
    try:
        valid = isinstance(orjson.loads(schema), dict)
    except orjson.JSONDecodeError:
        valid = False
    if not valid:
        yield path, "must be a JSON Schema: an object, as JSON"
