"""What the page is told on each wire that it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from bridge.status import Status

Test = TypeVar("Test", bound=Callable[..., Any])

FAILURES = [status for status in Status if status is not Status.OK]

# The status whose meaning the page shows for another; None where it can't know any.
Told = Mapping[Status, Status | None]

_INVALID = {
    Status.FAILED_PRECONDITION: Status.INVALID_ARGUMENT,
    Status.OUT_OF_RANGE: Status.INVALID_ARGUMENT,
}
EXACTLY: Told = {status: status for status in FAILURES}
BY_HTTP: Told = {
    **EXACTLY,
    **_INVALID,
    Status.INTERNAL: Status.UNKNOWN,
    Status.DATA_LOSS: Status.UNKNOWN,
    Status.ALREADY_EXISTS: None,
    Status.ABORTED: None,
}
BY_TYPE: Told = {
    **EXACTLY,
    **_INVALID,
    Status.CANCELLED: None,
    Status.UNKNOWN: None,
    Status.ALREADY_EXISTS: None,
    Status.ABORTED: None,
    Status.UNIMPLEMENTED: None,
    Status.INTERNAL: None,
    Status.DATA_LOSS: None,
}
NOTHING: Told = dict.fromkeys(FAILURES)
_CUT_SHORT = frozenset({"length", "content_filter"})


@dataclass(frozen=True)
class Wire:
    """A wire of the page.

    Attributes:
        name: As the page has it.
        path: Where the request goes.
        early: What is told of a failure before the first message.
        late: What is told of one in mid-stream.
        reasons: The reasons why a model stops that are told.
        usage: Whether the usage is told.
        end: What ends a frame.
    """

    name: str
    path: str
    early: Told
    late: Told
    reasons: frozenset[str] = _CUT_SHORT | {"tool_calls"}
    usage: bool = True
    end: str = "\n\n"


WIRES = [
    Wire("Plain", "/v1/chat/completions", EXACTLY, EXACTLY),
    Wire("OpenAI Chat Completions", "/openai/v1/chat/completions", EXACTLY, EXACTLY),
    Wire("OpenAI Responses", "/openai/v1/responses", EXACTLY, EXACTLY),
    Wire("Anthropic Messages", "/anthropic/v1/messages", BY_HTTP, BY_TYPE),
    Wire("AI SDK UI messages", "/ui-message/api/chat", BY_HTTP, NOTHING, usage=False),
    Wire("Ollama", "/ollama/api/chat", BY_HTTP, NOTHING, _CUT_SHORT, end="\n"),
]


def each_wire(test: Test) -> Test:
    """Run a test on each wire."""
    parametrized: Test = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)(test)
    return parametrized
