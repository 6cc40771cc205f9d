"""OpenAI's Chat Completions: https://platform.openai.com/docs/api-reference/chat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from pydantic import BaseModel, Field

from bridge import sse
from bridge.answer import Choice
from bridge.dialects.errors import JsonErrorForm
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse, TokenLogprob

_INDEX = re.compile(r"\.(\d+)")

# What the schema calls otherwise.
_PARAMETERS = {"choices": "n"}

_ERROR_TYPES = {
    Status.UNAUTHENTICATED: "authentication_error",
    Status.PERMISSION_DENIED: "permission_error",
    Status.RESOURCE_EXHAUSTED: "rate_limit_error",
}
_ERROR_CODES = {
    Status.UNAUTHENTICATED: "invalid_api_key",
    Status.NOT_FOUND: "model_not_found",
    Status.RESOURCE_EXHAUSTED: "rate_limit_exceeded",
}

# OpenAI knows no others.
_FINISH_REASONS = frozenset({"stop", "length", "content_filter", "tool_calls"})


class OpenAIError(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(description="The field that is wrong.")
    code: str = Field(description="OpenAI's, or else the name of a gRPC status.")


class OpenAIErrorBody(BaseModel):
    """Why a request was not served."""

    error: OpenAIError


class OpenAIErrors(JsonErrorForm):
    """OpenAI's error object."""

    def body(self, failure: Failure) -> dict[str, Any]:
        """Return the object, whose ``code`` is OpenAI's, or else the name of the gRPC status."""
        status = failure.status
        kind = "server_error" if status.http >= 500 else "invalid_request_error"
        message, param = failure.message, None
        if failure.fields:
            fields = [(_parameter(path), description) for path, description in failure.fields]
            message = "; ".join(f"{path or 'body'}: {description}" for path, description in fields)
            param = fields[0][0] or None
        return {
            "error": {
                "message": message,
                "type": _ERROR_TYPES.get(status, kind),
                "param": param,
                "code": _ERROR_CODES.get(status, status.name.lower()),
            }
        }


def _parameter(path: str) -> str:
    head, *rest = re.split(r"(?=[.\[])", path, maxsplit=1)
    return _INDEX.sub(r"[\1]", _PARAMETERS.get(head, head) + "".join(rest))


class OpenAIChatDialect:
    """Writes a stream as chunks of a chat completion, or its whole as a chat completion.

    Args:
        completion_id: The id of the answer.
        created: The time, in seconds since 1970.
        model: The model that was asked for; may be empty.
        choices: How many answers were asked for.
        only_text: Whether nothing but text was asked for, in one answer.
        include_usage: Whether the stream has to tell the usage.
        logprobs: Whether the probabilities of tokens were asked for.
    """

    media_type = sse.MEDIA_TYPE
    errors = OpenAIErrors()

    def __init__(
        self,
        completion_id: str,
        created: int,
        model: str,
        *,
        choices: int = 1,
        only_text: bool = True,
        include_usage: bool = False,
        logprobs: bool = False,
    ) -> None:
        self._head: dict[str, Any] = {"id": completion_id, "created": created, "model": model}
        self._choices = range(choices)
        self._only_text = only_text
        self._include_usage = include_usage
        self._logprobs = logprobs
        self._before_text = self._after_text = b""

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the chunk of what is new, and before the first the chunks that say who speaks."""
        opening = b"" if self._before_text else self._open(message)
        if self._only_text:
            text = message.text
            if not text:
                return opening
            return opening + self._before_text + orjson.dumps(text) + self._after_text
        return opening + self._delta(message)

    def heartbeat(self) -> bytes:
        """Return a comment, which all SDKs pass over."""
        return sse.PING

    def error(self, failure: Failure) -> bytes:
        """Return the error, which OpenAI's SDKs raise, and ``[DONE]``."""
        return sse.json_frame(self.errors.body(failure)) + sse.DONE

    def closing(self, account: StreamAccount) -> bytes:
        """Return why each choice stopped, the usage if it was asked for, and ``[DONE]``."""
        opening = b"" if self._before_text else self._open(StreamCompletionResponse())
        reasons = (
            self._chunk([_choice(index, {}, _finish_reason(account, index))])
            for index in self._choices
        )
        usage = b""
        if self._include_usage and account.usage is not None:
            usage = self._chunk([], _usage(account))
        return opening + b"".join(reasons) + usage + sse.DONE

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the chat completion."""
        answer = account.answer
        assert answer is not None
        return {
            **self._head,
            "object": "chat.completion",
            "model": account.model,
            **_fingerprint(answer.system_fingerprint),
            "choices": [
                {
                    "index": index,
                    "message": _message(answer.choice(index)),
                    "logprobs": self._logprobs_of(answer.choice(index).logprobs),
                    "finish_reason": _finish_reason(account, index),
                }
                for index in self._choices
            ],
            **({} if account.usage is None else {"usage": _usage(account)}),
        }

    def _open(self, message: StreamCompletionResponse) -> bytes:
        self._head = {
            **self._head,
            "object": "chat.completion.chunk",
            "model": message.model or self._head["model"],
            **_fingerprint(message.system_fingerprint),
        }
        # What is the same around each text is written once; the text itself can't have this mark.
        mark = b'"\\u0000"'
        chunk = self._chunk([_choice(0, {"content": "\0"})])
        self._before_text, _, self._after_text = chunk.rpartition(mark)
        roles = (
            self._chunk([_choice(index, {"role": "assistant", "content": "", "refusal": None})])
            for index in self._choices
        )
        return b"".join(roles)

    def _delta(self, message: StreamCompletionResponse) -> bytes:
        delta: dict[str, Any] = {}
        if message.text:
            delta["content"] = message.text
        if message.tool_calls:
            delta["tool_calls"] = [
                {
                    "index": call.index,
                    **({"id": call.id, "type": "function"} if call.id else {}),
                    "function": {
                        **({"name": call.name} if call.name else {}),
                        "arguments": call.arguments,
                    },
                }
                for call in message.tool_calls
            ]
        if not delta:
            return b""
        logprobs = self._logprobs_of(message.logprobs)
        return self._chunk([_choice(message.choice, delta, logprobs=logprobs)])

    def _chunk(
        self, choices: Sequence[dict[str, Any]], usage: dict[str, Any] | None = None
    ) -> bytes:
        chunk = {**self._head, "choices": choices}
        if self._include_usage:
            chunk["usage"] = usage
        return sse.json_frame(chunk)

    def _logprobs_of(self, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        return {"content": token_logprobs(tokens), "refusal": None} if self._logprobs else None


def _choice(
    index: int,
    delta: dict[str, Any],
    finish_reason: str | None = None,
    *,
    logprobs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _finish_reason(account: StreamAccount, index: int) -> str:
    reason = account.finish_reasons.get(index)
    return reason if reason in _FINISH_REASONS else "stop"


def _message(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.tool_calls:
        message["content"] = choice.text or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in choice.tool_calls
        ]
    return message


def _fingerprint(told: str) -> dict[str, str]:
    return {"system_fingerprint": told} if told else {}


def _usage(account: StreamAccount) -> dict[str, int]:
    assert account.usage is not None
    return asdict(account.usage)


def token_logprobs(tokens: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """Return tokens with their probabilities, and those of others that were likely there."""
    return [
        {**_token(token), "top_logprobs": [_token(other) for other in token.top]}
        for token in tokens
    ]


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": list(token.bytes) if token.bytes or not token.token else None,
    }
