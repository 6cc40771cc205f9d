"""Requests of OpenAI's Responses, and the events of an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.dialects.openai_responses import OpenAIResponsesDialect
from bridge.dialects.openai_responses_request import OpenAIResponsesRequest
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)


def read(**fields: Any) -> OpenAIResponsesRequest:
    return OpenAIResponsesRequest.model_validate({"input": "hi", **fields})


def rpc(**fields: Any) -> StreamCompletionRequest:
    return read(**fields).to_rpc()


def violations(**fields: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(**fields)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


def test_what_a_request_does_not_say_is_not_set() -> None:
    plain = StreamCompletionRequest(messages=[Message(role=Role.ROLE_USER, content="hi")])
    assert rpc() == plain
    names = set(OpenAIResponsesRequest.model_fields) - {"input"}
    assert rpc(**dict.fromkeys(names)) == plain


def test_what_a_request_says_is_carried() -> None:
    schema = {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": True}
    request = rpc(
        model="m",
        instructions="Be brief.",
        temperature=0,
        top_p=0.5,
        max_output_tokens=5,
        parallel_tool_calls=False,
        text={"format": schema},
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        tool_choice={"type": "function", "name": "f"},
        include=["message.output_text.logprobs"],
    )
    assert request.messages[0] == Message(role=Role.ROLE_SYSTEM, content="Be brief.")
    assert (request.model, request.top_p, request.max_tokens) == ("m", 0.5, 5)
    assert request.HasField("temperature")
    assert request.HasField("parallel_tool_calls")
    assert request.HasField("top_logprobs")
    assert json.loads(request.response_format.schema) == {"type": "object"}
    assert request.tools[0].name == "f"
    assert request.tool_choice == ToolChoice(mode=ToolChoice.MODE_REQUIRED, name="f")


def test_calls_belong_to_what_was_said_before_them() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    request = rpc(
        input=[
            {**call, "call_id": "a"},
            {"role": "developer", "content": "Be brief."},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]},
            {**call, "call_id": "b"},
            {**call, "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
        ]
    )
    calls = {name: ToolCall(id=name, name="f", arguments="{}") for name in "abc"}
    assert request.messages == [
        Message(role=Role.ROLE_ASSISTANT, tool_calls=[calls["a"]]),
        Message(role=Role.ROLE_SYSTEM, content="Be brief."),
        Message(role=Role.ROLE_ASSISTANT, content="Wait.", tool_calls=[calls["b"], calls["c"]]),
        Message(role=Role.ROLE_TOOL, tool_call_id="c", content="42"),
    ]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"store": True}, {"store": "The bridge stores no responses"}),
        (
            {"previous_response_id": "r"},
            {"previous_response_id": "This is not supported by the bridge"},
        ),
        ({"tool_choice": "function"}, {"": "tool_choice: The type 'function' needs a name"}),
        (
            {"include": ["a"]},
            {"include": "Of these, the bridge has only message.output_text.logprobs"},
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            {
                "input.0.message.content": "Part 0 is of the type 'input_file'; the bridge carries "
                "only text"
            },
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_can_t_be_carried_is_refused(fields: dict[str, Any], found: dict[str, str]) -> None:
    assert violations(**fields) == found


def test_what_only_advises_is_ignored() -> None:
    assert rpc(reasoning={"effort": "low"}, truncation="auto", store=False, mine=1) == rpc()


def events(frames: bytes) -> list[dict[str, Any]]:
    found = []
    for frame in frames.decode().removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]:
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


def dialect() -> OpenAIResponsesDialect:
    return OpenAIResponsesDialect("r", 1, read(model="asked-for").repeated(), logprobs=False)


def calling(index: int, **fields: Any) -> StreamCompletionResponse:
    return StreamCompletionResponse(tool_calls=[ToolCallDelta(index=index, **fields)])


def test_items_that_come_mixed_are_told_apart() -> None:
    writing = dialect()
    messages = [
        StreamCompletionResponse(text="a", model="given"),
        calling(0, id="x", name="f", arguments="{"),
        calling(1, id="y", name="g"),
        StreamCompletionResponse(text="b"),
        calling(0, arguments="}"),
    ]
    frames = b"".join(map(writing.message, messages))
    frames += writing.closing(StreamAccount("r", "", keep_answer=False))
    assert frames.endswith(b"data: [DONE]\n\n")
    found = events(frames)
    response = found[-1]["response"]
    assert response["model"] == "given"
    assert [
        item.get("arguments", item.get("content", [{}])[0].get("text"))
        for item in response["output"]
    ] == ["a", "{}", "", "b"]
    done = [event["item"]["id"] for event in found if event["type"].endswith("item.done")]
    added = [event["item"]["id"] for event in found if event["type"].endswith("item.added")]
    assert sorted(done) == sorted(added)
    assert len(set(added)) == 4


def test_an_empty_answer_is_a_response_of_no_items() -> None:
    found = events(dialect().closing(StreamAccount("r", "", keep_answer=False)))
    assert [event["type"] for event in found] == [
        "response.created",
        "response.in_progress",
        "response.completed",
    ]
    response = found[-1]["response"]
    assert response["output"] == []
    # OpenAI's types must have it; null is for a request with no program of its own.
    assert response["access_programs"] is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.RESOURCE_EXHAUSTED, "rate_limit_exceeded"),
        (Status.UNAVAILABLE, "server_error"),
        (Status.DEADLINE_EXCEEDED, "server_error"),
    ],
)
def test_a_failure_ends_the_response_and_the_stream(status: Status, code: str) -> None:
    writing = dialect()
    frames = writing.message(StreamCompletionResponse(text="a"))
    *_, failed, error = events(frames + writing.error(Failure("why", status)))
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": code, "message": "why"}
    assert failed["response"]["output"][0]["status"] == "incomplete"
    assert (error["type"], error["message"], error["error"]["message"]) == ("error", "why", "why")
