"""The plain wire, byte for byte, through a real bridge and a real backend."""

import asyncio
import json
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.dialects.plain import PlainDialect
from bridge.settings import Settings
from bridge.status import Status
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import FinishReason, StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import (
    DONE,
    RunningBridge,
    ask,
    http_client,
    on_each_transport,
    script,
    serving_bridge,
)

pytestmark = on_each_transport

PATHS = ["/v1/chat/completions", "/chat/completions"]
TEXTS = ["a", "b", "c"]


async def post(http: httpx.AsyncClient, content: str, **fields: Any) -> httpx.Response:
    return await http.post(
        PATHS[0], json=ask(content, **fields), headers={"x-request-id": "the-request"}
    )


@pytest.mark.parametrize("path", PATHS)
async def test_a_finished_stream_has_its_texts_its_ending_and_done(
    http: httpx.AsyncClient, path: str
) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    response = await http.post(
        path, json=ask(script(chunks=["Hel", "lo"], finish_reason="length", usage=usage))
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.content == (
        b'data: {"content":"Hel"}\n\n'
        b'data: {"content":"lo"}\n\n'
        b'data: {"content":"","finish_reason":"length",'
        b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
        b"data: [DONE]\n\n"
    )


async def test_a_stream_that_tells_no_reason_ends_with_done_alone(http: httpx.AsyncClient) -> None:
    response = await post(http, script(chunks=["a"], finish_reason=None))
    assert response.content == b'data: {"content":"a"}\n\n' + DONE


async def test_empty_texts_have_no_frame(http: httpx.AsyncClient) -> None:
    response = await post(http, script(chunks=["", "a", "", "b", ""], finish_reason=None))
    assert response.content == b'data: {"content":"a"}\n\ndata: {"content":"b"}\n\n' + DONE


async def test_a_stream_of_nothing_is_done(http: httpx.AsyncClient) -> None:
    response = await post(http, script(chunks=[], finish_reason=None))
    assert response.content == DONE


def error_frame(status: Status, message: str) -> bytes:
    private = status.private
    error = "The request failed. Request id: the-request" if private else message
    payload = {"error": error, "code": status.name, "retryable": status.retryable}
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("status", Status, ids=lambda status: status.name)
async def test_every_status_after_any_messages_is_told_in_band_once(
    http: httpx.AsyncClient, bridge_server: RunningBridge, status: Status, after: int
) -> None:
    message = f"why {status.name}"
    fail = {"code": status.name, "message": message, "after": after}
    response = await http.post(
        PATHS[0],
        json=ask(script(chunks=TEXTS, fail=fail)),
        headers={"x-request-id": f"the-request-{status.name}-{after}"},
    )
    frames = b"".join(b'data: {"content":"%s"}\n\n' % t.encode() for t in TEXTS[:after])
    if status is not Status.OK:
        frames += error_frame(status, message).replace(
            b"the-request", f"the-request-{status.name}-{after}".encode()
        )
    assert response.status_code == 200
    assert response.content == frames + DONE

    record = await bridge_server.record(f"the-request-{status.name}-{after}")
    assert record.messages == after
    assert record.text == "".join(TEXTS[:after])
    if status is Status.OK:
        assert (record.outcome, record.code) == (Outcome.FINISHED, None)
    else:
        assert (record.outcome, record.code) == (Outcome.FAILED, status.name)
        assert record.error == message


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK], ids=lambda s: s.name)
async def test_a_status_without_a_message_has_a_sentence(
    http: httpx.AsyncClient, status: Status
) -> None:
    response = await post(http, script(text="a", fail={"code": status.name, "message": ""}))
    assert response.content == error_frame(status, status.sentence) + DONE


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK], ids=lambda s: s.name)
async def test_a_client_that_prefers_statuses_gets_the_canonical_one(
    http: httpx.AsyncClient, status: Status
) -> None:
    fail = {"code": status.name, "message": "why"}
    response = await http.post(
        PATHS[0],
        json=ask(script(text="a", fail=fail)),
        headers={"prefer": "respond-async, STATUS;x=1", "x-request-id": "the-request"},
    )
    assert response.status_code == status.http
    assert response.headers["content-type"] == "application/json"
    assert response.headers["preference-applied"] == "status"
    assert b"data: " + response.content + b"\n\n" == error_frame(status, "why")


async def test_a_client_that_prefers_statuses_is_told_later_failures_in_band(
    http: httpx.AsyncClient,
) -> None:
    fail = {"code": "NOT_FOUND", "message": "why", "after": 1}
    response = await http.post(
        PATHS[0], json=ask(script(chunks=["a"], fail=fail)), headers={"prefer": "status"}
    )
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "status"
    frames = b'data: {"content":"a"}\n\n' + error_frame(Status.NOT_FOUND, "why") + DONE
    assert response.content == frames


async def test_a_client_that_prefers_statuses_gets_an_empty_stream_too(
    http: httpx.AsyncClient,
) -> None:
    response = await http.post(
        PATHS[0],
        json=ask(script(chunks=[], finish_reason=None)),
        headers={"prefer": "status"},
    )
    assert (response.status_code, response.content) == (200, DONE)


@pytest.mark.parametrize("prefer", ["", "statuses", "return=status", "wait=1"])
async def test_other_preferences_change_nothing(http: httpx.AsyncClient, prefer: str) -> None:
    response = await http.post(
        PATHS[0],
        json=ask(script(text="a", fail={"code": "NOT_FOUND", "message": "why"})),
        headers={"prefer": prefer},
    )
    assert response.status_code == 200
    assert "preference-applied" not in response.headers


