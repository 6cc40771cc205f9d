"""SIGTERM and SIGINT: open streams get their time, then a verdict; the process exits with 0."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.settings import Settings
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import (
    CUT,
    DONE,
    ask,
    eventually,
    http_client,
    on_each_transport,
    serving_bridge,
)
from tests.processes import ServerProcess, server_process

pytestmark = on_each_transport

PATH = "/v1/chat/completions"


@asynccontextmanager
async def open_stream(
    stepped: SteppedBackend, grace: int, *flags: str
) -> AsyncIterator[tuple[ServerProcess, AsyncIterator[bytes]]]:
    arguments = ("--backend", stepped.address, "--shutdown-grace", str(grace), *flags)
    async with (
        server_process("bridge", *arguments) as bridge,
        http_client(f"http://{await bridge.address()}", timeout=20) as http,
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


async def test_what_was_connected_when_it_stopped_listening_is_answered() -> None:
    flags = ("--backend", "127.0.0.1:1", "--shutdown-delay", "600", "--shutdown-grace", "20")
    async with server_process("bridge", *flags) as bridge:
        host, port = (await bridge.address()).split(":")
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("stopping")
        # So that it finds the connections and the end of the delay at the same moment.
        bridge.process.send_signal(signal.SIGSTOP)
        process = psutil.Process(bridge.process.pid)
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED)
        waiting = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        for _, writer in waiting[1:]:
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: bridge\r\n\r\n")
        bridge.process.send_signal(signal.SIGTERM)
        bridge.process.send_signal(signal.SIGCONT)
        answers = [await reader.read() for reader, _ in waiting]
        for _, writer in waiting:
            writer.close()
        assert await bridge.wait() == 0
    # One has asked for nothing.
    assert [answer[:15] for answer in answers] == [b"", *[b"HTTP/1.1 200 OK"] * 39]


@pytest.mark.parametrize("protocol", [None, H11Protocol])
async def test_a_new_connection_has_a_moment_for_its_request(
    stepped: SteppedBackend, protocol: type[asyncio.Protocol] | None
) -> None:
    async with serving_bridge(Settings(backend=stepped.address), protocol) as running:
        url = httpx.URL(running.url)
        one = await asyncio.open_connection(url.host, url.port)
        two = await asyncio.open_connection(url.host, url.port)
        connections = running.server.server_state.connections
        await eventually(lambda: len(connections) == 2)
        for connection in connections:
            connection.shutdown()
        one[1].write(b"GET /healthz HTTP/1.1\r\nhost: bridge\r\n\r\n")
        assert (await one[0].read()).startswith(b"HTTP/1.1 200")
        assert await two[0].read() == b""
        for _, writer in (one, two):
            writer.close()


async def test_a_client_that_reads_nothing_does_not_hold_the_bridge(
    stepped: SteppedBackend,
) -> None:
    arguments = ("--backend", stepped.address, "--shutdown-grace", "0")
    async with server_process("bridge", *arguments) as bridge:
        host, port = (await bridge.address()).split(":")
        async with http_client(f"http://{host}:{port}", timeout=20) as http:
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
        http_client(f"http://{await bridge.address()}", timeout=20) as http,
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
