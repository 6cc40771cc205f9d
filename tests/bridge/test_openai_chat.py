"""A stream as chunks of OpenAI's chat completions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.dialects.openai_chat import OpenAIChatDialect, OpenAIErrors
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import FinishReason, StreamCompletionResponse, Usage

STOP = FinishReason.FINISH_REASON_STOP
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def chunks(frames: bytes) -> list[dict[str, Any]]:
    """Return what is in the frames, each of one line, but for ``[DONE]``."""
    lines = frames.decode().split("\n\n")[:-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines if "[DONE]" not in line]


def account(*messages: StreamCompletionResponse) -> StreamAccount:
    counted = StreamAccount("the-request", "", keep_answer=True)
    counted.add(messages, counted.started)
    return counted


@given(TEXT.filter(bool), TEXT, TEXT, st.booleans())
@example("\0", "\0", "\0", False)
def test_the_short_way_writes_what_the_long_way_does(
    text: str, model: str, fingerprint: str, include_usage: bool
) -> None:
    message = StreamCompletionResponse(text=text, model=model, system_fingerprint=fingerprint)
    ways = [
        OpenAIChatDialect("id", 1, "", only_text=only_text, include_usage=include_usage)
        for only_text in (True, False)
    ]
    short, long = (way.message(message) + way.message(message) for way in ways)
    assert short == long
    (_, first, second) = chunks(short)
    assert first == second
    assert first["choices"][0]["delta"] == {"content": text}
    assert first["model"] == model
    # OpenAI's types have it as a text, or not at all.
    assert ("system_fingerprint" in first) == bool(fingerprint)
    assert first.get("system_fingerprint", "") == fingerprint
    assert ("usage" in first) == include_usage


def test_each_choice_begins_with_its_role_and_ends_with_its_reason() -> None:
    dialect = OpenAIChatDialect("id", 1, "", choices=2, only_text=False)
    message = StreamCompletionResponse(text="a", choice=1)
    opening = chunks(dialect.message(message))
    roles = [(c["choices"][0]["index"], c["choices"][0]["delta"].get("role")) for c in opening]
    assert roles == [(0, "assistant"), (1, "assistant"), (1, None)]
    ending = account(
        StreamCompletionResponse(choice=1, finish_reason=FinishReason.FINISH_REASON_LENGTH),
        StreamCompletionResponse(),
    )
    reasons = [
        (c["choices"][0]["index"], c["choices"][0]["finish_reason"])
        for c in chunks(dialect.closing(ending))
    ]
    assert reasons == [(0, "stop"), (1, "length")]


def test_a_message_with_nothing_to_show_has_no_chunk() -> None:
    for only_text in (True, False):
        dialect = OpenAIChatDialect("id", 1, "", only_text=only_text)
        assert len(chunks(dialect.message(StreamCompletionResponse(finish_reason=STOP)))) == 1
        assert dialect.message(StreamCompletionResponse(finish_reason=STOP)) == b""


def test_a_stream_ends_with_done() -> None:
    dialect = OpenAIChatDialect("id", 1, "", include_usage=True)
    used = account(StreamCompletionResponse(usage=Usage(prompt_tokens=1, total_tokens=1)))
    frames = dialect.closing(used)
    assert frames.endswith(b"\n\ndata: [DONE]\n\n")
    assert chunks(frames)[-1]["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 0,
        "total_tokens": 1,
    }
    failed = dialect.error(Failure("why", Status.UNAVAILABLE))
    assert failed.endswith(b"\n\ndata: [DONE]\n\n")
    assert len(chunks(failed)) == 1


def test_a_reason_that_openai_does_not_know_is_a_stop() -> None:
    odd = StreamCompletionResponse(finish_reason=99)  # type: ignore[arg-type]
    whole = OpenAIChatDialect("id", 1, "").whole(account(odd))
    assert whole["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (Status.INVALID_ARGUMENT, "invalid_request_error", "invalid_argument"),
        (Status.NOT_FOUND, "invalid_request_error", "model_not_found"),
        (Status.UNAUTHENTICATED, "authentication_error", "invalid_api_key"),
        (Status.PERMISSION_DENIED, "permission_error", "permission_denied"),
        (Status.RESOURCE_EXHAUSTED, "rate_limit_error", "rate_limit_exceeded"),
        (Status.UNAVAILABLE, "server_error", "unavailable"),
        (Status.DEADLINE_EXCEEDED, "server_error", "deadline_exceeded"),
        (Status.INTERNAL, "server_error", "internal"),
    ],
)
def test_an_error_has_a_type_and_a_code_of_openai_s(status: Status, kind: str, code: str) -> None:
    assert OpenAIErrors().body(Failure("why", status)) == {
        "error": {"message": "why", "type": kind, "param": None, "code": code}
    }


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("choices", "n"),
        ("messages.0.content", "messages[0].content"),
        ("messages[0].role", "messages[0].role"),
        ("tools.1.function.name", "tools[1].function.name"),
    ],
)
def test_a_field_that_is_wrong_has_openai_s_name(path: str, param: str) -> None:
    failure = Failure(f"{path}: bad", Status.INVALID_ARGUMENT, [(path, "bad"), ("", "worse")])
    error = OpenAIErrors().body(failure)["error"]
    assert error["param"] == param
    assert error["message"] == f"{param}: bad; body: worse"
