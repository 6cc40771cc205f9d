"""Several processes that serve: they share the port, are replaced, and end together."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

import backend.server
from tests.bridge.stepped import SteppedBackend
from tests.conftest import CUT, DONE, ask, eventually, http_client, on_each_transport, script
from tests.faults.client import Client, scripted
from tests.faults.endings import FINISHED
from tests.processes import (
    Record,
    ServerProcess,
    logging_process,
    server_process,
    with_descriptors,
)

pytestmark = on_each_transport

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


def url_of(bridge: ServerProcess) -> str:
    return f"http://{next(r['address'] for r in bridge.records if r['event'] == 'listening')}"


def kept_connection(bridge: ServerProcess) -> httpx.AsyncClient:
    """Return a client that asks for all over the same connection."""
    return http_client(url_of(bridge), timeout=30)


def new_connections(bridge: ServerProcess) -> httpx.AsyncClient:
    """Return a client that makes a connection for each request."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return http_client(url_of(bridge), timeout=30, limits=limits)


async def open_streams(
    stack: AsyncExitStack,
    bridge: ServerProcess,
    count: int,
    headers: Mapping[str, str] | None = None,
) -> list[AsyncIterator[bytes]]:
    """Open streams, each on a connection of its own, and read their first frames.

    A stream is closed when the iterator of its chunks is forgotten.
    """
    opened = []
    for _ in range(count):
        http = await stack.enter_async_context(kept_connection(bridge))
        asked = http.stream("POST", PATH, json=HANG, headers=headers)
        chunks = (await stack.enter_async_context(asked)).aiter_raw()
        assert await anext(chunks) == b'data: {"content":"a"}\n\n'
        opened.append(chunks)
    return opened


async def refuses(bridge: ServerProcess) -> None:
    """Wait until connections are refused, and fail where one is made that nobody serves."""
    async with new_connections(bridge) as http, asyncio.timeout(20):
        while True:
            try:
                await http.get("/healthz")
            except httpx.ConnectError:
                return


async def listens_again(bridge: ServerProcess, number: int, seconds: float = 20) -> None:
    """Wait until the worker that has replaced the first one of this number listens."""

    def listened() -> int:
        return sum(r["event"] == "listening" and r["worker"] == number for r in bridge.records)

    await eventually(lambda: listened() == 2, seconds)


def worker_pids(bridge: ServerProcess) -> list[int]:
    children = psutil.Process(bridge.process.pid).children()
    return [c.pid for c in children if "spawn_main" in " ".join(c.cmdline())]


async def test_every_worker_gets_about_as_many_streams(
    backend_server: backend.server.Server,
) -> None:
    streams = 300
    async with serving_workers(backend_server, 2) as bridge:
        address = await bridge.address()
        asked = [Client.ask(address, scripted({"chunks": ["a"]})) for _ in range(streams)]
        clients = await asyncio.gather(*asked)
        endings = await asyncio.gather(*(client.ending(30) for client in clients))
        assert set(endings) == {FINISHED}
        assert await bridge.stop() == 0
    ended = Counter(r["worker"] for r in bridge.records if r["event"] == "stream ended")
    assert ended.total() == streams
    # By chance it is more once in four million times.
    assert max(ended.values()) <= 1.3 * streams / 2


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


async def test_no_worker_is_ready_once_they_are_told_to_stop(
    backend_server: backend.server.Server,
) -> None:
    async with (
        serving_workers(backend_server, 2, "--shutdown-delay", "600") as bridge,
        AsyncExitStack() as stack,
    ):
        # So many come to one worker alone once in a million times.
        kept = [await stack.enter_async_context(kept_connection(bridge)) for _ in range(20)]
        assert {(await http.get("/readyz")).status_code for http in kept} == {200}
        bridge.process.send_signal(signal.SIGTERM)
        for number in range(2):
            await bridge.logged("stopping", where=of_worker(number))
        assert {(await http.get("/readyz")).status_code for http in kept} == {503}
        assert await bridge.stop() == 0


async def test_workers_that_stop_take_no_new_connection(stepped: SteppedBackend) -> None:
    flags = ("--backend", stepped.address, "--workers", "2", "--shutdown-grace", "600")
    async with server_process("bridge", *flags) as bridge:
        for number in range(2):
            await bridge.logged("listening", where=of_worker(number))
        async with (
            kept_connection(bridge) as http,
            http.stream("POST", PATH, json=ask("hello")) as response,
        ):
            await stepped.began()
            bridge.process.send_signal(signal.SIGTERM)
            for number in range(2):
                await bridge.logged("stopping", where=of_worker(number))
            await refuses(bridge)
            await stepped.end()
            assert await response.aread() == DONE
        assert await bridge.wait() == 0


