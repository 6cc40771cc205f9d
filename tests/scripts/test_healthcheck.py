"""``scripts/healthcheck.py``, which the images run."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from tests.processes import ServerProcess, server_process

SCRIPT = Path(__file__).parents[2] / "scripts" / "healthcheck.py"


async def check(server: str, port: str) -> tuple[int | None, str]:
    """Return the exit status of a health check, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), server),
        env={**os.environ, f"{server.upper()}_PORT": port},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def port_of(server: ServerProcess) -> str:
    return (await server.address()).rpartition(":")[2]


@pytest.mark.parametrize("name", ["bridge", "backend"])
async def test_a_server_that_serves_is_well(name: str) -> None:
    async with server_process(name, env={"BACKEND_MODEL": "script"}) as server:
        assert await check(name, await port_of(server)) == (0, "")


@pytest.mark.parametrize("name", ["bridge", "backend"])
async def test_a_server_that_is_not_there_is_not_well(name: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        status, said = await check(name, str(unused.getsockname()[1]))
    assert status == 1
    assert "refused" in said
    assert "Traceback" not in said
