"""Runs a command of ours as it is, and tells from the inside what it holds.

``python -m tests.faults.observed bridge serve ...`` runs ``bridge serve ...``. For each line on
stdin it collects garbage and writes an ``Observation`` to stdout, as a line of JSON. With
``FAULTS_DEFECT`` in the environment the bridge has a defect: it can't write the text ``DEFECT``.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import threading
from dataclasses import asdict, dataclass
from typing import TypeVar

from backend.service import CompletionService
from bridge.dialects.plain import PlainDialect
from bridge.open_streams import OpenStreams
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.processes import ServerProcess

DEFECT = "DEFECT"

COMMANDS = {"bridge": "bridge.cli", "backend": "backend.cli"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Observation:
    """What a process holds.

    Attributes:
        tasks: Tasks of asyncio.
        streams: Open streams of a bridge, or open calls of a backend.
    """

    tasks: int
    streams: int


async def observe(server: ServerProcess) -> Observation:
    """Ask a server that runs under this module what it holds."""
    process = server.process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    async with asyncio.timeout(20):
        return Observation(**json.loads(await process.stdout.readline()))


def main() -> None:
    """Run the command, with an observer beside it."""
    module, *arguments = sys.argv[1:]
    if "FAULTS_DEFECT" in os.environ:
        _add_defect()
    threading.Thread(target=_answer, daemon=True).start()
    command = importlib.import_module(COMMANDS[module])
    # To look through what is loaded takes longer than all the rest of an observation.
    gc.freeze()
    command.main(arguments)


def _add_defect() -> None:
    write = PlainDialect.message

    def write_or_raise(self: PlainDialect, message: StreamCompletionResponse) -> bytes:
        if message.text == DEFECT:
            raise ZeroDivisionError
        return write(self, message)

    PlainDialect.message = write_or_raise  # type: ignore[method-assign]


def _answer() -> None:
    if not sys.stdin.readline():
        return
    # The command makes these by itself and gives nobody a way to them.
    loops = (o for o in gc.get_objects() if isinstance(o, asyncio.AbstractEventLoop))
    loop = next(loop for loop in loops if loop.is_running())
    streams, services = _all(OpenStreams), _all(CompletionService)

    async def look() -> Observation:
        gc.collect()
        count = sum(map(len, streams)) + sum(service.open_calls for service in services)
        return Observation(len(asyncio.all_tasks()) - 1, count)

    while True:
        observation = asyncio.run_coroutine_threadsafe(look(), loop).result()
        sys.stdout.write(json.dumps(asdict(observation)) + "\n")
        sys.stdout.flush()
        if not sys.stdin.readline():
            return


def _all(kind: type[T]) -> list[T]:
    return [found for found in gc.get_objects() if isinstance(found, kind)]


if __name__ == "__main__":
    main()
