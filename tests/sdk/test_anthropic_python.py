"""The package ``anthropic``, as it is installed, against the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import RawMessageStreamEvent

import backend.server
from bridge.settings import Settings
from bridge.status import Status
from bridge.upstream.transport import Transport
from bridge.verdict import Outcome
from tests.conftest import RunningBridge, eventually, script, serving_bridge
from tests.faults.proxy import Cut, proxying
from tests.sdk.conftest import assert_is_of_its_type

TOOL: Any = {
    "name": "weather",
    "description": "Tells the weather.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
ARGUMENTS = ['{"city":', ' "Bern"}']


def client_of(running: RunningBridge, **options: Any) -> AsyncAnthropic:
    return AsyncAnthropic(base_url=running.url, api_key="-", **{"max_retries": 0, **options})


@pytest.fixture
async def client(bridge_server: RunningBridge) -> AsyncIterator[AsyncAnthropic]:
    async with client_of(bridge_server) as found:
        yield found


def asking(content: str = "", **directives: Any) -> dict[str, Any]:
    """Return the arguments of a message, of a text or by directives of the script engine."""
    told = content or script(**directives)
    return {
        "model": "script",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": told}],
    }


async def events_of(client: AsyncAnthropic, **arguments: Any) -> list[RawMessageStreamEvent]:
    stream = await client.messages.create(stream=True, **arguments)
    return [event async for event in stream]


async def read_into(
    events: list[RawMessageStreamEvent], stream: anthropic.AsyncStream[RawMessageStreamEvent]
) -> None:
    async for event in stream:
        events.append(event)


async def test_a_stream_is_events_of_the_sdk_s_types(client: AsyncAnthropic) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    events = await events_of(client, **asking(chunks=["Hel", "lo"], usage=usage))
    for event in events:
        assert_is_of_its_type(event)
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_the_stream_helper_puts_the_message_together(client: AsyncAnthropic) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    told = asking(chunks=["Hel", "lo"], usage=usage, finish_reason="length")
    async with client.messages.stream(**told) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert texts == ["Hel", "lo"]
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello"
    assert message.stop_reason == "max_tokens"
    assert message.model == "script"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 2)


async def test_a_whole_answer_is_a_message_of_the_sdk_s_type(client: AsyncAnthropic) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    message = await client.messages.create(**asking(chunks=["Hel", "lo"], usage=usage))
    assert_is_of_its_type(message)
    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 2


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        (None, "end_turn"),
    ],
)
async def test_the_reason_why_it_stopped_arrives(
    client: AsyncAnthropic, reason: str | None, told: str
) -> None:
    async with client.messages.stream(**asking(text="a", finish_reason=reason)) as stream:
        assert (await stream.get_final_message()).stop_reason == told


async def test_an_empty_answer_is_a_message_of_no_blocks(client: AsyncAnthropic) -> None:
    events = await events_of(client, **asking(chunks=[], finish_reason=None))
    assert [event.type for event in events] == ["message_start", "message_delta", "message_stop"]


async def test_the_synchronous_client_reads_the_same(bridge_server: RunningBridge) -> None:
    def read() -> list[str]:
        with (
            Anthropic(base_url=bridge_server.url, api_key="-", max_retries=0) as client,
            client.messages.stream(**asking(chunks=["Hel", "lo"])) as stream,
        ):
            return list(stream.text_stream)

    assert await asyncio.to_thread(read) == ["Hel", "lo"]


ERRORS = {
    Status.INVALID_ARGUMENT: (anthropic.BadRequestError, "invalid_request_error"),
    Status.UNAUTHENTICATED: (anthropic.AuthenticationError, "authentication_error"),
    Status.PERMISSION_DENIED: (anthropic.PermissionDeniedError, "permission_error"),
    Status.NOT_FOUND: (anthropic.NotFoundError, "not_found_error"),
    Status.RESOURCE_EXHAUSTED: (anthropic.RateLimitError, "rate_limit_error"),
    Status.UNAVAILABLE: (anthropic.InternalServerError, "overloaded_error"),
    Status.DEADLINE_EXCEEDED: (anthropic.InternalServerError, "timeout_error"),
    Status.INTERNAL: (anthropic.InternalServerError, "api_error"),
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", ERRORS, ids=lambda status: status.name)
async def test_an_error_before_the_first_message_is_the_sdk_s_error(
    patient_bridge: RunningBridge, status: Status, stream: bool
) -> None:
    kind, name = ERRORS[status]
    async with client_of(patient_bridge) as client:
        with pytest.raises(kind) as caught:
            await client.messages.create(
                stream=stream, **asking(fail={"code": status.name, "message": "why"})
            )
    body: Any = caught.value.body
    assert body["error"]["type"] == name
    assert ("The request failed." if status.private else "why") in body["error"]["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        asking(fail={"code": "NOT_FOUND"}),
        asking(text="a", fail={"code": "NOT_FOUND", "after": 1}),
    ],
    ids=["refused", "at first", "in mid-stream"],
)
async def test_an_error_has_the_request_s_id(client: AsyncAnthropic, wrong: dict[str, Any]) -> None:
    told = {**asking("hello"), **wrong, "extra_headers": {"x-request-id": "mine"}}
    with pytest.raises(anthropic.APIStatusError) as caught:
        await events_of(client, **told)
    body: Any = caught.value.body
    assert body["request_id"] == "mine"


@pytest.mark.parametrize("status", ERRORS, ids=lambda status: status.name)
async def test_an_error_in_mid_stream_is_raised_after_the_partial_text(
    client: AsyncAnthropic, status: Status
) -> None:
    failure = {"code": status.name, "message": "why", "after": 2}
    async with client.messages.stream(**asking(chunks=["a", "b", "c"], fail=failure)) as stream:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await stream.until_done()
        partial = stream.current_message_snapshot
    assert partial.content[0].type == "text"
    assert partial.content[0].text == "ab"
    assert partial.stop_reason is None
    body: Any = caught.value.body
    assert body["error"]["type"] == ERRORS[status][1]


async def test_a_connection_that_is_cut_is_raised_after_the_partial_text(
    bridge_server: RunningBridge,
) -> None:
    texts = []
    async with (
        proxying(bridge_server.url.removeprefix("http://")) as proxy,
        AsyncAnthropic(base_url=f"http://{proxy.address}", api_key="-", max_retries=0) as client,
        client.messages.stream(**asking(chunks=["a"], hang_after=1)) as stream,
    ):
        texts.append(await anext(stream.text_stream))
        proxy.cut(Cut.FIN)
        with pytest.raises(httpx2.RemoteProtocolError):
            await anext(stream.text_stream)
    assert texts == ["a"]


async def test_a_client_that_closes_its_stream_cancels_the_rpc(
    bridge_server: RunningBridge, client: AsyncAnthropic
) -> None:
    told = asking(chunks=["a"], hang_after=1)
    async with client.messages.stream(
        **told, extra_headers={"x-request-id": "anthropic-leaves"}
    ) as stream:
        async for _ in stream.text_stream:
            break
    assert (await bridge_server.record("anthropic-leaves")).outcome is Outcome.LEFT


async def test_tool_calls_are_blocks_after_the_text(client: AsyncAnthropic) -> None:
    calls = [
        {"id": "call_a", "name": "weather", "arguments": ARGUMENTS},
        {"id": "call_b", "name": "weather", "arguments": []},
    ]
    told = asking(text="Wait.", tool_calls=calls)
    for event in await events_of(client, **told, tools=[TOOL]):
        assert_is_of_its_type(event)
    async with client.messages.stream(**told, tools=[TOOL]) as stream:
        streamed = await stream.get_final_message()
    whole = await client.messages.create(**told, tools=[TOOL])
    called = {"type": "tool_use", "name": "weather", "caller": {"type": "direct"}}
    for message in (streamed, whole):
        assert_is_of_its_type(message)
        assert message.stop_reason == "tool_use"
        assert [block.to_dict() for block in message.content] == [
            {"type": "text", "text": "Wait.", "citations": None},
            {**called, "id": "call_a", "input": {"city": "Bern"}},
            {**called, "id": "call_b", "input": {}},
        ]


async def test_the_results_of_tools_reach_the_backend(client: AsyncAnthropic) -> None:
    message = await client.messages.create(
        model="script",
        max_tokens=10,
        system="Be brief.",
        tools=[TOOL],
        messages=[
            {"role": "user", "content": "first"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Wait."},
                    {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Bern"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "rain"},
                    {"type": "text", "text": "second"},
                ],
            },
        ],
    )
    assert message.content[0].type == "text"
    assert message.content[0].text == "second"


async def test_a_request_that_may_be_sent_again_is_sent_again_by_the_sdk(
    patient_bridge: RunningBridge,
) -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}
    failure = {"code": "UNAVAILABLE", "message": "away", "details": [retry]}
    before = len(patient_bridge.records)
    async with client_of(patient_bridge, max_retries=2) as client:
        with pytest.raises(anthropic.InternalServerError):
            await client.messages.create(**asking(fail=failure))
    await eventually(lambda: len(patient_bridge.records) == before + 3)


async def test_a_request_that_was_worked_for_is_not_sent_again(
    patient_bridge: RunningBridge,
) -> None:
    before = len(patient_bridge.records)
    failure = {"code": "UNAVAILABLE", "after": 1}
    async with client_of(patient_bridge, max_retries=2) as client:
        with pytest.raises(anthropic.InternalServerError):
            await client.messages.create(**asking(chunks=["a"], fail=failure))
        # If there were another request, it would be there by now.
        await client.messages.create(**asking("hello"))
    await eventually(lambda: len(patient_bridge.records) == before + 2)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"top_k": 5}, "top_k: This is not supported by the bridge"),
        ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}]}, "tools.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
            "only blocks of text, tool_use and tool_result",
        ),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_can_t_be_served_is_refused_with_its_name(
    client: AsyncAnthropic, wrong: dict[str, Any], why: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        await client.messages.create(**asking("hello"), extra_body=wrong)
    body: Any = caught.value.body
    assert why in body["error"]["message"]
    assert body["error"]["type"] == "invalid_request_error"


async def test_tokens_can_t_be_counted_and_the_sdk_is_told(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.InternalServerError, match="can't count the tokens"):
        await client.messages.count_tokens(
            model="script", messages=[{"role": "user", "content": "hello"}]
        )


async def test_the_models_are_listed(client: AsyncAnthropic) -> None:
    models = await client.models.list()
    assert [model.id for model in models.data] == ["script"]
    model = await client.models.retrieve("script")
    assert model.id == "script"
    for found in (model, *models.data):
        assert_is_of_its_type(found)
    with pytest.raises(anthropic.NotFoundError, match="There is no model 'other'"):
        await client.models.retrieve("other")


async def test_a_stream_that_the_bridge_cuts_as_it_stops_is_no_normal_finish(
    backend_server: backend.server.Server, transport: Transport
) -> None:
    settings = Settings(backend=backend_server.address, shutdown_grace=0)
    async with serving_bridge(settings) as running, client_of(running) as client:
        stream = await client.messages.create(stream=True, **asking(chunks=["a"], hang_after=1))
        events = [await anext(stream)]
        running.server.should_exit = True
        with pytest.raises(anthropic.APIStatusError, match="The server is shutting down"):
            await read_into(events, stream)
    assert "message_delta" not in {event.type for event in events}
