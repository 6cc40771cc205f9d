"""The plain dialect by itself; tests/bridge/test_stream.py has it on the wire."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects.plain import ChatRequest, PlainDialect
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import Role, StreamCompletionResponse, Usage

plain = PlainDialect()


def account(*messages: StreamCompletionResponse) -> StreamAccount:
    counted = StreamAccount("the-request", "", keep_answer=True)
    for message in messages:
        counted.add([message], counted.started)
    return counted


@given(st.text(min_size=1))
def test_a_text_is_one_frame_of_one_line(text: str) -> None:
    frame = plain.message(StreamCompletionResponse(text=text))
    assert frame.startswith(b"data: ")
    assert frame.endswith(b"\n\n")
    line = frame[6:-2]
    assert b"\n" not in line
    assert b"\r" not in line
    assert json.loads(line) == {"content": text}


@given(st.text(min_size=1), st.sampled_from([s for s in Status if s is not Status.OK]))
def test_an_error_is_one_frame_and_done(text: str, status: Status) -> None:
    frames = plain.error(Failure(text, status)).split(b"\n\n")
    assert frames[1:] == [b"data: [DONE]", b""]
    assert json.loads(frames[0].removeprefix(b"data: ")) == {
        "error": text,
        "code": status.name,
        "retryable": status.retryable,
    }


def test_the_body_of_an_error_names_each_wrong_field() -> None:
    failure = Failure("why", Status.INVALID_ARGUMENT, [("messages", "is required")])
    body = {"error": "why", "code": "INVALID_ARGUMENT", "retryable": False}
    assert plain.errors.body(Failure("why", Status.INVALID_ARGUMENT)) == body
    assert plain.errors.body(failure) == {
        **body,
        "fields": [{"field": "messages", "description": "is required"}],
    }


def test_usage_alone_has_a_content_too() -> None:
    used = account(StreamCompletionResponse(usage=Usage(prompt_tokens=1, total_tokens=1)))
    frame = plain.closing(used).split(b"\n\n")[0]
    assert json.loads(frame.removeprefix(b"data: ")) == {
        "content": "",
        "usage": {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1},
    }


def test_a_whole_answer_of_nothing_is_an_empty_text() -> None:
    assert plain.whole(account()) == {"content": ""}


def test_what_a_request_does_not_set_is_not_set_in_the_rpc() -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    request = ChatRequest.model_validate(body).to_rpc()
    assert request.model == ""
    assert not request.HasField("temperature")
    assert not request.HasField("max_tokens")
    assert not request.HasField("seed")


def test_zero_is_not_unset() -> None:
    body = {"messages": [{"role": "user", "content": ""}], "temperature": 0}
    request = ChatRequest.model_validate(body).to_rpc()
    assert request.HasField("temperature")
    assert request.temperature == 0


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("system", Role.ROLE_SYSTEM),
        ("user", Role.ROLE_USER),
        ("assistant", Role.ROLE_ASSISTANT),
    ],
)
def test_roles_are_those_of_the_schema(name: str, role: Role.ValueType) -> None:
    body = {"messages": [{"role": name, "content": "hello"}], "model": "m", "max_tokens": 7}
    request = ChatRequest.model_validate(body).to_rpc()
    assert (request.messages[0].role, request.messages[0].content) == (role, "hello")
    assert (request.model, request.max_tokens) == ("m", 7)
