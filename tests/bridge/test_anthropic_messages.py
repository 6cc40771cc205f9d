"""A stream as Anthropic's events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.dialects.anthropic_messages import AnthropicDialect, AnthropicErrors
from bridge.failure import Failure
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from bridge.upstream import RpcError
from protos.completion.v1.completion_pb2 import StreamCompletionResponse, ToolCallDelta


def events(frames: bytes) -> list[dict[str, Any]]:
    """Return what is in the frames, each of which has the name of its type."""
    found = []
    for frame in frames.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def calling(index: int, **fields: Any) -> StreamCompletionResponse:
    return StreamCompletionResponse(tool_calls=[ToolCallDelta(index=index, **fields)])


def test_blocks_come_one_after_the_other() -> None:
    dialect = AnthropicDialect("m", "")
    messages = [
        StreamCompletionResponse(text="a"),
        calling(0, id="x", name="f", arguments="{}"),
        StreamCompletionResponse(text="b"),
        calling(1, id="y", name="g"),
    ]
    frames = b"".join(map(dialect.message, messages))
    frames += dialect.closing(StreamAccount("r", "", keep_answer=False))
    found = [(event["type"], event.get("index")) for event in events(frames)]
    assert found == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("content_block_start", 3),
        ("content_block_stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]


def test_what_nobody_has_told_is_null_and_not_left_out() -> None:
    account = StreamAccount("r", "", keep_answer=True)
    dialect = AnthropicDialect("m", "")
    messages = [StreamCompletionResponse(text="a"), calling(0, id="x", name="f")]
    account.add(messages, account.started)
    frames = b"".join(map(dialect.message, messages)) + dialect.closing(account)
    found = {event["type"]: event for event in reversed(events(frames))}
    assert found["content_block_start"]["content_block"]["citations"] is None
    ending, whole = found["message_delta"], AnthropicDialect("m", "").whole(account)
    assert ending["delta"].items() <= whole.items()
    assert ending["usage"].items() <= whole["usage"].items()
    for message in (found["message_start"]["message"], whole):
        untold = [name for name, value in message.items() if value is None]
        assert {"container", "diagnostics", "stop_details"} <= set(untold)
        assert [n for n, value in message["usage"].items() if value is not None] == [
            "input_tokens",
            "output_tokens",
        ]
    assert [block["type"] for block in whole["content"]] == ["text", "tool_use"]
    assert whole["content"][0]["citations"] is None
    # Only Anthropic's own tools call others.
    assert whole["content"][1]["caller"] == {"type": "direct"}


def test_the_message_names_the_model_that_answers() -> None:
    named = AnthropicDialect("m", "asked-for").message(StreamCompletionResponse(model="given"))
    silent = AnthropicDialect("m", "asked-for").message(StreamCompletionResponse())
    assert events(named)[0]["message"]["model"] == "given"
    assert events(silent)[0]["message"]["model"] == "asked-for"


def test_a_tool_call_that_goes_on_too_late_ends_the_stream() -> None:
    dialect = AnthropicDialect("m", "")
    dialect.message(calling(0, id="x", name="f"))
    dialect.message(calling(1, id="y", name="g"))
    with pytest.raises(RpcError) as caught:
        dialect.message(calling(0, arguments="{}"))
    assert caught.value.status is Status.INTERNAL
    assert caught.value.cause == "the backend went on with tool call 0 after it began another"


@pytest.mark.parametrize("arguments", ["{", "[]", "NaN", '"a"'])
def test_arguments_that_are_no_object_can_t_be_told_as_a_whole(arguments: str) -> None:
    account = StreamAccount("r", "", keep_answer=True)
    account.add([calling(0, id="x", name="f", arguments=arguments)], account.started)
    with pytest.raises(RpcError) as caught:
        AnthropicDialect("m", "").whole(account)
    assert caught.value.status is Status.INTERNAL
    assert caught.value.cause == "the arguments of a tool call are no JSON object"


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK], ids=lambda s: s.name)
def test_an_error_has_a_type_and_a_status_of_anthropic_s(status: Status) -> None:
    form = AnthropicErrors()
    failure = Failure("why", status, request_id="r")
    body = form.body(failure)
    assert (body["type"], body["request_id"]) == ("error", "r")
    assert body["error"]["message"] == "why"
    assert body["error"]["type"].endswith("_error")
    assert form.http(status) == (529 if status is Status.UNAVAILABLE else status.http)
    (event,) = events(AnthropicDialect("m", "").error(failure))
    assert event == body


def test_a_heartbeat_is_a_ping() -> None:
    assert AnthropicDialect("m", "").heartbeat() == b'event: ping\ndata: {"type":"ping"}\n\n'
