"""What the tests of the backend share: clients of real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backend.server import Server, serving
from backend.settings import Settings
from tests.backend.calls import Client, client_of
from tests.backend.upstream import Upstream, serving_upstream
from tests.processes import ServerProcess, server_process


@pytest.fixture(scope="session")
async def script(backend_server: Server) -> AsyncIterator[Client]:
    """Open a channel to a backend that has only the script engine."""
    async with client_of(backend_server.address) as client:
        yield client


@pytest.fixture(scope="session")
async def script_process() -> AsyncIterator[ServerProcess]:
    """Run such a backend as a process of its own, whose log can be read."""
    async with server_process("backend", "--model", "script") as process:
        yield process


@pytest.fixture(scope="session")
async def logged_script(script_process: ServerProcess) -> AsyncIterator[Client]:
    """Open a channel to that process."""
    async with client_of(await script_process.address()) as client:
        yield client


@pytest.fixture(scope="session")
async def local_server() -> AsyncIterator[Server]:
    """Serve the model, once for all tests, as it takes long to load."""
    settings = Settings(
        port=0, threads=1, context_tokens=256, max_concurrent=2, max_queued=1, shutdown_grace=0
    )
    async with serving(settings) as server:
        yield server


@pytest.fixture(scope="session")
async def local(local_server: Server) -> AsyncIterator[Client]:
    """Open a channel to the backend with the model."""
    async with client_of(local_server.address) as client:
        yield client


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Serve an OpenAI-compatible API that answers as the test says."""
    async with serving_upstream() as server:
        yield server
