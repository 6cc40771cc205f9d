"""The server's side of HTTP/2 (RFC 9113), as little of it as a gRPC backend needs."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from enum import IntEnum, IntFlag

from hpack import Decoder

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">BHBBL")
_HEAD_BYTES = 9
_MOST_FRAME_BYTES = 16_384
_FIRST_WINDOW = 65_535
_READ_BYTES = 1 << 18


class _Type(IntEnum):
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8


class _Flag(IntFlag):
    ACK = END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


_MAX_CONCURRENT_STREAMS = 3
_INITIAL_WINDOW_SIZE = 4


def _frame(kind: _Type, flags: int, stream: int, payload: bytes) -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


# Any number of streams, and all of the window that there can be: requests are small.
_GREETING = _frame(
    _Type.SETTINGS, 0, 0, struct.pack(">HL", _MAX_CONCURRENT_STREAMS, (1 << 31) - 1)
) + _frame(_Type.WINDOW_UPDATE, 0, 0, struct.pack(">L", (1 << 31) - 1 - _FIRST_WINDOW))
_SETTINGS_ACK = _frame(_Type.SETTINGS, _Flag.ACK, 0, b"")

# HPACK (RFC 7541): ":status: 200" is entry 8 of the static table, "content-type" is entry 31; the
# rest is literal and not indexed.
_RESPONSE_HEADERS = b"\x88\x0f\x10\x10application/grpc"
_TRAILERS = b"\x00\x0bgrpc-status"


class Stream:
    """One request and its answer.

    Attributes:
        path: Of the request.
        body: Of the request.
        open: Whether an answer is still wanted.
    """

    __slots__ = ("_backlog", "_connection", "_id", "_trailers", "_window", "body", "open", "path")

    def __init__(self, connection: Connection, number: int, window: int, path: str) -> None:
        self._connection = connection
        self._id = number
        self._window = window
        self._backlog: deque[bytes] = deque()
        self._trailers: bytes | None = None
        self.path = path
        self.body = bytearray()
        self.open = True

    @property
    def connection(self) -> Connection:
        """The connection that it is on."""
        return self._connection

    def headers(self) -> None:
        """Send the headers of the answer."""
        self._connection.write(
            _frame(_Type.HEADERS, _Flag.END_HEADERS, self._id, _RESPONSE_HEADERS)
        )

    def has_room(self, size: int) -> bool:
        """Return whether ``size`` bytes, or the first frame of more, can be sent at once."""
        size = min(size, _MOST_FRAME_BYTES)
        return not self._backlog and self._window >= size and self._connection.window >= size

    def data(self, data: bytes) -> None:
        """Send ``data``, or what of it the windows don't let through a little later."""
        size = len(data)
        connection = self._connection
        if size > _MOST_FRAME_BYTES or not self.has_room(size):
            self._backlog.append(data)
            self.go_on()
            return
        self._window -= size
        connection.window -= size
        connection.write(_HEAD.pack(size >> 16, size & 0xFFFF, 0, 0, self._id))
        connection.write(data)

    def trailers(self, status: int = 0) -> None:
        """End the answer with a gRPC status, after all data."""
        digits = str(status).encode()
        self._trailers = _TRAILERS + bytes([len(digits)]) + digits
        self.go_on()

    def widen(self, by: int) -> None:
        """Let ``by`` more bytes through."""
        self._window += by
        self.go_on()

    def go_on(self) -> None:
        """Send what the windows let through of what is left."""
        connection, backlog = self._connection, self._backlog
        while backlog:
            data = backlog[0]
            size = min(len(data), self._window, connection.window, _MOST_FRAME_BYTES)
            if size <= 0:
                connection.blocked[self] = None
                return
            self._window -= size
            connection.window -= size
            connection.write(_frame(_Type.DATA, 0, self._id, data[:size]))
            if size == len(data):
                backlog.popleft()
            else:
                backlog[0] = data[size:]
        if self._trailers is not None and self.open:
            flags = _Flag.END_HEADERS | _Flag.END_STREAM
            connection.write(_frame(_Type.HEADERS, flags, self._id, self._trailers))
            connection.forget(self._id)


