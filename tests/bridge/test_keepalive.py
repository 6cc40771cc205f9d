"""A connection to a backend that has died without a word is noticed, and only such a one."""

import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from bridge.settings import Settings
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend, serving_stepped
from tests.conftest import DONE, ask, eventually, http_client, on_each_transport, serving_bridge
from tests.faults.proxy import proxying

pytestmark = on_each_transport

PATH = "/v1/chat/completions"
TEXT = b'data: {"content":"a"}\n\n'
LOST = (
    b'data: {"error":"The backend is not available.","code":"UNAVAILABLE","retryable":true}\n\n'
    + DONE
)


@pytest.mark.parametrize("messages", [0, 1])
async def test_a_network_that_falls_silent_ends_its_streams_and_is_found_again(
    stepped: SteppedBackend, messages: int
) -> None:
    async with proxying(stepped.address) as proxy:
        settings = Settings(backend=proxy.address, keepalive=1, keepalive_timeout=1, retries=0)
        async with (
            serving_bridge(settings) as running,
            http_client(running.url, timeout=30) as http,
            http.stream(
                "POST", PATH, json=ask("hello"), headers={"x-request-id": "lost"}
            ) as response,
        ):
            chunks = response.aiter_raw()
            for _ in range(messages):
                await stepped.send(StreamCompletionResponse(text="a"))
                assert await anext(chunks) == TEXT
            await stepped.began()
            proxy.silence()
            assert b"".join([chunk async for chunk in chunks]) == LOST
            record = await running.record("lost")
            assert record.code == "UNAVAILABLE"
            assert record.duration_seconds < settings.message_deadline
            await eventually(lambda: running.backends.obstacle() is not None)
            proxy.heal()
            await eventually(lambda: running.backends.obstacle() is None, seconds=30)


async def test_a_silent_stream_does_not_make_it_give_up_pinging() -> None:
    async with (
        serving_stepped(options=[("grpc.http2.max_ping_strikes", 0)]) as stepped,
        proxying(stepped.address) as proxy,
    ):
        stepped.watched, stepped.health = True, HealthCheckResponse.SERVING
        settings = Settings(
            backend=proxy.address, keepalive=0.2, keepalive_timeout=2, retries=0, heartbeat=0.5
        )
        async with (
            serving_bridge(settings) as running,
            http_client(running.url, timeout=30) as http,
            http.stream("POST", PATH, json=ask("hello")) as response,
        ):
            chunks = response.aiter_raw()
            # Many a ping goes without a byte of ours in between.
            for _ in range(5):
                assert await anext(chunks) == b'data: {"content":""}\n\n'
            proxy.silence()
            assert b"".join([chunk async for chunk in chunks]).endswith(LOST)


async def test_a_backend_that_thinks_is_not_taken_for_dead(stepped: SteppedBackend) -> None:
    settings = Settings(backend=stepped.address, keepalive=0.2, keepalive_timeout=1, heartbeat=0.25)
    async with (
        serving_bridge(settings) as running,
        http_client(running.url, timeout=30) as http,
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        beats = response.aiter_raw()
        # By then pings have been answered, and the time for the first answer has long passed.
        for _ in range(12):
            assert await anext(beats) == b'data: {"content":""}\n\n'
        await stepped.send(StreamCompletionResponse(text="a"))
        await stepped.end()
        rest = b"".join([beat async for beat in beats])
    assert rest.endswith(TEXT + DONE)
