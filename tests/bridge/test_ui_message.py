"""A stream as the parts of a message of Vercel's AI SDK, and what its ``useChat`` sends."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

import backend.server
from bridge.dialects.ui_message import UIMessageDialect
from bridge.dialects.ui_message_request import UIMessageRequest
from bridge.dialects.wires import Wire
from bridge.settings import Settings
from bridge.telemetry.record import StreamAccount
from bridge.upstream.transport import Transport
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
    ToolCall,
    ToolCallDelta,
)
from tests.conftest import DONE, http_client, on_each_transport, script, serving_bridge

PATH = "/ui-message/api/chat"
USER = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}


def asking(content: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": content}]
    return {"model": "script", "messages": [{"id": "1", "role": "user", "parts": parts}]}


def parts(frames: bytes) -> list[dict[str, Any]]:
    lines = frames.decode().removesuffix(DONE.decode()).split("\n\n")[:-1]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def calling(index: int, **fields: Any) -> StreamCompletionResponse:
    return StreamCompletionResponse(tool_calls=[ToolCallDelta(index=index, **fields)])


def test_texts_and_tools_are_parts_of_their_own() -> None:
    dialect = UIMessageDialect("m")
    messages = [
        StreamCompletionResponse(text="a"),
        calling(0, id="x", name="f", arguments="{"),
        StreamCompletionResponse(text="b"),
        calling(1, id="y", name="g", arguments="["),
        calling(0, arguments="}"),
    ]
    frames = b"".join(map(dialect.message, messages))
    account = StreamAccount("r", "", keep_answer=False)
    account.finish_reasons[0] = "tool_calls"
    closing = dialect.closing(account)
    assert closing.endswith(DONE)
    assert parts(frames + closing) == [
        {"type": "start", "messageId": "m"},
        {"type": "start-step"},
        {"type": "text-start", "id": "text-0"},
        {"type": "text-delta", "id": "text-0", "delta": "a"},
        {"type": "text-end", "id": "text-0"},
        {"type": "tool-input-start", "toolCallId": "x", "toolName": "f"},
        {"type": "tool-input-delta", "toolCallId": "x", "inputTextDelta": "{"},
        {"type": "text-start", "id": "text-1"},
        {"type": "text-delta", "id": "text-1", "delta": "b"},
        {"type": "text-end", "id": "text-1"},
        {"type": "tool-input-start", "toolCallId": "y", "toolName": "g"},
        {"type": "tool-input-delta", "toolCallId": "y", "inputTextDelta": "["},
        {"type": "tool-input-delta", "toolCallId": "x", "inputTextDelta": "}"},
        {"type": "tool-input-available", "toolCallId": "x", "toolName": "f", "input": {}},
        {
            "type": "tool-input-error",
            "toolCallId": "y",
            "toolName": "g",
            "input": "[",
            "errorText": "The arguments are not JSON.",
        },
        {"type": "finish-step"},
        {"type": "finish", "finishReason": "tool-calls"},
    ]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content-filter"),
        ("unknown", "stop"),
        (None, "stop"),
    ],
)
def test_the_reason_why_it_stopped_is_told(reason: str | None, told: str) -> None:
    account = StreamAccount("r", "", keep_answer=False)
    if reason:
        account.finish_reasons[0] = reason
    *_, finish = parts(UIMessageDialect("m").closing(account))
    assert finish == {"type": "finish", "finishReason": told}


def rpc(**fields: Any) -> StreamCompletionRequest:
    return UIMessageRequest.model_validate({"messages": [USER], **fields}).to_rpc()


def test_what_use_chat_sends_is_a_conversation() -> None:
    assert rpc(id="chat", trigger="submit-message", messageId=None) == StreamCompletionRequest(
        messages=[Message(role=Role.ROLE_USER, content="hi")]
    )


def test_what_a_page_adds_is_carried() -> None:
    request = rpc(model="m", system="Be brief.", temperature=0, maxOutputTokens=7)
    assert (request.model, request.max_tokens) == ("m", 7)
    assert request.messages[0] == Message(role=Role.ROLE_SYSTEM, content="Be brief.")
    assert request.HasField("temperature")


def test_a_conversation_with_tools_is_carried() -> None:
    called = {"toolCallId": "a", "input": {"x": 1}}
    answer = [
        {"type": "step-start"},
        {"type": "reasoning", "text": "hm"},
        {"type": "data-weather", "data": {}},
        {"type": "source-url", "sourceId": "1", "url": "https://example.com"},
        {"type": "text", "text": "Wait.", "state": "done"},
        {"type": "tool-f", "state": "output-available", "output": {"y": 2}, **called},
        {
            "type": "dynamic-tool",
            "toolName": "g",
            "toolCallId": "b",
            "state": "output-error",
            "input": None,
            "errorText": "broken",
        },
        {"type": "tool-f", "toolCallId": "c", "state": "output-denied", "input": {}},
        {"type": "tool-f", "toolCallId": "d", "state": "input-available", "input": "as it is"},
    ]
    request = rpc(messages=[USER, {"id": "2", "role": "assistant", "parts": answer}])
    calls = [("a", "f", '{"x": 1}'), ("b", "g", "null"), ("c", "f", "{}"), ("d", "f", '"as it is"')]
    assert request.messages[1:] == [
        Message(
            role=Role.ROLE_ASSISTANT,
            content="Wait.",
            tool_calls=[ToolCall(id=i, name=name, arguments=a) for i, name, a in calls],
        ),
        Message(role=Role.ROLE_TOOL, tool_call_id="a", content='{"y": 2}'),
        Message(role=Role.ROLE_TOOL, tool_call_id="b", content="broken"),
        Message(
            role=Role.ROLE_TOOL, tool_call_id="c", content="The user has not allowed this call."
        ),
    ]


def test_a_part_that_can_t_be_carried_is_refused_by_name() -> None:
    file = {"type": "file", "mediaType": "image/png", "url": "data:,"}
    with pytest.raises(ValidationError, match="Part 1 is of the type 'file'"):
        rpc(messages=[{"role": "user", "parts": [*USER["parts"], file]}])


def test_a_value_that_is_no_json_is_refused() -> None:
    part = {"type": "tool-f", "toolCallId": "a", "input": {"x": "\ud800"}}
    with pytest.raises(ValidationError, match="no half of a surrogate pair"):
        rpc(messages=[{"role": "assistant", "parts": [part]}])


@on_each_transport
async def test_a_stream_has_the_protocol_s_header(http: httpx.AsyncClient) -> None:
    response = await http.post(PATH, json=asking("hello"), headers={"x-request-id": "mine"})
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert parts(response.content)[0] == {"type": "start", "messageId": "msg-mine"}
    assert parts(response.content)[-1] == {"type": "finish", "finishReason": "stop"}


@on_each_transport
async def test_a_failure_before_the_first_message_is_a_sentence(http: httpx.AsyncClient) -> None:
    failed = await http.post(PATH, json=asking(script(fail={"code": "NOT_FOUND", "message": "no"})))
    assert (failed.status_code, failed.text) == (404, "no")
    assert failed.headers["content-type"] == "text/plain; charset=utf-8"
    wrong = await http.post(PATH, json={"messages": []})
    assert wrong.status_code == 400
    assert wrong.text.startswith("messages: List should have at least 1 item")


@on_each_transport
async def test_a_page_that_comes_back_finds_no_stream_to_go_on_with(
    http: httpx.AsyncClient,
) -> None:
    assert (await http.get(f"{PATH}/the-chat/stream")).status_code == 204


@pytest.mark.parametrize(("api_chat", "status"), [(None, 404), (Wire.UI_MESSAGE, 200)])
async def test_the_sdk_s_own_path_is_there_when_a_setting_says_so(
    backend_server: backend.server.Server, transport: Transport, api_chat: Any, status: int
) -> None:
    settings = Settings(backend=backend_server.address, api_chat=api_chat, shutdown_grace=0)
    async with serving_bridge(settings) as running, http_client(running.url) as http:
        assert (await http.post("/api/chat", json=asking("hello"))).status_code == status
        resumed = await http.get("/api/chat/the-chat/stream")
        assert resumed.status_code == (204 if status == 200 else 404)
