"""Several processes that serve: they share the port, are replaced, and end together."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

import backend.server
from tests.bridge.stepped import SteppedBackend
from tests.conftest import CUT, DONE, ask, eventually, script
from tests.processes import Record, ServerProcess, server_process

PATH = "/v1/chat/completions"
HANG = ask(script(chunks=["a", "b"], hang_after=1))


def of_worker(number: int) -> Callable[[Record], bool]:
    return lambda record: bool(record["worker"] == number)


@asynccontextmanager
async def serving_workers(
    backend_server: backend.server.Server, count: int, *flags: str
) -> AsyncIterator[ServerProcess]:
    arguments = ("--backend", backend_server.address, "--workers", str(count), *flags)
    async with server_process("bridge", *arguments) as bridge:
        for number in range(count):
            await bridge.logged("listening", where=of_worker(number))
        yield bridge


async def open_streams(
    stack: AsyncExitStack, bridge: ServerProcess, count: int
) -> list[AsyncIterator[bytes]]:
    """Open streams, each on a connection of its own, and read their first frames."""
    opened = []
    for _ in range(count):
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{await bridge.address()}", timeout=30)
        )
        response = await stack.enter_async_context(http.stream("POST", PATH, json=HANG))
        chunks = response.aiter_raw()
        assert await anext(chunks) == b'data: {"content":"a"}\n\n'
        opened.append(chunks)
    return opened


def worker_pids(bridge: ServerProcess) -> list[int]:
    children = psutil.Process(bridge.process.pid).children()
    return [c.pid for c in children if "spawn_main" in " ".join(c.cmdline())]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_every_stream_of_every_worker_is_cut_with_a_verdict(
    backend_server: backend.server.Server, number: signal.Signals
) -> None:
    async with (
        serving_workers(backend_server, 2, "--shutdown-grace", "0") as bridge,
        AsyncExitStack() as stack,
    ):
        reading = await open_streams(stack, bridge, 20)
        bridge.process.send_signal(number)
        for chunks in reading:
            assert b"".join([chunk async for chunk in chunks]) == CUT
        assert await bridge.wait() == 0
    ended = [r for r in bridge.records if r["event"] == "stream ended"]
    assert Counter(r["outcome"] for r in ended) == {"cut by shutdown": 20}
    assert {r["worker"] for r in ended} == {0, 1}


async def test_the_second_signal_reaches_every_worker(
    backend_server: backend.server.Server,
) -> None:
    async with (
        serving_workers(backend_server, 2, "--shutdown-grace", "600") as bridge,
        AsyncExitStack() as stack,
    ):
        reading = await open_streams(stack, bridge, 8)
        bridge.process.send_signal(signal.SIGTERM)
        for number in range(2):
            await bridge.logged("stopping", where=of_worker(number))
        bridge.process.send_signal(signal.SIGTERM)
        for chunks in reading:
            assert b"".join([chunk async for chunk in chunks]) == CUT
        assert await bridge.wait() == 0


async def test_ctrl_c_at_a_terminal_is_one_signal(stepped: SteppedBackend) -> None:
    flags = ("--backend", stepped.address, "--workers", "2", "--shutdown-grace", "600")
    async with (
        server_process("bridge", *flags) as bridge,
        httpx.AsyncClient(base_url=f"http://{await bridge.address()}", timeout=30) as http,
        http.stream("POST", PATH, json=ask("hello")) as response,
    ):
        await stepped.began()
        for number in range(2):
            await bridge.logged("listening", where=of_worker(number))
        # A terminal sends it to every process of the group.
        group = os.getpgid(bridge.process.pid)
        for pid in (bridge.process.pid, *worker_pids(bridge)):
            if os.getpgid(pid) == group:
                os.kill(pid, signal.SIGINT)
        for number in range(2):
            await bridge.logged("stopping", where=of_worker(number))
        await stepped.end()
        assert await response.aread() == DONE
        assert await bridge.wait() == 0


async def test_a_worker_that_dies_is_replaced(backend_server: backend.server.Server) -> None:
    async with serving_workers(backend_server, 2) as bridge:
        killed = worker_pids(bridge)[0]
        os.kill(killed, signal.SIGKILL)
        died = await bridge.logged("a worker died")
        assert died["exit_status"] == -signal.SIGKILL
        number = died["worker"]
        await eventually(lambda: len(worker_pids(bridge)) == 2, seconds=20)
        await eventually(
            lambda: (
                [r.get("worker") for r in bridge.records if r["event"] == "listening"].count(number)
                == 2
            ),
            seconds=20,
        )
        async with httpx.AsyncClient(base_url=f"http://{await bridge.address()}") as http:
            assert (await http.post(PATH, json=ask("hello"))).content.endswith(DONE)
        assert await bridge.stop() == 0


async def test_workers_end_when_their_parent_is_killed(
    backend_server: backend.server.Server,
) -> None:
    async with (
        serving_workers(backend_server, 2, "--shutdown-grace", "0") as bridge,
        AsyncExitStack() as stack,
    ):
        reading = await open_streams(stack, bridge, 4)
        workers = worker_pids(bridge)
        bridge.process.kill()
        for chunks in reading:
            assert b"".join([chunk async for chunk in chunks]) == CUT
        await eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers), seconds=20)


async def test_a_signal_while_they_start_is_a_clean_end(
    backend_server: backend.server.Server,
) -> None:
    arguments = ("--backend", backend_server.address, "--workers", "2")
    async with server_process("bridge", *arguments) as bridge:
        await eventually(lambda: len(worker_pids(bridge)) == 2, seconds=20)
        assert await bridge.stop() == 0


async def test_a_worker_that_can_t_start_ends_all(
    backend_server: backend.server.Server, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    os.mkfifo(token)
    arguments = ("--backend", backend_server.address, "--workers", "2")
    async with server_process("bridge", *arguments, "--backend-token-file", str(token)) as bridge:
        # The settings are good when they are checked; the workers find the file gone.
        while not worker_pids(bridge):
            with suppress(OSError):
                writer = os.open(token, os.O_WRONLY | os.O_NONBLOCK)
                os.write(writer, b"secret")
                os.close(writer)
            await asyncio.sleep(0.005)
        token.unlink()
        assert await bridge.wait() == 1
    assert "listening" not in [record["event"] for record in bridge.records]
