"""The directives of a script: a JSON object that says what the script engine does.

| directive | meaning |
|---|---|
| `text`, `count` | send `text` `count` times (once if not given) |
| `chunks` | send these strings, one a message |
| `first_ms`, `interval_ms` | message k is sent `first_ms + k * interval_ms` after the start |
| `tool_calls` | then ask for these: `name`, `arguments` (strings, one a message), `id` (`call_0`) |
| `logprobs` | the logarithm of each chunk's probability, for a request that asks for them |
| `finish_reason` | `stop`, `length`, `content_filter`, `tool_calls`; null: none |
| `usage` | `prompt_tokens`, `completion_tokens`, `total_tokens` (their sum if not given) |
| `fail` | `code` by name, `message`, `after` that many messages (0), `details` |
| `hang_after` | so many messages, then silence until the client leaves |
| `crash_after` | so many messages, then the process dies |
| `metadata` | trailing metadata, an object of strings; base64 for a key that ends in `-bin` |

`fail.details` are `google.rpc` messages in protobuf's JSON form of an Any:
`{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.5s"}`.
At most one of `fail`, `hang_after` and `crash_after` can be given; it takes place when the
message after its last would have been sent.
The finish reason is `stop` unless the script says so, or `tool_calls` if it has any.
Finish reason and usage go into a message of their own, right after the last text. No usage is
made up: none is sent unless the script says so. A script that fails, hangs or crashes sends
neither unless it says so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import grpc
import orjson
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message

# Their descriptors have to be known for `fail.details` to be read.
from google.rpc import error_details_pb2 as error_details_pb2

from backend.status import DETAILS_KEY, RpcError, Violation, bad_request
from protos.completion.v1.completion_pb2 import FinishReason, ToolCallDelta, Usage

MAX_COUNT = 1_000_000
MAX_MS = 86_400_000
MAX_TOKENS = (1 << 63) - 1

_WORD = re.compile(r"\s*\S+|\s+")
_METADATA_KEY = re.compile(r"[0-9a-z_.-]+")
_METADATA_VALUE = re.compile(r"[ -~]*")
_MISSING = object()


class Abrupt(Enum):
    """The ends of a script that send no status."""

    HANG = "hang_after"
    CRASH = "crash_after"


@dataclass(frozen=True, slots=True)
class Script:
    """What to send, when, and how to end.

    Args:
        chunks: The texts to send.
        tool_calls: To send after them, one a message.
        logprobs: Of the chunks; empty for none.
        first: Seconds from the start to the first of them.
        interval: Seconds from one to the next.
        finish_reason: To send after the last of them, unless unspecified.
        usage: To send with it.
        ending: What happens then; None ends the call normally.
        metadata: Trailing metadata.
    """

    chunks: Sequence[str]
    tool_calls: Sequence[ToolCallDelta] = ()
    logprobs: Sequence[float] = ()
    first: float = 0
    interval: float = 0
    finish_reason: FinishReason.ValueType = FinishReason.FINISH_REASON_STOP
    usage: Usage | None = None
    ending: RpcError | Abrupt | None = None
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)


def words(text: str) -> list[str]:
    """Split ``text`` into words, each with the white space before it; joined, they are ``text``."""
    return _WORD.findall(text)


def parse(message: str) -> Script:
    """Read the script in ``message``; a message without directives is its own words.

    Raises:
        RpcError: INVALID_ARGUMENT that names every wrong directive.
    """
    try:
        given = orjson.loads(message)
    except orjson.JSONDecodeError:
        return Script(words(message))
    if not isinstance(given, dict) or not given.keys() & _DIRECTIVES:
        return Script(words(message))
    return _Reader(given).script()


_DIRECTIVES = frozenset(
    {
        *("text", "count", "chunks", "first_ms", "interval_ms", "finish_reason", "usage"),
        *("fail", "hang_after", "crash_after", "metadata", "tool_calls", "logprobs"),
    }
)
_USAGE = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
_TOOL_CALL = frozenset({"id", "name", "arguments"})
_FAIL = frozenset({"code", "message", "after", "details"})
_FINISH_REASONS: Mapping[object, FinishReason.ValueType] = {
    None: FinishReason.FINISH_REASON_UNSPECIFIED,
    "stop": FinishReason.FINISH_REASON_STOP,
    "length": FinishReason.FINISH_REASON_LENGTH,
    "content_filter": FinishReason.FINISH_REASON_CONTENT_FILTER,
    "tool_calls": FinishReason.FINISH_REASON_TOOL_CALLS,
}


class _Reader:
    """Reads directives, and collects what is wrong with them."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._violations: list[Violation] = []

    def script(self) -> Script:
        given = self._given
        self._refuse_unknown("", given, _DIRECTIVES)
        chunks, tool_calls = self._chunks(), list(self._tool_calls())
        ending, after = self._ending(len(chunks) + len(tool_calls))
        reason = "tool_calls" if tool_calls else "stop"
        script = Script(
            chunks=chunks[:after],
            tool_calls=tool_calls[: max(after - len(chunks), 0)],
            logprobs=self._logprobs(len(chunks)),
            first=self._number("first_ms", given, MAX_MS) / 1000,
            interval=self._number("interval_ms", given, MAX_MS) / 1000,
            finish_reason=self._finish_reason(None if ending else reason),
            usage=self._usage(),
            ending=ending,
            metadata=dict(self._metadata()),
        )
        if self._violations:
            raise bad_request(self._violations)
        return script

    def _refuse(self, path: str, why: str) -> None:
        self._violations.append((path, why))

    def _refuse_unknown(self, path: str, given: dict[str, Any], known: frozenset[str]) -> None:
        for key in given.keys() - known:
            self._refuse(f"{path}{key}", f"is none of {', '.join(sorted(known))}")

    def _chunks(self) -> Sequence[str]:
        given = self._given
        if "chunks" not in given:
            if "text" not in given:
                if "count" in given:
                    self._refuse("count", "needs text")
                return []
            count = self._integer("count", given, MAX_COUNT, default=1)
            return [self._string("text", given)] * count
        if "text" in given or "count" in given:
            self._refuse("chunks", "can't be combined with text and count")
        chunks = given["chunks"]
        if not isinstance(chunks, list):
            self._refuse("chunks", "must be a list of strings")
            return []
        for index, chunk in enumerate(chunks):
            if not isinstance(chunk, str):
                self._refuse(f"chunks[{index}]", "must be a string")
        return chunks

    def _tool_calls(self) -> Iterator[ToolCallDelta]:
        calls = self._given.get("tool_calls", [])
        if not isinstance(calls, list):
            self._refuse("tool_calls", "must be a list of objects")
            return
        for index, call in enumerate(calls):
            path = f"tool_calls[{index}]"
            if not isinstance(call, dict):
                self._refuse(path, "must be an object")
                continue
            self._refuse_unknown(f"{path}.", call, _TOOL_CALL)
            call_id = self._string(f"{path}.id", call, f"call_{index}")
            name = self._string(f"{path}.name", call)
            first, *others = self._arguments(f"{path}.arguments", call) or [""]
            yield ToolCallDelta(index=index, id=call_id, name=name, arguments=first)
            for arguments in others:
                yield ToolCallDelta(index=index, arguments=arguments)

    def _arguments(self, path: str, call: dict[str, Any]) -> list[str]:
        arguments = call.get("arguments", [])
        if isinstance(arguments, list) and all(isinstance(part, str) for part in arguments):
            return arguments
        self._refuse(path, "must be a list of strings")
        return []

    def _logprobs(self, chunks: int) -> Sequence[float]:
        logprobs = self._given.get("logprobs", [])
        numbers = isinstance(logprobs, list) and all(type(v) in (int, float) for v in logprobs)
        if numbers and len(logprobs) in {0, chunks}:
            return [float(value) for value in logprobs]
        self._refuse("logprobs", f"must be {chunks} numbers, one for each chunk")
        return []

    def _string(self, path: str, given: dict[str, Any], default: str = "") -> str:
        value = given.get(path.rpartition(".")[2], default)
        if isinstance(value, str):
            return value
        self._refuse(path, "must be a string")
        return default

    def _integer(self, path: str, given: dict[str, Any], most: int, default: int = 0) -> int:
        value = given.get(path.rpartition(".")[2], default)
        if type(value) is int and 0 <= value <= most:
            return value
        self._refuse(path, f"must be an integer from 0 to {most}")
        return default

    def _number(self, path: str, given: dict[str, Any], most: int) -> float:
        value = given.get(path, 0)
        if type(value) in (int, float) and 0 <= value <= most:
            return float(value)
        self._refuse(path, f"must be a number from 0 to {most}")
        return 0

    def _ending(self, messages: int) -> tuple[RpcError | Abrupt | None, int]:
        given = [key for key in ("fail", "hang_after", "crash_after") if key in self._given]
        for key in given[1:]:
            self._refuse(key, f"can't be combined with {given[0]}")
        match given:
            case ["fail", *_]:
                return self._failure(messages)
            case [key, *_]:
                return Abrupt(key), self._after(key, self._given, messages)
        return None, messages

    def _after(self, path: str, given: dict[str, Any], messages: int) -> int:
        after = self._integer(path, given, MAX_COUNT)
        if after > messages:
            self._refuse(path, f"is {after}, but the script has {messages} messages")
        return after

    def _finish_reason(self, default: str | None) -> FinishReason.ValueType:
        value = self._given.get("finish_reason", default)
        if value is None or isinstance(value, str):
            reason = _FINISH_REASONS.get(value)
            if reason is not None:
                return reason
        self._refuse("finish_reason", "must be stop, length, content_filter, tool_calls or null")
        return FinishReason.FINISH_REASON_UNSPECIFIED

    def _usage(self) -> Usage | None:
        usage = self._object("usage", _USAGE)
        if usage is None:
            return None
        prompt = self._integer("usage.prompt_tokens", usage, MAX_TOKENS)
        completion = self._integer("usage.completion_tokens", usage, MAX_TOKENS)
        total = self._integer("usage.total_tokens", usage, 2 * MAX_TOKENS, prompt + completion)
        return Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total)

    def _object(self, path: str, known: frozenset[str] | None) -> dict[str, Any] | None:
        value = self._given.get(path)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._refuse(path, "must be an object")
            return None
        if known is not None:
            self._refuse_unknown(f"{path}.", value, known)
        return value

    def _failure(self, messages: int) -> tuple[RpcError | None, int]:
        fail = self._object("fail", _FAIL)
        if fail is None:
            return None, messages
        name = fail.get("code")
        code = _CODES.get(name) if isinstance(name, str) else None
        if code is None:
            self._refuse("fail.code", f"must be one of {', '.join(_CODES)}")
            code = grpc.StatusCode.UNKNOWN
        message = self._string("fail.message", fail, f"the script ends with {code.name}")
        error = RpcError(code, message, list(self._details(fail)))
        return error, self._after("fail.after", fail, messages)

    def _details(self, fail: dict[str, Any]) -> Iterator[Message]:
        details = fail.get("details", [])
        if not isinstance(details, list):
            self._refuse("fail.details", "must be a list of objects")
            return
        for index, detail in enumerate(details):
            try:
                yield json_format.ParseDict(detail, any_pb2.Any())
            except (json_format.ParseError, AttributeError, TypeError, ValueError) as error:
                self._refuse(f"fail.details[{index}]", f"must be a google.rpc message: {error}")

    def _metadata(self) -> Iterator[tuple[str, str | bytes]]:
        for key, value in (self._object("metadata", None) or {}).items():
            path = f"metadata.{key}"
            reserved = key.startswith("grpc-") and key != DETAILS_KEY
            if not _METADATA_KEY.fullmatch(key) or reserved:
                self._refuse(path, "is not a key that metadata can have")
            elif not isinstance(value, str) or not _METADATA_VALUE.fullmatch(value):
                self._refuse(path, "must be a string of printable ASCII")
            elif not key.endswith("-bin"):
                yield key, value
            else:
                try:
                    yield key, base64.b64decode(value, validate=True)
                except binascii.Error:
                    self._refuse(path, "must be base64, as the key ends in -bin")


_CODES = {code.name: code for code in grpc.StatusCode}
