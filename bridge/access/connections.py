"""What a connection may do before its request is one: how many, how large a head, how slow.

It stands between the socket and uvicorn's HTTP protocol, whichever that is. h11 has a limit for
the head, httptools has none, and neither has one for the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

import orjson
from uvicorn import Config
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from bridge import request_id
from bridge.access.countdown import Countdown
from bridge.access.counts import Counts
from bridge.access.head import too_large
from bridge.http_errors import error_body

# So much is given to the parser at a time: many requests that come at once are parsed one after
# the other, each when it is to be served.
_PIECE_BYTES = 8 * 1024

# How many bytes may come while an answer is on its way, as when requests are pipelined
# (RFC 9112, section 9.3.2).
_AHEAD_BYTES = 64 * 1024

# How long a client that is refused may still send, before the connection is closed. One that
# writes to a closed connection may lose the answer (RFC 9112, section 9.6).
_LINGER_SECONDS = 1.0

# How long a request may take to come over a connection that was made as the bridge stopped.
_LAST_REQUEST_SECONDS = 0.5

_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of connections.

    Attributes:
        connections: The most of them at a time in this process.
        in_all: The most of them in all processes that share the limits.
        counts: How many there are in these.
        head_bytes: The most bytes of a request line with its headers.
        body_bytes: The most bytes of a body that is read though nobody wants it.
        request_seconds: How long the head of a request may take.
    """

    connections: int
    in_all: int
    counts: Counts
    head_bytes: int
    body_bytes: int
    request_seconds: float


class _Cycle(Protocol):
    """One request and its response, in uvicorn."""

    more_body: bool
    keep_alive: bool
    response_started: bool
    response_complete: bool


