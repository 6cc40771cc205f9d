"""A client that doesn't read slows its RPC down, and costs the bridge little."""

import asyncio
import json
import socket
from collections.abc import Callable

import httpx
import pytest

from bridge.settings import Settings
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import (
    RunningBridge,
    ask,
    eventually,
    http_client,
    on_each_transport,
    serving_bridge,
)

pytestmark = on_each_transport

PATH = "/v1/chat/completions"
KB = 1024


def client_that_reads_nothing(running: RunningBridge, request_id: str) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * KB)
    url = httpx.URL(running.url)
    client.connect((url.host, url.port))
    body = json.dumps(ask("hello")).encode()
    client.sendall(
        b"POST %s HTTP/1.1\r\nhost: bridge\r\ncontent-type: application/json\r\n"
        b"x-request-id: %s\r\ncontent-length: %d\r\n\r\n%s"
        % (PATH.encode(), request_id.encode(), len(body), body)
    )
    return client


async def standstill(count: Callable[[], int]) -> int:
    """Wait until ``count()`` has stood still for half a second, and return it."""
    last, since = count(), 0
    async with asyncio.timeout(30):
        while since < 10:
            await asyncio.sleep(0.05)
            since = since + 1 if count() == last else 0
            last = count()
    return last


@pytest.mark.parametrize("size", [KB, 10 * KB, 60 * KB])
async def test_a_client_that_reads_nothing_stops_its_backend(
    stepped: SteppedBackend, size: int
) -> None:
    async with serving_bridge(Settings(backend=stepped.address)) as running:
        with client_that_reads_nothing(running, "the-request"):
            for _ in range(4096 * KB // size):
                await stepped.send(StreamCompletionResponse(text="a" * size))
            await stepped.began()
            written = await standstill(lambda: stepped.written)
            assert 0 < written * size < 1024 * KB
        record = await running.record("the-request")
        # What the backend has written and the socket has not got, the bridge holds.
        assert (written - record.messages) * size <= 256 * KB
        assert record.outcome is Outcome.LEFT
        await stepped.cancelled()


async def test_a_client_that_reads_nothing_for_too_long_has_left(stepped: SteppedBackend) -> None:
    settings = Settings(backend=stepped.address, write_timeout=1, message_deadline=1)
    async with serving_bridge(settings) as running:
        with client_that_reads_nothing(running, "the-request"):
            for _ in range(200):
                await stepped.send(StreamCompletionResponse(text="a" * 10 * KB))
            await eventually(lambda: bool(running.records), seconds=20)
        record = await running.record("the-request")
        assert record.outcome is Outcome.LEFT
        await stepped.cancelled()


async def test_a_wire_that_counts_its_events_counts_each_once_for_a_slow_client(
    stepped: SteppedBackend,
) -> None:
    text, count = "a" * 10 * KB, 200
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        for _ in range(count):
            await stepped.send(StreamCompletionResponse(text=text))
        await stepped.end()
        body = {"input": "hello", "stream": True}
        async with http.stream("POST", "/openai/v1/responses", json=body) as response:
            await standstill(lambda: stepped.written)
            assert stepped.written < count
            answer = (await response.aread()).decode()
    frames = answer.removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]
    events = [json.loads(frame.partition("\ndata: ")[2]) for frame in frames]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    (item,) = events[-1]["response"]["output"]
    assert item["content"][0]["text"] == text * count


async def test_a_client_that_reads_again_gets_all(stepped: SteppedBackend) -> None:
    texts = [f"{number} " + "a" * 10 * KB for number in range(200)]
    async with (
        serving_bridge(Settings(backend=stepped.address)) as running,
        http_client(running.url, timeout=20) as http,
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        for text in texts:
            await stepped.send(StreamCompletionResponse(text=text))
        await stepped.end()
        await standstill(lambda: stepped.written)
        assert stepped.written < len(texts)
        body = await response.aread()
    frames = "".join(f'data: {{"content":"{text}"}}\n\n' for text in texts)
    assert body.decode() == frames + "data: [DONE]\n\n"
