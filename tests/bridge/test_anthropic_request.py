"""Requests of Anthropic's Messages, and what they are in the RPC."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.dialects.anthropic_request import AnthropicRequest
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    ToolCall,
    ToolChoice,
)

USER = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}


def read(**fields: Any) -> AnthropicRequest:
    return AnthropicRequest.model_validate({"messages": [USER], **fields})


def rpc(**fields: Any) -> StreamCompletionRequest:
    return read(**fields).to_rpc()


def violations(**fields: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(**fields)
    return {".".join(map(str, e["loc"])): e["msg"] for e in caught.value.errors()}


def test_what_a_request_does_not_say_is_not_set() -> None:
    assert rpc() == StreamCompletionRequest(messages=[Message(role=Role.ROLE_USER, content="hi")])


def test_what_a_request_says_is_carried() -> None:
    request = rpc(model="m", max_tokens=5, temperature=0, top_p=0.5, stop_sequences=["x"])
    assert (request.model, request.max_tokens, request.top_p) == ("m", 5, 0.5)
    assert request.HasField("temperature")
    assert request.stop == ["x"]


@pytest.mark.parametrize("system", ["Be brief.", [{"type": "text", "text": "Be brief."}]])
def test_the_system_prompt_comes_first(system: Any) -> None:
    messages = rpc(system=system).messages
    assert [message.role for message in messages] == [Role.ROLE_SYSTEM, Role.ROLE_USER]
    assert messages[0].content == "Be brief."


def test_a_conversation_with_tools_is_carried() -> None:
    request = rpc(
        messages=[
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "redacted_thinking", "data": "d"},
                    {"type": "text", "text": "Wait."},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "42"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "b",
                        "content": [{"type": "text", "text": "43"}],
                    },
                    {"type": "text", "text": "So?"},
                ],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
        ]
    )
    assert request.messages[1:] == [
        Message(
            role=Role.ROLE_ASSISTANT,
            content="Wait.",
            tool_calls=[ToolCall(id="a", name="f", arguments='{"x": 1}')],
        ),
        Message(role=Role.ROLE_TOOL, tool_call_id="a", content="42"),
        Message(role=Role.ROLE_TOOL, tool_call_id="b", content="43"),
        Message(role=Role.ROLE_USER, content="So?"),
        Message(role=Role.ROLE_TOOL, tool_call_id="c"),
    ]


def test_a_message_of_no_blocks_is_an_empty_message() -> None:
    messages = rpc(messages=[{"role": "user", "content": []}]).messages
    assert messages == [Message(role=Role.ROLE_USER)]


def test_tools_are_carried() -> None:
    (tool,) = rpc(tools=[{**TOOL, "type": "custom", "strict": True}]).tools
    assert (tool.name, tool.description, tool.strict) == ("f", "d", True)
    assert json.loads(tool.parameters) == {"type": "object"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "none"}, ToolChoice(mode=ToolChoice.MODE_NONE)),
        ({"type": "auto"}, ToolChoice(mode=ToolChoice.MODE_AUTO)),
        ({"type": "any"}, ToolChoice(mode=ToolChoice.MODE_REQUIRED)),
        ({"type": "tool", "name": "f"}, ToolChoice(mode=ToolChoice.MODE_REQUIRED, name="f")),
    ],
)
def test_the_choice_of_a_tool_is_carried(choice: Any, expected: ToolChoice) -> None:
    request = rpc(tool_choice=choice)
    assert request.tool_choice == expected
    assert not request.HasField("parallel_tool_calls")


@pytest.mark.parametrize("alone", [True, False])
def test_whether_tools_may_be_called_together_is_carried(alone: bool) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": alone}
    request = rpc(tool_choice=choice)
    assert request.HasField("parallel_tool_calls")
    assert request.parallel_tool_calls is not alone


def test_the_format_of_the_answer_is_carried() -> None:
    assert not rpc(output_config={"effort": "low"}).HasField("response_format")
    wanted = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert json.loads(rpc(output_config=wanted).response_format.schema) == {"type": "object"}


def test_what_only_advises_is_ignored_and_so_is_what_anthropic_does_not_know() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    assert rpc(thinking=thinking, metadata={"user_id": "me"}, service_tier="auto", mine=1) == rpc()


def test_a_tool_choice_of_a_tool_names_it() -> None:
    assert violations(tool_choice={"type": "tool"}) == {
        "tool_choice": "The type 'tool' needs a name"
    }


@pytest.mark.parametrize("name", ["top_k", "container", "mcp_servers"])
def test_what_can_t_be_carried_is_refused(name: str) -> None:
    assert violations(**{name: [1]}) == {name: "This is not supported by the bridge"}


@pytest.mark.parametrize("kind", ["image", "document", None])
def test_a_block_that_can_t_be_carried_is_refused(kind: str | None) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": kind}]}]
    assert violations(messages=messages) == {
        "messages.0.content.1": "The bridge carries only blocks of text, tool_use and tool_result"
    }
