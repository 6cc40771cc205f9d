"""Processes that are told what to do by lines, and answer in lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from bench.measure import on_cores

ROOT = Path(__file__).parent.parent
_LONGEST_LINE = 1 << 20
_END_SECONDS = 15


class Child:
    """A running process.

    Args:
        process: With pipes to its stdin and its stdout.
        errors: What it has written to stderr.
    """

    def __init__(self, process: asyncio.subprocess.Process, errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def write(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())

    async def read(self, seconds: float) -> dict[str, Any]:
        """Return what the next line of its stdout says.

        Raises:
            RuntimeError: it has ended instead, or says nothing within ``seconds``.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise RuntimeError(self.last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def last_words(self) -> str:
        """Return the end of what it has written to stderr."""
        self._errors.seek(0)
        written = self._errors.read().decode(errors="replace")
        return written[-2000:] or f"process {self.pid} says nothing"


@asynccontextmanager
async def child(
    command: Sequence[str],
    *,
    cores: Sequence[int],
    errors: Path,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """Run ``command`` on ``cores``; end it afterwards.

    Args:
        command: The program and its arguments.
        cores: Where it may run.
        errors: The file that gets what it writes to stderr.
        env: Variables to set beside those of this process.
    """
    with errors.open("w+b") as stderr:
        with on_cores(cores):
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                limit=_LONGEST_LINE,
            )
        try:
            yield Child(process, stderr)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()


def module(name: str) -> list[str]:
    """Return the command that runs a module of the bench."""
    return [sys.executable, "-m", f"bench.{name}"]
