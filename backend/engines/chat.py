"""OpenAI's chat completion format: the request, the chunks of an answer, and errors.

The local model's library and HTTP upstreams both speak it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import orjson

from backend.engines.engine import Delta
from backend.status import RpcError, bad_request
from protos.completion.v1.completion_pb2 import (
    FinishReason,
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    TokenLogprob,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
)

MAX_MESSAGE = 500

_ROLES = {
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_TOOL: "tool",
}
_FLOATS = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty"})
_INTEGERS = frozenset({"max_tokens", "seed"})
_TOOL_CHOICES = {
    ToolChoice.MODE_NONE: "none",
    ToolChoice.MODE_AUTO: "auto",
    ToolChoice.MODE_REQUIRED: "required",
}
_FINISH_REASONS = {
    "stop": FinishReason.FINISH_REASON_STOP,
    "length": FinishReason.FINISH_REASON_LENGTH,
    "content_filter": FinishReason.FINISH_REASON_CONTENT_FILTER,
    "tool_calls": FinishReason.FINISH_REASON_TOOL_CALLS,
    "function_call": FinishReason.FINISH_REASON_TOOL_CALLS,
}
_STATUSES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
# The kinds of error that come without an HTTP status, inside a stream.
_KINDS = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "insufficient_quota": 429,
    "model_not_found": 404,
    "not_found_error": 404,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
}


def request_body(request: StreamCompletionRequest, model: str) -> dict[str, Any]:
    """Write ``request`` as the body of a streaming chat completion by ``model``."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return body | _sampling(request) | _tools(request) | _output(request)


