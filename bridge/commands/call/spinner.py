"""Shows on a terminal that the command waits."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TextIO

from bridge.commands.call.progress import Progress

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES = "-\\|/"
_FRAME_SECONDS = 0.08

# What comes sooner would only make it flicker.
_FIRST_FRAME_SECONDS = 0.1

# ECMA-48, "Erase in Line": to its end.
_ERASE = "\x1b[K"


class Spinner:
    """A line that turns, with what has come so far, and that goes without a trace.

    Args:
        stream: Where it is shown; None for nowhere.
        progress: What has come.
    """

    def __init__(self, stream: TextIO | None, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    @asynccontextmanager
    async def turning(self) -> AsyncIterator[None]:
        """Turn until this is left."""
        if self._stream is None:
            yield
            return
        turning = asyncio.create_task(self._turn(self._stream))
        try:
            yield
        finally:
            turning.cancel()
            with suppress(asyncio.CancelledError):
                await turning

    async def _turn(self, stream: TextIO) -> None:
        frames = _FRAMES if stream.encoding.lower() == "utf-8" else _ASCII_FRAMES
        await asyncio.sleep(_FIRST_FRAME_SECONDS)
        try:
            while True:
                for frame in frames:
                    width = shutil.get_terminal_size().columns
                    line = f"{frame} {self._progress}"[: max(width - 1, 0)]
                    _write(stream, f"\r{line}{_ERASE}")
                    await asyncio.sleep(_FRAME_SECONDS)
        finally:
            _write(stream, f"\r{_ERASE}")


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
