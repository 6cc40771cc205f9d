"""One load on one peer: starts what takes part, and reads what the kernel says meanwhile."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.answers import HOST, first_answer, warm_up
from bench.children import Child, child, module
from bench.load import Job
from bench.loads import Kind, Load
from bench.measure import Cpu, cpu, memory, processes
from bench.order import Go
from bench.peers import Peer, Place, Role
from bench.results import Run
from bench.wire import WIRES

_START_SECONDS = 30
_OPEN_SECONDS = 90
_SETTLE_SECONDS = 0.3


Meanwhile = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where.

    Attributes:
        peer: The one core of a peer.
        backend: The backend's.
        generator: The load generator's.
        all: What a peer may use that is to use all.
    """

    peer: Sequence[int]
    backend: Sequence[int]
    generator: Sequence[int]
    all: Sequence[int]

    @property
    def shared(self) -> bool:
        """Whether backend and generator have one core for both."""
        return self.backend == self.generator


def divide_cores() -> Cores:
    """Give the peer a core of its own, and what is left to the others."""
    cores = sorted(os.sched_getaffinity(0))
    rest = cores[1:] or cores
    return Cores(cores[:1], rest[:1], rest[1:2] or rest[:1], cores)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the kernel has said at one moment."""

    peer: Cpu
    backend: Cpu
    generator: Cpu


class Bench:
    """Has a backend, and puts loads on peers."""

    def __init__(self, backend: Child, address: str, directory: Path, cores: Cores) -> None:
        self._backend = backend
        self._address = address
        self._directory = directory
        self._cores = cores

    async def run(
        self, peer: Peer, load: Load, number: int, meanwhile: Meanwhile | None = None
    ) -> Run:
        """Put ``load`` on ``peer``, in a process that is new.

        Args:
            peer: Who gets it.
            load: What it gets.
            number: Which round it is.
            meanwhile: What to do with the peer's process while it is measured.

        Raises:
            RuntimeError: a process that takes part has ended, or says nothing.
        """
        async with AsyncExitStack() as stack:
            place = self._place(peer)
            running = await stack.enter_async_context(self._start(peer, place))
            start_up = 0.0
            if peer.role is not Role.RECEIVER:
                start_up = await first_answer(running, WIRES[peer.wire], place.port)
                await asyncio.to_thread(warm_up, WIRES[peer.wire], place.port)
            generator = running
            if peer.role is not Role.RECEIVER:
                generator = await stack.enter_async_context(self._generator())
            steps = _Steps(running, self._backend, generator, peer, load)
            return await steps.run(place, number, start_up, meanwhile, self._cores)

    def _place(self, peer: Peer) -> Place:
        cores = len(self._cores.all) if peer.all_cores else 1
        return Place(self._directory, _free_port(), self._address, cores)

    @asynccontextmanager
    async def _start(self, peer: Peer, place: Place) -> AsyncIterator[Child]:
        cores = self._cores.all if peer.all_cores else self._cores.peer
        command = await asyncio.to_thread(peer.command, place)
        env = {**peer.env, "BRIDGE_BACKEND": self._address}
        errors = self._directory / f"{peer.name}.err"
        async with child(command, cores=cores, errors=errors, env=env) as running:
            yield running

    @asynccontextmanager
    async def _generator(self) -> AsyncIterator[Child]:
        errors = self._directory / "load.err"
        async with child(module("load"), cores=self._cores.generator, errors=errors) as running:
            yield running


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Start the backend, and end it afterwards."""
    cores = divide_cores()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        errors = directory / "backend.err"
        async with child(module("backend"), cores=cores.backend, errors=errors) as backend:
            address = (await backend.read(_START_SECONDS))["address"]
            yield Bench(backend, address, directory, cores)


