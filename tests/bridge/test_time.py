"""Deadlines and heartbeats, on the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bridge.settings import Settings
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import DONE, ask, eventually, http_client, on_each_transport, serving_bridge

pytestmark = on_each_transport

PATH = "/v1/chat/completions"
TEXT = b'data: {"content":"a"}\n\n'
EMPTY = b'data: {"content":""}\n\n'
PING = b": ping\n\n"


def exceeded(message: str) -> bytes:
    return b'data: {"error":"%s","code":"DEADLINE_EXCEEDED","retryable":true}\n\n%s' % (
        message.encode(),
        DONE,
    )


async def body_of(
    stepped: SteppedBackend, texts: int, settings: dict[str, Any], headers: dict[str, str]
) -> bytes:
    """Ask a backend that sends ``texts`` messages and then is silent."""
    async with (
        serving_bridge(Settings(backend=stepped.address, **settings)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        for _ in range(texts):
            await stepped.send(StreamCompletionResponse(text="a"))
        response = await http.post(
            PATH, json=ask("hello"), headers={"x-request-id": "the-request", **headers}
        )
        record = await running.record("the-request")
        assert (record.outcome, record.code) == (Outcome.FAILED, "DEADLINE_EXCEEDED")
        await stepped.cancelled()
        return response.content


@pytest.mark.parametrize("texts", [0, 1, 3])
async def test_an_answer_that_takes_too_long_ends_and_says_so(
    stepped: SteppedBackend, texts: int
) -> None:
    body = await body_of(stepped, texts, {"deadline": 2}, {})
    assert body == TEXT * texts + exceeded("The answer took longer than 2 s.")


async def test_a_first_message_that_is_late_ends_the_stream(stepped: SteppedBackend) -> None:
    body = await body_of(stepped, 0, {"first_message_deadline": 1}, {})
    assert body == exceeded("No message came within 1 s.")


async def test_a_backend_that_falls_silent_ends_the_stream(stepped: SteppedBackend) -> None:
    limits = {"message_deadline": 2, "first_message_deadline": 2}
    body = await body_of(stepped, 2, limits, {})
    assert body == TEXT * 2 + exceeded("No message came for 2 s.")


@pytest.mark.parametrize("header", [("x-request-timeout", "2.0"), ("grpc-timeout", "2000m")])
async def test_a_client_can_shorten_the_deadline(
    stepped: SteppedBackend, header: tuple[str, str]
) -> None:
    body = await body_of(stepped, 1, {}, dict([header]))
    assert body == TEXT + exceeded("The answer took longer than 2 s.")
    assert stepped.seconds_left is not None
    # gRPC rounds a time-out up, to fewer digits on the wire.
    assert stepped.seconds_left <= 2.1


async def test_a_client_can_t_lengthen_the_deadline(stepped: SteppedBackend) -> None:
    body = await body_of(stepped, 1, {"deadline": 2}, {"x-request-timeout": "1000"})
    assert body == TEXT + exceeded("The answer took longer than 2 s.")


async def test_the_backend_has_the_total_as_its_deadline(stepped: SteppedBackend) -> None:
    await stepped.end()
    async with (
        serving_bridge(Settings(backend=stepped.address, deadline=77)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
    assert stepped.seconds_left is not None
    assert 70 < stepped.seconds_left <= 77


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (("x-request-timeout", "soon"), "X-Request-Timeout must be seconds above 0, as in 2.5."),
        (("grpc-timeout", "5"), "grpc-timeout must be a number and a unit, as in 2500m."),
    ],
)
async def test_a_timeout_that_can_t_be_read_is_400(
    http: httpx.AsyncClient, header: tuple[str, str], message: str
) -> None:
    response = await http.post(PATH, json=ask("hello"), headers=dict([header]))
    assert response.status_code == 400
    assert response.json() == {"error": message, "code": "INVALID_ARGUMENT", "retryable": False}


async def test_without_a_stream_a_deadline_is_504(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address, message_deadline=1)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        await stepped.send(StreamCompletionResponse(text="a"))
        response = await http.post(PATH, json=ask("hello", stream=False))
    assert response.status_code == 504
    assert response.json()["error"] == "No message came for 1 s."


async def frames_of(response: httpx.Response) -> AsyncIterator[bytes]:
    """Iterate over the frames of a stream, however the network cuts it."""
    rest = b""
    async for chunk in response.aiter_raw():
        *frames, rest = (rest + chunk).split(b"\n\n")
        for frame in frames:
            yield frame + b"\n\n"
    assert rest == b""


@pytest.mark.parametrize(
    ("accept", "beat"),
    [
        ("*/*", EMPTY),
        ("application/json", EMPTY),
        ("text/event-stream", PING),
        ("application/json, text/event-stream;q=0.9", PING),
    ],
)
async def test_a_silent_stream_shows_that_it_lives(
    stepped: SteppedBackend, accept: str, beat: bytes
) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address, heartbeat=0.2)) as running,
        http_client(running.url, timeout=20) as http,
        http.stream("POST", PATH, json=ask("hello"), headers={"accept": accept}) as response,
    ):
        frames = frames_of(response)
        assert [await anext(frames) for _ in range(2)] == [beat] * 2
        await stepped.send(StreamCompletionResponse(text="a"))
        while (frame := await anext(frames)) == beat:
            pass
        assert frame == TEXT
        assert [await anext(frames) for _ in range(2)] == [beat] * 2
        await stepped.end()
        rest = [frame async for frame in frames]
    assert rest[-1] == DONE
    assert set(rest[:-1]) <= {beat}


async def test_messages_that_have_no_frame_are_no_sign_of_life(stepped: SteppedBackend) -> None:
    async with (
        serving_bridge(Settings(backend=stepped.address, heartbeat=0.2)) as running,
        http_client(running.url, timeout=20) as http,
        http.stream("POST", PATH, json=ask("hello")) as response,
        asyncio.timeout(5),
    ):
        beat = asyncio.ensure_future(anext(frames_of(response)))
        while not beat.done():
            sent = stepped.written
            await stepped.send(StreamCompletionResponse())
            await eventually(lambda: stepped.written > sent)  # noqa: B023
        assert await beat == EMPTY


async def test_without_heartbeats_a_silent_stream_is_silent(stepped: SteppedBackend) -> None:
    body = await body_of(stepped, 1, {"heartbeat": 0, "deadline": 1}, {})
    assert body == TEXT + exceeded("The answer took longer than 1 s.")


async def test_before_a_status_is_known_there_is_no_heartbeat(stepped: SteppedBackend) -> None:
    settings = Settings(backend=stepped.address, heartbeat=0.1, deadline=1)
    async with (
        serving_bridge(settings) as running,
        http_client(running.url, timeout=20) as http,
    ):
        response = await http.post(PATH, json=ask("hello"), headers={"prefer": "status"})
    assert response.status_code == 504
