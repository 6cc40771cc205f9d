"""One client that reads nothing beside many that read: what it costs the bridge, and the others."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from tests.faults.client import Client, scripted
from tests.faults.endings import FINISHED
from tests.faults.fault import BOUND
from tests.faults.report import Findings
from tests.faults.run import percentile
from tests.faults.world import Setup, World, env, standing

HEADINGS = (
    "stalled clients",
    "bytes that the backend could send",
    "the bridge's memory, MB",
    "delay of the others' messages, ms: p50",
    "p99",
)
_TEXT = "x" * 1000
# The client stalls for less than the bridge bears.
_SETUP = Setup(bridge=env(BRIDGE_WRITE_TIMEOUT=600), direct=True)


@dataclass(frozen=True)
class _Delays:
    """Seconds by which messages came later than the best of their stream, in order."""

    sorted: list[float]
    all_finished: bool

    def milliseconds(self, percent: int) -> str:
        return f"{percentile(self.sorted, percent) * 1000:.1f}"


async def stalled(readers: int, rate: float, seconds: float) -> Findings:
    """Compare ``readers`` of ``rate`` messages a second with and without a stalled client."""
    findings = Findings(HEADINGS)
    async with standing(_SETUP) as world:
        await _readers(world, readers, rate, 5)
        # Twice, so that the noise shows, too.
        for count in (0, 1, 0, 1):
            before = await world.held()
            clients = [await _stall(world) for _ in range(count)]
            delays = await _readers(world, readers, rate, seconds)
            memory = (await world.held()).memory
            sent = [await _let_go(world, client) for client in clients]
            findings.rows.append(
                (
                    str(count),
                    ", ".join(map(str, sent)),
                    f"{before.memory / 1e6:.1f} → {memory / 1e6:.1f}",
                    delays.milliseconds(50),
                    delays.milliseconds(99),
                )
            )
            if not delays.all_finished:
                findings.complaints.append("a client that reads did not get all")
    return findings


async def _stall(world: World) -> Client:
    request = scripted({"text": _TEXT, "count": 1_000_000})
    client = await world.ask(request, small_buffer=True)
    client.read_nothing()
    return client


async def _let_go(world: World, client: Client) -> int:
    """Leave, and return the bytes of text that the backend had sent by then."""
    await client.leave(abruptly=True)
    ended = await world.backend.server.logged(
        "call ended", where=lambda record: record["request_id"] == client.request_id
    )
    await world.recorded({client.request_id}, 10)
    record = world.stream_records()[client.request_id][0]
    assert record["outcome"] == "left by the client", record
    return int(ended["messages"]) * len(_TEXT)


async def _readers(world: World, readers: int, rate: float, seconds: float) -> _Delays:
    count = int(rate * seconds)
    request = scripted({"text": "some words ", "count": count, "interval_ms": 1000 / rate})

    async def read(index: int) -> tuple[list[float], bool]:
        # Messages that all come at once would wait for one another.
        await asyncio.sleep(index / readers / rate)
        client = await world.ask(request)
        offsets: list[float] = []
        while len(offsets) < count:
            await client.messages(len(offsets) + 1)
            if client.frames.messages <= len(offsets):
                break
            now = time.perf_counter()
            offsets += [now - index / rate for index in range(len(offsets), client.frames.messages)]
        finished = await client.ending(BOUND) == FINISHED
        best = min(offsets, default=0)
        return [offset - best for offset in offsets], finished

    told = await asyncio.gather(*(read(index) for index in range(readers)))
    delays = sorted(delay for stream, _ in told for delay in stream)
    return _Delays(delays, all(finished for _, finished in told))
