"""Five hundred streams at once: every text whole, and nothing left."""

import asyncio
import gc

import httpx
import psutil

import backend.server
from tests.conftest import RunningBridge, ask, eventually, http_client, on_each_transport, script
from tests.processes import server_process

pytestmark = on_each_transport

PATH = "/v1/chat/completions"
STREAMS = 500


async def read_one(http: httpx.AsyncClient, number: int, first_ms: int = 0) -> None:
    texts = [f"{number}.{k} " for k in range(10)]
    content = script(chunks=texts, interval_ms=50, first_ms=first_ms)
    response = await http.post(PATH, json=ask(content))
    frames = "".join(f'data: {{"content":"{text}"}}\n\n' for text in texts)
    ending = 'data: {"content":"","finish_reason":"stop"}\n\ndata: [DONE]\n\n'
    assert response.text == frames + ending


async def read_all(url: str, count: int = STREAMS, first_ms: int = 0) -> None:
    limits = httpx.Limits(max_connections=STREAMS, max_keepalive_connections=0)
    async with (
        http_client(url, limits=limits, timeout=60) as http,
        asyncio.TaskGroup() as group,
    ):
        for number in range(count):
            group.create_task(read_one(http, number, first_ms))


async def test_no_task_and_no_rpc_is_left(
    bridge_server: RunningBridge, backend_server: backend.server.Server
) -> None:
    await read_all(bridge_server.url, count=10)
    await eventually(lambda: backend_server.open_calls == 0)
    await eventually(lambda: len(bridge_server.streams) == 0)
    tasks = len(asyncio.all_tasks())
    before = len(bridge_server.records)
    # None ends before the last has begun, on a busy machine either.
    reading = asyncio.create_task(read_all(bridge_server.url, first_ms=5000))
    await eventually(lambda: len(bridge_server.streams) == STREAMS, seconds=30)
    await eventually(lambda: backend_server.open_calls > 0, seconds=30)
    await reading
    assert len(bridge_server.records) == before + STREAMS
    assert len({record.request_id for record in bridge_server.records[before:]}) == STREAMS
    await eventually(lambda: backend_server.open_calls == 0)
    await eventually(lambda: len(bridge_server.streams) == 0)
    gc.collect()
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)


async def test_no_descriptor_is_left() -> None:
    async with (
        server_process("backend", env={"BACKEND_MODEL": "script"}) as backend_process,
        server_process("bridge", "--backend", await backend_process.address()) as bridge_process,
    ):
        url = f"http://{await bridge_process.address()}"
        processes = [
            psutil.Process(server.process.pid) for server in (backend_process, bridge_process)
        ]
        async with http_client(url) as http:
            await read_one(http, 0)
        await eventually(lambda: not connected(processes[1], url))
        before = [process.num_fds() for process in processes]
        await read_all(url)
        await eventually(lambda: [process.num_fds() for process in processes] == before)
        for server in (backend_process, bridge_process):
            assert [r for r in server.records if r["level"] != "info"] == []
            assert server.other_output == []


def connected(process: psutil.Process, url: str) -> bool:
    port = httpx.URL(url).port
    return any(
        c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port
        for c in process.net_connections("tcp")
    )
