"""A floor: what it takes to receive gRPC, with no HTTP after it. It is its own load generator."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

import uvloop

from bench.client import Tally
from bench.load import Job, take_go, tell
from bench.loads import Load
from bench.order import Order, read_text
from bridge.app import open_backends
from bridge.settings import Settings
from bridge.telemetry.log import configure_logging
from bridge.upstream import Backends
from bridge.upstream.completion import STREAM_COMPLETION
from protos.completion.v1.completion_pb2 import (
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
)

_DEADLINE_SECONDS = 600


async def _main() -> None:
    # By itself, structlog writes to stdout.
    configure_logging("json")
    job = Job.from_json(sys.stdin.readline())
    async with open_backends(Settings()) as backends:
        await _receive(backends, job.load)


async def _receive(backends: Backends, load: Load) -> None:
    tally = Tally()
    reading = [
        asyncio.create_task(_read(backends, load.order(number), tally))
        for number in range(load.streams)
    ]
    await asyncio.sleep(0)
    tell({"open": len(reading), "refused": 0})
    await take_go(tally)
    await asyncio.gather(*reading)
    at_the_end = {"open": 0, "refused": 0}
    tell({**tally.as_json(), "unfinished": 0, "at_the_end": at_the_end})


async def _read(backends: Backends, order: Order, tally: Tally) -> None:
    said = Message(role=Role.ROLE_USER, content=order.to_json())
    request = StreamCompletionRequest(messages=[said])
    call = backends.stream(STREAM_COMPLETION, (request,), deadline=_DEADLINE_SECONDS)
    count = 0
    text = ""

    def take(messages: Sequence[StreamCompletionResponse]) -> bool:
        nonlocal count, text
        texts = [message.text for message in messages]
        text = texts[-1]
        if text[0] == "=":
            texts.pop()
        if texts:
            _note(tally, texts, count)
            count += len(texts)
        return True

    call.relay(take)
    async for messages in call:
        take(messages)
    if int(text[1:]) == count:
        tally.whole += 1
    else:
        tally.faults["fewer messages than were sent"] += 1


def _note(tally: Tally, texts: Sequence[str], before: int) -> None:
    """Count messages that have come together, with a glance at the first and the last."""
    now = time.monotonic_ns()
    first, _ = read_text(texts[0])
    last, stamp = read_text(texts[-1])
    if (first, last) != (before, before + len(texts) - 1):
        tally.faults["a message is missing, or out of order"] += 1
    if tally.measures(now):
        tally.messages += len(texts)
        tally.delays.append(now - stamp)


if __name__ == "__main__":
    uvloop.run(_main())
