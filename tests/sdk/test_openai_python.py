"""The package ``openai``, as it is installed, against the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk

import backend.server
from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream.transport import Transport
from bridge.verdict import Outcome
from tests.conftest import RunningBridge, eventually, script, serving_bridge
from tests.faults.proxy import Cut, proxying
from tests.sdk.conftest import assert_is_of_its_type

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ARGUMENTS = ['{"city":', ' "Bern"}']


def client_of(running: RunningBridge, **options: Any) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{running.url}/v1", api_key="-", max_retries=0, **options)


@pytest.fixture
async def client(bridge_server: RunningBridge) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(bridge_server) as found:
        yield found


def asking(content: str = "", **directives: Any) -> dict[str, Any]:
    """Return the arguments of a completion, of a text or by directives of the script engine."""
    told = content or script(**directives)
    return {"model": "script", "messages": [{"role": "user", "content": told}]}


async def chunks_of(client: AsyncOpenAI, **arguments: Any) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(stream=True, **arguments)
    return [chunk async for chunk in stream]


async def read_into(
    chunks: list[ChatCompletionChunk], stream: openai.AsyncStream[ChatCompletionChunk]
) -> None:
    async for chunk in stream:
        chunks.append(chunk)


async def test_a_stream_is_chunks_of_the_sdk_s_type(client: AsyncOpenAI) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    chunks = await chunks_of(
        client,
        **asking(chunks=["Hel", "lo"], usage=usage),
        stream_options={"include_usage": True},
    )
    for chunk in chunks:
        assert_is_of_its_type(chunk)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].model == "script"
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert deltas[0].role == "assistant"
    assert [delta.content for delta in deltas] == ["", "Hel", "lo", None]
    assert [c.choices[0].finish_reason for c in chunks[:-1]] == [None, None, None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.to_dict() == {**usage, "total_tokens": 5}
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_a_stream_has_no_usage_that_nobody_asked_for(client: AsyncOpenAI) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    chunks = await chunks_of(client, **asking(text="a", usage=usage))
    assert not any("usage" in chunk.model_fields_set for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


async def test_a_whole_answer_is_a_completion_of_the_sdk_s_type(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        **asking(
            chunks=["Hel", "lo"],
            finish_reason="length",
            usage={"prompt_tokens": 3, "completion_tokens": 2},
        )
    )
    assert_is_of_its_type(completion)
    (choice,) = completion.choices
    assert choice.message.content == "Hello"
    assert choice.finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5
    assert completion.model == "script"


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter", "tool_calls"])
async def test_the_reason_why_it_stopped_arrives(client: AsyncOpenAI, reason: str) -> None:
    chunks = await chunks_of(client, **asking(text="a", finish_reason=reason))
    assert chunks[-1].choices[0].finish_reason == reason


async def test_a_stream_that_finished_with_no_reason_has_stopped(client: AsyncOpenAI) -> None:
    chunks = await chunks_of(client, **asking(chunks=[], finish_reason=None))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_the_synchronous_client_reads_the_same(bridge_server: RunningBridge) -> None:
    def read() -> list[str]:
        with OpenAI(base_url=f"{bridge_server.url}/v1", api_key="-", max_retries=0) as client:
            stream = client.chat.completions.create(stream=True, **asking(chunks=["Hel", "lo"]))
            return [chunk.choices[0].delta.content or "" for chunk in stream]

    assert await asyncio.to_thread(read) == ["", "Hel", "lo", ""]


ERRORS = {
    Status.INVALID_ARGUMENT: openai.BadRequestError,
    Status.UNAUTHENTICATED: openai.AuthenticationError,
    Status.PERMISSION_DENIED: openai.PermissionDeniedError,
    Status.NOT_FOUND: openai.NotFoundError,
    Status.ABORTED: openai.ConflictError,
    Status.RESOURCE_EXHAUSTED: openai.RateLimitError,
    Status.UNAVAILABLE: openai.InternalServerError,
    Status.INTERNAL: openai.InternalServerError,
    Status.DEADLINE_EXCEEDED: openai.InternalServerError,
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", ERRORS, ids=lambda status: status.name)
async def test_an_error_before_the_first_message_is_the_sdk_s_error(
    patient_bridge: RunningBridge, status: Status, stream: bool
) -> None:
    async with client_of(patient_bridge) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(
                stream=stream, **asking(fail={"code": status.name, "message": "why"})
            )
    assert type(caught.value) is ERRORS[status]
    assert caught.value.status_code == status.http
    assert caught.value.code
    told = "The request failed." if status.private else "why"
    assert told in caught.value.message


async def test_an_error_in_mid_stream_is_raised_after_the_partial_text(client: AsyncOpenAI) -> None:
    failure = {"code": "RESOURCE_EXHAUSTED", "message": "no more today", "after": 2}
    stream = await client.chat.completions.create(
        stream=True, **asking(chunks=["a", "b", "c"], fail=failure)
    )
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(openai.APIError) as caught:
        await read_into(chunks, stream)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "a", "b"]
    assert not any(chunk.choices[0].finish_reason for chunk in chunks)
    assert caught.value.message == "no more today"
    assert (caught.value.type, caught.value.code) == ("rate_limit_error", "rate_limit_exceeded")


async def test_a_connection_that_is_cut_is_raised_after_the_partial_text(
    bridge_server: RunningBridge,
) -> None:
    async with (
        proxying(bridge_server.url.removeprefix("http://")) as proxy,
        AsyncOpenAI(base_url=f"http://{proxy.address}/v1", api_key="-", max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(
            stream=True, **asking(chunks=["a"], hang_after=1)
        )
        chunks = [await anext(stream), await anext(stream)]
        proxy.cut(Cut.FIN)
        with pytest.raises(openai.APIConnectionError):
            await read_into(chunks, stream)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "a"]


async def test_a_client_that_closes_its_stream_cancels_the_rpc(
    bridge_server: RunningBridge, client: AsyncOpenAI
) -> None:
    stream = await client.chat.completions.create(
        stream=True,
        extra_headers={"x-request-id": "leaves"},
        **asking(chunks=["a"], hang_after=1),
    )
    async for chunk in stream:
        if chunk.choices[0].delta.content == "a":
            break
    await stream.close()
    assert (await bridge_server.record("leaves")).outcome is Outcome.LEFT


async def test_tool_calls_arrive_in_pieces(client: AsyncOpenAI) -> None:
    calls = [
        {"id": "call_a", "name": "weather", "arguments": ARGUMENTS},
        {"id": "call_b", "name": "weather", "arguments": ["{}"]},
    ]
    chunks = await chunks_of(client, **asking(tool_calls=calls), tools=[TOOL])
    for chunk in chunks:
        assert_is_of_its_type(chunk)
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    deltas = [d for chunk in chunks for d in chunk.choices[0].delta.tool_calls or ()]
    assert [(d.index, d.id) for d in deltas] == [(0, "call_a"), (0, None), (1, "call_b")]
    assert [d.function.name for d in deltas if d.function] == ["weather", None, "weather"]
    assert [d.function.arguments for d in deltas if d.function] == [*ARGUMENTS, "{}"]


async def test_the_stream_helper_puts_text_and_tool_calls_together(client: AsyncOpenAI) -> None:
    told = asking(text="Wait.", tool_calls=[{"name": "weather", "arguments": ARGUMENTS}])
    async with client.chat.completions.stream(**told, tools=[TOOL]) as stream:
        completion = await stream.get_final_completion()
    message = completion.choices[0].message
    assert message.content == "Wait."
    assert message.tool_calls is not None
    assert [call.function.arguments for call in message.tool_calls] == ["".join(ARGUMENTS)]


async def test_a_whole_answer_has_the_tool_calls(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        **asking(tool_calls=[{"id": "call_a", "name": "weather", "arguments": ARGUMENTS}]),
        tools=[TOOL],
    )
    assert_is_of_its_type(completion)
    message = completion.choices[0].message
    assert message.content is None
    assert message.tool_calls is not None
    assert message.tool_calls[0].to_dict() == {
        "id": "call_a",
        "type": "function",
        "function": {"name": "weather", "arguments": "".join(ARGUMENTS)},
    }


@pytest.mark.parametrize("stream", [True, False])
async def test_each_choice_is_an_answer_of_its_own(client: AsyncOpenAI, stream: bool) -> None:
    told = asking(chunks=["Hel", "lo"])
    if stream:
        chunks = await chunks_of(client, **told, n=3)
        texts = dict.fromkeys(range(3), "")
        reasons = {}
        for choice in (choice for chunk in chunks for choice in chunk.choices):
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
        assert reasons == dict.fromkeys(range(3), "stop")
    else:
        completion = await client.chat.completions.create(**told, n=3)
        assert_is_of_its_type(completion)
        texts = {choice.index: choice.message.content or "" for choice in completion.choices}
    assert texts == dict.fromkeys(range(3), "Hello")


@pytest.mark.parametrize("stream", [True, False])
async def test_probabilities_come_with_their_tokens(client: AsyncOpenAI, stream: bool) -> None:
    told = asking(chunks=["Hé", "lo"], logprobs=[-0.5, -1.25])
    wanted: Any = {"logprobs": True, "top_logprobs": 1}
    found: list[Any]
    if stream:
        found = [*(await chunks_of(client, **told, **wanted))]
    else:
        found = [await client.chat.completions.create(**told, **wanted)]
    tokens: list[Any] = []
    for one in found:
        assert_is_of_its_type(one)
        logprobs = one.choices[0].logprobs
        tokens += (logprobs and logprobs.content) or ()
    assert [(token.token, token.logprob) for token in tokens] == [("Hé", -0.5), ("lo", -1.25)]
    assert tokens[0].bytes == [*"Hé".encode()]
    assert [top.token for token in tokens for top in token.top_logprobs] == ["Hé", "lo"]


async def test_a_request_that_may_be_sent_again_is_sent_again_by_the_sdk(
    patient_bridge: RunningBridge,
) -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}
    failure = {"code": "UNAVAILABLE", "message": "away", "details": [retry]}
    before = len(patient_bridge.records)
    async with client_of(patient_bridge).with_options(max_retries=2) as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(stream=True, **asking(fail=failure))
    await eventually(lambda: len(patient_bridge.records) == before + 3)


@pytest.mark.parametrize("failure", [{"code": "UNAVAILABLE", "after": 1}, {"code": "INTERNAL"}])
async def test_a_request_that_was_worked_for_is_not_sent_again(
    patient_bridge: RunningBridge, failure: dict[str, Any]
) -> None:
    before = len(patient_bridge.records)
    async with client_of(patient_bridge).with_options(max_retries=2) as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(**asking(chunks=["a"], fail=failure))
        # If there were another request, it would be there by now.
        await client.chat.completions.create(**asking("hello"))
    await eventually(lambda: len(patient_bridge.records) == before + 2)


async def test_the_raw_response_has_the_request_s_id(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        **asking("hello"), extra_headers={"x-request-id": "mine"}
    )
    assert raw.request_id == "mine"
    assert raw.parse().choices[0].message.content == "hello"
    assert raw.parse().id == "chatcmpl-mine"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"n": 200}, "n"),
        ({"temperature": 3}, "temperature"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tool_choice": "sometimes"}, "tool_choice.type"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_can_t_be_served_is_refused_with_its_name(
    client: AsyncOpenAI, wrong: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(**asking("hello"), **wrong)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


async def test_parts_of_text_are_joined(client: AsyncOpenAI) -> None:
    parts: Any = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    completion = await client.chat.completions.create(
        model="script", messages=[{"role": "user", "content": parts}]
    )
    assert completion.choices[0].message.content == "Hello"


async def test_a_part_that_is_no_text_is_refused_by_name(client: AsyncOpenAI) -> None:
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
    ]
    with pytest.raises(openai.BadRequestError, match="Part 1 is of the type 'image_url'") as caught:
        await client.chat.completions.create(
            model="script", messages=[{"role": "user", "content": parts}]
        )
    assert caught.value.param == "messages[0].content"


async def test_the_models_are_listed(client: AsyncOpenAI) -> None:
    models = await client.models.list()
    assert [model.id for model in models.data] == ["script"]
    assert (await client.models.retrieve("script")).id == "script"
    with pytest.raises(openai.NotFoundError, match="There is no model 'other'"):
        await client.models.retrieve("other")


async def test_what_the_bridge_has_not_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.embeddings.create(model="script", input="hello")
    assert caught.value.type == "invalid_request_error"


async def test_a_stream_that_the_bridge_cuts_as_it_stops_is_no_normal_finish(
    backend_server: backend.server.Server, transport: Transport
) -> None:
    settings = Settings(backend=backend_server.address, shutdown_grace=0)
    async with serving_bridge(settings) as running, client_of(running) as client:
        stream = await client.chat.completions.create(
            stream=True, **asking(chunks=["a"], hang_after=1)
        )
        chunks = [await anext(stream)]
        running.server.should_exit = True
        with pytest.raises(openai.APIError, match="The server is shutting down"):
            await read_into(chunks, stream)
    assert not any(chunk.choices[0].finish_reason for chunk in chunks)
