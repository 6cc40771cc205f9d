"""Requests of OpenAI's Chat Completions, and what they are in the RPC."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.dialects.openai_request import OpenAIChatRequest
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    ToolCall,
    ToolChoice,
)

USER = {"role": "user", "content": "hi"}
NO_JSON = "JSON has no NaN, no infinity, and no half of a surrogate pair"
FUNCTION = {"name": "f", "parameters": {"type": "object"}}


def read(**fields: Any) -> OpenAIChatRequest:
    return OpenAIChatRequest.model_validate({"messages": [USER], **fields})


def rpc(**fields: Any) -> StreamCompletionRequest:
    return read(**fields).to_rpc()


def violations(**fields: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(**fields)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


def test_what_a_request_does_not_say_is_not_set() -> None:
    assert rpc() == StreamCompletionRequest(
        messages=[Message(role=Role.ROLE_USER, content="hi")],
    )


def test_null_is_the_same_as_absent() -> None:
    names = set(OpenAIChatRequest.model_fields) - {"messages"}
    assert rpc(**dict.fromkeys(names)) == rpc()


def test_what_a_request_says_is_carried() -> None:
    request = rpc(
        model="m",
        temperature=0,
        top_p=0.5,
        frequency_penalty=-1,
        presence_penalty=1,
        max_completion_tokens=5,
        n=3,
        stop="x",
        seed=7,
        logprobs=True,
        top_logprobs=2,
        parallel_tool_calls=False,
    )
    assert request.model == "m"
    assert request.HasField("temperature")
    assert (request.top_p, request.frequency_penalty, request.presence_penalty) == (0.5, -1, 1)
    assert (request.max_tokens, request.choices, list(request.stop)) == (5, 3, ["x"])
    assert (request.seed, request.top_logprobs) == (7, 2)
    assert request.HasField("parallel_tool_calls")


def test_the_limit_of_tokens_has_an_older_name() -> None:
    assert rpc(max_tokens=5).max_tokens == 5
    assert rpc(max_tokens=5, max_completion_tokens=5).max_tokens == 5
    assert violations(max_tokens=5, max_completion_tokens=6) == {
        "": "max_tokens and max_completion_tokens are two names of one limit"
    }


def test_probabilities_may_come_without_those_of_other_tokens() -> None:
    request = rpc(logprobs=True)
    assert request.HasField("top_logprobs")
    assert request.top_logprobs == 0
    assert not rpc(logprobs=False).HasField("top_logprobs")
    assert violations(top_logprobs=1) == {"": "top_logprobs needs logprobs to be true"}


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("system", Role.ROLE_SYSTEM),
        ("developer", Role.ROLE_SYSTEM),
        ("user", Role.ROLE_USER),
        ("assistant", Role.ROLE_ASSISTANT),
    ],
)
def test_the_roles_are_the_schema_s(role: str, expected: Role.ValueType) -> None:
    (message,) = rpc(messages=[{"role": role, "content": ""}]).messages
    assert message.role == expected


def test_a_conversation_with_tools_is_carried() -> None:
    call = {"id": "one", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    request = rpc(
        messages=[
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "one", "content": [{"type": "text", "text": "42"}]},
        ]
    )
    assert request.messages[1:] == [
        Message(
            role=Role.ROLE_ASSISTANT,
            tool_calls=[ToolCall(id="one", name="f", arguments="{}")],
        ),
        Message(role=Role.ROLE_TOOL, tool_call_id="one", content="42"),
    ]


def test_tools_are_carried() -> None:
    function = {**FUNCTION, "description": "d", "strict": True}
    (tool,) = rpc(tools=[{"type": "function", "function": function}]).tools
    assert (tool.name, tool.description, tool.strict) == ("f", "d", True)
    assert json.loads(tool.parameters) == {"type": "object"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ToolChoice(mode=ToolChoice.MODE_NONE)),
        ("auto", ToolChoice(mode=ToolChoice.MODE_AUTO)),
        ("required", ToolChoice(mode=ToolChoice.MODE_REQUIRED)),
        (
            {"type": "function", "function": {"name": "f"}},
            ToolChoice(mode=ToolChoice.MODE_REQUIRED, name="f"),
        ),
    ],
)
def test_the_choice_of_a_tool_is_carried(choice: Any, expected: ToolChoice) -> None:
    assert rpc(tool_choice=choice).tool_choice == expected


def test_the_format_of_the_answer_is_carried() -> None:
    assert not rpc(response_format={"type": "text"}).HasField("response_format")
    assert rpc(response_format={"type": "json_object"}).HasField("response_format")
    schema = {"name": "s", "description": "d", "schema": {"type": "object"}, "strict": False}
    wanted = {"type": "json_schema", "json_schema": schema}
    found = rpc(response_format=wanted).response_format
    assert (found.name, found.description) == ("s", "d")
    assert found.HasField("strict")
    assert json.loads(found.schema) == {"type": "object"}


def test_a_schema_goes_on_as_it_is() -> None:
    schema = {"maximum": 2**70, "pattern": "\u2028é", "default": 1.5, "b": None, "a": []}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    found = json.loads(rpc(tools=[tool]).tools[0].parameters)
    assert found == schema
    assert [*found] == [*schema]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "\ud800"])
def test_a_schema_that_is_not_json_is_refused(bad: object) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"default": bad}}}
    assert violations(tools=[tool]) == {"tools.0.function.parameters": NO_JSON}


@pytest.mark.parametrize(
    "name",
    [
        *("audio", "function_call", "functions", "logit_bias", "moderation", "store"),
        "web_search_options",
    ],
)
def test_what_can_t_be_carried_is_refused_unless_it_asks_for_nothing(name: str) -> None:
    assert violations(**{name: {"any": "thing"}}) == {name: "This is not supported by the bridge"}
    nothings: list[Any] = [None, False, {}, []]
    for nothing in nothings:
        assert rpc(**{name: nothing}) == rpc()


def test_what_only_advises_is_ignored_and_so_is_what_openai_does_not_know() -> None:
    assert rpc(reasoning_effort="low", user="me", service_tier="flex", mine=1) == rpc()


def test_the_only_modality_is_text() -> None:
    assert rpc(modalities=["text"]) == rpc()
    assert violations(modalities=["text", "audio"]) == {
        "modalities": "The only modality of the bridge is text"
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([{"type": "text"}], "Part 0 must be an object with a type and a text"),
        (["text"], "Part 0 must be an object with a type and a text"),
        ([{"type": "text", "text": 1}], "Part 0 must be an object with a type and a text"),
        (
            [{"type": "text", "text": "a"}, {"type": "input_audio"}],
            "Part 1 is of the type 'input_audio'; the bridge carries only parts of type text",
        ),
        ([{}], "Part 0 is of the type None; the bridge carries only parts of type text"),
        (5, "Input should be a valid string"),
    ],
)
def test_content_that_is_no_text_is_refused(content: Any, why: str) -> None:
    messages = [{"role": "user", "content": content}]
    assert violations(messages=messages) == {"messages.0.content": why}


def test_a_message_says_something() -> None:
    assert violations(messages=[{"role": "user"}]) == {"messages.0": "content is required"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tool_choice": "sometimes"}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools.0.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"seed": -1}, "seed"),
        ({"temperature": "1"}, "temperature"),
        ({"stop": [1]}, "stop.0"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], path: str) -> None:
    assert path in violations(**fields)
