"""The backend away at start, killed in mid-stream, and back again, with one bridge all the time."""

import asyncio
from collections.abc import Callable

import httpx

from bridge.settings import Settings
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend, serving_stepped
from tests.conftest import (
    DONE,
    RunningBridge,
    ask,
    eventually,
    free_port,
    http_client,
    on_each_transport,
    script,
    serving_bridge,
)
from tests.faults.proxy import Direction, proxying
from tests.processes import server_process

pytestmark = on_each_transport

PATH = "/v1/chat/completions"
AWAY = (
    b'data: {"error":"The backend is not available.","code":"UNAVAILABLE","retryable":true}\n\n'
    + DONE
)


async def until_ready(http: httpx.AsyncClient, ready: bool) -> httpx.Response:
    async with asyncio.timeout(20):
        while True:
            response = await http.get("/readyz")
            if (response.status_code == 200) is ready:
                return response
            await asyncio.sleep(0.05)


async def test_an_outage_is_told_and_passes_without_a_restart() -> None:
    port = free_port()
    arguments, env = ("--port", str(port)), {"BACKEND_MODEL": "script"}
    async with (
        serving_bridge(Settings(backend=f"127.0.0.1:{port}")) as running,
        http_client(running.url, timeout=20) as http,
    ):
        await told_that_it_is_away(http)
        async with server_process("backend", *arguments, env=env) as backend:
            await backend.address()
            await served(http)
            await killed_in_mid_stream(http, backend.process.kill, running)
        await told_that_it_is_away(http)
        async with server_process("backend", *arguments, env=env) as backend:
            await backend.address()
            await served(http)


async def test_a_backend_that_is_back_serves_as_soon_as_it_is_ready() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with (
        serving_bridge(Settings(backend=address)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        for _ in range(3):
            await attempts_fail(http)
            async with serving_stepped(address) as stepped:
                await first_attempt_succeeds(http, stepped)


async def test_a_stream_from_before_an_outage_goes_on_to_its_end() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with (
        serving_bridge(Settings(backend=address)) as running,
        http_client(running.url, timeout=20) as http,
        serving_stepped(address) as leaving,
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        chunks = response.aiter_raw()
        await leaving.send(StreamCompletionResponse(text="a"))
        assert await anext(chunks) == b'data: {"content":"a"}\n\n'
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leaving.leave())
            await attempts_fail(http)
            async with serving_stepped(address) as stepped:
                await first_attempt_succeeds(http, stepped)
                await leaving.send(StreamCompletionResponse(text="b"))
                await leaving.end()
                rest = b"".join([chunk async for chunk in chunks])
                assert rest == b'data: {"content":"b"}\n\n' + DONE


async def test_a_backend_that_is_slow_to_connect_to_is_not_away(stepped: SteppedBackend) -> None:
    async with (
        proxying(stepped.address) as proxy,
        serving_bridge(Settings(backend=proxy.address, retries=0)) as running,
        http_client(running.url, timeout=20) as http,
    ):
        proxy.delay(0.5, frozenset({Direction.TO_CLIENT}))
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE


async def attempts_fail(http: httpx.AsyncClient) -> None:
    """Make so many that the transport's pause between two of them has grown."""
    await until_ready(http, False)
    for _ in range(4):
        assert (await http.post(PATH, json=ask("hello"))).content == AWAY


async def first_attempt_succeeds(http: httpx.AsyncClient, stepped: SteppedBackend) -> None:
    await until_ready(http, True)
    await stepped.end()
    assert (await http.post(PATH, json=ask("hello"))).content == DONE


async def told_that_it_is_away(http: httpx.AsyncClient) -> None:
    response = await until_ready(http, False)
    assert response.status_code == 503
    assert response.json() == {
        "status": "not ready",
        "reason": "UNAVAILABLE: The backend is not available.",
    }
    assert (await http.post(PATH, json=ask("hello"))).content == AWAY
    response = await http.get("/v1/models")
    assert response.status_code == 503
    assert response.json() == {
        "error": "The backend is not available.",
        "code": "UNAVAILABLE",
        "retryable": True,
    }
    assert (await http.get("/healthz")).json() == {"status": "alive"}


async def served(http: httpx.AsyncClient) -> None:
    assert (await until_ready(http, True)).json() == {"status": "ready"}
    response = await http.post(PATH, json=ask(script(text="a", finish_reason=None)))
    assert response.content == b'data: {"content":"a"}\n\n' + DONE


async def killed_in_mid_stream(
    http: httpx.AsyncClient, kill: Callable[[], None], running: RunningBridge
) -> None:
    content = script(chunks=["a", "b"], hang_after=1)
    async with http.stream(
        "POST", PATH, json=ask(content), headers={"x-request-id": "cut"}
    ) as response:
        chunks = response.aiter_raw()
        assert await anext(chunks) == b'data: {"content":"a"}\n\n'
        kill()
        assert b"".join([chunk async for chunk in chunks]) == AWAY
    record = await running.record("cut")
    assert (record.outcome, record.code, record.text) == (Outcome.FAILED, "UNAVAILABLE", "a")
    assert record.error
    await eventually(lambda: len(running.streams) == 0)
