"""The script engine, over gRPC."""

import asyncio
import base64
import time
from contextlib import aclosing

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.engines.engine import Call
from backend.engines.script import ScriptEngine
from backend.server import Server
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    Usage,
)
from tests.backend.calls import Client, asking, client_of
from tests.conftest import eventually
from tests.conftest import script as directives
from tests.processes import server_process

AWKWARD = ["\U0001f600", "\u2028", "\x00", "\r", "\n\n", "data: ", "[DONE]", "", '"', "\\"]


async def test_a_message_that_is_no_script_comes_back_word_by_word(script: Client) -> None:
    text = "  Hello, \u4e16\u754c!\u2028And\x00on\r\r\n\tgoes \U0001f469\u200d\U0001f467 it. "
    answer = await script.ask(asking(text))
    assert answer.text.encode() == text.encode()
    assert answer.texts[:2] == ["  Hello,", " \u4e16\u754c!"]
    assert answer.finish_reason == "STOP"
    assert answer.usage is None
    assert answer.code is grpc.StatusCode.OK


async def test_the_messages_are_counted_from_0_and_the_first_names_the_model(
    script: Client,
) -> None:
    answer = await script.ask(asking(directives(text="a", count=3)))
    assert [message.index for message in answer.messages] == [0, 1, 2, 3]
    assert [message.model for message in answer.messages] == ["script", "", "", ""]
    assert answer.texts == ["a", "a", "a"]


async def test_chunks_arrive_one_by_one_and_unchanged(script: Client) -> None:
    answer = await script.ask(asking(directives(chunks=AWKWARD)))
    assert [message.text for message in answer.messages[:-1]] == AWKWARD


async def test_the_finish_reason_and_the_usage_come_in_a_last_message(script: Client) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    answer = await script.ask(asking(directives(text="a", finish_reason="length", usage=usage)))
    assert answer.messages[-1].text == ""
    assert answer.finish_reason == "LENGTH"
    assert answer.usage == Usage(**usage)


async def test_a_script_without_a_finish_reason_ends_with_its_last_text(script: Client) -> None:
    answer = await script.ask(asking(directives(text="a", finish_reason=None)))
    assert [message.text for message in answer.messages] == ["a"]
    assert answer.finish_reason == ""


async def test_each_choice_has_every_message(script: Client) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    told = directives(chunks=["a", "b"], usage=usage)
    answer = await script.ask(asking(told, choices=2))
    found = [(message.text, message.choice) for message in answer.messages]
    assert found == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("", 0), ("", 1)]
    assert [message.HasField("usage") for message in answer.messages] == [False] * 5 + [True]
    assert [message.finish_reason for message in answer.messages[-2:]] == [1, 1]


async def test_tool_calls_come_after_the_texts(script: Client) -> None:
    calls = [{"name": "f", "arguments": ["{", "}"]}]
    answer = await script.ask(asking(directives(text="a", tool_calls=calls)))
    assert answer.texts == ["a"]
    deltas = [delta for message in answer.messages[1:] for delta in message.tool_calls]
    assert [delta.arguments for delta in deltas] == ["{", "}"]
    assert answer.finish_reason == "TOOL_CALLS"


async def test_probabilities_come_when_they_are_asked_for(script: Client) -> None:
    told = directives(chunks=["a", "b"], logprobs=[-1, -2])
    silent = await script.ask(asking(told))
    assert not any(message.logprobs for message in silent.messages)
    for top in (0, 1):
        answer = await script.ask(asking(told, top_logprobs=top))
        tokens = [token for message in answer.messages for token in message.logprobs]
        assert [(token.token, token.logprob, token.bytes) for token in tokens] == [
            ("a", -1, b"a"),
            ("b", -2, b"b"),
        ]
        assert [len(token.top) for token in tokens] == [top, top]


async def test_the_last_user_message_is_the_script(script: Client) -> None:
    said = [(Role.ROLE_USER, "no"), (Role.ROLE_USER, "yes"), (Role.ROLE_ASSISTANT, "no")]
    messages = [Message(role=role, content=content) for role, content in said]
    answer = await script.ask(StreamCompletionRequest(model="script", messages=messages))
    assert answer.text == "yes"


async def test_what_a_tool_has_told_is_the_script(script: Client) -> None:
    messages = [
        Message(role=Role.ROLE_USER, content="no"),
        Message(role=Role.ROLE_TOOL, tool_call_id="one", content="yes"),
    ]
    answer = await script.ask(StreamCompletionRequest(model="script", messages=messages))
    assert answer.text == "yes"


async def test_a_conversation_without_a_user_is_refused(script: Client) -> None:
    messages = [Message(role=Role.ROLE_SYSTEM, content="hello")]
    answer = await script.ask(StreamCompletionRequest(model="script", messages=messages))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert answer.details == "messages: the script model needs a user message"


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("code", grpc.StatusCode)
async def test_a_script_ends_with_every_code_after_so_many_messages(
    script: Client, code: grpc.StatusCode, after: int
) -> None:
    fail = {"code": code.name, "message": "So \u00e9nd\u00e9d.", "after": after}
    answer = await script.ask(asking(directives(text="a", count=3, fail=fail)))
    assert answer.texts == ["a"] * after
    assert answer.code is code
    # gRPC carries no message with OK.
    assert answer.details == ("" if code is grpc.StatusCode.OK else "So \u00e9nd\u00e9d.")
    assert answer.finish_reason == ""


