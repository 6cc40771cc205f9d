"""A backend, a bridge and the networks beside them, each server a process of its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import psutil

from tests.conftest import free_port
from tests.faults.client import Client, Request, scripted
from tests.faults.endings import FINISHED, Ending
from tests.faults.hostile_client import get, send_raw
from tests.faults.observed import Observation, observe
from tests.faults.proxy import Proxy, proxying
from tests.processes import Record, ServerProcess, server_process

HEALTHY = scripted({"chunks": ["a", "b", "c"]})

Env = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Setup:
    """How the two servers of a fault are set.

    Attributes:
        bridge: Variables of the bridge.
        backend: Variables of the backend.
        direct: Whether the bridge reaches the backend with no proxy between them.
    """

    bridge: Env = ()
    backend: Env = ()
    direct: bool = False


def env(**variables: object) -> Env:
    """Return variables for a ``Setup``."""
    return tuple((name, str(value)) for name, value in variables.items())


@dataclass(frozen=True)
class Held:
    """What a bridge holds, and how many calls its backend has open."""

    tasks: int
    streams: int
    descriptors: int
    memory: int
    calls: int


class Served:
    """A server that is started, stopped, and started again on the same port."""

    def __init__(self, module: str, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        self._module = module
        self._arguments = tuple(arguments)
        self._variables = variables
        self._stack = AsyncExitStack()
        self.lives: list[ServerProcess] = []

    @property
    def server(self) -> ServerProcess:
        """The process that runs now, or ran last."""
        return self.lives[-1]

    async def start(self) -> str:
        """Start it, and return its ``host:port``."""
        process = server_process(self._module, *self._arguments, env=self._variables, observed=True)
        self.lives.append(await self._stack.enter_async_context(process))
        return await self.server.address()

    async def kill(self) -> None:
        """End it with no word."""
        self.server.process.kill()
        await self.stop()

    async def stop(self) -> None:
        """End it if it still runs."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    def records(self) -> list[Record]:
        """Return what all its lives have logged."""
        return [record for life in self.lives for record in life.records]


@dataclass
class World:
    """What a fault can act on.

    Attributes:
        backend: The script backend.
        bridge: The bridge.
        upstream: The network between bridge and backend.
        downstream: The network between clients and bridge, for clients that ask over it.
        address: The bridge's ``host:port``.
    """

    backend: Served
    bridge: Served
    upstream: Proxy
    downstream: Proxy
    address: str

    async def ask(self, request: Request, *, small_buffer: bool = False) -> Client:
        """Ask the bridge without a network between."""
        return await Client.ask(self.address, request, small_buffer=small_buffer)

    async def ask_through(self, request: Request) -> Client:
        """Ask the bridge through ``downstream``."""
        return await Client.ask(self.downstream.address, request)

    async def ask_all(self, requests: Sequence[Request]) -> list[Client]:
        """Ask for each of ``requests`` at the same time."""
        return await asyncio.gather(*(self.ask(request) for request in requests))

    async def reached(self, calls: int, seconds: float = 30) -> None:
        """Wait until the backend has exactly so many calls open."""
        async with asyncio.timeout(seconds):
            while (await observe(self.backend.server)).streams != calls:
                await asyncio.sleep(0.02)

    def stream_records(self) -> dict[str, list[Record]]:
        """Return the records of all streams by request id; an empty list for any other id."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.bridge.records():
            if record["event"] == "stream ended":
                found[record["request_id"]].append(record)
        return found

    async def recorded(self, request_ids: Set[str], seconds: float) -> None:
        """Wait until the streams are recorded, but for no longer than ``seconds``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not request_ids <= self.stream_records().keys():
                    await asyncio.sleep(0.1)

    async def start_bridge(self) -> None:
        """Start the bridge again."""
        self.address = self.downstream.target = await self.bridge.start()

    async def heal(self) -> None:
        """Make everything work again, and wait until the bridge answers and says so."""
        self.upstream.heal()
        self.downstream.heal()
        for network in (self.upstream, self.downstream):
            await network.listen()
        if self.backend.server.process.returncode is not None:
            await self.backend.start()
        if self.bridge.server.process.returncode is not None:
            await self.start_bridge()
        async with asyncio.timeout(20):
            while await self.answers() != FINISHED or not await self._ready():
                await asyncio.sleep(0.1)

    async def _ready(self) -> bool:
        status, _ = await send_raw(f"http://{self.address}", get(b"/readyz"))
        return status == 200

    async def answers(self) -> Ending:
        """Ask for an answer that nothing hurts, and return how it ended."""
        return await (await self.ask(HEALTHY)).ending(10)

    async def held(self) -> Held:
        """Return what is held now."""
        inside: Observation = await observe(self.bridge.server)
        outside = psutil.Process(self.bridge.server.process.pid)
        calls = (await observe(self.backend.server)).streams
        return Held(
            inside.tasks, inside.streams, outside.num_fds(), outside.memory_info().rss, calls
        )

    async def settled(self, before: Held, seconds: float = 10) -> Held:
        """Wait until no more is held than ``before``; return what is held then, or at last."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            held = await self.held()
            gone = held.calls == held.streams == 0 and held.tasks <= before.tasks
            if gone and held.descriptors <= before.descriptors:
                return held
            if asyncio.get_running_loop().time() > end:
                return held
            await asyncio.sleep(0.1)


@asynccontextmanager
async def standing(setup: Setup) -> AsyncIterator[World]:
    """Run a world, and end its processes."""
    port = free_port()
    backend = Served(
        "backend",
        ("--port", str(port), "--log-format", "json"),
        {"BACKEND_MODEL": "script", "BACKEND_SHUTDOWN_GRACE": "2", **dict(setup.backend)},
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(backend.stop)
        upstream = await stack.enter_async_context(proxying(await backend.start()))
        target = upstream.target if setup.direct else upstream.address
        bridge = Served(
            "bridge",
            ("--backend", target, "--log-format", "json"),
            {"BRIDGE_SHUTDOWN_GRACE": "1", **dict(setup.bridge)},
        )
        stack.push_async_callback(bridge.stop)
        address = await bridge.start()
        downstream = await stack.enter_async_context(proxying(address))
        yield World(backend, bridge, upstream, downstream, address)
