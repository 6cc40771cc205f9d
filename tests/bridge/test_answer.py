"""A whole answer from the messages of its stream."""

from __future__ import annotations

from bridge.answer import Answer
from protos.completion.v1.completion_pb2 import (
    StreamCompletionResponse,
    TokenLogprob,
    ToolCallDelta,
)


def test_choices_come_mixed_and_are_told_apart() -> None:
    answer = Answer()
    answer.add([StreamCompletionResponse(text="a", choice=1), StreamCompletionResponse(text="b")])
    answer.add([StreamCompletionResponse(text="c", choice=1)])
    assert [answer.choice(index).text for index in range(3)] == ["b", "ac", ""]
    assert answer.text == "bac"


def test_tool_calls_are_put_together_in_their_order() -> None:
    answer = Answer()
    for delta in (
        ToolCallDelta(index=1, id="two", name="g", arguments="{"),
        ToolCallDelta(index=0, id="one", name="f"),
        ToolCallDelta(index=1, arguments="}"),
    ):
        answer.add([StreamCompletionResponse(tool_calls=[delta])])
    found = [(call.id, call.name, call.arguments) for call in answer.choice(0).tool_calls]
    assert found == [("one", "f", ""), ("two", "g", "{}")]


def test_an_index_that_makes_no_sense_takes_no_memory() -> None:
    answer = Answer()
    delta = ToolCallDelta(index=2**32 - 1, id="far")
    answer.add([StreamCompletionResponse(tool_calls=[delta])])
    assert [call.id for call in answer.choice(0).tool_calls] == ["far"]


def test_probabilities_are_kept_in_order() -> None:
    answer = Answer()
    for token in ("a", "b"):
        answer.add([StreamCompletionResponse(logprobs=[TokenLogprob(token=token)])])
    assert [logprob.token for logprob in answer.choice(0).logprobs] == ["a", "b"]
