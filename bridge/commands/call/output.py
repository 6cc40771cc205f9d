"""Writes to standard output, and never waits in the event loop for who reads it."""

from __future__ import annotations

import asyncio
import os
import select
import stat
from collections.abc import Callable


class Output:
    """A file descriptor that is written to at once, whole, and in order.

    A pipe whose reader pauses, such as ``less``, would otherwise stop the answers to the
    backend's pings, and the signals. It isn't made non-blocking: others may have the same pipe.

    Args:
        descriptor: What is written to.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)

    async def write(self, data: bytes) -> None:
        """Write all of ``data``.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        left = memoryview(data)
        while left:
            if not self._is_pipe:
                left = left[os.write(self._descriptor, left) :]
                continue
            # A pipe that can be written to takes so much without a pause: POSIX, write().
            await self._writable()
            left = left[os.write(self._descriptor, left[: select.PIPE_BUF]) :]

    def on_closed(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the reader of the pipe goes, as often as the loop turns."""
        if self._is_pipe:
            asyncio.get_running_loop().add_reader(self._descriptor, call)

    def forget(self) -> None:
        """Undo ``on_closed``."""
        if self._is_pipe:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(self._descriptor, writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(self._descriptor)
