"""OpenAI's chat completion format."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from backend.engines.chat import Answer, error_status, request_body
from backend.engines.engine import Delta
from backend.status import RpcError
from protos.completion.v1.completion_pb2 import (
    FinishReason,
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from tests.backend.calls import asking


def chunk(content: str | None = None, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": content}, "finish_reason": finish_reason}]}


def test_a_request_says_only_what_the_client_said() -> None:
    assert request_body(asking("hi"), "m") == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_request_says_all_that_the_client_said() -> None:
    said = [(Role.ROLE_SYSTEM, "a"), (Role.ROLE_USER, "b"), (Role.ROLE_ASSISTANT, "c")]
    request = StreamCompletionRequest(
        messages=[Message(role=role, content=content) for role, content in said],
        temperature=0.7,
        top_p=0.95,
        max_tokens=5,
        stop=["x", "y"],
        seed=2**64 - 1,
    )
    body = request_body(request, "m")
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant"]
    assert (body["temperature"], body["top_p"]) == (0.7, 0.95)
    assert (body["max_tokens"], body["seed"], body["stop"]) == (5, 2**64 - 1, ["x", "y"])


def test_a_request_says_what_is_asked_beside_the_text() -> None:
    call = ToolCall(id="one", name="f", arguments="{}")
    request = StreamCompletionRequest(
        messages=[
            Message(role=Role.ROLE_ASSISTANT, tool_calls=[call]),
            Message(role=Role.ROLE_TOOL, tool_call_id="one", content="42"),
        ],
        choices=2,
        tools=[Tool(name="f", description="d", parameters='{"type":"object"}', strict=True)],
        tool_choice=ToolChoice(mode=ToolChoice.MODE_REQUIRED, name="f"),
        parallel_tool_calls=False,
        response_format=ResponseFormat(schema='{"type":"object"}', name="s", strict=True),
        top_logprobs=0,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
    )
    body = request_body(request, "m")
    function = {"name": "f", "arguments": "{}"}
    assert body["messages"] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "one", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "42", "tool_call_id": "one"},
    ]
    assert (body["n"], body["parallel_tool_calls"]) == (2, False)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 0)
    assert (body["frequency_penalty"], body["presence_penalty"]) == (0.1, -0.1)
    described = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert body["tools"] == [{"type": "function", "function": described}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
    }


@pytest.mark.parametrize(
    ("mode", "written"),
    [
        (ToolChoice.MODE_NONE, "none"),
        (ToolChoice.MODE_AUTO, "auto"),
        (ToolChoice.MODE_REQUIRED, "required"),
    ],
)
def test_a_tool_choice_of_no_tool_is_a_word(mode: ToolChoice.Mode.ValueType, written: str) -> None:
    body = request_body(asking("", tool_choice=ToolChoice(mode=mode)), "m")
    assert body["tool_choice"] == written


def test_any_object_is_a_format_of_its_own() -> None:
    body = request_body(asking("", response_format=ResponseFormat()), "m")
    assert body["response_format"] == {"type": "json_object"}


def test_zero_is_not_the_same_as_not_set() -> None:
    body = request_body(asking("hi", temperature=0, seed=0), "m")
    assert (body["temperature"], body["seed"]) == (0, 0)


def test_an_answer_gives_texts_and_then_its_end() -> None:
    answer = Answer()
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    chunks = [
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        chunk("a"),
        chunk(None),
        chunk("b", "length"),
        {"choices": [], "usage": usage},
    ]
    read = [answer.read(c) for c in chunks]
    assert read == [[], [Delta("a")], [], [Delta("b")], []]
    assert answer.finished
    assert [*answer.end()] == [Delta("", FinishReason.FINISH_REASON_LENGTH, Usage(**usage))]


def test_a_chunk_with_usage_needs_no_choices() -> None:
    answer = Answer()
    assert answer.read({"usage": {"prompt_tokens": 1, "total_tokens": 1}}) == []
    (last,) = answer.end()
    assert last.usage == Usage(prompt_tokens=1, total_tokens=1)


def test_choices_end_each_for_its_own_reason_and_together() -> None:
    answer = Answer(choices=2)
    assert answer.read({"choices": [of(1, "a")]}) == [Delta("a", choice=1)]
    answer.read({"choices": [of(1, "", "length")]})
    assert not answer.finished
    answer.read({"choices": [of(0, "b", "stop")]})
    assert answer.finished
    assert [(delta.choice, delta.finish_reason) for delta in answer.end()] == [
        (0, FinishReason.FINISH_REASON_STOP),
        (1, FinishReason.FINISH_REASON_LENGTH),
    ]


def of(index: int, content: str, finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": content}, "finish_reason": finish_reason}


def test_tool_calls_arrive_as_they_are_written() -> None:
    written = [
        {"index": 0, "id": "one", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
    ]
    answer = Answer()
    read = [answer.read({"choices": [{"delta": {"tool_calls": [call]}}]}) for call in written]
    assert [call for (delta,) in read for call in delta.tool_calls] == [
        ToolCallDelta(id="one", name="f"),
        ToolCallDelta(arguments="{}"),
    ]


def test_probabilities_and_the_fingerprint_arrive() -> None:
    token: dict[str, Any] = {"token": "a", "logprob": -0.5, "bytes": [97]}
    other: dict[str, Any] = {"token": "b", "logprob": -2}
    logprobs = {"content": [{**token, "top_logprobs": [token, other]}]}
    answer = Answer()
    read = [
        answer.read({"choices": [{**of(0, "a"), "logprobs": logprobs}], "system_fingerprint": "fp"})
        for _ in range(2)
    ]
    expected = TokenLogprob(**{**token, "bytes": b"a"})
    expected.top.extend([TokenLogprob(**{**token, "bytes": b"a"}), TokenLogprob(**other)])
    assert read == [
        [Delta("a", logprobs=(expected,), system_fingerprint="fp")],
        [Delta("a", logprobs=(expected,))],
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stop", FinishReason.FINISH_REASON_STOP),
        ("length", FinishReason.FINISH_REASON_LENGTH),
        ("content_filter", FinishReason.FINISH_REASON_CONTENT_FILTER),
        ("tool_calls", FinishReason.FINISH_REASON_TOOL_CALLS),
        ("function_call", FinishReason.FINISH_REASON_TOOL_CALLS),
        ("of its own", FinishReason.FINISH_REASON_UNSPECIFIED),
    ],
)
def test_finish_reasons(name: str, reason: FinishReason.ValueType) -> None:
    answer = Answer()
    answer.read(chunk("", name))
    assert answer.finished
    assert [*answer.end()] == [Delta("", reason)]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        1,
        "text",
        [],
        {},
        {"choices": 1},
        {"choices": [1]},
        {"choices": {"0": 1}},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": 5}]},
        {"choices": [{"index": 1, "delta": {"content": "a"}}]},
        {"choices": [{"index": "0", "delta": {"content": "a"}}]},
        {"choices": [{"delta": {"tool_calls": [{"id": "one"}]}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": 1}]}}]},
        {"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]},
        {"choices": [{"delta": {}, "finish_reason": ["stop"]}]},
        {"choices": [], "usage": {"prompt_tokens": -1, "total_tokens": 1}},
        {"choices": [], "usage": {"prompt_tokens": "1", "total_tokens": 1}},
        {"choices": None},
        {"choices": [], "usage": {"total_tokens": 1}},
    ],
)
def test_a_chunk_that_is_none_is_an_error(bad: object) -> None:
    with pytest.raises(RpcError) as caught:
        Answer().read(bad)
    assert caught.value.code is grpc.StatusCode.INTERNAL
    assert caught.value.message == "the model's server sent a chunk that makes no sense"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT),
        (401, grpc.StatusCode.UNAUTHENTICATED),
        (403, grpc.StatusCode.PERMISSION_DENIED),
        (404, grpc.StatusCode.NOT_FOUND),
        (408, grpc.StatusCode.DEADLINE_EXCEEDED),
        (409, grpc.StatusCode.ABORTED),
        (413, grpc.StatusCode.INVALID_ARGUMENT),
        (422, grpc.StatusCode.INVALID_ARGUMENT),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (500, grpc.StatusCode.UNAVAILABLE),
        (502, grpc.StatusCode.UNAVAILABLE),
        (503, grpc.StatusCode.UNAVAILABLE),
        (504, grpc.StatusCode.UNAVAILABLE),
        (529, grpc.StatusCode.UNAVAILABLE),
        (302, grpc.StatusCode.UNKNOWN),
        (418, grpc.StatusCode.UNKNOWN),
    ],
)
def test_every_http_status_has_a_code(status: int, code: grpc.StatusCode) -> None:
    error = error_status(status, {"error": {"message": "Because."}})
    assert error.code is code
    if status not in {401, 403}:
        assert error.message == "Because."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 429}, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ({"code": 502, "type": "invalid_request_error"}, grpc.StatusCode.UNAVAILABLE),
        ({"code": "rate_limit_exceeded"}, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ({"type": "insufficient_quota"}, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ({"type": "invalid_request_error", "code": None}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"type": "x", "code": "model_not_found"}, grpc.StatusCode.NOT_FOUND),
        ({"type": "authentication_error"}, grpc.StatusCode.UNAUTHENTICATED),
        ({"type": "permission_error"}, grpc.StatusCode.PERMISSION_DENIED),
        ({"type": "server_error"}, grpc.StatusCode.UNAVAILABLE),
        ({"type": "overloaded_error"}, grpc.StatusCode.UNAVAILABLE),
        ({"code": 7}, grpc.StatusCode.UNAVAILABLE),
        ({"code": ["x"], "type": {}}, grpc.StatusCode.UNAVAILABLE),
        ("Just a text.", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_an_error_inside_a_stream_has_a_code(error: object, code: grpc.StatusCode) -> None:
    with pytest.raises(RpcError) as caught:
        Answer().read({"error": error})
    assert caught.value.code is code


def test_the_reason_of_an_error_is_passed_on() -> None:
    assert error_status(500, {"error": "Because."}).message == "Because."
    assert error_status(None, {"error": {"message": "Because."}}).message == "Because."


@pytest.mark.parametrize("body", [None, [], {}, {"error": {}}, {"error": {"message": 5}}, "text"])
def test_an_error_without_a_reason_says_so(body: object) -> None:
    assert error_status(503, body).message == (
        "the model's server reports an error (HTTP status 503) and no reason"
    )
    assert error_status(None, body).message == "the model's server reports an error and no reason"


def test_a_long_reason_is_shortened() -> None:
    message = error_status(400, {"error": {"message": "x" * 10_000}}).message
    assert message == "x" * 500 + "..."


@pytest.mark.parametrize("status", [401, 403])
def test_what_is_said_of_a_refused_key_is_not_passed_on(status: int) -> None:
    error = error_status(status, {"error": {"message": "Incorrect key: sk-****1234"}})
    assert error.message == "the model's server refuses the backend's API key"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            {"type": "exceed_context_size_error", "n_prompt_tokens": 600, "n_ctx": 512},
            "have 600 tokens; with the answer, 512 are the most",
        ),
        (
            {"code": "context_length_exceeded", "message": "maximum is 512 tokens, got 600"},
            "maximum is 512 tokens, got 600",
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_an_invalid_field(error: object, reason: str) -> None:
    status = error_status(400, {"error": error})
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert status.message == f"messages: {reason}"
    (detail,) = status.details
    assert isinstance(detail, error_details_pb2.BadRequest)
    (violation,) = detail.field_violations
    assert (violation.field, violation.description) == ("messages", reason)
