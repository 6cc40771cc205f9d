"""Scripts: what a message means, and how a wrong directive is told."""

import base64
import json
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from backend.engines.directives import Abrupt, Script, parse, words
from backend.status import RpcError
from protos.completion.v1.completion_pb2 import FinishReason, Usage

UNSPECIFIED = FinishReason.FINISH_REASON_UNSPECIFIED
STOP = FinishReason.FINISH_REASON_STOP


def parsed(**directives: Any) -> Script:
    return parse(json.dumps(directives))


def violations(**directives: Any) -> dict[str, str]:
    with pytest.raises(RpcError) as caught:
        parsed(**directives)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    (detail,) = caught.value.details
    assert isinstance(detail, error_details_pb2.BadRequest)
    return {v.field: v.description for v in detail.field_violations}


@given(st.text())
@example("  two  words\n\ttabs\u2028and\x00nul\r\r\n ")
@example("\u3000")
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text
    assert all(words(text))


def test_a_word_has_the_white_space_before_it() -> None:
    assert words(" one two  three ") == [" one", " two", "  three", " "]


@pytest.mark.parametrize(
    "message", ["hello there", "", "{", "[1]", '"text"', "{}", '{"unknown": 1}', '{"text": NaN}']
)
def test_a_message_without_directives_is_its_own_words(message: str) -> None:
    assert parse(message) == Script(words(message))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["text", "count", "chunks", "first_ms", "interval_ms", "finish_reason", "usage", "fail"]
NAMES += ["hang_after", "crash_after", "metadata", "tool_calls", "logprobs"]
FAIL = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("code", "message", "after", "details"), JSON)
)
DIRECTIVES = st.fixed_dictionaries(
    {}, optional={name: JSON if name != "fail" else JSON | FAIL for name in NAMES}
)


def script_or_error(message: str) -> Script | RpcError:
    try:
        return parse(message)
    except RpcError as error:
        return error


@given(DIRECTIVES | JSON)
def test_no_message_crashes_the_parser(given_json: Any) -> None:
    match script_or_error(json.dumps(given_json)):
        case Script(chunks=chunks, first=first, interval=interval):
            assert all(isinstance(chunk, str) for chunk in chunks)
            assert first >= 0
            assert interval >= 0
        case RpcError(code=code, message=message):
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert message


def test_a_deeply_nested_message_is_its_own_words() -> None:
    message = '{"chunks": ' + "[" * 100_000
    assert parse(message).chunks == words(message)


def test_text_is_sent_once_unless_there_is_a_count() -> None:
    assert parsed(text="a").chunks == ["a"]
    assert parsed(text="a", count=3).chunks == ["a", "a", "a"]
    assert parsed(text="a", count=0).chunks == []


def test_chunks_are_sent_as_they_are() -> None:
    chunks = ["", "\U0001f600", "\u2028", "\x00", "\r", "a\n\nb"]
    assert parsed(chunks=chunks).chunks == chunks


def test_delays_are_given_in_milliseconds() -> None:
    script = parsed(text="a", first_ms=250, interval_ms=0.5)
    assert (script.first, script.interval) == (0.25, 0.0005)


def test_a_script_finishes_with_stop_unless_it_says_otherwise() -> None:
    assert parsed(text="a").finish_reason == STOP
    for name in ("length", "content_filter", "tool_calls"):
        reason = FinishReason.Value(f"FINISH_REASON_{name.upper()}")
        assert parsed(text="a", finish_reason=name).finish_reason == reason
    assert parsed(text="a", finish_reason=None).finish_reason == UNSPECIFIED


def test_no_usage_is_made_up() -> None:
    assert parsed(text="a").usage is None
    given_in_full = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 9}
    assert parsed(text="a", usage=given_in_full).usage == Usage(**given_in_full)
    summed = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    assert parsed(usage={"prompt_tokens": 1, "completion_tokens": 2}).usage == summed


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_a_script_can_fail_with_every_code(code: grpc.StatusCode) -> None:
    script = parsed(text="a", count=3, fail={"code": code.name, "message": "m", "after": 2})
    assert script.chunks == ["a", "a"]
    assert script.finish_reason == UNSPECIFIED
    assert isinstance(script.ending, RpcError)
    assert (script.ending.code, script.ending.message) == (code, "m")