async def test_without_a_stream_the_answer_is_one_object(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    response = await http.post(
        PATHS[0],
        json=ask(script(chunks=["Hel", "lo \U0001f600"], usage=usage), stream=False),
        headers={"x-request-id": "whole"},
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "content": "Hello \U0001f600",
        "finish_reason": "stop",
        "usage": usage,
        "model": "script",
    }
    record = await bridge_server.record("whole")
    assert (record.outcome, record.text) == (Outcome.FINISHED, "Hello \U0001f600")


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("status", [s for s in Status if s is not Status.OK], ids=lambda s: s.name)
async def test_without_a_stream_a_failure_is_an_http_status(
    http: httpx.AsyncClient, status: Status, after: int
) -> None:
    fail = {"code": status.name, "message": "why", "after": after}
    response = await post(http, script(chunks=TEXTS, fail=fail), stream=False)
    assert response.status_code == status.http
    assert b"data: " + response.content + b"\n\n" == error_frame(status, "why")


def strict_client(body: bytes) -> str:
    """Read a body as the strict client of the contract does."""
    content = ""
    for piece in body.decode().split("\n\n"):
        payload = piece.removeprefix("data: ")
        if payload == "[DONE]":
            return content
        parsed = json.loads(payload)
        assert not parsed.get("error")
        content += parsed["content"]
    raise AssertionError("no [DONE]")


AWKWARD = [
    "\n\n",
    "data: ",
    "data: [DONE]\n\n",
    "[DONE]",
    "\r",
    "\r\n",
    "\u2028\u2029\u0085",
    "\0",
    "\U0001f600",
    "\x1b[0m",
    "</script>",
    '"\\',
    "\ufeff",
    "id: 1\n",
    ": ping\n\n",
]


async def test_no_text_is_taken_for_a_frame(http: httpx.AsyncClient) -> None:
    response = await post(http, script(chunks=AWKWARD))
    assert strict_client(response.content) == "".join(AWKWARD)
    assert response.content.count(b"\n\n") == len(AWKWARD) + 2
    assert b"\r" not in response.content
    assert response.content.endswith(DONE)
    assert response.content.count(DONE) == 1


texts = st.lists(st.text(max_size=50) | st.sampled_from(AWKWARD), max_size=20)


@given(texts=texts)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_strict_client_puts_together_what_the_backend_sent(
    http: httpx.AsyncClient, texts: list[str]
) -> None:
    response = await post(http, script(chunks=texts))
    assert strict_client(response.content) == "".join(texts)


async def test_the_next_message_is_sent_only_after_the_client_has_read_the_last_one(
    stepped: SteppedBackend,
) -> None:
    """Were a frame held back for whatever comes next, this test would not end."""
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=5) as http,
        http.stream("POST", PATHS[0], json=ask("hello")) as response,
    ):
        chunks = response.aiter_raw()
        for text in ("a", "b", "c"):
            await stepped.send(StreamCompletionResponse(text=text))
            assert await anext(chunks) == b'data: {"content":"%s"}\n\n' % text.encode()
        await stepped.end()
        assert await anext(chunks) == DONE


async def test_the_ending_waits_for_the_status(stepped: SteppedBackend) -> None:
    """A backend that says "stop" and then fails has not finished."""
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=5) as http,
        http.stream("POST", PATHS[0], json=ask("hello")) as response,
    ):
        stop = StreamCompletionResponse(text="a", finish_reason=FinishReason.FINISH_REASON_STOP)
        await stepped.send(stop)
        await stepped.end(grpc.StatusCode.UNAVAILABLE, "gone")
        body = await response.aread()
    assert body == b'data: {"content":"a"}\n\n' + error_frame(Status.UNAVAILABLE, "gone") + DONE


async def test_a_finish_reason_of_a_newer_schema_is_unknown(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=5) as http,
        http.stream("POST", PATHS[0], json=ask("hello")) as response,
    ):
        await stepped.send(StreamCompletionResponse.FromString(b"\x18\x63"))
        await stepped.end()
        body = await response.aread()
    assert body == b'data: {"content":"","finish_reason":"unknown"}\n\n' + DONE


async def test_a_message_that_can_t_be_read_is_an_internal_failure(
    stepped: SteppedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=5) as http,
        http.stream(
            "POST", PATHS[0], json=ask("hello"), headers={"x-request-id": "the-request"}
        ) as response,
    ):
        await stepped.send(StreamCompletionResponse(text="a"))
        await stepped.send(b"\xff\xff")
        body = await response.aread()
        record = await running.record("the-request")
    assert body == b'data: {"content":"a"}\n\n' + error_frame(Status.INTERNAL, "") + DONE
    assert record.code == "INTERNAL"
    assert "can't be read" in record.error
    await stepped.cancelled()


async def test_an_exception_of_ours_is_an_internal_failure_of_its_stream_alone(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = PlainDialect.message

    def fail_on_b(self: PlainDialect, message: StreamCompletionResponse) -> bytes:
        if message.text == "b":
            raise ZeroDivisionError
        return encode(self, message)

    monkeypatch.setattr(PlainDialect, "message", fail_on_b)
    failed, served = await asyncio.gather(
        post(http, script(chunks=["a", "b", "c"])), post(http, script(chunks=["a", "c"]))
    )
    frames = b'data: {"content":"a"}\n\n' + error_frame(Status.INTERNAL, "") + DONE
    assert failed.content == frames
    assert strict_client(served.content) == "ac"
