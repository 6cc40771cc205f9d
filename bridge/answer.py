"""A whole answer, put together from the messages of its stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bridge.status import Status
from bridge.upstream import RpcError
from protos.completion.v1.completion_pb2 import (
    StreamCompletionResponse,
    TokenLogprob,
    ToolCallDelta,
)


@dataclass(slots=True)
class ToolCall:
    """A call of a tool that the model asks for.

    Attributes:
        id: By what its result names it.
        name: The tool.
    """

    id: str = ""
    name: str = ""
    _arguments: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """What the model has written as arguments: an object, as JSON, unless it erred."""
        return "".join(self._arguments)

    def arguments_object(self) -> dict[str, Any]:
        """Return the arguments as the object that they have to be.

        Raises:
            RpcError: they are none.
        """
        try:
            found = orjson.loads(self.arguments or "{}")
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            cause = "the arguments of a tool call are no JSON object"
            raise RpcError(Status.INTERNAL, cause=cause)
        return found

    def add(self, delta: ToolCallDelta) -> None:
        """Take in what is new."""
        self.id = self.id or delta.id
        self.name = self.name or delta.name
        self._arguments.append(delta.arguments)


@dataclass(slots=True)
class Choice:
    """One of the answers to a conversation.

    Attributes:
        logprobs: The tokens of the text, if their probabilities were asked for.
    """

    logprobs: list[TokenLogprob] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _tool_calls: dict[int, ToolCall] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What the model has said."""
        return "".join(self._texts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """What it asks for."""
        return [call for _, call in sorted(self._tool_calls.items())]

    def add(self, message: StreamCompletionResponse) -> None:
        """Take in what is new."""
        self._texts.append(message.text)
        self.logprobs += message.logprobs
        for delta in message.tool_calls:
            self._tool_calls.setdefault(delta.index, ToolCall()).add(delta)


class Answer:
    """All choices of an answer, as far as they have come.

    Attributes:
        system_fingerprint: What the answer depends on beside the request; empty if untold.
    """

    def __init__(self) -> None:
        self._choices: dict[int, Choice] = {}
        self.system_fingerprint = ""

    @property
    def text(self) -> str:
        """The texts of all choices, one after the other."""
        return "".join(choice.text for _, choice in sorted(self._choices.items()))

    def choice(self, index: int) -> Choice:
        """Return a choice, empty if nothing of it has come."""
        return self._choices.get(index) or Choice()

    def add(self, messages: Sequence[StreamCompletionResponse]) -> None:
        """Take in the messages that come next."""
        for message in messages:
            self.system_fingerprint = self.system_fingerprint or message.system_fingerprint
            self._choices.setdefault(message.choice, Choice()).add(message)
