"""Three backends, of which one is killed under load and comes back."""

from __future__ import annotations

import asyncio
import datetime
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.conftest import free_port
from tests.faults.client import scripted
from tests.faults.endings import FINISHED
from tests.faults.report import Findings
from tests.faults.scenarios.traffic import Traffic, Wanted
from tests.faults.world import Served
from tests.processes import Record

HEADINGS = ("backend", "streams that began", "of these ended with", "began while it was away")


@dataclass(frozen=True)
class _Times:
    """When the first backend was killed, and when it listened again."""

    killed: float
    back: float


async def backends(streams: int, seconds: float) -> Findings:
    """Keep ``streams`` open, kill one of three backends after a third of the time."""
    async with AsyncExitStack() as stack:
        three = [_backend() for _ in range(3)]
        for backend in three:
            stack.push_async_callback(backend.stop)
        addresses = [await backend.start() for backend in three]
        bridge = Served("bridge", ("--backend", ",".join(addresses), "--log-format", "json"), {})
        stack.push_async_callback(bridge.stop)
        traffic = Traffic(await bridge.start(), _wanted)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(traffic.run(streams, start_within=5))
            times = await _kill_and_bring_back(three[0], seconds / 3)
            await asyncio.sleep(seconds / 3)
            traffic.stop()
            await running
        records = [r for r in bridge.records() if r["event"] == "stream ended"]
        return _judge(addresses, traffic, records, times)


def _backend() -> Served:
    arguments = ("--port", str(free_port()), "--log-format", "json")
    return Served("backend", arguments, {"BACKEND_MODEL": "script"})


def _wanted() -> Wanted:
    script = {"text": "some words ", "count": random.randint(10, 50), "interval_ms": 200}
    return Wanted(scripted(script), FINISHED)


async def _kill_and_bring_back(backend: Served, seconds: float) -> _Times:
    await asyncio.sleep(seconds)
    killed = time.time()
    await backend.kill()
    await asyncio.sleep(seconds)
    await backend.start()
    return _Times(killed, time.time())


def _began(record: Record) -> float:
    ended = datetime.datetime.fromisoformat(record["timestamp"]).timestamp()
    return ended - float(record["duration_seconds"])


def _ended_with(record: Record) -> str:
    return str(record["code"] or record["outcome"])


def _judge(
    addresses: list[str], traffic: Traffic, records: list[Record], times: _Times
) -> Findings:
    findings = Findings(HEADINGS)
    for number, address in enumerate(addresses, 1):
        of_this = [record for record in records if record["backend"] == address]
        endings = Counter(map(_ended_with, of_this))
        away = sum(times.killed < _began(record) < times.back for record in of_this)
        findings.rows.append(
            (
                f"{number}, which was killed" if number == 1 else str(number),
                str(len(of_this)),
                ", ".join(f"{ending}: {count}" for ending, count in sorted(endings.items())),
                str(away),
            )
        )
    of_the_dead = [record for record in records if record["backend"] == addresses[0]]
    again = [_began(r) for r in of_the_dead if _began(r) >= times.back]
    failed = {r["request_id"] for r in records if r["outcome"] != "finished"}
    struck = {r["request_id"] for r in of_the_dead if _began(r) < times.killed}
    findings.sentences.append(
        f"Streams that failed: {len(failed)}, of which {len(failed & struck)} were open on the "
        f"backend that was killed. It was away for {times.back - times.killed:.1f} s. "
        + (
            f"It got streams again {min(again) - times.back:.2f} s after it listened."
            if again
            else ""
        )
    )
    findings.complaints += [f"{request_id} failed on another" for request_id in failed - struck]
    findings.complaints += [] if again else ["the backend that returned got no stream"]
    findings.complaints += [
        f"{e.request_id}: {e.ending}"
        for e in traffic.ended
        if e.ending != FINISHED and e.request_id not in failed
    ]
    return findings
