"""When the process has no file descriptor left: it lives, it is quiet, and it serves again."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from bridge.access.descriptors import provide
from tests.conftest import eventually
from tests.faults.hostile_client import get, send_raw
from tests.processes import Record, ServerProcess, server_process

ALIVE = (200, b'{"status":"alive"}')

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def is_exhaustion(record: Record) -> bool:
    event: str = record["event"]
    return event.startswith("socket.accept() out of system resource")


@asynccontextmanager
async def exhausted(bridge: ServerProcess) -> AsyncIterator[list[Connection]]:
    """Open more connections than a bridge has descriptors for, and see that it survives."""
    host, port = (await bridge.address()).split(":")
    url = f"http://{host}:{port}"
    assert await send_raw(url, get()) == ALIVE
    process = psutil.Process(bridge.process.pid)
    limit = process.num_fds() + 10
    process.rlimit(psutil.RLIMIT_NOFILE, (limit, limit))
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
    yield opened
    reader, writer = opened[0]
    writer.write(get())
    async with asyncio.timeout(10):
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    for _, writer in opened:
        writer.transport.abort()
    await eventually(lambda: process.num_fds() < limit)
    assert await send_raw(url, get()) == ALIVE
    assert await bridge.stop() == 0
    assert bridge.other_output == []


async def test_asyncio_lets_connections_wait_until_there_are_descriptors(tmp_path: Path) -> None:
    tmp_path.joinpath("uvloop.py").write_text("raise ImportError")
    async with server_process("bridge", env={"PYTHONPATH": str(tmp_path)}) as bridge:
        assert (await bridge.logged("listening"))["loop"] == "asyncio"
        async with exhausted(bridge):
            await eventually(lambda: any(map(is_exhaustion, bridge.records)))
    assert 1 <= sum(map(is_exhaustion, bridge.records)) <= 3


async def test_uvloop_closes_connections_while_there_are_no_descriptors() -> None:
    pytest.importorskip("uvloop")
    async with server_process("bridge") as bridge:
        assert (await bridge.logged("listening"))["loop"] == "uvloop"
        async with exhausted(bridge) as opened:
            reader, _ = opened[-1]
            async with asyncio.timeout(10):
                assert await reader.read() == b""
    assert {record["event"] for record in bridge.records} == {
        "backend health",
        "listening",
        "stopping",
    }


PRINT_WHAT_FITS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from bridge.access.descriptors import provide
print(provide(int(sys.argv[3])), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "fit", "raised"),
    [
        (256, 256, 12_000, 116, 256),
        (256, 512, 12_000, 349, 512),
        (256, 512, 200, 200, 348),
        (256, 512, 10, 10, 256),
        (64, 64, 10, 1, 64),
    ],
)
async def test_no_more_connections_are_let_in_than_descriptors_allow(
    soft: int, hard: int, connections: int, fit: int, raised: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PRINT_WHAT_FITS, str(soft), str(hard), str(connections)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out.decode().split() == [str(fit), str(raised)]


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    assert provide(1) == 1
