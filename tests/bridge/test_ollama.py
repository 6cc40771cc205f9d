"""Ollama's API: its lines, and its requests."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import backend.server
from bridge.dialects.ollama import OllamaDialect
from bridge.dialects.ollama_request import OllamaChatRequest, OllamaGenerateRequest
from bridge.dialects.wires import Wire
from bridge.settings import Settings
from bridge.status import Status
from bridge.telemetry.record import StreamAccount
from bridge.upstream import RpcError
from bridge.upstream.transport import Transport
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import (
    FinishReason,
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
    ToolCall,
    ToolCallDelta,
)
from tests.conftest import RunningBridge, http_client, on_each_transport, script, serving_bridge

PATH = "/ollama/api/chat"
USER = {"role": "user", "content": "hi"}


def lines(body: bytes) -> list[dict[str, Any]]:
    assert body.endswith(b"\n")
    return [json.loads(line) for line in body.decode().splitlines()]


def calling(index: int, **fields: Any) -> StreamCompletionResponse:
    return StreamCompletionResponse(tool_calls=[ToolCallDelta(index=index, **fields)])


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.booleans())
def test_a_text_is_one_line_however_lines_are_split(text: str, chat: bool) -> None:
    frame = OllamaDialect("now", "m", chat=chat).message(StreamCompletionResponse(text=text))
    (found,) = lines(frame)
    assert found["done"] is False
    assert (found["message"]["content"] if chat else found["response"]) == text


def test_tool_calls_come_whole_before_the_end() -> None:
    dialect = OllamaDialect("now", "asked-for", chat=True)
    messages = [
        StreamCompletionResponse(text="a", model="given"),
        calling(0, id="x", name="f", arguments='{"x":'),
        calling(0, arguments="1}"),
        calling(1, id="y", name="g"),
    ]
    frames = [dialect.message(message) for message in messages]
    assert [bool(frame) for frame in frames] == [True, False, False, False]
    account = StreamAccount("r", "", keep_answer=False)
    calls, last = lines(dialect.closing(account))
    assert calls["message"]["tool_calls"] == [
        {"function": {"name": "f", "arguments": {"x": 1}}},
        {"function": {"name": "g", "arguments": {}}},
    ]
    assert (calls["done"], last["done"], last["done_reason"]) == (False, True, "stop")
    assert last["model"] == "given"


@pytest.mark.parametrize(
    ("finish_reason", "told"),
    [
        (FinishReason.FINISH_REASON_STOP, "stop"),
        (FinishReason.FINISH_REASON_TOOL_CALLS, "stop"),
        (FinishReason.FINISH_REASON_LENGTH, "length"),
        (FinishReason.FINISH_REASON_CONTENT_FILTER, "content_filter"),
    ],
)
def test_an_answer_that_was_cut_short_says_so(
    finish_reason: FinishReason.ValueType, told: str
) -> None:
    account = StreamAccount("r", "", keep_answer=False)
    account.add([StreamCompletionResponse(finish_reason=finish_reason)], 0)
    (last,) = lines(OllamaDialect("now", "", chat=True).closing(account))
    assert (last["done"], last["done_reason"]) == (True, told)


@pytest.mark.parametrize("arguments", ["{", "[]"])
def test_arguments_that_are_no_object_can_t_be_told(arguments: str) -> None:
    dialect = OllamaDialect("now", "", chat=True)
    dialect.message(calling(0, id="x", name="f", arguments=arguments))
    with pytest.raises(RpcError) as caught:
        dialect.closing(StreamAccount("r", "", keep_answer=False))
    assert caught.value.status is Status.INTERNAL


@on_each_transport
async def test_a_stream_that_can_t_be_told_to_its_end_fails(bridge_server: RunningBridge) -> None:
    told = script(text="a", tool_calls=[{"name": "f", "arguments": ["{"]}])
    body = {"model": "script", "messages": [{"role": "user", "content": told}]}
    async with http_client(bridge_server.url) as http:
        headers = {"x-request-id": "ollama-fails"}
        response = await http.post(PATH, json=body, headers=headers)
        whole = await http.post(PATH, json={**body, "stream": False})
    text, error = lines(response.content)
    assert text["message"]["content"] == "a"
    assert error["error"].startswith("The request failed.")
    assert (await bridge_server.record("ollama-fails")).outcome is Outcome.FAILED
    assert whole.status_code == 500


def rpc(**fields: Any) -> StreamCompletionRequest:
    return OllamaChatRequest.model_validate({"messages": [USER], **fields}).to_rpc()


def test_what_a_request_does_not_say_is_not_set() -> None:
    assert rpc() == StreamCompletionRequest(messages=[Message(role=Role.ROLE_USER, content="hi")])
    generate = OllamaGenerateRequest.model_validate({"prompt": "hi"}).to_rpc()
    assert generate == rpc()


def test_what_a_request_says_is_carried() -> None:
    options = {"temperature": 0, "num_predict": 7, "seed": -1, "stop": ["x"], "num_ctx": 4096}
    request = rpc(model="m", options=options, format={"type": "object"})
    assert (request.model, request.max_tokens, request.seed) == ("m", 7, 2**64 - 1)
    assert request.stop == ["x"]
    assert request.HasField("temperature")
    assert json.loads(request.response_format.schema) == {"type": "object"}
    assert rpc(format="json").HasField("response_format")
    assert not rpc(format="").HasField("response_format")
    assert not rpc(options={"num_predict": -1}).HasField("max_tokens")


def test_a_conversation_with_tools_is_carried() -> None:
    call = {"function": {"name": "f", "arguments": {"x": 1}}}
    request = rpc(
        messages=[
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call, call]},
            {"role": "tool", "content": "42", "tool_name": "f"},
            {"role": "tool", "content": "43", "tool_name": "f"},
        ],
        tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
    )
    calls = [ToolCall(id=f"call_{n}", name="f", arguments='{"x": 1}') for n in range(2)]
    assert request.messages[1:] == [
        Message(role=Role.ROLE_ASSISTANT, tool_calls=calls),
        Message(role=Role.ROLE_TOOL, tool_call_id="call_0", content="42"),
        Message(role=Role.ROLE_TOOL, tool_call_id="call_1", content="43"),
    ]
    assert request.tools[0].name == "f"


def test_images_are_refused() -> None:
    with pytest.raises(ValidationError, match="This is not supported by the bridge"):
        rpc(messages=[{**USER, "images": ["aGVsbG8="]}])


@on_each_transport
async def test_a_failure_before_the_first_message_is_an_http_status(
    http: httpx.AsyncClient,
) -> None:
    told = script(fail={"code": "NOT_FOUND", "message": "no"})
    body = {"model": "script", "messages": [{"role": "user", "content": told}]}
    failed = await http.post(PATH, json=body)
    assert (failed.status_code, failed.json()) == (404, {"error": "no"})
    wrong = await http.post(PATH, json={"messages": []})
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("api_chat", "there"), [(None, False), (Wire.UI_MESSAGE, False), (Wire.OLLAMA, True)]
)
async def test_ollama_s_own_paths_are_there_when_a_setting_says_so(
    backend_server: backend.server.Server, transport: Transport, api_chat: Any, there: bool
) -> None:
    settings = Settings(backend=backend_server.address, api_chat=api_chat, shutdown_grace=0)
    async with serving_bridge(settings) as running, http_client(running.url) as http:
        assert (await http.get("/api/tags")).is_success == there
        prompt = {"model": "script", "prompt": "hello"}
        assert (await http.post("/api/generate", json=prompt)).is_success == there
        chat = await http.post("/api/chat", json={"model": "script", "messages": [USER]})
        assert chat.is_success == there
