"""One stream of the load generator, and the tally of all."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any, cast

import httptools

from bench.order import Go
from bench.quantiles import quantiles
from bench.wire import Grammar, Reading


class Tally:
    """What all streams of a job have come to."""

    def __init__(self) -> None:
        self.go: Go | None = None
        self.timed = True
        self.messages = 0
        self.whole = 0
        self.whole_while_measured = 0
        self.delays: list[int] = []
        self.firsts: list[int] = []
        self.faults: Counter[str] = Counter()

    def measures(self, now: int) -> bool:
        """Return whether what comes ``now`` is measured."""
        return self.go is not None and self.go.begin <= now < self.go.end

    def count(self, now: int, stamps: list[bytes], *, timed: bool) -> None:
        """Count messages that have come ``now``."""
        if self.measures(now):
            self.messages += len(stamps)
            if timed:
                self.delays += [now - int(stamp) for stamp in stamps]

    def as_json(self) -> dict[str, Any]:
        """Return what there is to tell."""
        return {
            "messages": self.messages,
            "whole": self.whole,
            "whole_while_measured": self.whole_while_measured,
            "delays": quantiles(self.delays),
            "firsts": quantiles(self.firsts),
            "faults": dict(self.faults),
        }


class Stream(asyncio.Protocol):
    """One request, and the check of its answer."""

    def __init__(self, tally: Tally, request: bytes, grammar: Grammar, *, timed: bool) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[bool] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self._tally = tally
        self._request = request
        self._timed = timed
        self._reading = Reading(grammar)
        self._pieces: list[bytes] = []
        # What the parser calls.
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        self._began = time.monotonic_ns()
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether the answer has not begun badly, and has not ended."""
        refused = self.opened.done() and not self.opened.result()
        return not refused and not self.over.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read what there is of the answer."""
        now = time.monotonic_ns()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"no HTTP: {error}")
            return
        if self._pieces:
            self._read(now)

    def _read(self, now: int) -> None:
        body = b"".join(self._pieces)
        self._pieces.clear()
        reading = self._reading
        is_first = not reading.messages
        stamps = reading.feed(body)
        if stamps:
            if is_first and self._tally.measures(self._began):
                self._tally.firsts.append(now - self._began)
            self._tally.count(now, stamps, timed=self._timed)

    def on_headers_complete(self) -> None:
        """See whether the request was taken."""
        status = self._parser.get_status_code()
        self._opened(status == 200)
        if status != 200:
            self._end(f"HTTP status {status}")

    def on_message_complete(self) -> None:
        """Check the ending."""
        now = time.monotonic_ns()
        self._read(now)
        self._reading.finish()
        self._end(self._reading.fault)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that an answer is cut."""
        self._opened(False)
        self._end("the connection was lost")

    def _opened(self, well: bool) -> None:
        if not self.opened.done():
            self.opened.set_result(well)

    def _end(self, fault: str) -> None:
        if self.over.done():
            return
        self.over.set_result(None)
        if fault:
            self._tally.faults[fault] += 1
        else:
            self._tally.whole += 1
            self._tally.whole_while_measured += self._tally.measures(time.monotonic_ns())
        self.close()

    def close(self) -> None:
        """Leave."""
        if not self.over.done():
            self.over.set_result(None)
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        """Read no more for now."""
        assert self._transport is not None
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.resume_reading()
