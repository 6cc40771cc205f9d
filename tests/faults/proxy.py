"""A TCP proxy whose network can be made worse, and good again, while connections are open."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

from tests.faults.listening import stop_listening

_PIECE = 64 * 1024
_RECEIVE_BUFFER = 64 * 1024
CLOSE_WITH_RST = struct.pack("ii", 1, 0)


class Direction(Enum):
    """Which way bytes go."""

    TO_SERVER = "to the server"
    TO_CLIENT = "to the client"


class Cut(Enum):
    """How a connection is ended."""

    FIN = "FIN"
    RST = "RST"


BOTH = frozenset(Direction)


@dataclass
class _Way:
    """What happens to the bytes of one direction."""

    passed: int = 0
    delay: float = 0
    rate: float | None = None
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    bytes_left: int | None = None
    cut: Cut = Cut.FIN

    def allow(self, size: int) -> int:
        """Take ``size`` bytes from those that are left, and return how many may pass."""
        if self.bytes_left is None:
            return size
        allowed = min(size, self.bytes_left)
        self.bytes_left -= allowed
        return allowed


class Proxy:
    """Passes bytes between its clients and the server at ``target``.

    What is changed holds for the connections that are open and for those to come. The proxy
    stops to read what it does not pass on, so a sender's buffers fill as in a network that is
    silent.

    Attributes:
        address: ``host:port`` for clients; it stays the same while connections are refused.
        target: ``host:port`` of the server.
        accepted: How many connections it has accepted.
    """

    def __init__(self, target: str) -> None:
        self.address = ""
        self.target = target
        self.accepted = 0
        self._ways = {direction: _Way() for direction in Direction}
        self._links: set[_Link] = set()
        self._accepting: asyncio.Server | None = None
        self.heal()

    async def listen(self) -> None:
        """Accept connections, for the first time or again, unless it does."""
        if self._accepting is not None:
            return
        host, _, port = self.address.rpartition(":")
        listener = socket.create_server((host or "127.0.0.1", int(port or 0)), backlog=2048)
        # A connection has what its listener has. It would grow to megabytes.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        bound = listener.getsockname()
        self.address = f"{bound[0]}:{bound[1]}"
        self._accepting = await asyncio.start_server(self._accept, sock=listener)

    async def refuse(self) -> None:
        """Refuse connections until ``listen``; those that are open stay."""
        if self._accepting is not None:
            accepting, self._accepting = self._accepting, None
            await stop_listening(accepting)

    def passed(self, direction: Direction) -> int:
        """Return how many bytes of ``direction`` were passed on."""
        return self._ways[direction].passed

    def delay(self, seconds: float, directions: frozenset[Direction] = BOTH) -> None:
        """Hold each piece back for ``seconds``."""
        for direction in directions:
            self._ways[direction].delay = seconds

    def throttle(self, rate: float, directions: frozenset[Direction] = BOTH) -> None:
        """Pass ``rate`` bytes a second of each connection."""
        for direction in directions:
            self._ways[direction].rate = rate

    def silence(self, directions: frozenset[Direction] = BOTH) -> None:
        """Keep the connections and accept new ones, but pass nothing on until ``heal``."""
        for direction in directions:
            self._ways[direction].flows.clear()

    def cut(self, how: Cut) -> None:
        """End all open connections now, on both sides."""
        for link in tuple(self._links):
            link.cut(how)

    def cut_after(self, size: int, how: Cut, direction: Direction = Direction.TO_CLIENT) -> None:
        """End the connection over which the next ``size`` bytes of ``direction`` have passed.

        Others count on together with it, so each connection after it ends at once until
        ``heal``.
        """
        way = self._ways[direction]
        way.bytes_left, way.cut = size, how

    def heal(self) -> None:
        """Pass everything at once again."""
        for way in self._ways.values():
            way.delay, way.rate, way.bytes_left = 0, None, None
            way.flows.set()

    async def close(self) -> None:
        """Refuse connections, and end those that are open."""
        await self.refuse()
        self.heal()
        self.cut(Cut.RST)
        await asyncio.gather(*(link.ended() for link in tuple(self._links)))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Side(reader, writer)
        if self._accepting is None:
            # The listener had taken it already when it was closed.
            client.reset()
            return
        self.accepted += 1
        link = _Link(self._ways, client)
        self._links.add(link)
        try:
            await link.run(self.target)
        finally:
            self._links.discard(link)


@asynccontextmanager
async def proxying(target: str) -> AsyncIterator[Proxy]:
    """Run a proxy to ``target``, ``host:port``."""
    proxy = Proxy(target)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


@dataclass
class _Side:
    """One of the two connections that make a link."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def reset(self) -> None:
        opened = self.writer.get_extra_info("socket")
        with suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RST)
        self.writer.transport.abort()

    def finish(self) -> None:
        with suppress(OSError):
            self.writer.write_eof()


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, ways: dict[Direction, _Way], client: _Side) -> None:
        self._ways = ways
        self._client = client
        self._server: _Side | None = None
        self._is_cut = False
        self._ended = asyncio.Event()

    async def run(self, target: str) -> None:
        """Pass bytes until both sides have ended."""
        try:
            host, _, port = target.rpartition(":")
            # What is held back stays in the sender's buffers, not in those of the kernel here.
            opened = socket.socket()
            try:
                opened.setblocking(False)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
                await asyncio.get_running_loop().sock_connect(opened, (host, int(port)))
            except OSError:
                opened.close()
                raise
            self._server = _Side(*await asyncio.open_connection(sock=opened))
            if self._is_cut:
                self._server.reset()
            await asyncio.gather(
                self._pass(self._client, self._server, Direction.TO_SERVER),
                self._pass(self._server, self._client, Direction.TO_CLIENT),
            )
            self._client.writer.close()
            self._server.writer.close()
        except OSError:
            self.cut(Cut.RST)
        finally:
            self._ended.set()

    async def ended(self) -> None:
        """Wait until both sides have ended."""
        await self._ended.wait()

    def cut(self, how: Cut) -> None:
        """End both sides."""
        self._is_cut = True
        for side in (self._client, self._server):
            if side is not None:
                if how is Cut.RST:
                    side.reset()
                else:
                    side.finish()

    async def _pass(self, source: _Side, sink: _Side, direction: Direction) -> None:
        way = self._ways[direction]
        while True:
            await way.flows.wait()
            piece = _PIECE if way.rate is None else max(1, int(way.rate / 20))
            data = await source.reader.read(piece)
            if not data:
                break
            if not self._is_cut:
                await self._hold_back(way, len(data))
                await self._forward(way, data, sink)
        if not self._is_cut:
            sink.finish()

    async def _hold_back(self, way: _Way, size: int) -> None:
        seconds = way.delay + (size / way.rate if way.rate else 0)
        if seconds:
            await asyncio.sleep(seconds)
        await way.flows.wait()

    async def _forward(self, way: _Way, data: bytes, sink: _Side) -> None:
        allowed = way.allow(len(data))
        if allowed and not self._is_cut:
            way.passed += allowed
            sink.writer.write(data[:allowed])
            await sink.writer.drain()
        if allowed < len(data):
            self.cut(way.cut)
