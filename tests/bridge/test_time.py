"""Deadlines and heartbeats, on the wire."""

from typing import Any

import httpx
import pytest

from bridge.settings import Settings
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import DONE, ask, serving_bridge

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
        httpx.AsyncClient(base_url=running.url, timeout=20) as http,
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
    body = await body_of(stepped, texts, {"deadline": 0.5}, {})
    assert body == TEXT * texts + exceeded("The answer took longer than 0.5 s.")


async def test_a_first_message_that_is_late_ends_the_stream(stepped: SteppedBackend) -> None:
    body = await body_of(stepped, 0, {"first_message_deadline": 0.5}, {})
    assert body == exceeded("No message came within 0.5 s.")


async def test_a_backend_that_falls_silent_ends_the_stream(stepped: SteppedBackend) -> None:
    limits = {"message_deadline": 0.5, "first_message_deadline": 0.1}
    body = await body_of(stepped, 2, limits, {})
    assert body == TEXT * 2 + exceeded("No message came for 0.5 s.")


@pytest.mark.parametrize("header", [("x-request-timeout", "0.5"), ("grpc-timeout", "500m")])
async def test_a_client_can_shorten_the_deadline(
    stepped: SteppedBackend, header: tuple[str, str]
) -> None:
    body = await body_of(stepped, 1, {}, dict([header]))
    assert body == TEXT + exceeded("The answer took longer than 0.5 s.")
    assert stepped.seconds_left is not None
    assert stepped.seconds_left <= 0.5


async def test_a_client_can_t_lengthen_the_deadline(stepped: SteppedBackend) -> None:
    body = await body_of(stepped, 1, {"deadline": 0.5}, {"x-request-timeout": "1000"})
    assert body == TEXT + exceeded("The answer took longer than 0.5 s.")


async def test_the_backend_has_the_total_as_its_deadline(stepped: SteppedBackend) -> None:
    await stepped.end()
    async with (
        serving_bridge(Settings(backend=stepped.address, deadline=77)) as running,
        httpx.AsyncClient(base_url=running.url, timeout=20) as http,
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
        serving_bridge(Settings(backend=stepped.address, message_deadline=0.5)) as running,
        httpx.AsyncClient(base_url=running.url, timeout=20) as http,
    ):
        await stepped.send(StreamCompletionResponse(text="a"))
        response = await http.post(PATH, json=ask("hello", stream=False))
    assert response.status_code == 504
    assert response.json()["error"] == "No message came for 0.5 s."


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
        httpx.AsyncClient(base_url=running.url, timeout=20) as http,
        http.stream("POST", PATH, json=ask("hello"), headers={"accept": accept}) as response,
    ):
        chunks = response.aiter_raw()
        assert [await anext(chunks) for _ in range(2)] == [beat] * 2
        await stepped.send(StreamCompletionResponse(text="a"))
        assert await anext(chunks) == TEXT
        assert [await anext(chunks) for _ in range(2)] == [beat] * 2
        await stepped.end()
        rest = b"".join([chunk async for chunk in chunks])
    assert rest.endswith(DONE)
    assert rest.removesuffix(DONE) in (b"", beat)


async def test_without_heartbeats_a_silent_stream_is_silent(stepped: SteppedBackend) -> None:
    body = await body_of(stepped, 1, {"heartbeat": 0, "deadline": 1}, {})
    assert body == TEXT + exceeded("The answer took longer than 1 s.")


async def test_before_a_status_is_known_there_is_no_heartbeat(stepped: SteppedBackend) -> None:
    settings = Settings(backend=stepped.address, heartbeat=0.1, deadline=1)
    async with (
        serving_bridge(settings) as running,
        httpx.AsyncClient(base_url=running.url, timeout=20) as http,
    ):
        response = await http.post(PATH, json=ask("hello"), headers={"prefer": "status"})
    assert response.status_code == 504
