"""The limits hold for all workers together, also after one of them has died."""

import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack

import backend.server
from tests.bridge.test_workers import (
    PATH,
    kept_connection,
    listens_again,
    new_connections,
    open_streams,
    serving_workers,
    worker_pids,
)
from tests.conftest import ask
from tests.processes import ServerProcess

# So many come to one worker alone once in a million times.
MOST = 20


async def post(
    bridge: ServerProcess, times: int, headers: Mapping[str, str] | None = None
) -> list[int]:
    """Ask over so many new connections for short answers, and return the HTTP statuses."""
    async with new_connections(bridge) as http:
        answers = [await http.post(PATH, json=ask("hello"), headers=headers) for _ in range(times)]
    return [answer.status_code for answer in answers]


async def test_streams_are_limited_over_all_workers_and_those_of_a_dead_one_are_forgotten(
    backend_server: backend.server.Server,
) -> None:
    async with (
        serving_workers(
            backend_server, 2, "--max-streams", str(MOST), "--shutdown-grace", "0"
        ) as bridge,
        AsyncExitStack() as stack,
    ):
        opened = await open_streams(stack, bridge, MOST)
        assert await post(bridge, MOST) == [503] * MOST
        os.kill(worker_pids(bridge)[0], signal.SIGKILL)
        await listens_again(bridge, (await bridge.logged("a worker died"))["worker"])
        assert await post(bridge, MOST) == [200] * MOST
        assert len(opened) == MOST


async def test_one_client_s_streams_are_limited_over_all_workers(
    backend_server: backend.server.Server,
) -> None:
    async with (
        serving_workers(
            backend_server, 2, "--max-streams-per-client", "5", "--shutdown-grace", "0"
        ) as bridge,
        AsyncExitStack() as stack,
    ):
        one, other = {"x-forwarded-for": "192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}
        opened = await open_streams(stack, bridge, 5, one)
        assert await post(bridge, MOST, one) == [429] * MOST
        assert await post(bridge, MOST, other) == [200] * MOST
        assert len(opened) == 5


async def test_connections_are_limited_over_all_workers(
    backend_server: backend.server.Server,
) -> None:
    async with (
        serving_workers(backend_server, 2, "--max-connections", str(MOST)) as bridge,
        AsyncExitStack() as stack,
    ):
        kept = [await stack.enter_async_context(kept_connection(bridge)) for _ in range(MOST)]
        assert [(await http.get("/healthz")).status_code for http in kept] == [200] * MOST
        async with new_connections(bridge) as http:
            refused = [(await http.get("/healthz")).status_code for _ in range(MOST)]
        assert refused == [503] * MOST
        assert [(await http.get("/healthz")).status_code for http in kept] == [200] * MOST
