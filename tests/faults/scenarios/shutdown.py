"""SIGTERM under many open streams, for one process and for several."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence

from tests.faults.catalogue.plays import hanging
from tests.faults.client import Client, scripted
from tests.faults.endings import FINISHED, failed
from tests.faults.report import Findings
from tests.faults.run import percentile
from tests.faults.world import Served
from tests.processes import server_process

HEADINGS = (
    "workers",
    "streams",
    "verdicts",
    "exit status",
    "seconds from the end of the grace to the exit",
    "to the verdict after the grace, s: p50",
    "max",
    "records",
)
GRACE = 10
EXPECTED = {FINISHED, failed("UNAVAILABLE")}


async def shutdown(streams: int, workers: Sequence[int]) -> Findings:
    """Stop bridges of so many workers; half of the streams end within the grace."""
    findings = Findings(HEADINGS)
    backend = Served("backend", ("--log-format", "json"), {"BACKEND_MODEL": "script"})
    try:
        address = await backend.start()
        for count in workers:
            await _stop(findings, address, streams, count)
    finally:
        await backend.stop()
    return findings


async def _stop(findings: Findings, backend: str, streams: int, workers: int) -> None:
    variables = {"BRIDGE_SHUTDOWN_GRACE": str(GRACE), "BRIDGE_LOG_FORMAT": "json"}
    if workers > 1:
        variables["BRIDGE_WORKERS"] = str(workers)
    async with server_process("bridge", "--backend", backend, env=variables) as bridge:
        clients = await _open(await bridge.address(), streams)
        reading = [asyncio.create_task(client.ending(60)) for client in clients]
        bridge.process.send_signal(signal.SIGTERM)
        over = time.time() + GRACE
        status = await bridge.wait(GRACE + 30)
        late = time.time() - over
        endings = await asyncio.gather(*reading)
        waited = sorted(client.ended - over for client in clients if client.ended > over)
        records = sum(record["event"] == "stream ended" for record in bridge.records)
    verdicts = Counter(map(str, endings))
    findings.rows.append(
        (
            str(workers),
            str(streams),
            ", ".join(f"{ending}: {count}" for ending, count in sorted(verdicts.items())),
            str(status),
            f"{late:.2f}",
            f"{percentile(waited, 50):.3f}" if waited else "",
            f"{waited[-1]:.3f}" if waited else "",
            str(records),
        )
    )
    findings.complaints += [str(ending) for ending in endings if ending not in EXPECTED]
    if status or records != streams:
        findings.complaints.append(f"exit status {status}, {records} records")


async def _open(address: str, streams: int) -> list[Client]:
    ends_in_time = scripted({"text": "a", "count": 16, "interval_ms": 500})
    requests = [ends_in_time if index % 2 else hanging(1) for index in range(streams)]
    clients = await asyncio.gather(*(Client.ask(address, request) for request in requests))
    for client in clients:
        await client.messages(1)
    return clients
