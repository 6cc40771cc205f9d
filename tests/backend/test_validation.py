"""The rules of the schema, each with the field that it names."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from backend.status import RpcError
from backend.validation import validate
from protos.completion.v1.completion_pb2 import (
    Message,
    ResponseFormat,
    Role,
    StreamCompletionRequest,
    Tool,
    ToolCall,
    ToolChoice,
)
from tests.backend.calls import Client, asking

USER = Message(role=Role.ROLE_USER, content="")
CALL = ToolCall(id="one", name="f")
AUTO, REQUIRED = ToolChoice.MODE_AUTO, ToolChoice.MODE_REQUIRED
NAN = float("nan")
NAME = "must be 1 to 64 letters, digits, _ or -"
ONLY_ASSISTANT = "only an assistant calls tools"
SCHEMA = "must be a JSON Schema: an object, as JSON"


def saying(role: Role.ValueType, **fields: Any) -> StreamCompletionRequest:
    return StreamCompletionRequest(messages=[Message(role=role, **fields)])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 0},
        {"temperature": 2},
        {"top_p": 1},
        {"top_p": 1e-6},
        {"max_tokens": 1},
        {"max_tokens": 2**32 - 1},
        {"stop": ["x"] * 16},
        {"seed": 0},
        {"seed": 2**64 - 1},
        {"choices": 128},
        {"top_logprobs": 20},
        {"frequency_penalty": -2, "presence_penalty": 2},
        {"tools": [Tool(name="f"), Tool(name="g-1_A", parameters="{}")]},
        {"tools": [Tool(name="f")], "tool_choice": ToolChoice(mode=REQUIRED, name="f")},
        {"tool_choice": ToolChoice(mode=ToolChoice.MODE_NONE)},
        {"response_format": ResponseFormat()},
        {"response_format": ResponseFormat(schema='{"type": "object"}')},
    ],
)
def test_what_the_schema_allows_is_valid(fields: dict[str, Any]) -> None:
    validate(asking("", **fields))


@pytest.mark.parametrize(
    ("request_", "field", "description"),
    [
        (StreamCompletionRequest(), "messages", "at least 1 message is required"),
        (StreamCompletionRequest(messages=[USER, Message()]), "messages[1].role", "is required"),
        (
            StreamCompletionRequest(messages=[Message(role=9)]),  # type: ignore[arg-type]
            "messages[0].role",
            "9 is not a role",
        ),
        (asking("", temperature=-0.5), "temperature", "must be from 0 to 2, got -0.5"),
        (asking("", temperature=2.5), "temperature", "must be from 0 to 2, got 2.5"),
        (asking("", temperature=float("nan")), "temperature", "must be from 0 to 2, got nan"),
        (asking("", top_p=0), "top_p", "must be above 0 and at most 1, got 0"),
        (asking("", top_p=1.5), "top_p", "must be above 0 and at most 1, got 1.5"),
        (asking("", max_tokens=0), "max_tokens", "must be 1 or more, got 0"),
        (asking("", stop=["x"] * 17), "stop", "at most 16 strings are allowed, got 17"),
        (asking("", stop=["a", ""]), "stop[1]", "must not be empty"),
        (asking("", model="m" * 257), "model", "must be at most 256 characters, got 257"),
        (asking("", choices=129), "choices", "must be at most 128, got 129"),
        (asking("", top_logprobs=21), "top_logprobs", "must be at most 20, got 21"),
        (asking("", frequency_penalty=3), "frequency_penalty", "must be from -2 to 2, got 3"),
        (asking("", presence_penalty=NAN), "presence_penalty", "must be from -2 to 2, got nan"),
        (saying(Role.ROLE_USER, tool_calls=[CALL]), "messages[0].tool_calls", ONLY_ASSISTANT),
        (
            saying(Role.ROLE_ASSISTANT, tool_calls=[ToolCall(name="f")]),
            "messages[0].tool_calls[0].id",
            "is required",
        ),
        (
            saying(Role.ROLE_ASSISTANT, tool_calls=[ToolCall(id="one")]),
            "messages[0].tool_calls[0].name",
            "is required",
        ),
        (saying(Role.ROLE_TOOL), "messages[0].tool_call_id", "is required of a tool"),
        (
            saying(Role.ROLE_USER, tool_call_id="one"),
            "messages[0].tool_call_id",
            "only a tool has one",
        ),
        (asking("", tools=[Tool()]), "tools[0].name", NAME),
        (asking("", tools=[Tool(name="f" * 65)]), "tools[0].name", NAME),
        (
            asking("", tools=[Tool(name="f"), Tool(name="f")]),
            "tools[1].name",
            "there is another tool 'f'",
        ),
        (asking("", tools=[Tool(name="f", parameters="[]")]), "tools[0].parameters", SCHEMA),
        (asking("", tools=[Tool(name="f", parameters="{")]), "tools[0].parameters", SCHEMA),
        (asking("", tool_choice=ToolChoice()), "tool_choice.mode", "is required"),
        (asking("", tool_choice=ToolChoice(mode=REQUIRED)), "tool_choice", "there are no tools"),
        (
            asking("", tools=[Tool(name="f")], tool_choice=ToolChoice(mode=REQUIRED, name="g")),
            "tool_choice.name",
            "there is no tool 'g'",
        ),
        (
            asking("", tools=[Tool(name="f")], tool_choice=ToolChoice(mode=AUTO, name="f")),
            "tool_choice.name",
            "needs MODE_REQUIRED",
        ),
        (asking("", response_format=ResponseFormat(schema="1")), "response_format.schema", SCHEMA),
    ],
)
def test_a_wrong_field_is_named(
    request_: StreamCompletionRequest, field: str, description: str
) -> None:
    with pytest.raises(RpcError) as caught:
        validate(request_)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.message == f"{field}: {description}"


async def test_all_wrong_fields_are_told_at_once_over_grpc(script: Client) -> None:
    request = StreamCompletionRequest(
        messages=[USER, USER, Message()], temperature=3, top_p=0, max_tokens=0, stop=[""]
    )
    answer = await script.ask(request)
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert answer.details == (
        "messages[2].role: is required; "
        "temperature: must be from 0 to 2, got 3; "
        "top_p: must be above 0 and at most 1, got 0; "
        "max_tokens: must be 1 or more, got 0; "
        "stop[0]: must not be empty"
    )
    detail = answer.detail(error_details_pb2.BadRequest)
    assert [violation.field for violation in detail.field_violations] == [
        "messages[2].role",
        "temperature",
        "top_p",
        "max_tokens",
        "stop[0]",
    ]
    assert detail.field_violations[0].description == "is required"


async def test_many_wrong_fields_still_fit_into_the_trailers(script: Client) -> None:
    answer = await script.ask(StreamCompletionRequest(messages=[Message()] * 1000))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert answer.details.endswith("messages[15].role: is required; and 984 more")
    assert len(answer.detail(error_details_pb2.BadRequest).field_violations) == 16
