"""A connection to a server (RFC 9113, sections 3 to 6), as a machine without I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from bridge.upstream.http2 import frames
from bridge.upstream.http2.errors import (
    ErrorCode,
    Failure,
    FailureKind,
    Http2Error,
    StreamError,
    name,
)
from bridge.upstream.http2.frames import (
    DATA,
    END_STREAM,
    HEAD,
    HEAD_BYTES,
    LEAST_MAX_FRAME_BYTES,
    MAX_WINDOW,
    PADDED,
)
from bridge.upstream.http2.headers import HeaderBlock, HeaderReader
from bridge.upstream.http2.settings import ServerSettings, Setting
from bridge.upstream.http2.stream import RECEIVE_WINDOW, Receiver, Stream

# What streams hold back is held back by their own windows: this one is for all of them.
_CONNECTION_WINDOW = 1 << 24
_LAST_STREAM_ID = 2**31 - 1

# Frames without content. What comes on top of them in one second is no traffic any more.
_IDLE_FRAMES_A_TICK = 100_000


class Connection:
    """The client's end of a connection.

    Bytes of the server go into ``receive``, what is to be sent to it comes out of ``output``,
    and each stream's ``Receiver`` is told what comes on it.

    Args:
        max_section_bytes: What the server is told of the size of header sections.

    Attributes:
        ready: Whether the server has sent its settings.
        draining: Whether the connection takes no more streams.
        failure: Why the connection is broken; empty while it isn't.
        answers: How many frames of the server were answered with one that it must read.
        news: Whether there was anything but content, which whoever sees to it sets back.
    """

    def __init__(self, max_section_bytes: int) -> None:
        self.ready = False
        self.draining = False
        self.failure = ""
        self.answers = 0
        self.news = False
        self._settings = ServerSettings()
        self._streams: dict[int, Stream] = {}
        self._sending: dict[int, Stream] = {}
        self._next_id = 1
        self._send_window = RECEIVE_WINDOW
        self._receive_window = _CONNECTION_WINDOW
        self._reader = HeaderReader()
        self._block: HeaderBlock | None = None
        self._rest = bytearray()
        self._needed = HEAD_BYTES
        self._idle_frames = 0
        self._output = [
            frames.PREFACE,
            frames.settings(
                {Setting.ENABLE_PUSH: 0, Setting.MAX_HEADER_LIST_SIZE: max_section_bytes}
            ),
            frames.window_update(0, _CONNECTION_WINDOW - RECEIVE_WINDOW),
        ]
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.HEADERS: self._receive_headers,
            frames.PRIORITY: self._receive_priority,
            frames.RST_STREAM: self._receive_reset,
            frames.SETTINGS: self._receive_settings,
            frames.PUSH_PROMISE: self._receive_push,
            frames.PING: self._receive_ping,
            frames.GOAWAY: self._receive_go_away,
            frames.WINDOW_UPDATE: self._receive_window_update,
            frames.CONTINUATION: self._receive_continuation,
        }

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    @property
    def used(self) -> bool:
        """Whether it has had a stream."""
        return self._next_id > 1

    @property
    def room(self) -> int:
        """How many more streams the server takes now."""
        if self.draining or not self.ready:
            return 0
        return self._settings.max_concurrent_streams - len(self._streams)

    def output(self) -> bytes:
        """Return what is to be sent now, which this forgets."""
        if not self._output:
            return b""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def open(self, section: bytes, body: bytes, receiver: Receiver) -> Stream:
        """Send a request, as soon as the windows allow.

        Args:
            section: Its header section, as ``write_section`` writes it.
            body: Its content, whole.
            receiver: Who is told what comes back.
        """
        stream_id = self._next_id
        self._next_id += 2
        if self._next_id > _LAST_STREAM_ID:
            self.draining = True
        max_frame_bytes = self._settings.max_frame_bytes
        self._output.append(frames.header_frames(stream_id, section, max_frame_bytes))
        window = self._settings.initial_window
        stream = Stream(stream_id, receiver, window, self._output, self._forget)
        self._streams[stream_id] = self._sending[stream_id] = stream
        stream.send(body)
        self._send_part(stream)
        return stream

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        self._output.append(frames.frame(frames.PING, 0, 0, bytes(8)))

    def tick(self) -> None:
        """Note that a second has passed, which is a measure for what comes in one."""
        self._idle_frames = 0

    def close(self) -> None:
        """Take leave of the server. Streams that are open are lost."""
        self._output.append(frames.go_away(ErrorCode.NO_ERROR))
        self.lose("the connection was closed")

    def lose(self, reason: str, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Fail what is open, since the connection is gone."""
        self.news = self.draining = True
        self.failure = self.failure or reason or "the connection is lost"
        while self._streams:
            # What one receiver does about it may reset the stream of another.
            stream = next(iter(self._streams.values()))
            stream.fail(Failure(FailureKind.CONNECTION, code, self.failure))

    def receive(self, data: bytes) -> None:
        """Take what has come from the server. What breaks the rules is seen in ``failure``."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        if self.failure:
            return
        try:
            self._receive_frames(data)
        except Http2Error as error:
            self._output.append(frames.go_away(error.code, str(error)))
            self.lose(f"{name(error.code)}: {error}", error.code)

    def _receive_frames(self, data: bytes) -> None:
        start, end = 0, len(data)
        while end - start >= HEAD_BYTES:
            high, low, kind, flags, stream_id = HEAD.unpack_from(data, start)
            size = high << 8 | low
            if not self.ready or size > LEAST_MAX_FRAME_BYTES:
                self._check_head(data, size, kind)
            payload = start + HEAD_BYTES
            stop = payload + size
            if stop > end:
                self._needed = HEAD_BYTES + size
                break
            if kind == DATA:
                self._receive_data(flags, stream_id & MAX_WINDOW, data, payload, stop)
            else:
                self._receive_other(kind, flags, stream_id & MAX_WINDOW, data[payload:stop])
            start = stop
        else:
            self._needed = HEAD_BYTES
        if start < end:
            self._rest += data[start:] if start else data

    def _check_head(self, data: bytes, size: int, kind: int) -> None:
        if not self.ready and kind != frames.SETTINGS:
            what = "HTTP/1" if data.startswith(b"HTTP/1") else "something else"
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"the server speaks {what}, and not HTTP/2")
        if size > LEAST_MAX_FRAME_BYTES:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, f"a frame has {size} bytes")

    def _receive_data(self, flags: int, stream_id: int, data: bytes, start: int, stop: int) -> None:
        flow = stop - start
        self._receive_window -= flow
        if self._receive_window < _CONNECTION_WINDOW // 2:
            self._widen_receive_window()
        if self._block is not None:
            self._expect_continuation()
        if flags & PADDED:
            start, stop = frames.unpad(flags, data, start, stop)
        if start == stop:
            self._count_idle_frames()
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_was_open(stream_id)
            return
        last = bool(flags & END_STREAM)
        stream.half_closed = last
        try:
            stream.receive_data(data, start, stop, flow)
            # The receiver may have reset it.
            if last and stream.stream_id:
                stream.end()
        except StreamError as error:
            stream.refuse(error)

    def _widen_receive_window(self) -> None:
        credit = _CONNECTION_WINDOW - self._receive_window
        self._output.append(frames.window_update(0, credit))
        self._receive_window = _CONNECTION_WINDOW

    def _receive_other(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            self._expect_continuation()
        self._count_idle_frames()
        self.news = True
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(flags, stream_id, payload)

    def _receive_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        start, stop = frames.unpad(flags, payload, 0, len(payload))
        if flags & frames.PRIORITIZED:
            start += 5
            if start > stop:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS has no whole priority")
        if stream_id not in self._streams:
            self._check_was_open(stream_id)
        self._block = HeaderBlock(stream_id, flags, payload[start:stop])
        if flags & frames.END_HEADERS:
            self._end_block(self._block)

    def _receive_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None or self._block.stream_id != stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION continues nothing")
        try:
            self._block.add(payload)
        except Http2Error as error:
            self._refuse(stream_id, error)
        if flags & frames.END_HEADERS:
            self._end_block(self._block)

    def _end_block(self, block: HeaderBlock) -> None:
        self._block = None
        try:
            fields = self._reader.read(bytes(block.encoded))
        except Http2Error as error:
            self._refuse(block.stream_id, error)
        stream = self._streams.get(block.stream_id)
        if stream is None:
            return
        last = bool(block.flags & frames.END_STREAM)
        stream.half_closed = last
        try:
            stream.receive_headers(fields, last=last)
            if last and stream.stream_id:
                stream.end()
        except StreamError as error:
            stream.refuse(error)

    def _refuse(self, stream_id: int, error: Http2Error) -> NoReturn:
        # What is too large ends the connection, but this stream for a reason of its own.
        stream = self._streams.get(stream_id)
        if stream is not None and error.code is ErrorCode.ENHANCE_YOUR_CALM:
            stream.refuse(StreamError(error.code, str(error)))
        raise error

    def _receive_priority(self, _: int, stream_id: int, payload: bytes) -> None:
        self._check_on_a_stream(stream_id, "PRIORITY")
        if len(payload) != 5:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY doesn't have 5 bytes")

    def _receive_reset(self, _: int, stream_id: int, payload: bytes) -> None:
        self._check_size(payload, 4, "RST_STREAM")
        code = frames.read_code(payload)
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_was_open(stream_id)
            return
        unprocessed = code == ErrorCode.REFUSED_STREAM
        reason = f"RST_STREAM with {name(code)}"
        stream.fail(Failure(FailureKind.RESET, code, reason, unprocessed))

    def _receive_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_on_the_connection(stream_id, "SETTINGS")
        if flags & frames.ACK:
            self._check_size(payload, 0, "the acknowledgement of SETTINGS")
            if not self.ready:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a server doesn't begin with SETTINGS")
            return
        before = self._settings.initial_window
        for number, value in frames.read_settings(payload):
            self._settings.set(number, value)
        self._answer(frames.SETTINGS)
        self.ready = True
        difference = self._settings.initial_window - before
        if difference:
            self._widen_all(difference)
        self._send()

    def _answer(self, kind: int, payload: bytes = b"") -> None:
        self._output.append(frames.frame(kind, frames.ACK, 0, payload))
        self.answers += 1

    def _receive_push(self, _: int, __: int, ___: bytes) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a server pushes, though it may not")

    def _receive_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._check_on_the_connection(stream_id, "PING")
        self._check_size(payload, 8, "PING")
        if not flags & frames.ACK:
            self._answer(frames.PING, payload)

    def _receive_go_away(self, _: int, stream_id: int, payload: bytes) -> None:
        self._check_on_the_connection(stream_id, "GOAWAY")
        last_id, code = frames.read_number(payload), frames.read_code(payload, 4)
        self.draining = True
        why = payload[8:108].decode("ascii", "replace")
        reason = f"GOAWAY with {name(code)} {why}".rstrip()
        for stream in tuple(self._streams.values()):
            if stream.stream_id > last_id:
                stream.fail(Failure(FailureKind.CONNECTION, code, reason, unprocessed=True))

    def _receive_window_update(self, _: int, stream_id: int, payload: bytes) -> None:
        self._check_size(payload, 4, "WINDOW_UPDATE")
        increment = frames.read_number(payload)
        if stream_id:
            stream = self._streams.get(stream_id)
            if stream is None:
                self._check_was_open(stream_id)
            else:
                self._widen(stream, increment)
            return
        if not increment:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "the window is widened by 0")
        self._send_window += increment
        if self._send_window > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "the window is too wide")
        self._send()

    def _widen(self, stream: Stream, increment: int) -> None:
        try:
            if not increment:
                raise StreamError(ErrorCode.PROTOCOL_ERROR, "a window is widened by 0")
            stream.widen(increment)
        except StreamError as error:
            stream.refuse(error)
            return
        if stream.sending:
            self._send_part(stream)

    def _widen_all(self, difference: int) -> None:
        # It is as much work as a frame for each of them.
        self._count_idle_frames(len(self._streams))
        try:
            for stream in self._streams.values():
                stream.widen(difference)
        except StreamError as error:
            # Section 6.9.2: here it is an error of the connection.
            raise Http2Error(error.code, str(error)) from error

    def _send(self) -> None:
        for stream in tuple(self._sending.values()):
            self._send_part(stream)

    def _send_part(self, stream: Stream) -> None:
        self._send_window -= stream.send_part(self._send_window, self._settings.max_frame_bytes)
        if not stream.sending:
            del self._sending[stream.stream_id]

    def _forget(self, stream_id: int) -> None:
        self.news = True
        del self._streams[stream_id]
        self._sending.pop(stream_id, None)

    def _count_idle_frames(self, number: int = 1) -> None:
        self._idle_frames += number
        if self._idle_frames > _IDLE_FRAMES_A_TICK:
            raise Http2Error(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"a server sends more than {_IDLE_FRAMES_A_TICK} frames a second without content",
            )

    def _expect_continuation(self) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "a header section is interrupted")

    def _check_was_open(self, stream_id: int) -> None:
        # What comes on a stream after its end may have been sent before the server knew of it.
        if not stream_id % 2 or stream_id >= self._next_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"stream {stream_id} was never open")

    def _check_on_a_stream(self, stream_id: int, what: str) -> None:
        if not stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"{what} is of no stream")

    def _check_on_the_connection(self, stream_id: int, what: str) -> None:
        if stream_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, f"{what} is of stream {stream_id}")

    def _check_size(self, payload: bytes, size: int, what: str) -> None:
        if len(payload) != size:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, f"{what} has {len(payload)} bytes")
