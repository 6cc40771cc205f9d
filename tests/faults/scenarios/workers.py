"""Many streams over several workers: how even, how limited, and how they stop."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from functools import partial

from tests.faults.catalogue.plays import hanging
from tests.faults.client import Client
from tests.faults.endings import failed
from tests.faults.report import Findings
from tests.faults.world import Served
from tests.processes import Record, ServerProcess, server_process

HEADINGS = (
    "workers",
    "streams",
    "of each worker",
    "busiest / mean",
    "of 50 more than the limit, let in",
    "requests as it stopped",
    "exit status",
)
MOST = 1.3
MORE = 50
CUT = failed("UNAVAILABLE")
_ALIVE = b"GET /healthz HTTP/1.1\r\nhost: bridge\r\nconnection: close\r\n\r\n"
_ASKING = 20


async def workers(streams: int, counts: Sequence[int]) -> Findings:
    """Open so many streams, as many as may be, over each of ``counts`` workers; ask for more."""
    findings = Findings(HEADINGS)
    backend = Served("backend", ("--log-format", "json"), {"BACKEND_MODEL": "script"})
    try:
        address = await backend.start()
        for count in counts:
            await _spread(findings, address, streams, count)
    finally:
        await backend.stop()
    return findings


async def _spread(findings: Findings, backend: str, streams: int, count: int) -> None:
    variables = {
        "BRIDGE_WORKERS": str(count),
        "BRIDGE_MAX_STREAMS": str(streams),
        "BRIDGE_SHUTDOWN_GRACE": "0",
        "BRIDGE_LOG_FORMAT": "json",
    }
    async with server_process("bridge", "--backend", backend, env=variables) as bridge:
        for number in range(count):
            await bridge.logged("listening", 60, where=partial(_is_of, number))
        clients = await _open(bridge, streams)
        more = [await Client.ask(await bridge.address(), hanging(1)) for _ in range(MORE)]
        for client in more:
            await client.messages(1)
        endings, asked, status = await _stop(bridge, clients)
    records = [r for r in bridge.records if r["event"] == "stream ended"]
    let_in = len(records) - streams
    of_each = [sum(r["worker"] == number for r in records) for number in range(count)]
    ratio = max(of_each) * count / len(records)
    findings.rows.append(
        (
            str(count),
            str(streams),
            ", ".join(map(str, of_each)),
            f"{ratio:.2f}",
            str(let_in),
            ", ".join(f"{end}: {number}" for end, number in sorted(asked.items())),
            str(status),
        )
    )
    others = sum(number for ending, number in endings.items() if ending != str(CUT))
    findings.complaints += [f"{ratio:.2f} of the mean"] if ratio > MOST else []
    findings.complaints += [f"{let_in} too many"] if let_in else []
    findings.complaints += [f"{endings}, exit status {status}"] if others or status else []


def _is_of(number: int, record: Record) -> bool:
    return bool(record["worker"] == number)


async def _open(bridge: ServerProcess, streams: int) -> list[Client]:
    address = await bridge.address()
    clients = await asyncio.gather(*(Client.ask(address, hanging(1)) for _ in range(streams)))
    for client in clients:
        await client.messages(1)
    return clients


async def _stop(
    bridge: ServerProcess, clients: Sequence[Client]
) -> tuple[Counter[str], Counter[str], int]:
    """Stop ``bridge`` while others ask; return the ends of the streams and of what was asked."""
    host, _, port = (await bridge.address()).rpartition(":")
    asked: Counter[str] = Counter()
    asking = [asyncio.create_task(_ask_on(host, int(port), asked)) for _ in range(_ASKING)]
    reading = [asyncio.create_task(client.ending(60)) for client in clients]
    while asked.total() < _ASKING:
        await asyncio.sleep(0.01)
    asked.clear()
    bridge.process.send_signal(signal.SIGTERM)
    status = await bridge.wait(60)
    await asyncio.gather(*asking)
    return Counter(map(str, await asyncio.gather(*reading))), asked, status


async def _ask_on(host: str, port: int, asked: Counter[str]) -> None:
    """Ask over one new connection after the other, until one is refused; note what came of each."""
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, port)
        except ConnectionRefusedError:
            asked["refused"] += 1
            return
        except OSError:
            asked["reset"] += 1
            continue
        try:
            writer.write(_ALIVE)
            answer = await asyncio.wait_for(reader.read(), 30)
            asked["answered" if answer.startswith(b"HTTP/1.1 200") else "closed"] += 1
        except OSError:
            asked["reset"] += 1
        finally:
            writer.close()
