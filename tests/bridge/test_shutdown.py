"""SIGTERM and SIGINT: open streams get their time, then a verdict; the process exits with 0."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import CUT, DONE, ask
from tests.processes import ServerProcess, server_process

PATH = "/v1/chat/completions"


@asynccontextmanager
async def open_stream(
    stepped: SteppedBackend, grace: int, *flags: str
) -> AsyncIterator[tuple[ServerProcess, AsyncIterator[bytes]]]:
    arguments = ("--backend", stepped.address, "--shutdown-grace", str(grace), *flags)
    async with (
        server_process("bridge", *arguments) as bridge,
        httpx.AsyncClient(base_url=f"http://{await bridge.address()}", timeout=20) as http,
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        chunks = response.aiter_raw()
        await stepped.send(StreamCompletionResponse(text="a"))
        assert await anext(chunks) == b'data: {"content":"a"}\n\n'
        yield bridge, chunks


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_open_stream_may_finish_within_the_grace_period(
    stepped: SteppedBackend, number: signal.Signals
) -> None:
    async with open_stream(stepped, grace=20) as (bridge, chunks):
        bridge.process.send_signal(number)
        await bridge.logged("stopping")
        await stepped.send(StreamCompletionResponse(text="b"))
        await stepped.end()
        assert b"".join([c async for c in chunks]) == b'data: {"content":"b"}\n\n' + DONE
        assert await bridge.wait() == 0
    assert (await bridge.logged("stream ended"))["outcome"] == "finished"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_is_left_after_the_grace_period_is_cut_with_a_verdict(
    stepped: SteppedBackend, number: signal.Signals
) -> None:
    async with open_stream(stepped, grace=0) as (bridge, chunks):
        bridge.process.send_signal(number)
        assert b"".join([chunk async for chunk in chunks]) == CUT
        assert await bridge.wait() == 0
        await stepped.cancelled()
    record = await bridge.logged("stream ended")
    assert record["outcome"] == "cut by shutdown"
    assert (record["code"], record["messages"]) == ("UNAVAILABLE", 1)
    events = [(r["level"], r["event"]) for r in bridge.records]
    assert events == [
        ("info", "backend health"),
        ("info", "listening"),
        ("info", "stopping"),
        ("warning", "stream ended"),
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_cuts_at_once(
    stepped: SteppedBackend, number: signal.Signals
) -> None:
    async with open_stream(stepped, grace=600) as (bridge, chunks):
        bridge.process.send_signal(number)
        await bridge.logged("stopping")
        bridge.process.send_signal(number)
        assert b"".join([chunk async for chunk in chunks]) == CUT
        assert await bridge.wait() == 0


async def test_a_stopping_bridge_takes_no_new_connection(stepped: SteppedBackend) -> None:
    async with open_stream(stepped, grace=20) as (bridge, chunks):
        host, port = (await bridge.address()).split(":")
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("stopping")
        async with asyncio.timeout(5):
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, int(port))
                except (ConnectionRefusedError, ConnectionResetError):
                    break
                writer.close()
                await writer.wait_closed()
        await stepped.end()
        assert b"".join([chunk async for chunk in chunks]) == DONE
        assert await bridge.wait() == 0


async def test_a_client_that_reads_nothing_does_not_hold_the_bridge(
    stepped: SteppedBackend,
) -> None:
    arguments = ("--backend", stepped.address, "--shutdown-grace", "0")
    async with server_process("bridge", *arguments) as bridge:
        host, port = (await bridge.address()).split(":")
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=20) as http:
            request = http.build_request("POST", PATH, json=ask("hello"))
            response = await http.send(request, stream=True)
            for _ in range(100):
                await stepped.send(StreamCompletionResponse(text="a" * 100_000))
            assert await bridge.stop() == 0
            await response.aclose()
    record = await bridge.logged("stream ended")
    assert record["outcome"] == "cut by shutdown"


async def test_it_is_not_ready_at_once_and_takes_requests_for_the_delay(
    stepped: SteppedBackend,
) -> None:
    async with (
        open_stream(stepped, 0, "--shutdown-delay", "600") as (bridge, chunks),
        httpx.AsyncClient(base_url=f"http://{await bridge.address()}", timeout=20) as http,
    ):
        assert (await http.get("/readyz")).status_code == 200
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("stopping")
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["reason"] == "UNAVAILABLE: The server is shutting down."
        assert (await http.get("/healthz")).status_code == 200
        await stepped.end()
        assert b"".join([chunk async for chunk in chunks]) == DONE
        await stepped.end()
        assert (await http.post(PATH, json=ask("hello"))).content == DONE
        bridge.process.send_signal(signal.SIGTERM)
        assert await bridge.wait() == 0


async def test_the_listeners_close_after_the_delay(stepped: SteppedBackend) -> None:
    async with open_stream(stepped, 20, "--shutdown-delay", "1") as (bridge, chunks):
        host, port = (await bridge.address()).split(":")
        bridge.process.send_signal(signal.SIGTERM)

        async def closed() -> None:
            while True:
                try:
                    _, writer = await asyncio.open_connection(host, int(port))
                except ConnectionRefusedError:
                    return
                writer.close()
                await asyncio.sleep(0.02)

        await asyncio.wait_for(closed(), 15)
        await stepped.end()
        assert b"".join([chunk async for chunk in chunks]) == DONE
        assert await bridge.wait() == 0