def _sampling(request: StreamCompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for field, value in request.ListFields():
        if field.name in _FLOATS:
            # A float of 32 bits has 7 digits; 0.7 would become 0.699999988079071.
            body[field.name] = float(f"{value:.7g}")
        elif field.name in _INTEGERS:
            body[field.name] = value
    if request.stop:
        body["stop"] = list(request.stop)
    return body


def _tools(request: StreamCompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.HasField("tool_choice"):
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.HasField("parallel_tool_calls"):
        body["parallel_tool_calls"] = request.parallel_tool_calls
    return body


def _output(request: StreamCompletionRequest) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.choices > 1:
        body["n"] = request.choices
    if request.HasField("top_logprobs"):
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.HasField("response_format"):
        body["response_format"] = _response_format(request.response_format)
    return body


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": _ROLES[message.role], "content": message.content}
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        body["content"] = message.content or None
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return body


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = orjson.loads(tool.parameters)
    if tool.HasField("strict"):
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.name:
        return {"type": "function", "function": {"name": choice.name}}
    return _TOOL_CHOICES[choice.mode]


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if not wanted.schema:
        return {"type": "json_object"}
    schema: dict[str, Any] = {
        "name": wanted.name or "answer",
        "schema": orjson.loads(wanted.schema),
    }
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.HasField("strict"):
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


class Answer:
    """Reads the chunks of one answer, in their order.

    Args:
        choices: How many were asked for.

    Attributes:
        finished: Whether it has come to its end: all choices have, or the stream has.
    """

    def __init__(self, choices: int = 1) -> None:
        self._choices = max(choices, 1)
        self._finish_reasons: dict[int, FinishReason.ValueType] = {}
        self._usage: Usage | None = None
        self._begun = False
        self.finished = False

    def read(self, chunk: object) -> list[Delta]:
        """Take in ``chunk``, a parsed JSON value; return what it brings, if anything.

        Raises:
            RpcError: the chunk is an error (see `error_status`), or INTERNAL: it's no chunk.
        """
        if isinstance(chunk, dict) and chunk.get("error"):
            raise error_status(None, chunk)
        try:
            return list(self._read(chunk))
        except (AttributeError, KeyError, LookupError, TypeError, ValueError):
            raise RpcError(
                grpc.StatusCode.INTERNAL, "the model's server sent a chunk that makes no sense"
            ) from None

    def _read(self, chunk: Any) -> Iterator[Delta]:
        if usage := chunk.get("usage"):
            self._usage = Usage(
                prompt_tokens=usage["prompt_tokens"],
                completion_tokens=usage.get("completion_tokens", 0),
                total_tokens=usage["total_tokens"],
            )
        for choice in chunk.get("choices", []) if usage else chunk["choices"]:
            index = choice.get("index", 0)
            if index not in range(self._choices):
                raise ValueError(index)
            if reason := choice.get("finish_reason"):
                self._finish_reasons[index] = _FINISH_REASONS.get(
                    reason, FinishReason.FINISH_REASON_UNSPECIFIED
                )
                self.finished = len(self._finish_reasons) >= self._choices
            if delta := self._delta(choice, index, chunk.get("system_fingerprint") or ""):
                yield delta

    def _delta(self, choice: Any, index: int, fingerprint: str) -> Delta | None:
        brought = choice.get("delta") or {}
        text = brought.get("content") or ""
        if not isinstance(text, str):
            raise TypeError
        tool_calls = tuple(_tool_call(call) for call in brought.get("tool_calls") or ())
        if not text and not tool_calls:
            return None
        tokens = (choice.get("logprobs") or {}).get("content") or ()
        begun, self._begun = self._begun, True
        return Delta(
            text,
            choice=index,
            tool_calls=tool_calls,
            logprobs=tuple(_logprob(token) for token in tokens),
            system_fingerprint="" if begun else fingerprint,
        )

    def end(self) -> Iterator[Delta]:
        """Give what ends the answer: why each choice finished, and what all have used."""
        reasons = sorted(self._finish_reasons.items())
        *others, (index, reason) = reasons or [(0, FinishReason.FINISH_REASON_UNSPECIFIED)]
        for other, its_reason in others:
            yield Delta("", its_reason, choice=other)
        yield Delta("", reason, self._usage, choice=index)


def _tool_call(call: Any) -> ToolCallDelta:
    function = call.get("function") or {}
    return ToolCallDelta(
        index=call["index"],
        id=call.get("id") or "",
        name=function.get("name") or "",
        arguments=function.get("arguments") or "",
    )


def _logprob(token: Any) -> TokenLogprob:
    return TokenLogprob(
        token=token["token"],
        logprob=token["logprob"],
        bytes=bytes(token.get("bytes") or ()),
        top=[_logprob(other) for other in token.get("top_logprobs") or ()],
    )


def error_status(status: int | None, body: object) -> RpcError:
    """Turn an error of the chat completion format into a gRPC status.

    Args:
        status: The HTTP status; None for an error inside a stream.
        body: The parsed body or chunk, ``{"error": {"message", "type", "code"}}``.
    """
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, Mapping):
        error = {}
    if too_long := _prompt_too_long(error):
        return too_long
    message = error.get("message")
    if not isinstance(message, str) or not message:
        known = f" (HTTP status {status})" if status else ""
        message = f"the model's server reports an error{known} and no reason"
    status = status or _status_of(error)
    if status in {401, 403}:
        # Upstreams quote the key that they refuse, or its ends.
        message = "the model's server refuses the backend's API key"
    code = _STATUSES.get(status)
    if code is None:
        code = grpc.StatusCode.UNAVAILABLE if status >= 500 else grpc.StatusCode.UNKNOWN
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}..."
    return RpcError(code, message)


def _status_of(error: Mapping[str, Any]) -> int:
    code = error.get("code")
    if isinstance(code, int) and 400 <= code <= 599:
        return code
    for kind in (code, error.get("type")):
        if isinstance(kind, str) and kind in _KINDS:
            return _KINDS[kind]
    return 500


def _prompt_too_long(error: Mapping[str, Any]) -> RpcError | None:
    match error:
        case {"type": "exceed_context_size_error", "n_prompt_tokens": tokens, "n_ctx": most}:
            reason = f"have {tokens} tokens; with the answer, {most} are the most"
        case {"code": "context_length_exceeded", "message": str(reason)}:
            pass
        case _:
            return None
    return bad_request([("messages", reason)])