async def test_one_worker_that_stops_leaves_new_connections_to_the_others(
    stepped: SteppedBackend,
) -> None:
    flags = ("--backend", stepped.address, "--workers", "2", "--shutdown-grace", "600")
    async with server_process("bridge", *flags) as bridge:
        for number in range(2):
            await bridge.logged("listening", where=of_worker(number))
        async with AsyncExitStack() as stack:
            for _ in range(20):
                http = await stack.enter_async_context(kept_connection(bridge))
                await stack.enter_async_context(http.stream("POST", PATH, json=ask("hello")))
            os.kill(worker_pids(bridge)[0], signal.SIGTERM)
            await bridge.logged("stopping")
            async with new_connections(bridge) as http:
                answers = [(await http.get("/readyz")).status_code for _ in range(20)]
            # Those that it still had to accept when it stopped listening are told that it stops.
            assert answers[-1] == 200
            assert set(answers) <= {200, 503}
            for _ in range(20):
                await stepped.end()
        assert await bridge.stop() == 0


async def test_ctrl_c_at_a_terminal_is_one_signal(stepped: SteppedBackend) -> None:
    flags = ("--backend", stepped.address, "--workers", "2", "--shutdown-grace", "600")
    async with (
        server_process("bridge", *flags) as bridge,
        http_client(f"http://{await bridge.address()}", timeout=30) as http,
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
        await listens_again(bridge, died["worker"])
        assert len(worker_pids(bridge)) == 2
        async with http_client(f"http://{await bridge.address()}") as http:
            assert (await http.post(PATH, json=ask("hello"))).content.endswith(DONE)
        assert await bridge.stop() == 0


async def test_connections_wait_while_all_workers_are_replaced(
    backend_server: backend.server.Server,
) -> None:
    async with serving_workers(backend_server, 2) as bridge:
        for pid in worker_pids(bridge):
            os.kill(pid, signal.SIGKILL)
        await bridge.logged("a worker died")
        async with new_connections(bridge) as http:
            answers = await asyncio.gather(*(http.get("/healthz") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert await bridge.stop() == 0


async def test_a_worker_that_can_t_be_replaced_gets_no_connections(
    backend_server: backend.server.Server, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    flags = ("--backend-token-file", str(token))
    async with serving_workers(backend_server, 2, *flags) as bridge:
        token.unlink()
        os.kill(worker_pids(bridge)[0], signal.SIGKILL)
        failed = await bridge.logged("a worker died", where=lambda r: bool(r["exit_status"] == 3))
        async with new_connections(bridge) as http:
            answers = await asyncio.gather(*(http.get("/healthz") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert "listening" not in [
            r["event"] for r in bridge.records[bridge.records.index(failed) :]
        ]
        token.write_text("secret")
        await listens_again(bridge, failed["worker"])
        assert await bridge.stop() == 0


async def test_a_worker_for_which_nothing_is_left_is_replaced_later(
    backend_server: backend.server.Server,
) -> None:
    async with serving_workers(backend_server, 2) as bridge, AsyncExitStack() as stack:
        parent = psutil.Process(bridge.process.pid)
        soft, hard = parent.rlimit(psutil.RLIMIT_NOFILE)
        killed, other = worker_pids(bridge)
        # What is open stays open, and nothing more can be.
        parent.rlimit(psutil.RLIMIT_NOFILE, (3, hard))
        os.kill(killed, signal.SIGKILL)
        failed = await bridge.logged("a worker can't be started")
        assert "Too many open files" in failed["reason"]
        # The first time, the log may be faster than what is done about it.
        await bridge.logged("a worker can't be started", where=lambda r: r is not failed)
        # So many come to one worker alone once in a million times.
        kept = [await stack.enter_async_context(kept_connection(bridge)) for _ in range(20)]
        assert {(await http.get("/healthz")).status_code for http in kept} == {200}
        assert worker_pids(bridge) == [other]
        parent.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))
        await listens_again(bridge, failed["worker"])
        assert await bridge.stop() == 0


async def test_the_first_process_gives_itself_the_descriptors_that_all_workers_take(
    backend_server: backend.server.Server,
) -> None:
    flags = ("--port", "0", "--backend", backend_server.address, "--workers", "3")
    serve = (sys.executable, "-m", "bridge", "serve", *flags)
    async with logging_process(*with_descriptors("-Sn 16", *serve)) as bridge:
        for number in range(3):
            await bridge.logged("listening", where=of_worker(number))
        assert await bridge.stop() == 0
    assert "a worker can't be started" not in [r["event"] for r in bridge.records]


async def test_a_worker_that_does_not_end_is_killed(backend_server: backend.server.Server) -> None:
    async with serving_workers(backend_server, 2, "--shutdown-grace", "0") as bridge:
        stuck, _ = worker_pids(bridge)
        os.kill(stuck, signal.SIGSTOP)
        assert await bridge.stop() == 1
    late = [r["pid"] for r in bridge.records if r["event"].endswith("and is killed")]
    assert late == [stuck]


async def test_a_worker_that_is_being_replaced_does_not_hold_connections_up_at_the_end(
    backend_server: backend.server.Server,
) -> None:
    async with serving_workers(backend_server, 2, "--shutdown-delay", "600") as bridge:
        os.kill(worker_pids(bridge)[0], signal.SIGKILL)
        died = await bridge.logged("a worker died")
        bridge.process.send_signal(signal.SIGTERM)
        await bridge.logged("stopping", where=of_worker(1 - died["worker"]))
        async with new_connections(bridge) as http:
            answers = await asyncio.gather(*(http.get("/readyz") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {503}
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