def test_a_failure_comes_before_the_first_message_and_has_a_message_by_default() -> None:
    script = parsed(text="a", fail={"code": "NOT_FOUND"})
    assert script.chunks == []
    assert isinstance(script.ending, RpcError)
    assert script.ending.message == "the script ends with NOT_FOUND"


def test_a_script_that_fails_finishes_only_if_it_says_so() -> None:
    fail = {"code": "INTERNAL", "after": 1}
    script = parsed(text="a", finish_reason="length", usage={"prompt_tokens": 1}, fail=fail)
    assert script.finish_reason == FinishReason.FINISH_REASON_LENGTH
    assert script.usage == Usage(prompt_tokens=1, total_tokens=1)


def test_details_are_any_messages_of_google_rpc() -> None:
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.5s"},
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "R", "domain": "d"},
    ]
    script = parsed(fail={"code": "UNAVAILABLE", "details": details})
    assert isinstance(script.ending, RpcError)
    retry, info = script.ending.details
    unpacked = error_details_pb2.RetryInfo()
    assert retry.Unpack(unpacked)  # type: ignore[attr-defined]
    assert unpacked.retry_delay.ToMilliseconds() == 500
    assert info.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)  # type: ignore[attr-defined]


def test_abrupt_ends_come_after_so_many_messages() -> None:
    hanging = parsed(text="a", count=3, hang_after=1)
    assert (hanging.chunks, hanging.ending) == (["a"], Abrupt.HANG)
    crashing = parsed(chunks=["a", "b"], crash_after=2)
    assert (crashing.chunks, crashing.ending) == (["a", "b"], Abrupt.CRASH)


def test_metadata_is_text_or_base64() -> None:
    binary = base64.b64encode(b"\x00\xff").decode()
    metadata = {"x-a": "b c", "x-bin": binary, "grpc-status-details-bin": ""}
    script = parsed(metadata=metadata)
    assert script.metadata == {"x-a": "b c", "x-bin": b"\x00\xff", "grpc-status-details-bin": b""}


CODES = (
    "must be one of OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, "
    "ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, "
    "OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED"
)


def test_the_arguments_of_tool_calls_are_a_message_each() -> None:
    calls = [{"name": "f", "arguments": ["{", "}"]}, {"name": "g", "id": "two"}]
    script = parsed(text="a", tool_calls=calls)
    assert [(call.index, call.id, call.name, call.arguments) for call in script.tool_calls] == [
        (0, "call_0", "f", "{"),
        (0, "", "", "}"),
        (1, "two", "g", ""),
    ]
    assert script.finish_reason == FinishReason.FINISH_REASON_TOOL_CALLS


@pytest.mark.parametrize(("after", "chunks", "calls"), [(0, 0, 0), (1, 1, 0), (2, 1, 1)])
def test_an_end_counts_texts_and_then_tool_calls(after: int, chunks: int, calls: int) -> None:
    told = [{"name": "f", "arguments": ["{", "}"]}]
    script = parsed(text="a", tool_calls=told, hang_after=after)
    assert (len(script.chunks), len(script.tool_calls)) == (chunks, calls)


PRINTABLE = "must be a string of printable ASCII"
KEY = "is not a key that metadata can have"


