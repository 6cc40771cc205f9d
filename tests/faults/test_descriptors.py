"""When the process has no file descriptor left: it lives, it is quiet, and it serves again."""

import asyncio
import sys

import psutil
import pytest

from bridge.access.descriptors import provide
from tests.conftest import eventually
from tests.faults.hostile_client import get, send_raw
from tests.processes import Record, server_process


def is_exhaustion(record: Record) -> bool:
    event: str = record["event"]
    return event.startswith("socket.accept() out of system resource")


ALIVE = (200, b'{"status":"alive"}')


async def test_a_process_without_descriptors_serves_again_when_it_has_some() -> None:
    async with server_process("bridge") as bridge:
        host, port = (await bridge.address()).split(":")
        url = f"http://{host}:{port}"
        assert await send_raw(url, get()) == ALIVE
        process = psutil.Process(bridge.process.pid)
        limit = process.num_fds() + 10
        process.rlimit(psutil.RLIMIT_NOFILE, (limit, limit))
        open_ones = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
        await eventually(lambda: any(map(is_exhaustion, bridge.records)))
        open_ones[0][1].write(get())
        async with asyncio.timeout(10):
            assert (await open_ones[0][0].readline()) == b"HTTP/1.1 200 OK\r\n"
        for _, writer in open_ones:
            writer.transport.abort()
        assert await send_raw(url, get()) == ALIVE
        assert await bridge.stop() == 0
    assert 1 <= sum(map(is_exhaustion, bridge.records)) <= 3
    assert bridge.other_output == []


PRINT_WHAT_FITS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from bridge.access.descriptors import provide
print(provide(int(sys.argv[3])), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "fit", "raised"),
    [
        (256, 256, 12_000, 128, 256),
        (256, 512, 12_000, 384, 512),
        (256, 512, 200, 200, 328),
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
