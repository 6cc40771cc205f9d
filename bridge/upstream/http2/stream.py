"""One request and its answer (RFC 9113, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bridge.upstream.http2.errors import ErrorCode, Failure, FailureKind, StreamError
from bridge.upstream.http2.frames import (
    DATA,
    END_STREAM,
    MAX_WINDOW,
    frame,
    rst_stream,
    window_update,
)
from bridge.upstream.http2.headers import Field, check_response, check_trailers

RECEIVE_WINDOW = 65535
_LEAST_CREDIT = RECEIVE_WINDOW // 2


class Receiver(Protocol):
    """Who is told what comes on a stream; the last of it is ``ended`` or ``failed``."""

    def headers(self, status: int, fields: list[Field]) -> None:
        """Take the headers of the answer, ``:status`` among them."""
        ...

    def data(self, buffer: bytes, start: int, stop: int) -> None:
        """Take a part of the content, the bytes from ``start`` to ``stop`` of ``buffer``.

        They count against the stream's window until ``Stream.credit`` gives them back.
        """
        ...

    def trailers(self, fields: list[Field]) -> None:
        """Take the trailers; ``ended`` follows."""
        ...

    def ended(self) -> None:
        """Note that the answer has come whole."""
        ...

    def failed(self, failure: Failure) -> None:
        """Note that no more will come."""
        ...


class Stream:
    """A stream of a connection.

    Args:
        stream_id: Its number.
        receiver: Who is told what comes.
        send_window: How much the server takes at first.
        output: What is sent to the server.
        forget: Takes the stream out of its connection.

    Attributes:
        half_closed: Whether the server has ended its side.
    """

    __slots__ = (
        "_answered",
        "_credit",
        "_forget",
        "_output",
        "_receive_window",
        "_unsent",
        "half_closed",
        "receiver",
        "send_window",
        "stream_id",
    )

    def __init__(
        self,
        stream_id: int,
        receiver: Receiver,
        send_window: int,
        output: list[bytes],
        forget: Callable[[int], None],
    ) -> None:
        self.stream_id = stream_id
        self.receiver = receiver
        self.send_window = send_window
        self.half_closed = False
        self._output = output
        self._forget = forget
        self._receive_window = RECEIVE_WINDOW
        self._credit = 0
        self._answered = False
        self._unsent: memoryview | None = None

    @property
    def sending(self) -> bool:
        """Whether a part of the request waits for a window."""
        return self._unsent is not None

    def send(self, body: bytes) -> None:
        """Take the body of the request, to be sent by ``send_part``."""
        self._unsent = memoryview(body)

    def send_part(self, window: int, max_frame_bytes: int) -> int:
        """Send what the windows allow; return how much that was.

        Args:
            window: How much the connection's window allows, in bytes.
            max_frame_bytes: The longest payload that the server takes.
        """
        sent = 0
        while self._unsent is not None:
            rest = len(self._unsent)
            # SETTINGS may have made the stream's window negative (section 6.9.2).
            size = max(0, min(rest, self.send_window, window - sent, max_frame_bytes))
            if rest and not size:
                break
            flags = END_STREAM if size == rest else 0
            self._output.append(frame(DATA, flags, self.stream_id, bytes(self._unsent[:size])))
            self._unsent = None if size == rest else self._unsent[size:]
            self.send_window -= size
            sent += size
        return sent

    def widen(self, increment: int) -> None:
        """Let the server take more, or less if ``increment`` is negative (section 6.9.2).

        Raises:
            StreamError: no window is that wide.
        """
        self.send_window += increment
        if self.send_window > MAX_WINDOW:
            raise StreamError(ErrorCode.FLOW_CONTROL_ERROR, "a window is too wide")

    def credit(self, size: int) -> bool:
        """Let the server send ``size`` bytes more, in place of those that are done with.

        Returns:
            Whether the server is told so now; else it is when there is more to tell.
        """
        self._credit += size
        if self._credit < _LEAST_CREDIT or not self.stream_id:
            return False
        self._output.append(window_update(self.stream_id, self._credit))
        self._receive_window += self._credit
        self._credit = 0
        return True

    def reset(self, code: ErrorCode) -> None:
        """End the stream, and tell its receiver no more; without effect on one that has ended."""
        if self.stream_id:
            self._send_reset(code)
            self._close()

    def fail(self, failure: Failure) -> None:
        """End a stream that the server, or the connection, has ended."""
        self._close()
        self.receiver.failed(failure)

    def refuse(self, error: StreamError) -> None:
        """End a stream on which something is wrong."""
        self._send_reset(error.code)
        self.fail(Failure(FailureKind.MALFORMED, error.code, str(error)))

    def receive_headers(self, fields: list[Field], *, last: bool) -> None:
        """Take a header section, the last of the stream or not.

        Raises:
            StreamError: it is malformed.
        """
        if self._answered:
            if not last:
                raise StreamError(ErrorCode.PROTOCOL_ERROR, "trailers don't end their stream")
            check_trailers(fields)
            self.receiver.trailers(fields)
            return
        status = check_response(fields)
        if status >= 200:
            self._answered = True
            self.receiver.headers(status, fields)
        elif last:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, f"a stream ends with {status}")

    def receive_data(self, buffer: bytes, start: int, stop: int, flow: int) -> None:
        """Take a part of the content, which takes ``flow`` bytes of the window.

        Raises:
            StreamError: it may not come, or not now.
        """
        self._receive_window -= flow
        if self._receive_window < 0:
            raise StreamError(ErrorCode.FLOW_CONTROL_ERROR, "a server sends beyond the window")
        if not self._answered:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "content comes before its headers")
        padding = flow - (stop - start)
        if padding:
            self.credit(padding)
        self.receiver.data(buffer, start, stop)

    def end(self) -> None:
        """End a stream whose answer has come whole."""
        if self._unsent is not None:
            # RFC 9113, section 8.1: the server may answer before it has read the request. The
            # code is that of gRPC's PROTOCOL-HTTP2.md, "Early Server Closure".
            self._output.append(rst_stream(self.stream_id, ErrorCode.NO_ERROR))
        self._close()
        self.receiver.ended()

    def _send_reset(self, code: ErrorCode) -> None:
        # A stream that both ends have ended is closed, and takes no frame (section 5.1).
        if self._unsent is not None or not self.half_closed:
            self._output.append(rst_stream(self.stream_id, code))

    def _close(self) -> None:
        self._forget(self.stream_id)
        self._unsent = None
        self.stream_id = 0
