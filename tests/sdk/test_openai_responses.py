"""Responses, with the package ``openai`` as it is installed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseStreamEvent

from tests.conftest import RunningBridge, script
from tests.sdk.conftest import assert_is_of_its_type

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
ARGUMENTS = ['{"city":', ' "Bern"}']
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


@pytest.fixture
async def client(bridge_server: RunningBridge) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"{bridge_server.url}/v1", api_key="-", max_retries=0
    ) as client:
        yield client


def asking(**directives: Any) -> dict[str, Any]:
    return {"model": "script", "input": script(**directives)}


async def read_into(
    events: list[ResponseStreamEvent], stream: openai.AsyncStream[ResponseStreamEvent]
) -> None:
    async for event in stream:
        events.append(event)


async def events_of(client: AsyncOpenAI, **arguments: Any) -> list[ResponseStreamEvent]:
    events: list[ResponseStreamEvent] = []
    await read_into(events, await client.responses.create(stream=True, **arguments))
    return events


def assert_is_in_order(events: list[ResponseStreamEvent]) -> None:
    for event in events:
        assert_is_of_its_type(event)
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_stream_is_events_of_the_sdk_s_types_in_their_order(client: AsyncOpenAI) -> None:
    events = await events_of(client, **asking(chunks=["Hel", "lo"], usage=USAGE))
    assert_is_in_order(events)
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


async def test_the_stream_helper_puts_the_response_together(client: AsyncOpenAI) -> None:
    async with client.responses.stream(**asking(chunks=["Hel", "lo"], usage=USAGE)) as stream:
        response = await stream.get_final_response()
    assert response.output_text == "Hello"
    assert response.status == "completed"
    assert response.model == "script"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (3, 2)


async def test_a_whole_answer_is_a_response_of_the_sdk_s_type(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        **asking(chunks=["Hel", "lo"], usage=USAGE),
        instructions="Be brief.",
        metadata={"mine": "yes"},
        tools=[TOOL],
    )
    assert_is_of_its_type(response)
    assert response.output_text == "Hello"
    assert (response.status, response.error) == ("completed", None)
    assert (response.instructions, response.metadata) == ("Be brief.", {"mine": "yes"})
    assert [tool.to_dict() for tool in response.tools] == [TOOL]


@pytest.mark.parametrize(
    ("reason", "told"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
async def test_an_answer_that_stopped_early_is_incomplete(
    client: AsyncOpenAI, reason: str, told: str
) -> None:
    events = await events_of(client, **asking(text="a", finish_reason=reason))
    assert_is_in_order(events)
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.status == "incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == told


async def test_an_error_in_mid_stream_is_told_and_raised(client: AsyncOpenAI) -> None:
    failure = {"code": "RESOURCE_EXHAUSTED", "message": "no more today", "after": 2}
    events: list[ResponseStreamEvent] = []
    stream = await client.responses.create(
        stream=True, **asking(chunks=["a", "b", "c"], fail=failure)
    )
    with pytest.raises(openai.APIError) as caught:
        await read_into(events, stream)
    assert (caught.value.message, caught.value.code) == ("no more today", "rate_limit_exceeded")
    assert_is_in_order(events)
    failed = events[-1]
    assert failed.type == "response.failed"
    assert failed.response.output_text == "ab"
    assert failed.response.error is not None
    assert failed.response.error.message == "no more today"
    assert "response.completed" not in {event.type for event in events}


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_before_the_first_message_is_the_sdk_s_error(
    client: AsyncOpenAI, stream: bool
) -> None:
    failure = {"code": "NOT_FOUND", "message": "no such model"}
    with pytest.raises(openai.NotFoundError, match="no such model"):
        await client.responses.create(stream=stream, **asking(fail=failure))


async def test_functions_are_items_of_their_own(client: AsyncOpenAI) -> None:
    calls = [
        {"id": "call_a", "name": "weather", "arguments": ARGUMENTS},
        {"id": "call_b", "name": "weather", "arguments": ["{}"]},
    ]
    told = asking(text="Wait.", tool_calls=calls)
    events = await events_of(client, **told, tools=[TOOL])
    assert_is_in_order(events)
    last = events[-1]
    assert last.type == "response.completed"
    async with client.responses.stream(**told, tools=[TOOL]) as stream:
        streamed = await stream.get_final_response()
    whole = await client.responses.create(**told, tools=[TOOL])
    for response in (last.response, streamed, whole):
        assert [item.type for item in response.output] == [
            "message",
            "function_call",
            "function_call",
        ]
        found = [item.to_dict() for item in response.output[1:]]
        assert [(item["call_id"], item["name"], item["arguments"]) for item in found] == [
            ("call_a", "weather", "".join(ARGUMENTS)),
            ("call_b", "weather", "{}"),
        ]


async def test_probabilities_come_with_their_tokens(client: AsyncOpenAI) -> None:
    told = asking(chunks=["Hel", "lo"], logprobs=[-0.5, -1.25])
    events = await events_of(client, **told, top_logprobs=1)
    assert_is_in_order(events)
    tokens = [
        (token.token, token.logprob)
        for event in events
        if event.type == "response.output_text.delta"
        for token in event.logprobs
    ]
    assert tokens == [("Hel", -0.5), ("lo", -1.25)]


async def test_a_conversation_with_functions_reaches_the_backend(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="script",
        tools=[TOOL],
        input=[
            {"role": "user", "content": "first"},
            {"type": "reasoning", "id": "rs", "summary": []},
            {"role": "assistant", "content": "Wait."},
            {"type": "function_call", "call_id": "a", "name": "weather", "arguments": "{}"},
            {"type": "function_call", "call_id": "b", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "rain"},
            {
                "type": "function_call_output",
                "call_id": "b",
                "output": [{"type": "input_text", "text": "sun"}],
            },
            {"role": "user", "content": [{"type": "input_text", "text": "second"}]},
        ],
    )
    assert response.output_text == "second"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"tool_choice": "sometimes"}, "tool_choice.type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].message.content",
        ),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_what_can_t_be_served_is_refused_with_its_name(
    client: AsyncOpenAI, wrong: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.create(**{**asking(text="a"), **wrong})
    assert caught.value.param == param
