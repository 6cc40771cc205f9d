"""Reads the responses of another service as those of ours."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import uuid4

from google.protobuf.message import Message

from bridge.status import Status
from bridge.transcoding.completions.field_path import Read, ReadAll
from bridge.upstream.call import RpcError
from protos.completion.v1.completion_pb2 import FinishReason, StreamCompletionResponse

ReadText: TypeAlias = Callable[[Message], str]


@dataclass(frozen=True, slots=True)
class FinishParts:
    """What reads why the model stopped.

    Attributes:
        read: Reads a value.
        reasons: What values mean.
        failures: Which of them are failures, and what is said of those.
    """

    read: Read
    reasons: Mapping[Any, FinishReason.ValueType]
    failures: Mapping[Any, tuple[Status, str]]


@dataclass(frozen=True, slots=True)
class ToolCallParts:
    """What reads the calls that the model asks for.

    Attributes:
        each: Reads the messages that have one each.
        name: Reads the tool, given such a message, as the next ones.
        arguments: Reads JSON.
        id: Reads by what the result names it; None: there is nothing.
        index: Reads which call it is about; None: each message has a whole one.
    """

    each: ReadAll
    name: Read
    arguments: Read
    id: Read | None
    index: Read | None


@dataclass(frozen=True, slots=True)
class ResponseParts:
    """What reads the parts of a response.

    Attributes:
        message: The class of the foreign response.
        text: Returns what reads the text of one stream.
        finish: What reads why the model stopped. The first that finds it is right.
        usage: Reads the tokens of the prompt, those of the answer, and both together.
        model: Reads the model that answers.
        tool_calls: What reads the calls that the model asks for.
        refuse: Raises the error of which a message tells.
    """

    message: type[Message]
    text: Callable[[], ReadText]
    finish: Sequence[FinishParts]
    usage: Read | None
    model: Read | None
    tool_calls: ToolCallParts | None
    refuse: Callable[[Message], None] | None


class ResponseReader:
    """Reads the responses of one RPC, one after the other."""

    __slots__ = ("_calls", "_counts", "_index", "_parse", "_parts", "_text", "_told_counts")

    def __init__(self, parts: ResponseParts) -> None:
        self._parts = parts
        self._parse = parts.message.FromString
        self._text = parts.text()
        self._index = 0
        self._calls = 0
        self._counts = self._told_counts = (0, 0, 0)

    def __call__(self, raw: bytes) -> StreamCompletionResponse:
        """Return what is new with a response.

        Raises:
            DecodeError: it can't be read.
            RpcError: it tells of an error.
        """
        parts = self._parts
        message = self._parse(raw)
        if parts.refuse is not None:
            parts.refuse(message)
        response = StreamCompletionResponse(index=self._index, text=self._text(message))
        if parts.model is not None and not self._index:
            response.model = parts.model(message)
        if parts.tool_calls is not None:
            self._add_tool_calls(parts.tool_calls, message, response)
        if parts.finish:
            self._add_finish_reason(message, response)
        if parts.usage is not None:
            counts = parts.usage(message)
            if counts != self._told_counts:
                self._told_counts = counts
                self._add_usage(counts, response)
        self._index += 1
        return response

    def _add_tool_calls(
        self, read: ToolCallParts, message: Message, response: StreamCompletionResponse
    ) -> None:
        for call in read.each(message):
            index = self._calls if read.index is None else max(read.index(call), 0)
            delta = response.tool_calls.add(index=index, arguments=read.arguments(call))
            if index >= self._calls:
                told = "" if read.id is None else read.id(call)
                delta.id, delta.name = told or f"call_{uuid4().hex}", read.name(call)
                self._calls = index + 1

    def _add_finish_reason(self, message: Message, response: StreamCompletionResponse) -> None:
        for finish in self._parts.finish:
            value = finish.read(message)
            reason = finish.reasons.get(value)
            if reason is not None:
                # Some say of calls, too, that the model came to an end.
                if reason == FinishReason.FINISH_REASON_STOP and self._calls:
                    reason = FinishReason.FINISH_REASON_TOOL_CALLS
                response.finish_reason = reason
                return
            failure = finish.failures.get(value)
            if failure is not None:
                raise RpcError(*failure)

    def _add_usage(self, counts: Sequence[int], response: StreamCompletionResponse) -> None:
        prompt, completion, total = (
            new if new > 0 else old for new, old in zip(counts, self._counts, strict=True)
        )
        if (prompt, completion, total) != self._counts:
            self._counts = prompt, completion, total
            response.usage.prompt_tokens = prompt
            response.usage.completion_tokens = completion
            response.usage.total_tokens = total or prompt + completion


class TextDecoder:
    """Reads text from bytes that may end within a character.

    Args:
        read: Reads the bytes.
        skip: How many stand before the text.
    """

    __slots__ = ("_decode", "_read", "_skip")

    def __init__(self, read: Read, skip: int) -> None:
        self._read = read
        self._skip = skip
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def __call__(self, message: Message) -> str:
        """Return what is whole of the text."""
        return self._decode(self._read(message)[self._skip :])


class NewText:
    """Reads what is new in the text of messages that have all of it so far.

    Args:
        read: Reads the whole text.
    """

    __slots__ = ("_read", "_sent")

    def __init__(self, read: ReadText) -> None:
        self._read = read
        self._sent = ""

    def __call__(self, message: Message) -> str:
        """Return what is new.

        Raises:
            RpcError: the text doesn't go on from what it was.
        """
        text, sent = self._read(message), self._sent
        if not text:
            return ""
        if not text.startswith(sent):
            raise RpcError(Status.INTERNAL, cause="the backend has changed what it had said")
        self._sent = text
        return text[len(sent) :]