async def test_the_details_of_a_failure_arrive(script: Client) -> None:
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
    fail = {"code": "RESOURCE_EXHAUSTED", "message": "Later.", "details": [detail]}
    answer = await script.ask(asking(directives(fail=fail)))
    retry = answer.detail(error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 1500


async def test_metadata_arrives_with_a_good_and_with_a_bad_end(script: Client) -> None:
    metadata = {"x-cost": "3 cents", "x-raw-bin": base64.b64encode(b"\x00\xff").decode()}
    arrived = {"x-cost": "3 cents", "x-raw-bin": b"\x00\xff"}
    good = await script.ask(asking(directives(text="a", metadata=metadata)))
    assert good.trailing_metadata == arrived
    detail = {"@type": "type.googleapis.com/google.rpc.RetryInfo"}
    fail = {"code": "ABORTED", "details": [detail]}
    bad = await script.ask(asking(directives(fail=fail, metadata=metadata)))
    assert bad.trailing_metadata.items() >= arrived.items()
    assert bad.detail(error_details_pb2.RetryInfo) == error_details_pb2.RetryInfo()


async def test_a_wrong_directive_is_refused_with_its_name(script: Client) -> None:
    answer = await script.ask(asking(directives(text="a", interval_ms="fast")))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    detail = answer.detail(error_details_pb2.BadRequest)
    assert [violation.field for violation in detail.field_violations] == ["interval_ms"]


async def test_message_k_is_sent_first_ms_and_k_intervals_after_the_start(script: Client) -> None:
    started = time.monotonic()
    call = script.call(asking(directives(text="a", count=20, first_ms=300, interval_ms=50)))
    arrived = [time.monotonic() - started async for message in call if message.text]
    due = [0.3 + index * 0.05 for index in range(20)]
    assert all(at >= when for at, when in zip(arrived, due, strict=True))


async def test_time_that_sending_takes_does_not_add_up() -> None:
    request = asking(directives(text="a", count=20, interval_ms=100))
    clock = asyncio.get_running_loop().time
    started = clock()
    async with aclosing(
        ScriptEngine(allow_crash=False).complete(Call(request, "script"))
    ) as deltas:
        async for _ in deltas:
            await asyncio.sleep(0.08)
    # 1.98 s, or 3.6 s if every interval began when its message had been sent.
    assert clock() - started < 3


async def test_a_failure_waits_for_its_turn(script: Client) -> None:
    started = time.monotonic()
    await script.ask(asking(directives(first_ms=300, fail={"code": "INTERNAL"})))
    assert time.monotonic() - started >= 0.3


async def test_a_script_that_hangs_is_silent_until_the_client_leaves(
    script: Client, backend_server: Server
) -> None:
    call, first = await script.begin(asking(directives(text="a", count=3, hang_after=1)))
    assert first.text == "a"
    reading = asyncio.ensure_future(call.read())
    assert await asyncio.wait([reading], timeout=0.3) == (set(), {reading})
    assert backend_server.open_calls == 1
    call.cancel()
    await eventually(lambda: backend_server.open_calls == 0)
    await asyncio.gather(reading, return_exceptions=True)


async def test_crash_after_is_refused_unless_the_setting_allows_it(script: Client) -> None:
    answer = await script.ask(asking(directives(text="a", crash_after=1)))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert answer.details == "crash_after: needs BACKEND_ALLOW_CRASH=1 at the backend"


async def test_a_crash_sends_so_many_messages_and_no_goodbye() -> None:
    async with server_process("backend", "--model", "script", "--allow-crash") as process:
        async with client_of(await process.address()) as client:
            answer = await client.ask(asking(directives(text="a", count=3, crash_after=2)))
        assert answer.texts == ["a", "a"]
        assert answer.code is grpc.StatusCode.UNAVAILABLE
        assert await process.wait() == 1
        assert [record["event"] for record in process.records] == ["listening"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text()))
async def test_what_the_client_gets_is_what_the_script_says(
    script: Client, chunks: list[str]
) -> None:
    answer = await script.ask(asking(directives(chunks=chunks)))
    assert [message.text for message in answer.messages[:-1]] == chunks


@settings(max_examples=50, deadline=None)
@given(st.text())
async def test_any_text_comes_back_whole(script: Client, text: str) -> None:
    answer = await script.ask(asking(text))
    assert answer.text == text


async def test_thousands_of_streams_go_on_at_the_same_time(backend_server: Server) -> None:
    streams = 2000
    request = asking(directives(text="a", count=2, interval_ms=5000))
    async with client_of(backend_server.address) as client:
        calls = [asyncio.create_task(client.ask(request)) for _ in range(streams)]
        await eventually(lambda: backend_server.open_calls == streams, seconds=30)
        answers = await asyncio.gather(*calls)
    assert all(answer.code is grpc.StatusCode.OK for answer in answers)
    assert all(answer.texts == ["a", "a"] for answer in answers)
    await eventually(lambda: backend_server.open_calls == 0)
