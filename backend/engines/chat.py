"""OpenAI's chat completion format: the request, the chunks of an answer, and errors.

The local model's library and HTTP upstreams both speak it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from backend.engines.engine import Delta
from backend.status import RpcError, bad_request
from protos.completion.v1.completion_pb2 import (
    FinishReason,
    Role,
    StreamCompletionRequest,
    Usage,
)

MAX_MESSAGE = 500

_ROLES = {
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
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
        "messages": [
            {"role": _ROLES[message.role], "content": message.content}
            for message in request.messages
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    # A float of 32 bits has 7 digits; 0.7 would become 0.699999988079071.
    if request.HasField("temperature"):
        body["temperature"] = float(f"{request.temperature:.7g}")
    if request.HasField("top_p"):
        body["top_p"] = float(f"{request.top_p:.7g}")
    if request.HasField("max_tokens"):
        body["max_tokens"] = request.max_tokens
    if request.HasField("seed"):
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = list(request.stop)
    return body


class Answer:
    """Reads the chunks of one answer, in their order."""

    def __init__(self) -> None:
        self._finish_reason = FinishReason.FINISH_REASON_UNSPECIFIED
        self._usage: Usage | None = None
        self.finished = False

    def read(self, chunk: object) -> str:
        """Take in ``chunk``, a parsed JSON value; return the text it brings, if any.

        Raises:
            RpcError: the chunk is an error (see `error_status`), or INTERNAL: it's no chunk.
        """
        if isinstance(chunk, dict) and chunk.get("error"):
            raise error_status(None, chunk)
        try:
            return self._read(chunk)
        except (AttributeError, KeyError, LookupError, TypeError, ValueError):
            raise RpcError(
                grpc.StatusCode.INTERNAL, "the model's server sent a chunk that makes no sense"
            ) from None

    def _read(self, chunk: Any) -> str:
        if usage := chunk.get("usage"):
            self._usage = Usage(
                prompt_tokens=usage["prompt_tokens"],
                completion_tokens=usage.get("completion_tokens", 0),
                total_tokens=usage["total_tokens"],
            )
        choices = chunk.get("choices", []) if usage else chunk["choices"]
        if len(choices) == 0:
            return ""
        choice = choices[0]
        if reason := choice.get("finish_reason"):
            self.finished = True
            self._finish_reason = _FINISH_REASONS.get(
                reason, FinishReason.FINISH_REASON_UNSPECIFIED
            )
        text = (choice.get("delta") or {}).get("content") or ""
        if not isinstance(text, str):
            raise TypeError
        return text

    def end(self) -> Delta:
        """Give what ends the answer: why it finished, and what it used."""
        return Delta("", self._finish_reason, self._usage)


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
