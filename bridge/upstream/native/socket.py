"""The bytes of one connection, between asyncio and the machine that understands them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Protocol, cast

from bridge.upstream.call import ChannelOptions
from bridge.upstream.http2 import Connection, ErrorCode
from bridge.upstream.native.tls import PROTOCOL

# A server that makes us answer and doesn't read the answers. It may take its time to read requests.
_MOST_UNREAD_ANSWERS = 20_000

_TICK_SECONDS = 1.0

# For what is unsent, which a server may not read, and for TLS's farewell, which it may not return.
_FAREWELL_SECONDS = 0.2


class Arrival(Protocol):
    """Who has messages to hand over."""

    def deliver(self) -> None:
        """Hand them over."""
        ...


class Owner(Protocol):
    """Who places calls on connections."""

    def changed(self) -> None:
        """Note that a connection may have room for calls."""
        ...

    def idle(self, socket: Socket) -> None:
        """Note that a connection has had no call for a while."""
        ...

    def lost(self, socket: Socket) -> None:
        """Note that a connection is gone."""
        ...


class Socket(asyncio.Protocol):
    """A connection to a backend.

    Args:
        options: When the backend is pinged, how long it may be silent then, and after how long
            without a call the owner is told.
        max_section_bytes: The size of the largest header section.
        owner: Who places calls on it.

    Attributes:
        connection: The machine that understands the bytes.
        arrivals: Those for whom messages have come; they hand them over when all that has been
            read is understood, so that what came together goes on together.
    """

    def __init__(self, options: ChannelOptions, max_section_bytes: int, owner: Owner) -> None:
        self.connection = Connection(max_section_bytes)
        self.arrivals: list[Arrival] = []
        self._keepalive = options.keepalive or float("inf")
        self._keepalive_timeout = options.keepalive_timeout
        self._idle_timeout = options.idle_timeout
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._ready = self._loop.create_future()
        self._closed = asyncio.Event()
        self._heard = self._busy = self._loop.time()
        self._pinged: float | None = None
        self._ticker: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server."""
        self._transport = cast("asyncio.Transport", transport)
        self._tick()
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() != PROTOCOL:
            self._lose("the backend speaks TLS, but not HTTP/2 (ALPN)")
            return
        self._limit_unacknowledged()
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._heard = self._loop.time()
        connection = self.connection
        connection.receive(data)
        for arrival in self.arrivals:
            arrival.deliver()
        self.arrivals.clear()
        if connection.news:
            connection.news = False
            self._look_after()
        self.flush()

    def _look_after(self) -> None:
        connection = self.connection
        if connection.failure or self._unread():
            self._lose("the backend doesn't read what it is answered", ErrorCode.ENHANCE_YOUR_CALM)
        elif connection.draining and not connection.open_streams:
            self.leave()
        elif connection.ready and not self._ready.done():
            self._ready.set_result(None)
        self._owner.changed()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what is open."""
        self._ticker.cancel()
        self.connection.lose(str(error) if error else "the backend closed the connection")
        if not self._ready.done():
            self._ready.set_result(None)
        self._closed.set()
        self._owner.lost(self)

    async def greeted(self) -> None:
        """Wait for the server's settings.

        Raises:
            OSError: there is no HTTP/2 to be had.
        """
        try:
            await self._ready
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        if self.connection.failure:
            raise OSError(self.connection.failure)

    def flush(self) -> None:
        """Send what is to be sent."""
        output = self.connection.output()
        if output:
            self._transport.write(output)

    def leave(self) -> None:
        """Close the connection, and say so."""
        if not self._transport.is_closing():
            self.connection.close()
            self._close()

    async def close(self) -> None:
        """Close the connection, and wait until it is gone."""
        self.leave()
        await self._closed.wait()

    def _unread(self) -> bool:
        many = self.connection.answers > _MOST_UNREAD_ANSWERS
        return many and self._transport.get_write_buffer_size() > 0

    def _lose(self, reason: str, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        self.connection.lose(reason, code)
        self._close()

    def _close(self) -> None:
        # To close a transport of TLS twice makes asyncio forget it, open as it is.
        if not self._transport.is_closing():
            self.flush()
            self._transport.close()
            self._ticker.cancel()
            self._ticker = self._loop.call_later(_FAREWELL_SECONDS, self._transport.abort)

    def _limit_unacknowledged(self) -> None:
        if not hasattr(socket, "TCP_USER_TIMEOUT"):
            return
        raw: socket.socket = self._transport.get_extra_info("socket")
        if raw.family != socket.AF_UNIX and self._keepalive < float("inf"):
            limit = int(self._keepalive_timeout * 1000)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)

    def _tick(self) -> None:
        if self._transport.is_closing():
            # The backend has closed it, and doesn't read what is unsent.
            self._transport.abort()
            return
        now = self._loop.time()
        self.connection.tick()
        if not self._transport.get_write_buffer_size():
            self.connection.answers = 0
        if self.connection.open_streams:
            self._busy = now
            self._keep_alive(now)
        elif self.connection.draining:
            self.leave()
        elif now - self._busy >= self._idle_timeout:
            self._owner.idle(self)
        if not self._transport.is_closing():
            limit = self._keepalive if self._pinged is None else self._keepalive_timeout
            self._ticker = self._loop.call_later(min(limit, _TICK_SECONDS), self._tick)

    def _keep_alive(self, now: float) -> None:
        if self._pinged is not None and self._heard > self._pinged:
            self._pinged = None
        if self._pinged is None:
            if now - self._heard >= self._keepalive:
                self._pinged = now
                self.connection.ping()
                self.flush()
        elif now - self._pinged >= self._keepalive_timeout:
            self.connection.lose(f"no answer to a ping in {self._keepalive_timeout:g} s")
            self._transport.abort()