@pytest.mark.parametrize(
    ("directives", "path", "description"),
    [
        ({"text": 1}, "text", "must be a string"),
        ({"count": 2}, "count", "needs text"),
        ({"text": "", "count": -1}, "count", "must be an integer from 0 to 1000000"),
        ({"text": "", "count": True}, "count", "must be an integer from 0 to 1000000"),
        ({"text": "", "count": 1.5}, "count", "must be an integer from 0 to 1000000"),
        ({"text": "", "chunks": []}, "chunks", "can't be combined with text and count"),
        ({"chunks": "a"}, "chunks", "must be a list of strings"),
        ({"chunks": ["a", 2]}, "chunks[1]", "must be a string"),
        ({"tool_calls": {}}, "tool_calls", "must be a list of objects"),
        ({"tool_calls": ["f"]}, "tool_calls[0]", "must be an object"),
        ({"tool_calls": [{"name": 1}]}, "tool_calls[0].name", "must be a string"),
        ({"tool_calls": [{"id": 1}]}, "tool_calls[0].id", "must be a string"),
        (
            {"tool_calls": [{"arguments": "{}"}]},
            "tool_calls[0].arguments",
            "must be a list of strings",
        ),
        (
            {"tool_calls": [{"type": "f"}]},
            "tool_calls[0].type",
            "is none of arguments, id, name",
        ),
        ({"text": "a", "logprobs": [1, 2]}, "logprobs", "must be 1 numbers, one for each chunk"),
        ({"text": "a", "logprobs": ["1"]}, "logprobs", "must be 1 numbers, one for each chunk"),
        ({"first_ms": "1"}, "first_ms", "must be a number from 0 to 86400000"),
        ({"interval_ms": -1}, "interval_ms", "must be a number from 0 to 86400000"),
        ({"interval_ms": False}, "interval_ms", "must be a number from 0 to 86400000"),
        (
            {"finish_reason": "done"},
            "finish_reason",
            "must be stop, length, content_filter, tool_calls or null",
        ),
        (
            {"finish_reason": ["stop"]},
            "finish_reason",
            "must be stop, length, content_filter, tool_calls or null",
        ),
        ({"usage": 3}, "usage", "must be an object"),
        (
            {"usage": {"tokens": 3}},
            "usage.tokens",
            "is none of completion_tokens, prompt_tokens, total_tokens",
        ),
        (
            {"usage": {"prompt_tokens": -1}},
            "usage.prompt_tokens",
            "must be an integer from 0 to 9223372036854775807",
        ),
        ({"fail": "UNAVAILABLE"}, "fail", "must be an object"),
        ({"fail": {}}, "fail.code", CODES),
        ({"fail": {"code": 14}}, "fail.code", CODES),
        ({"fail": {"code": "UNAVAILABLE", "message": 1}}, "fail.message", "must be a string"),
        (
            {"fail": {"code": "INTERNAL", "after": 2}, "text": "a"},
            "fail.after",
            "is 2, but the script has 1 messages",
        ),
        (
            {"fail": {"code": "INTERNAL", "details": {}}},
            "fail.details",
            "must be a list of objects",
        ),
        (
            {"fail": {"code": "OK", "wen": 1}},
            "fail.wen",
            "is none of after, code, details, message",
        ),
        ({"hang_after": 1}, "hang_after", "is 1, but the script has 0 messages"),
        ({"crash_after": "1"}, "crash_after", "must be an integer from 0 to 1000000"),
        (
            {"hang_after": 0, "fail": {"code": "OK"}},
            "hang_after",
            "can't be combined with fail",
        ),
        ({"metadata": []}, "metadata", "must be an object"),
        ({"metadata": {"X": "a"}}, "metadata.X", KEY),
        ({"metadata": {"grpc-status": "0"}}, "metadata.grpc-status", KEY),
        ({"metadata": {"x": "\u00e9"}}, "metadata.x", PRINTABLE),
        ({"metadata": {"x": 1}}, "metadata.x", PRINTABLE),
        ({"metadata": {"x-bin": "?"}}, "metadata.x-bin", "must be base64, as the key ends in -bin"),
    ],
)
def test_a_wrong_directive_is_named(
    directives: dict[str, Any], path: str, description: str
) -> None:
    assert violations(**directives) == {path: description}


def test_a_wrong_detail_is_named() -> None:
    (found,) = violations(fail={"code": "INTERNAL", "details": [{"retry_delay_ms": 1}]}).items()
    assert found[0] == "fail.details[0]"
    assert found[1].startswith("must be a google.rpc message: ")


def test_all_wrong_directives_are_named_at_once() -> None:
    assert violations(text=1, first_ms=-1, colour="red").keys() == {"text", "first_ms", "colour"}