class Connection:
    """A client's connection, read and written without ever waiting.

    Args:
        client: The connected socket.
        serve: Called with each stream whose request is whole.

    Attributes:
        window: How many bytes of data may be sent on all streams together.
        blocked: The streams that have more to send than they may.
        unsent: What has been written, and the socket has not taken.
    """

    def __init__(self, client: socket.socket, serve: Callable[[Stream], None]) -> None:
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = client
        self.window = _FIRST_WINDOW
        self.blocked: dict[Stream, None] = {}
        self.unsent: list[bytes] = [_GREETING]
        self.write = self.unsent.append
        self._serve = serve
        self._stream_window = _FIRST_WINDOW
        self._streams: dict[int, Stream] = {}
        self._decoder = Decoder()
        self._received = b""
        self._greeted = False

    def read(self) -> bool:
        """Handle what has come; return whether the connection is still there."""
        try:
            received = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not received:
            return False
        data = self._received + received
        at = 0
        if not self._greeted:
            if len(data) < len(_PREFACE):
                self._received = data
                return True
            self._greeted = True
            at = len(_PREFACE)
        self._received = data[self._handle_all(data, at) :]
        return True

    def flush(self) -> bool:
        """Write what there is; return whether the connection is still there."""
        if not self.unsent:
            return True
        data = b"".join(self.unsent)
        self.unsent.clear()
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent < len(data):
            self.unsent.append(data[sent:])
        return True

    def forget(self, number: int) -> None:
        """Send no more on a stream."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            stream.open = False
            self.blocked.pop(stream, None)

    def close(self) -> None:
        """Forget all streams, and close the socket."""
        for number in tuple(self._streams):
            self.forget(number)
        self.socket.close()

    def _handle_all(self, data: bytes, at: int) -> int:
        end = len(data)
        while end - at >= _HEAD_BYTES:
            high, low, kind, flags, number = _HEAD.unpack_from(data, at)
            size = (high << 16) + low
            if end - at - _HEAD_BYTES < size:
                break
            at += _HEAD_BYTES
            self._handle(kind, flags, number & 0x7FFFFFFF, data[at : at + size])
            at += size
        return at

    def _handle(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        match kind:
            case _Type.WINDOW_UPDATE:
                self._widen(number, int.from_bytes(payload, "big"))
            case _Type.HEADERS:
                self._open(flags, number, payload)
            case _Type.DATA:
                self._receive(flags, number, _unpadded(flags, payload))
            case _Type.RST_STREAM:
                self.forget(number)
            case _Type.SETTINGS if not flags & _Flag.ACK:
                self._take_settings(payload)
            case _Type.PING if not flags & _Flag.ACK:
                self.write(_frame(_Type.PING, _Flag.ACK, 0, payload))

    def _widen(self, number: int, by: int) -> None:
        if number:
            if stream := self._streams.get(number):
                self.blocked.pop(stream, None)
                stream.widen(by)
            return
        self.window += by
        blocked, self.blocked = self.blocked, {}
        for stream in blocked:
            stream.go_on()

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HL", payload):
            if name == _INITIAL_WINDOW_SIZE:
                by, self._stream_window = value - self._stream_window, value
                for stream in tuple(self._streams.values()):
                    stream.widen(by)
        self.write(_SETTINGS_ACK)

    def _open(self, flags: int, number: int, payload: bytes) -> None:
        # The clients that there are put such small requests into one frame.
        assert flags & _Flag.END_HEADERS
        block = _unpadded(flags, payload)[5 if flags & _Flag.PRIORITY else 0 :]
        headers = dict(self._decoder.decode(block, raw=True))
        path = headers[b":path"].decode()
        self._streams[number] = Stream(self, number, self._stream_window, path)
        if flags & _Flag.END_STREAM:
            self._serve(self._streams[number])

    def _receive(self, flags: int, number: int, data: bytes) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.body += data
        if flags & _Flag.END_STREAM:
            self._serve(stream)


def _unpadded(flags: int, payload: bytes) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & _Flag.PADDED else payload
