"""The streams that are open: one clock ticks for all, and a shutdown ends each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import structlog

_log = structlog.get_logger("bridge.stream")

TICK_SECONDS = 0.25

# So many ticks at most hold up a message.
_AT_ONCE = 50


class OpenStream(Protocol):
    """A stream, as far as it is moved from outside."""

    def tick(self, now: float) -> None:
        """See whether a limit has passed, or a heartbeat is due, at ``now``."""
        ...

    def cut(self) -> None:
        """End the stream now, with a verdict."""
        ...


class OpenStreams:
    """The set of open streams; after ``cut_all`` a stream that is added is cut at once.

    Attributes:
        draining: Whether the bridge has been told to stop.
    """

    def __init__(self) -> None:
        self.draining = False
        self._streams: set[OpenStream] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: OpenStream) -> None:
        """List a stream that starts."""
        self._streams.add(stream)
        if self._closed:
            stream.cut()

    def discard(self, stream: OpenStream) -> None:
        """Forget a stream that has ended."""
        self._streams.discard(stream)

    async def keep_time(self) -> None:
        """Tick for all streams, for ever: a timer for each would cost more than the streams do."""
        while True:
            streams = tuple(self._streams)
            parts = range(0, max(len(streams), 1), _AT_ONCE)
            for start in parts:
                await asyncio.sleep(TICK_SECONDS / len(parts))
                self._tick(streams[start : start + _AT_ONCE])

    def _tick(self, streams: Sequence[OpenStream]) -> None:
        now = time.monotonic()
        for stream in streams:
            if stream not in self._streams:
                continue
            try:
                stream.tick(now)
            except Exception:
                _log.exception("a tick of a stream failed")
                stream.cut()

    def cut_all(self) -> None:
        """Cut every open stream, and every one that is still to come."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.cut()
