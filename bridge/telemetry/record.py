"""The account of a stream while it runs, and the record of it when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, InitVar, asdict, dataclass, field, replace
from typing import Generic, TypeVar

import structlog

from bridge.answer import Answer
from bridge.upstream import Metadata
from bridge.upstream.completion import STREAM_COMPLETION
from bridge.verdict import Outcome, Verdict
from protos.completion.v1.completion_pb2 import FinishReason, StreamCompletionResponse

_log = structlog.get_logger("bridge.stream")

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a request has used, as the backend counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """What there is to know of a stream that has ended.

    Attributes:
        request_id: The ``x-request-id`` of the request.
        method: The path of the RPC: ``/package.Service/Method``.
        model: The model that answered, else the one that was asked for; may be empty.
        backend: Where the backend listens that had the RPC last; empty if none could be found.
        outcome: How it ended.
        code: The gRPC status name of a stream that failed; None for every other outcome.
        error: The status message behind ``code``, as the backend or the transport gave it.
        messages: How many messages of the backend were handed to the client's socket.
        characters: The length of the text that was handed to it, in code points.
        finish_reason: Why the model stopped, if it said so; of several choices, the first.
        usage: The tokens, if the backend told them.
        retries: How many times the RPC was tried again before its first message.
        first_message_seconds: From the start of the RPC to its first message; None without one.
        duration_seconds: From the start of the RPC to the end of the answer.
        text: The whole text that was sent, choice by choice; empty unless somebody has asked
            for it.
    """

    request_id: str
    method: str
    backend: str
    outcome: Outcome
    code: str | None
    error: str
    messages: int
    retries: int
    first_message_seconds: float | None
    duration_seconds: float
    model: str = ""
    characters: int = 0
    finish_reason: str | None = None
    usage: Usage | None = None
    text: str = field(default="", repr=False)


StreamHook = Callable[[StreamRecord], None]


@dataclass(slots=True)
class CallAccount(Generic[Message]):
    """Counts what an RPC, of whatever messages, sends to the client.

    Args:
        request_id: The ``x-request-id`` of the request.
        method: The path of the RPC.

    Attributes:
        trailers: The trailing metadata of the backend, once it has come.
    """

    request_id: str
    _: KW_ONLY
    method: str
    backend: str = ""
    messages: int = 0
    retries: int = 0
    started: float = field(default_factory=time.monotonic)
    last_message: float | None = None
    trailers: Metadata = ()
    _first_message: float | None = None

    def add(self, messages: Sequence[Message], now: float) -> None:
        """Count messages that have been handed to the client at ``now`` (``time.monotonic``)."""
        if not messages:
            return
        self.last_message = now
        if self._first_message is None:
            self._first_message = now
        self.messages += len(messages)
        self._take_in(messages)

    def close(self, verdict: Verdict) -> StreamRecord:
        """Return the record of the stream, which ended with ``verdict``."""
        error, first = verdict.error, self._first_message
        return StreamRecord(
            request_id=self.request_id,
            method=self.method,
            backend=self.backend,
            outcome=verdict.outcome,
            code=error.status.name if error else None,
            error=(error.cause or error.message) if error else "",
            messages=self.messages,
            retries=self.retries,
            first_message_seconds=None if first is None else first - self.started,
            duration_seconds=time.monotonic() - self.started,
        )

    def _take_in(self, messages: Sequence[Message]) -> None:
        """Take in what the messages say."""


@dataclass(slots=True)
class StreamAccount(CallAccount[StreamCompletionResponse]):
    """Counts what a stream of a completion sends.

    Args:
        model: The model that was asked for; may be empty.
        keep_answer: Whether somebody wants the whole answer.

    Attributes:
        answer: What has been sent, if somebody wants it.
        finish_reasons: Why choices stopped, of those that have said so.
    """

    model: str
    keep_answer: InitVar[bool]
    characters: int = 0
    finish_reasons: dict[int, str] = field(default_factory=dict)
    usage: Usage | None = None
    answer: Answer | None = None
    method: str = field(default=STREAM_COMPLETION.path, kw_only=True)

    def __post_init__(self, keep_answer: bool) -> None:
        if keep_answer:
            self.answer = Answer()

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped, if it said so; of several choices, the first."""
        return self.finish_reasons.get(0)

    def close(self, verdict: Verdict) -> StreamRecord:
        """Return the record of the stream, which ended with ``verdict``."""
        return replace(
            CallAccount.close(self, verdict),
            model=self.model,
            characters=self.characters,
            finish_reason=self.finish_reason,
            usage=self.usage,
            text="" if self.answer is None else self.answer.text,
        )

    def _take_in(self, messages: Sequence[StreamCompletionResponse]) -> None:
        if self.messages == len(messages):
            self.model = messages[0].model or self.model
        if self.answer is not None:
            self.answer.add(messages)
        for message in messages:
            self.characters += len(message.text)
            if message.finish_reason:
                reason = finish_reason_name(message.finish_reason)
                self.finish_reasons[message.choice] = reason
            if message.HasField("usage"):
                usage = message.usage
                self.usage = Usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)


def finish_reason_name(reason: FinishReason.ValueType) -> str:
    """Return ``"stop"`` for ``FINISH_REASON_STOP``; ``"unknown"`` for one of a newer schema."""
    try:
        return FinishReason.Name(reason).removeprefix("FINISH_REASON_").lower()
    except ValueError:
        return "unknown"


def publish(record: StreamRecord, hook: StreamHook | None) -> None:
    """Log ``record`` without its text, and hand it to ``hook``.

    A hook that raises is logged; the stream has ended all the same.
    """
    fields = {key: value for key, value in asdict(record).items() if key != "text"}
    log = _log.warning if record.outcome in {Outcome.FAILED, Outcome.SHUTDOWN} else _log.info
    log("stream ended", **fields)
    if hook is None:
        return
    try:
        hook(record)
    except Exception:
        _log.exception("the stream hook raised", request_id=record.request_id)
