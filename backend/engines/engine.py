"""The interface between the service and whatever produces an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from protos.completion.v1.completion_pb2 import (
    FinishReason,
    Model,
    StreamCompletionRequest,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Delta:
    """What is new in an answer; the fields are those of ``StreamCompletionResponse``."""

    text: str = ""
    finish_reason: FinishReason.ValueType = FinishReason.FINISH_REASON_UNSPECIFIED
    usage: Usage | None = None
    choice: int = 0
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    system_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as an engine sees it.

    Args:
        request: A valid request for a model of the engine.
        model: The id of that model.
        request_id: The client's ``x-request-id``; may be empty.
        trailing_metadata: What the engine puts here goes to the client with the call's status.
    """

    request: StreamCompletionRequest
    model: str
    request_id: str = ""
    trailing_metadata: dict[str, str | bytes] = field(default_factory=dict)


class Engine(Protocol):
    """Answers requests for its models."""

    def models(self) -> Sequence[Model]:
        """List the models. `serves` may be true for others too."""
        ...

    def serves(self, model: str) -> bool:
        """Tell whether this engine answers requests for ``model``."""
        ...

    def complete(self, call: Call) -> AsyncGenerator[Delta]:
        """Produce an answer.

        Closing the generator ends the work for it at once, wherever it is.

        Raises:
            RpcError: the answer can't be produced, or not to its end.
        """
        ...
