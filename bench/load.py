"""``python -m bench.load``: opens streams, reads and checks them, and says what it saw.

The first line on stdin is the job. When the streams are open it writes a line of JSON, takes a
``Go`` from stdin (``take_go``), and when all is over writes another.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import uvloop

from bench.client import Stream, Tally
from bench.loads import Kind, Load
from bench.order import Go, Order
from bench.wire import WIRES, Grammar

# How many are being opened at a time.
_OPENING = 100

# What a socket of the kernel holds of a stream that isn't read. It would take megabytes.
_STALLED_BUFFER_BYTES = 32 * 1024

# How much longer than it is measured a stream is held, so that its memory can be read.
_HELD_ON_NANOSECONDS = 1_500_000_000

_OPEN_SECONDS = 80
_END_SECONDS = 30

# A peer may have taken far more of a flood than it has handed on.
_FLOOD_END_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Job:
    """What to do.

    Attributes:
        wire: The name of the peer's wire.
        host: Where the peer listens.
        port: Its port there.
        load: What to put on it.
    """

    wire: str
    host: str
    port: int
    load: Load

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what ``to_json`` wrote."""
        fields = json.loads(text)
        load = fields.pop("load")
        return cls(**fields, load=Load(**{**load, "kind": Kind(load["kind"])}))


class Crowd:
    """All streams of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._load = job.load
        self._wire = WIRES[job.wire]
        self._grammar = Grammar(self._wire, job.load.size)
        self._stalled_grammar = Grammar(self._wire, job.load.stalled_size)
        self._timed = job.load.kind is not Kind.FLOOD
        self._streams: list[Stream] = []
        self._stalled: list[Stream] = []
        self.tally = Tally()

    async def open(self) -> dict[str, Any]:
        """Open the streams that are there from the start; return how many that are."""
        if self._load.kind is Kind.SHORT:
            return {"open": 0, "refused": 0}
        gate = asyncio.Semaphore(_OPENING)
        async with asyncio.timeout(_OPEN_SECONDS):
            self._streams += await asyncio.gather(
                *(self._open_one(self._load.order(i), gate) for i in range(self._load.streams))
            )
            self._stalled += await asyncio.gather(
                *(self._open_stalled(gate) for _ in range(self._load.stalled))
            )
        return self._how_many_are_open()

    def _how_many_are_open(self) -> dict[str, int]:
        every = [*self._streams, *self._stalled]
        still = sum(stream.is_open for stream in every)
        return {"open": still, "refused": len(every) - still}

    async def _open_one(self, order: Order, gate: asyncio.Semaphore) -> Stream:
        async with gate:
            stream = await self._connect(order, self._grammar, timed=self._timed)
            if not self._wire.status_first:
                await stream.opened
        return stream

    async def _open_stalled(self, gate: asyncio.Semaphore) -> Stream:
        order = self._load.stalled_order()
        async with gate:
            stream = await self._connect(order, self._stalled_grammar, timed=False)
            if await stream.opened:
                stream.pause()
        return stream

    async def _connect(self, order: Order, grammar: Grammar, *, timed: bool) -> Stream:
        job = self._job
        request = self._wire.request(f"{job.host}:{job.port}", order)
        stream = Stream(self.tally, request, grammar, timed=timed)
        client = socket.socket()
        client.setblocking(False)
        if grammar is self._stalled_grammar:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STALLED_BUFFER_BYTES)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(client, (job.host, job.port))
            await loop.create_connection(lambda: stream, sock=client)
        except OSError as error:
            client.close()
            stream.connection_lost(error)
        return stream

    async def run(self, go: Go) -> dict[str, Any]:
        """Read until all is over; return what was seen."""
        match self._load.kind:
            case Kind.SHORT:
                await self._open_one_after_the_other(go)
            case Kind.IDLE | Kind.SLOW:
                await _sleep_until(go.end + _HELD_ON_NANOSECONDS)
        open_at_the_end = self._how_many_are_open()
        for stream in self._stalled:
            stream.resume()
        if self._load.kind is Kind.IDLE:
            self._leave()
        unfinished = await self._wait_for_the_end(go)
        return {**self.tally.as_json(), "unfinished": unfinished, "at_the_end": open_at_the_end}

    async def _open_one_after_the_other(self, go: Go) -> None:
        order = self._load.order(0)
        total = int((self._load.warm_up + self._load.seconds) * self._load.streams)
        opening = []
        for number in range(total):
            await _sleep_until(go.start + number * 1_000_000_000 // self._load.streams)
            connecting = self._connect(order, self._grammar, timed=self._timed)
            opening.append(asyncio.create_task(connecting))
        self._streams += await asyncio.gather(*opening)

    async def _wait_for_the_end(self, go: Go) -> int:
        await _sleep_until(go.end)
        over = [stream.over for stream in (*self._streams, *self._stalled)]
        seconds = _FLOOD_END_SECONDS if self._load.kind is Kind.FLOOD else _END_SECONDS
        _, unfinished = await asyncio.wait(over, timeout=seconds)
        self._leave()
        return len(unfinished)

    def _leave(self) -> None:
        for stream in (*self._streams, *self._stalled):
            stream.close()


async def _sleep_until(at: int) -> None:
    await asyncio.sleep(max(0, at - time.monotonic_ns()) / 1e9)


def tell(what: dict[str, Any]) -> None:
    """Write a line of JSON to stdout."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def take_go(tally: Tally) -> Go:
    """Take a ``Go`` from stdin, say so, and take another until an empty line says it holds.

    On a busy machine the first may come when it is late already.
    """
    while (line := await asyncio.to_thread(sys.stdin.readline)).strip():
        tally.go = Go.from_json(line)
        tell(asdict(tally.go))
    assert tally.go is not None
    return tally.go


async def _main() -> None:
    crowd = Crowd(Job.from_json(sys.stdin.readline()))
    tell(await crowd.open())
    tell(await crowd.run(await take_go(crowd.tally)))


if __name__ == "__main__":
    uvloop.run(_main())
