"""The streams that are open: one clock ticks for all, and a shutdown ends each."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

import structlog

_log = structlog.get_logger("bridge.stream")

TICK_SECONDS = 0.25

# So many ticks at most hold up a message; before the next, those that came meanwhile are sent.
_AT_ONCE = 50
_PAUSE_SECONDS = 0.001

# What is due within this time waits for one another: it costs more to wake up than to tick.
_TOGETHER_SECONDS = 0.008


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
        # All have the same period: so the order in which they ticked is that in which they are due.
        self._due: deque[tuple[float, OpenStream]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: OpenStream) -> None:
        """List a stream that starts."""
        self._streams.add(stream)
        self._due.append((time.monotonic() + TICK_SECONDS, stream))
        if self._closed:
            stream.cut()

    def discard(self, stream: OpenStream) -> None:
        """Forget a stream that has ended."""
        self._streams.discard(stream)

    async def keep_time(self) -> None:
        """Tick for all streams, for ever: a timer for each would cost more than the streams do."""
        while True:
            await asyncio.sleep(self._seconds_to_wait())
            self._tick()

    def _seconds_to_wait(self) -> float:
        if not self._due:
            return TICK_SECONDS
        seconds = self._due[0][0] - time.monotonic()
        return _PAUSE_SECONDS if seconds <= 0 else max(seconds, _TOGETHER_SECONDS)

    def _tick(self) -> None:
        now = time.monotonic()
        for _ in range(min(_AT_ONCE, len(self._due))):
            due, stream = self._due[0]
            if due > now:
                return
            self._due.popleft()
            if stream in self._streams:
                self._due.append((now + TICK_SECONDS, stream))
                self._tick_one(stream, now)

    def _tick_one(self, stream: OpenStream, now: float) -> None:
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