class LimitedConnection(asyncio.Protocol):
    """A mixin for uvicorn's HTTP protocols that bounds what a client can do with a connection.

    ``transport``, ``cycle``, ``config``, ``server_state``, ``app_state``, ``send_400_response`` and
    ``on_response_complete`` are uvicorn's, and the same in each of its protocols.
    """

    limits: ClassVar[ConnectionLimits]
    countdown: ClassVar[Countdown]
    for_http_1_0: ClassVar[type[H11Protocol] | None]

    transport: asyncio.Transport
    cycle: _Cycle | None
    config: Config
    server_state: ServerState
    app_state: dict[str, Any]

    _head_bytes = 0
    _held = b""
    _refused = False
    _closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request, or refuse a connection too many."""
        super().connection_made(transport)
        own = len(self.server_state.connections)
        in_all = self.limits.counts.connections(own)
        if own > self.limits.connections or in_all > self.limits.in_all:
            self._refuse(503, "Too many connections are open. Try again in a moment.")
        else:
            self.countdown.start(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.countdown.stop(self)
        self._do_not_close()
        self._held = b""
        super().connection_lost(exc)
        self.limits.counts.connections(len(self.server_state.connections))

    def data_received(self, data: bytes) -> None:
        """Hand on what belongs to the request that is being read, and keep what comes after it."""
        if self._refused:
            return
        if self.for_http_1_0 and self._is_new() and b" HTTP/1.0\r" in data.partition(b"\n")[0]:
            self._hand_over(self.for_http_1_0, data)
            return
        self._held += data
        self._feed()
        if len(self._held) > _AHEAD_BYTES:
            self._close_after_the_answer()

    def on_response_complete(self) -> None:
        """Go on with what has come meanwhile."""
        super().on_response_complete()  # type: ignore[misc]
        if self._reads_a_rest():
            self.countdown.start(self)
        self._feed()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        if self._answers():
            # httptools parses a pipelined request before its turn: the answers to those before
            # it are still on their way.
            self._close_after_the_answer()
        elif self._reads_a_body():
            self._refuse(400, "The body is not framed as HTTP frames it.")
        elif self._head_bytes > self.limits.head_bytes:
            self._refuse(431, too_large(self.limits.head_bytes), linger=True)
        else:
            self._refuse(400, "The request is not HTTP/1.1.", linger=True)

    def expire(self) -> None:
        """Close a connection that has taken too long to send a request."""
        if self._head_bytes and not self._reads_a_rest():
            seconds = self.limits.request_seconds
            self._refuse(408, f"The request did not come within {seconds:g} seconds.")
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """Close the connection after its answer; a new one has a moment for a request to come."""
        if self.cycle is None and not self._refused:
            self._close_in(_LAST_REQUEST_SECONDS, super().shutdown)  # type: ignore[misc]
        else:
            super().shutdown()  # type: ignore[misc]

    def _feed(self) -> None:
        while self._held and not (self._refused or self._answers() or self.transport.is_closing()):
            piece, self._held = self._held[:_PIECE_BYTES], self._held[_PIECE_BYTES:]
            self._feed_piece(piece)

    def _feed_piece(self, piece: bytes) -> None:
        before = self.cycle
        if not self._reads_a_body():
            self._head_bytes += len(piece)
            self.countdown.start(self)
        super().data_received(piece)
        if self.cycle is not before:
            self._head_bytes = 0
            self.countdown.stop(self)
        elif self._reads_a_rest():
            if self._head_bytes > self.limits.body_bytes:
                self.transport.close()
        elif self._head_bytes > self.limits.head_bytes and not self._refused:
            self._refuse(431, too_large(self.limits.head_bytes), linger=True)

    def _is_new(self) -> bool:
        return self.cycle is None and not self._head_bytes

    def _hand_over(self, to: type[H11Protocol], data: bytes) -> None:
        """Go on as uvicorn does after an upgrade, with another protocol."""
        self.countdown.stop(self)
        self.server_state.connections.discard(cast("Any", self))
        protocol = to(self.config, self.server_state, self.app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(data)

    def _answers(self) -> bool:
        """Return whether a request is here as a whole, and its answer is not."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _reads_a_body(self) -> bool:
        """Return whether a body is being read for an answer that is not there."""
        cycle = self.cycle
        return cycle is not None and cycle.more_body and not cycle.response_complete

    def _reads_a_rest(self) -> bool:
        """Return whether an answer is there, and its request was not when it was made."""
        cycle = self.cycle
        return cycle is not None and cycle.more_body and cycle.response_complete

    def _close_after_the_answer(self) -> None:
        assert self.cycle is not None
        self.cycle.keep_alive = False
        self._refused = True
        self._held = b""

    def _refuse(self, status: int, message: str, *, linger: bool = False) -> None:
        self._refused = True
        self._held = b""
        self.countdown.stop(self)
        if not (self._reads_a_body() and self.cycle and self.cycle.response_started):
            self.transport.write(_answer(status, message))
        if linger and self.transport.can_write_eof():
            self.transport.write_eof()
            self._close_in(_LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _close_in(self, seconds: float, close: Callable[[], None]) -> None:
        self._do_not_close()
        self._closing = asyncio.get_running_loop().call_later(seconds, close)

    def _do_not_close(self) -> None:
        if self._closing is not None:
            self._closing.cancel()


def _answer(status: int, message: str) -> bytes:
    body = orjson.dumps(error_body(status, message))
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"{request_id.HEADER}: {request_id.choose(None)}\r\n"
        "connection: close\r\n"
        "\r\n"
    ).encode() + body


def limited_protocol(
    limits: ConnectionLimits, protocol: type[asyncio.Protocol] = AutoHTTPProtocol
) -> type[asyncio.Protocol]:
    """Return ``protocol``, one of uvicorn's for HTTP, bounded by ``limits``."""
    members = {
        "limits": limits,
        "countdown": Countdown(limits.request_seconds),
        "for_http_1_0": None,
    }
    bases = (LimitedConnection, H11Protocol)
    h11 = cast("type[H11Protocol]", type("LimitedH11Protocol", bases, members))
    if issubclass(protocol, H11Protocol):
        return h11
    # uvicorn's other protocol sends chunks to clients of HTTP/1.0, too, which know none
    # (RFC 9112, section 6.1).
    members |= {"for_http_1_0": h11}
    return type("LimitedHTTPProtocol", (LimitedConnection, protocol), members)
