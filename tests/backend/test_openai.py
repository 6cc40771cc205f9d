"""The engine that asks an HTTP API, against a real HTTP server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2

from backend.engines.openai import network_status, retry_after
from backend.server import Server, serving
from backend.settings import Settings
from protos.completion.v1.completion_pb2 import (
    ListModelsRequest,
    StreamCompletionRequest,
    Tool,
    ToolCallDelta,
    Usage,
)
from tests.backend import calls
from tests.backend.calls import Client, client_of, read
from tests.backend.upstream import Response, Upstream
from tests.conftest import eventually
from tests.processes import server_process

KEY = "sk-this-is-secret"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def asking(content: str, model: str = "large", **fields: Any) -> StreamCompletionRequest:
    return calls.asking(content, model, **fields)


def text(content: str) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": content}, "finish_reason": None}]}


@asynccontextmanager
async def backend_of(base_url: str, **fields: Any) -> AsyncIterator[tuple[Server, Client]]:
    settings = Settings(
        port=0,
        model="large",
        openai_base_url=base_url,
        openai_api_key=KEY,
        openai_models=["large", "openai/small"],
        shutdown_grace=0,
        **fields,
    )
    async with serving(settings) as server, client_of(server.address) as client:
        yield server, client


@pytest.fixture
async def backend(upstream: Upstream) -> AsyncIterator[Server]:
    async with backend_of(upstream.base_url) as (server, _):
        yield server


@pytest.fixture
async def client(backend: Server) -> AsyncIterator[Client]:
    async with client_of(backend.address) as client:
        yield client


def answering(upstream: Upstream, *events: object, end: bool = True) -> None:
    async def respond(response: Response) -> None:
        await response.events(*events)
        if end:
            await response.end()

    upstream.respond = respond


def refusing(upstream: Upstream, status: int, body: object, **headers: str) -> None:
    async def respond(response: Response) -> None:
        await response.json(status, body, **headers)

    upstream.respond = respond


async def test_an_answer_is_passed_on(client: Client, upstream: Upstream) -> None:
    pieces = ["Hi", " \U0001f600", "\u2028", "\x00", "\r", "\n\n", "data: [DONE]"]
    answering(upstream, *map(text, pieces), FINISH, {"choices": [], "usage": USAGE}, "[DONE]")
    answer = await client.ask(asking("hello"))
    assert answer.texts == pieces
    assert answer.finish_reason == "STOP"
    assert answer.usage == Usage(**USAGE)
    assert answer.code is grpc.StatusCode.OK
    assert answer.messages[0].model == "large"


async def test_tool_calls_are_passed_on_in_pieces(client: Client, upstream: Upstream) -> None:
    calls = [
        {"index": 0, "id": "one", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
    ]
    chunks = [{"choices": [{"delta": {"tool_calls": [call]}}]} for call in calls]
    answering(upstream, *chunks, {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    tool = Tool(name="f", parameters='{"type": "object"}')
    answer = await client.ask(asking("hello", tools=[tool]))
    assert [delta for message in answer.messages for delta in message.tool_calls] == [
        ToolCallDelta(id="one", name="f"),
        ToolCallDelta(arguments="{}"),
    ]
    assert answer.finish_reason == "TOOL_CALLS"
    function = {"name": "f", "parameters": {"type": "object"}}
    assert upstream.received[0].body["tools"] == [{"type": "function", "function": function}]


async def test_an_answer_of_which_a_choice_is_cut_is_unavailable(
    client: Client, upstream: Upstream
) -> None:
    first = {"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}
    second = {"index": 1, "delta": {"content": "b"}, "finish_reason": None}
    answering(upstream, {"choices": [first]}, {"choices": [second]})
    answer = await client.ask(asking("hello", choices=2))
    assert [(m.choice, m.text) for m in answer.messages] == [(0, "a"), (1, "b")]
    assert answer.code is grpc.StatusCode.UNAVAILABLE


async def test_line_separators_in_the_json_of_an_upstream_end_no_event(
    client: Client, upstream: Upstream
) -> None:
    raw = json.dumps(text("a\u2028b\u0085c\x1dd"), ensure_ascii=False)
    answering(upstream, raw, FINISH, "[DONE]")
    answer = await client.ask(asking("hello"))
    assert answer.texts == ["a\u2028b\u0085c\x1dd"]


async def test_what_is_asked_for_arrives_with_the_key_and_the_request_id(
    client: Client, upstream: Upstream
) -> None:
    answering(upstream, FINISH, "[DONE]")
    await client.ask(
        asking("hello", temperature=0.5, max_tokens=7),
        metadata=(("x-request-id", "r1"),),
    )
    (received,) = upstream.received
    assert received.target == "POST /v1/chat/completions HTTP/1.1"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.headers["x-request-id"] == "r1"
    assert received.headers["accept"] == "text/event-stream"
    assert received.body == {
        "model": "large",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("asked_for", "model"),
    [
        ("", "large"),
        ("large", "large"),
        ("openai/large", "large"),
        ("openai/other/one", "other/one"),
        ("openai/small", "openai/small"),
    ],
)
async def test_the_prefix_is_taken_away_unless_it_belongs_to_the_name(
    client: Client, upstream: Upstream, asked_for: str, model: str
) -> None:
    answering(upstream, FINISH, "[DONE]")
    answer = await client.ask(asking("hello", model=asked_for))
    assert answer.code is grpc.StatusCode.OK
    assert upstream.received[0].body["model"] == model
    assert "x-request-id" not in upstream.received[0].headers


@pytest.mark.parametrize("model", ["other", "openai/"])
async def test_other_models_are_not_found(client: Client, model: str) -> None:
    answer = await client.ask(asking("hello", model=model))
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.details == (
        f"there is no model '{model}'; the models are: large, script, openai/small"
    )


async def test_the_models_are_listed_with_the_default_first(client: Client) -> None:
    listed = await client.stub.ListModels(ListModelsRequest())
    assert [(model.id, model.owned_by) for model in listed.models] == [
        ("large", "openai"),
        ("script", "script"),
        ("openai/small", "openai"),
    ]


async def test_text_is_passed_on_when_it_comes(client: Client, upstream: Upstream) -> None:
    go_on = asyncio.Event()

    async def respond(response: Response) -> None:
        await response.events(text("first"))
        await go_on.wait()
        await response.piece(f"data: {json.dumps(FINISH)}\n\ndata: [DONE]\n\n".encode())
        await response.end()

    upstream.respond = respond
    call, first = await client.begin(asking("hello"))
    assert first.text == "first"
    go_on.set()
    assert (await read(call)).finish_reason == "STOP"


@pytest.mark.parametrize(
    "events",
    [
        [text("a"), FINISH],
        [text("a"), "[DONE]"],
        [text("a"), FINISH, {"usage": USAGE}],
    ],
)
async def test_either_end_of_an_answer_will_do(
    client: Client, upstream: Upstream, events: list[object]
) -> None:
    answering(upstream, *events)
    answer = await client.ask(asking("hello"))
    assert (answer.text, answer.code) == ("a", grpc.StatusCode.OK)


@pytest.mark.parametrize("events", [[], [text("a")], [text("a"), {"usage": USAGE}]])
@pytest.mark.parametrize("end", [True, False])
async def test_an_answer_that_is_cut_is_unavailable(
    client: Client, upstream: Upstream, events: list[object], end: bool
) -> None:
    answering(upstream, *events, end=end)
    answer = await client.ask(asking("hello"))
    assert answer.text == ("a" if events else "")
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert answer.details == (
        "the model's server cut its answer short"
        if end
        else "the connection to the model's server broke"
    )


async def test_an_upstream_that_is_away_is_unavailable(upstream: Upstream) -> None:
    async with backend_of("http://127.0.0.1:1/v1") as (_, client):
        answer = await client.ask(asking("hello"))
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert answer.details == "the model's server can't be reached"


async def test_an_upstream_that_says_nothing_runs_out_of_time(upstream: Upstream) -> None:
    async def respond(response: Response) -> None:
        await response.events(text("a"))
        await upstream.left.wait()

    upstream.respond = respond
    async with backend_of(upstream.base_url, openai_timeout=0.3) as (_, client):
        answer = await client.ask(asking("hello"))
        await asyncio.wait_for(upstream.left.wait(), 5)
    assert answer.text == "a"
    assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert answer.details == "the model's server was silent for too long"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT, "Because."),
        (401, grpc.StatusCode.UNAUTHENTICATED, "the model's server refuses the backend's API key"),
        (404, grpc.StatusCode.NOT_FOUND, "Because."),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED, "Because."),
        (500, grpc.StatusCode.UNAVAILABLE, "Because."),
        (503, grpc.StatusCode.UNAVAILABLE, "Because."),
    ],
)
async def test_a_refusal_is_passed_on_with_its_code(
    client: Client, upstream: Upstream, status: int, code: grpc.StatusCode, message: str
) -> None:
    refusing(upstream, status, {"error": {"message": "Because."}})
    answer = await client.ask(asking("hello"))
    assert (answer.code, answer.details) == (code, message)


@pytest.mark.parametrize(
    ("value", "milliseconds"), [("7", 7000), ("0", 0), (formatdate(0, usegmt=True), 0)]
)
async def test_retry_after_becomes_a_retry_info(
    client: Client, upstream: Upstream, value: str, milliseconds: int
) -> None:
    refusing(upstream, 429, {"error": {"message": "Later."}}, Retry_After=value)
    answer = await client.ask(asking("hello"))
    retry = answer.detail(error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == milliseconds


async def test_without_retry_after_there_is_no_retry_info(
    client: Client, upstream: Upstream
) -> None:
    refusing(upstream, 429, {"error": {"message": "Later."}})
    answer = await client.ask(asking("hello"))
    assert answer.trailing_metadata == {}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12", 12.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0665", None),
        ("9" * 400, 86_400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(value, now=40.0) == seconds


async def test_a_prompt_that_is_too_long_is_an_invalid_field(
    client: Client, upstream: Upstream
) -> None:
    error = {"message": "At most 10 tokens, got 11.", "code": "context_length_exceeded"}
    refusing(upstream, 400, {"error": error})
    answer = await client.ask(asking("hello"))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = answer.detail(error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("messages", "At most 10 tokens, got 11.")


async def test_an_error_inside_the_stream_ends_it(client: Client, upstream: Upstream) -> None:
    error = {"message": "Slow down.", "type": "rate_limit_error"}
    answering(upstream, text("a"), {"error": error}, "[DONE]")
    answer = await client.ask(asking("hello"))
    assert answer.text == "a"
    assert (answer.code, answer.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Slow down.")


@pytest.mark.parametrize("body", ["<html>", "", "x" * 100_000])
async def test_a_refusal_in_another_format_has_its_code(
    client: Client, upstream: Upstream, body: str
) -> None:
    async def respond(response: Response) -> None:
        await response.head(503, "text/html")
        if body:
            await response.piece(body.encode())
        await response.end()

    upstream.respond = respond
    answer = await client.ask(asking("hello"))
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert answer.details == "the model's server reports an error (HTTP status 503) and no reason"


async def test_an_answer_that_is_no_stream_is_an_error(client: Client, upstream: Upstream) -> None:
    refusing(upstream, 200, {"choices": []})
    answer = await client.ask(asking("hello"))
    assert answer.code is grpc.StatusCode.INTERNAL
    assert answer.details == "the model's server did not answer with an event stream"


async def test_an_error_with_status_200_is_an_error(client: Client, upstream: Upstream) -> None:
    refusing(upstream, 200, {"error": {"message": "No such model.", "code": "model_not_found"}})
    answer = await client.ask(asking("hello"))
    assert (answer.code, answer.details) == (grpc.StatusCode.NOT_FOUND, "No such model.")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("{", "the model's server sent a chunk that is not JSON"),
        ('{"choices": 5}', "the model's server sent a chunk that makes no sense"),
    ],
)
async def test_a_malformed_chunk_ends_the_stream(
    client: Client, upstream: Upstream, event: str, message: str
) -> None:
    answering(upstream, text("a"), event)
    answer = await client.ask(asking("hello"))
    assert answer.text == "a"
    assert (answer.code, answer.details) == (grpc.StatusCode.INTERNAL, message)


@pytest.mark.parametrize("begun", [0, 1])
async def test_a_cancelled_call_closes_the_http_stream(
    backend: Server, client: Client, upstream: Upstream, begun: int
) -> None:
    asked = asyncio.Event()

    async def respond(response: Response) -> None:
        asked.set()
        if begun:
            await response.events(text("a"))
        await upstream.left.wait()

    upstream.respond = respond
    tasks = len(asyncio.all_tasks())
    call = client.call(asking("hello"))
    reading = asyncio.create_task(read(call))
    await asked.wait()
    if begun:
        await eventually(lambda: backend.open_calls == 1)
    call.cancel()
    await asyncio.wait_for(upstream.left.wait(), 5)
    await eventually(lambda: backend.open_calls == 0)
    await asyncio.wait([reading])
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_the_key_is_in_no_error_and_in_no_log(upstream: Upstream) -> None:
    env = {
        "BACKEND_OPENAI_API_KEY": KEY,
        "BACKEND_OPENAI_BASE_URL": upstream.base_url,
        "BACKEND_OPENAI_MODELS": "large",
        "BACKEND_MODEL": "large",
    }
    quoted = {"error": {"message": f"Wrong: Authorization: Bearer {KEY}"}}
    async with server_process("backend", env=env) as process:
        async with client_of(await process.address()) as client:
            answers = []
            for status in (400, 401, 500):
                refusing(upstream, status, quoted)
                answers.append(await client.ask(asking("hello")))
            answering(upstream, quoted)
            answers.append(await client.ask(asking("hello")))
        assert await process.stop() == 0
    assert [answer.code.name for answer in answers] == [
        "INVALID_ARGUMENT",
        "UNAUTHENTICATED",
        "UNAVAILABLE",
        "UNAVAILABLE",
    ]
    assert answers[0].details == "Wrong: Authorization: Bearer ***"
    assert KEY not in repr(answers)
    assert KEY not in repr(process.records)
    assert process.other_output == []


async def test_without_a_key_none_is_sent(upstream: Upstream) -> None:
    answering(upstream, FINISH)
    settings = Settings(
        port=0, model="openai/m", openai_base_url=upstream.base_url, shutdown_grace=0
    )
    async with serving(settings) as server, client_of(server.address) as client:
        assert (await client.ask(asking("hello", model=""))).code is grpc.StatusCode.OK
    assert "authorization" not in upstream.received[0].headers


def test_errors_of_the_connection_tell_no_address() -> None:
    for error in (
        httpx.ConnectError("http://user:password@host"),
        httpx.ConnectTimeout("http://user:password@host"),
        httpx.ProxyError("http://user:password@host"),
        httpx.ReadError("http://user:password@host"),
        httpx.WriteTimeout("http://user:password@host"),
        httpx.RemoteProtocolError("http://user:password@host"),
    ):
        status = network_status(error)
        assert "password" not in status.message
        late = isinstance(error, httpx.WriteTimeout)
        code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.UNAVAILABLE
        assert status.code is code
