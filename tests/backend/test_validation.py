"""The rules of the schema, each with the field that it names."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from backend.status import RpcError
from backend.validation import validate
from protos.completion.v1.completion_pb2 import Message, Role, StreamCompletionRequest
from tests.backend.calls import Client, asking

USER = Message(role=Role.ROLE_USER, content="")


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
