"""Many slow streams that come and go for long: what the bridge holds, minute by minute."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from tests.faults.report import Findings
from tests.faults.scenarios.traffic import Traffic, slow_stream
from tests.faults.world import Held, Setup, World, standing

HEADINGS = ("minute", "streams open", "streams ended", "tasks", "descriptors", "memory, MB")


async def soak(streams: int, minutes: int) -> Findings:
    """Keep ``streams`` open for so long, each of 20 to 60 s with a message a second."""
    findings = Findings(HEADINGS)
    async with standing(Setup(direct=True)) as world:
        traffic = Traffic(world.address, partial(slow_stream, 20, 60, 1))
        await world.answers()
        before = await world.held()
        findings.rows.append(_row("0", traffic, before))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(traffic.run(streams, start_within=20))
            for minute in range(1, minutes + 1):
                await asyncio.sleep(60)
                findings.rows.append(_row(str(minute), traffic, await world.held()))
            traffic.stop()
            await running
        after = await world.settled(before, 30)
        findings.rows.append(_row("the end", traffic, after))
        await world.recorded({e.request_id for e in traffic.ended}, 10)
        _judge(findings, world, traffic, before, after)
    return findings


def _row(when: str, traffic: Traffic, held: Held) -> tuple[str, ...]:
    memory = f"{held.memory / 1e6:.0f}"
    numbers = (held.streams, len(traffic.ended), held.tasks, held.descriptors)
    return (when, *map(str, numbers), memory)


def _judge(findings: Findings, world: World, traffic: Traffic, before: Held, after: Held) -> None:
    endings = Counter(str(ended.ending) for ended in traffic.ended)
    told = ", ".join(f"{ending}: {count}" for ending, count in sorted(endings.items()))
    unexpected = [e for e in traffic.ended if e.ending != e.expected]
    records = world.stream_records()
    wrongly_recorded = [e for e in traffic.ended if len(records[e.request_id]) != 1]
    warnings = _unexpected_warnings(world, traffic)
    findings.sentences += [
        f"The streams ended with: {told}.",
        f"Streams that ended otherwise than they should have: {len(unexpected)}. "
        f"Streams without exactly one record: {len(wrongly_recorded)}. "
        f"Warnings and errors in the log, but for the streams that failed on purpose: "
        f"{len(warnings)}.",
    ]
    findings.complaints += [f"{e.request_id}: {e.ending}, not {e.expected}" for e in unexpected]
    findings.complaints += [f"{e.request_id} has not one record" for e in wrongly_recorded]
    findings.complaints += warnings
    if after.calls or after.streams or after.tasks > before.tasks:
        findings.complaints.append(f"left: {after}, before: {before}")


def _unexpected_warnings(world: World, traffic: Traffic) -> list[str]:
    failed = {e.request_id for e in traffic.ended if e.expected.kind == "failed"}
    loud = [r for r in world.bridge.records() if r["level"] not in {"info", "debug"}]
    return [str(r) for r in loud if r.get("request_id") not in failed]
