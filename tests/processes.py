"""Runs the commands of ours as processes of their own, and reads what they log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

Record = dict[str, Any]

_LONGEST_LINE = 1 << 24


class ServerProcess:
    """A running server that logs to stderr, one JSON object a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.records: list[Record] = []
        self.other_output: list[str] = []
        self._logged = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._logged:
                try:
                    self.records.append(json.loads(line))
                except ValueError:
                    self.other_output.append(line.decode())
                self._logged.notify_all()
        async with self._logged:
            self._logged.notify_all()

    async def logged(
        self, event: str, seconds: float = 20, where: Callable[[Record], bool] = lambda _: True
    ) -> Record:
        """Wait for the first record of ``event`` that fits ``where``, and return it."""

        def found() -> Record | None:
            return next((r for r in self.records if r["event"] == event and where(r)), None)

        async with asyncio.timeout(seconds), self._logged:
            while (record := found()) is None:
                if self._reader.done() or self.process.returncode is not None:
                    raise AssertionError(
                        f"ended without logging {event!r}: {self.records} {self.other_output}"
                    )
                await self._logged.wait()
            return record

    async def address(self) -> str:
        """Wait until the server listens, and return its ``host:port``."""
        address = (await self.logged("listening"))["address"]
        assert isinstance(address, str)
        return address

    async def stop(self, signal_number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send ``signal_number``, wait for the end, and return the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal_number)
        return await self.wait(seconds)

    async def wait(self, seconds: float = 20) -> int:
        """Wait until the process has ended and its log is read; return its exit status."""
        async with asyncio.timeout(seconds):
            status = await self.process.wait()
            await self._reader
            return status


@asynccontextmanager
async def server_process(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, observed: bool = False
) -> AsyncIterator[ServerProcess]:
    """Run ``python -m module serve arguments``; kill it at the end if it still runs.

    Args:
        module: ``bridge`` or ``backend``.
        arguments: Flags of ``serve``; ``--port 0`` unless they say otherwise.
        env: Variables to set beside those of this process.
        observed: Whether ``tests.faults.observed`` runs it, so that it tells what it holds.
    """
    port = () if "--port" in arguments else ("--port", "0")
    observer = ("tests.faults.observed",) if observed else ()
    command = (sys.executable, "-m", *observer, module, "serve", *port, *arguments)
    async with logging_process(*command, env=env, piped=observed) as server:
        yield server


@asynccontextmanager
async def logging_process(
    *command: str, env: Mapping[str, str] | None = None, piped: bool = False
) -> AsyncIterator[ServerProcess]:
    """Run ``command``, which logs to stderr as our servers do; kill it at the end if it still runs.

    Args:
        command: The executable and its arguments.
        env: Variables to set beside those of this process.
        piped: Whether its stdin and stdout are pipes.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE if piped else None,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        env={**os.environ, **(env or {})},
    )
    server = ServerProcess(process)
    try:
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await server.wait()


def with_descriptors(limit: str, *command: str) -> tuple[str, ...]:
    """Return ``command`` with a limit of file descriptors, as in ``-Sn 64`` for ``ulimit``."""
    return ("sh", "-c", f'ulimit {limit} && exec "$0" "$@"', *command)


async def run_command(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> tuple[int, str, str]:
    """Run ``python -m module arguments`` to its end.

    Args:
        module: ``bridge`` or ``backend``.
        arguments: What stands after it.
        env: All variables of the process; those of this one if None.
        stdin: What it can read.

    Returns:
        The exit status, and what was written to stdout and to stderr.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