class _Steps:
    """One run, step by step."""

    def __init__(
        self,
        running: Child,
        backend: Child,
        generator: Child,
        peer: Peer,
        load: Load,
    ) -> None:
        self._running = running
        self._backend = backend
        self._generator = generator
        self._peer = peer
        self._load = load
        self._pids = processes(running.pid)

    async def run(
        self,
        place: Place,
        number: int,
        start_up: float,
        meanwhile: Meanwhile | None,
        cores: Cores,
    ) -> Run:
        load = self._load
        await asyncio.sleep(_SETTLE_SECONDS)
        memory_before = memory(self._pids)
        before = cpu(self._pids)
        self._generator.write(Job(self._peer.wire, HOST, place.port, load).to_json())
        taken = await self._generator.read(_OPEN_SECONDS)
        await self._wait_for_the_backend(taken["open"])
        opened = cpu(self._pids)
        go = await self._go()
        await _sleep_until(go.begin)
        first = self._read()
        if meanwhile is not None:
            await meanwhile(self._running.pid)
        await _sleep_until(go.end)
        last = self._read()
        memory_open = memory(self._pids)
        connections = self._connections(place.port) if load.kind is Kind.IDLE else []
        seen = await self._generator.read(_OPEN_SECONDS)
        told = await self._ask_the_backend()
        lost = seen["at_the_end"]["refused"] if load.kind is Kind.IDLE else 0
        refused = sum(n for what, n in seen["faults"].items() if what.startswith("HTTP status"))
        faults = {w: n for w, n in seen["faults"].items() if not w.startswith("HTTP status")}
        return Run(
            peer=self._peer.name,
            load=load.name,
            round=number,
            seconds=(last.peer.at - first.peer.at) / 1e9,
            messages=seen["messages"],
            whole=seen["whole"],
            whole_while_measured=seen["whole_while_measured"],
            refused=refused,
            lost=max(0, lost - refused),
            unfinished=0 if self._may_buffer else seen["unfinished"],
            not_awaited=seen["unfinished"] if self._may_buffer else 0,
            faults=faults,
            cpu=(last.peer.total - first.peer.total) / 1e9,
            waited=(last.peer.waited - first.peer.waited) / 1e9,
            backend_cpu=(last.backend.total - first.backend.total) / 1e9,
            generator_cpu=self._generator_cpu(first, last),
            late_p99=0 if load.kind is Kind.IDLE else told["late_p99"],
            delays=seen["delays"],
            firsts=seen["firsts"],
            opening_cpu=(opened.total - before.total) / 1e9,
            memory_before=memory_before,
            memory=memory_open,
            start_up=start_up,
            connections=connections,
            workers=self._peer.workers,
            shared_core=cores.shared,
            shared_cores=len(cores.all) if self._peer.all_cores else 0,
        )

    @property
    def _may_buffer(self) -> bool:
        return self._load.kind is Kind.FLOOD and self._peer.buffers

    def _generator_cpu(self, first: Reference, last: Reference) -> float:
        if self._generator is self._running:
            return 0.0
        return (last.generator.total - first.generator.total) / 1e9

    def _read(self) -> Reference:
        return Reference(cpu(self._pids), cpu([self._backend.pid]), cpu([self._generator.pid]))

    async def _wait_for_the_backend(self, streams: int) -> None:
        """Wait until the backend has as many streams as the peer has taken."""
        if self._load.kind is Kind.SHORT or self._peer.role is Role.SOURCE:
            return
        async with asyncio.timeout(_OPEN_SECONDS):
            while (await self._ask_the_backend())["held"] < streams:
                await asyncio.sleep(0.05)

    async def _ask_the_backend(self) -> dict[str, Any]:
        self._backend.write("\n")
        return await self._backend.read(_START_SECONDS)

    async def _go(self) -> Go:
        """Tell everybody when to begin, the generator first."""
        while True:
            go = self._plan()
            self._generator.write(go.to_json())
            await self._generator.read(_START_SECONDS)
            if time.monotonic_ns() < go.start:
                break
        self._generator.write("\n")
        if self._peer.role is Role.SOURCE:
            self._running.write(go.to_json())
        elif self._load.kind is not Kind.IDLE:
            self._backend.write(go.to_json())
        return go

    def _plan(self) -> Go:
        start = time.monotonic_ns() + int(_SETTLE_SECONDS * 1e9)
        begin = start + int(self._load.warm_up * 1e9)
        return Go(start, begin, begin + int(self._load.seconds * 1e9))

    def _connections(self, port: int) -> list[int]:
        """Return how many connections of clients each worker has."""
        counts = []
        for pid in self._pids:
            found = psutil.Process(pid).net_connections("tcp")
            of_clients = [c for c in found if c.laddr and c.laddr.port == port and c.raddr]
            counts.append(len(of_clients))
        # The process that has started them has none.
        return sorted(counts, reverse=True)[: self._peer.workers]


async def _sleep_until(at: int) -> None:
    await asyncio.sleep(max(0, at - time.monotonic_ns()) / 1e9)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
