"""What comes back on one call: messages, and how it ended. Pure, but for whom it wakes."""

from __future__ import annotations

import re
from collections.abc import Callable

from bridge.status import Status
from bridge.upstream.call import Metadata, RpcError
from bridge.upstream.http2 import ErrorCode, Failure, FailureKind, Field, Stream
from bridge.upstream.http2.headers import section_bytes
from bridge.upstream.http2.stream import RECEIVE_WINDOW
from bridge.upstream.native.messages import PREFIX_BYTES, MessageReader
from bridge.upstream.native.metadata import read_metadata, read_status, status_of_http

# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Errors".
_BY_ERROR_CODE = {
    ErrorCode.REFUSED_STREAM: Status.UNAVAILABLE,
    ErrorCode.CANCEL: Status.CANCELLED,
    ErrorCode.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
}

# Not application/grpc-web, which carries its trailers in the content.
_GRPC = re.compile(rb"application/grpc([+;].*)?", re.IGNORECASE)


class Answer:
    """The receiving end of a call.

    Args:
        max_message_bytes: A larger message ends the call.
        max_section_bytes: Longer headers or trailers end the call.
        closed: Called once, when the call has ended.

    Attributes:
        ending: How the call ended, OK or not; None while it goes on.
        metadata: The initial metadata; empty before it has come, and without any.
        messages: Those that have come and are not taken yet, some of them still compressed.
        reader: Takes them out of the content.
        stream: The stream on which it comes; None until the request is sent.
        arrived: Called when there are messages and were none.
    """

    __slots__ = (
        "_closed",
        "_held",
        "_max_section_bytes",
        "_status",
        "arrived",
        "ending",
        "messages",
        "metadata",
        "reader",
        "stream",
    )

    def __init__(
        self,
        max_message_bytes: int,
        max_section_bytes: int,
        closed: Callable[[], None],
    ) -> None:
        self.ending: RpcError | None = None
        self.messages: list[bytes] = []
        self.metadata: Metadata = ()
        self.stream: Stream | None = None
        self.arrived: Callable[[], None]
        self.reader = MessageReader(max_message_bytes)
        self._max_section_bytes = max_section_bytes
        self._closed = closed
        self._held = 0
        self._status: RpcError | None = None

    def take(self) -> tuple[list[bytes], int]:
        """Return messages, and what they took of the stream's window.

        Of messages that are compressed, those are left that are more than a window when they are
        inflated: what isn't taken yet must not take much more memory than it took of the window.

        Raises:
            RpcError: the first of them can't be inflated.
        """
        if self.reader.compressed:
            return self._take_inflated()
        taken = self.messages, self._held
        self.messages, self._held = [], 0
        return taken

    def release(self) -> None:
        """Drop the messages, which are done with."""
        assert self.stream is not None
        self.stream.credit(self._held)
        self.messages.clear()
        self._held = 0

    def end(self, ending: RpcError, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """End the call from this side; without effect on one that has ended."""
        if self.ending is None:
            self.ending = ending
            if self.stream is not None:
                self.stream.reset(code)
            self._closed()

    def headers(self, status: int, fields: list[Field]) -> None:
        """See ``Receiver``."""
        content_type = dict(fields).get(b"content-type", b"")
        if status != 200 or not _GRPC.fullmatch(content_type):
            self._refuse_http(status, fields, content_type)
            return
        encodings = [value for key, value in fields if key == b"grpc-encoding"]
        self.reader.encoding = encodings[0].decode("ascii", "replace") if encodings else ""
        if not self._fits(fields):
            return
        # PROTOCOL-HTTP2.md, "Trailers-Only": in no other headers is a status the call's.
        if self.stream is not None and self.stream.half_closed:
            self._read_status(fields)
        else:
            self.metadata = read_metadata(fields)

    def data(self, buffer: bytes, start: int, stop: int) -> None:
        """See ``Receiver``."""
        messages = self.messages
        before = len(messages)
        try:
            self.reader.read(buffer, start, stop, messages)
        except RpcError as error:
            self.end(error)
            return
        if messages:
            self._held += stop - start
            if not before:
                self.arrived()
        elif self.stream is not None:
            # A message may be larger than the window.
            self.stream.credit(stop - start)

    def trailers(self, fields: list[Field]) -> None:
        """See ``Receiver``."""
        if self._fits(fields):
            self._read_status(fields)

    def ended(self) -> None:
        """See ``Receiver``."""
        if self.ending is None:
            self.ending = self._ending()
            self._closed()

    def failed(self, failure: Failure) -> None:
        """See ``Receiver``."""
        match failure.kind:
            case FailureKind.CONNECTION:
                status = Status.UNAVAILABLE
            case FailureKind.MALFORMED | FailureKind.RESET:
                known = {int(code): status for code, status in _BY_ERROR_CODE.items()}
                status = known.get(failure.code, Status.INTERNAL)
        self.ending = RpcError(status, cause=failure.reason, unprocessed=failure.unprocessed)
        self._closed()

    def _take_inflated(self) -> tuple[list[bytes], int]:
        inflated = self._inflate()
        taken = self.messages[: len(inflated)]
        del self.messages[: len(inflated)]
        held = sum(PREFIX_BYTES + len(message) for message in taken)
        # A message that came in several parts may have given back some of it.
        held = min(held, self._held) if self.messages else self._held
        self._held -= held
        return inflated, held

    def _inflate(self) -> list[bytes]:
        inflated: list[bytes] = []
        size = 0
        for message in self.messages:
            try:
                inflated.append(self.reader.inflate(message))
            except RpcError:
                if not inflated:
                    raise
                break
            size += len(inflated[-1])
            if size >= RECEIVE_WINDOW:
                break
        return inflated

    def _ending(self) -> RpcError:
        if self._status is None:
            return RpcError(Status.UNKNOWN, cause="the answer ends without a grpc-status")
        if self._status.status is Status.OK and self.reader.in_a_message:
            return RpcError(Status.INTERNAL, cause="the answer ends with OK inside a message")
        return self._status

    def _fits(self, fields: list[Field]) -> bool:
        """Return whether a section is within its limit; else the call has ended."""
        size = section_bytes(fields)
        if size <= self._max_section_bytes:
            return True
        cause = f"headers or trailers have {size} bytes"
        self.end(RpcError(Status.RESOURCE_EXHAUSTED, cause=cause))
        return False

    def _read_status(self, fields: list[Field]) -> None:
        metadata: Metadata = read_metadata(fields)
        status, message = read_status(metadata)
        if status is not None:
            self._status = RpcError(status, message, metadata)

    def _refuse_http(self, status: int, fields: list[Field], content_type: bytes) -> None:
        given, message = read_status(read_metadata(fields))
        if given is not None and given is not Status.OK:
            self.end(RpcError(given, message, read_metadata(fields)))
            return
        kind = content_type[:80].decode("ascii", "replace")
        self.end(
            RpcError(status_of_http(status), cause=f"HTTP status {status}, {kind or 'no'} content")
        )
