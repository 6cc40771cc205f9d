"""The server's end of gRPC on raw HTTP/2, which lets every frame and byte be wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes
from hpack import NeverIndexedHeaderTuple
from hyperframe.frame import DataFrame, Frame, HeadersFrame, RstStreamFrame

from protos.completion.v1.completion_pb2 import StreamCompletionResponse

Headers = list[tuple[str, str | bytes]]


def length_prefixed(message: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """Return ``message`` as gRPC puts it into DATA, unless the flag or the length lies."""
    claimed = len(message) if length is None else length
    return bytes([flag]) + claimed.to_bytes(4, "big") + message


def completion(text: str) -> bytes:
    """Return a good message of StreamCompletion."""
    return StreamCompletionResponse(text=text).SerializeToString()


@dataclass(eq=False)
class HostileCall:
    """One RPC, of which every frame can be chosen.

    Frames are written as they are, past h2's checks of what is sent. h2 reads what comes, and
    keeps the account of the windows.
    """

    connection: HostileConnection
    stream_id: int
    request_headers: dict[str, str]
    request: bytes = b""
    opened: bool = False

    async def send(self, *parts: Frame | bytes) -> None:
        """Send frames, or bytes that are none."""
        await self.connection.send(*parts)

    def header_block(self, headers: Headers) -> bytes:
        """Return the HPACK block of ``headers``; it must be sent, since it moves the state."""
        return bytes(self.connection.h2.encoder.encode(map(_literal, headers), huffman=False))

    async def headers(self, headers: Headers, *, end: bool = False) -> None:
        """Send ``headers`` in one HEADERS frame."""
        flags = ["END_HEADERS", "END_STREAM"] if end else ["END_HEADERS"]
        await self.send(HeadersFrame(self.stream_id, self.header_block(headers), flags=flags))

    async def open(self, *more: tuple[str, str | bytes]) -> None:
        """Send the headers of a gRPC response, unless they are sent."""
        if not self.opened:
            self.opened = True
            await self.headers(
                [(":status", "200"), ("content-type", "application/grpc"), *more], end=False
            )

    async def data(self, data: bytes, *, end: bool = False) -> None:
        """Send ``data`` within the windows and the frame size that the client grants."""
        while True:
            size = await self.connection.window(self.stream_id, len(data))
            part, data = data[:size], data[size:]
            last = end and not data
            await self.send(DataFrame(self.stream_id, part, flags=["END_STREAM"] if last else []))
            if not data:
                return

    async def message(self, text: str) -> None:
        """Send a good message, after the headers of the response."""
        await self.open()
        await self.data(length_prefixed(completion(text)))

    async def trailers(self, status: str = "0", *more: tuple[str, str | bytes]) -> None:
        """End the call with a status, after the headers of the response."""
        await self.open()
        await self.headers([("grpc-status", status), *more], end=True)

    async def reset(self, code: int) -> None:
        """End the call with RST_STREAM."""
        await self.send(RstStreamFrame(self.stream_id, code))


def _literal(header: tuple[str, str | bytes]) -> NeverIndexedHeaderTuple:
    # surrogateescape: a test can have any byte in a value.
    name, value = header
    raw = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    return NeverIndexedHeaderTuple(name.encode(), raw)


Answer = Callable[[HostileCall], Awaitable[None]]


class HostileConnection:
    """One connection of a client: h2 reads, and each RPC is a task.

    Args:
        answer: What to do with an RPC whose request is whole.
        settings: What SETTINGS announces.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        settings: Mapping[SettingCodes | int, int],
    ) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._answer = answer
        self._settings = settings
        self._reader = reader
        self._writer = writer
        self._calls: dict[int, HostileCall] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._window_moved = asyncio.Event()

    async def serve(self) -> None:
        """Read until the connection ends, then end every call."""
        try:
            self.h2.local_settings.update(self._settings)
            self.h2.local_settings.acknowledge()
            self.h2.initiate_connection()
            await self.send()
            while received := await self._reader.read(65536):
                for event in self.h2.receive_data(received):
                    self._handle(event)
                await self.send()
        except (OSError, H2Error):
            pass
        finally:
            self._writer.close()
            for task in tuple(self._tasks.values()):
                task.cancel()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream_id), headers=headers):
                fields = {str(name): str(value) for name, value in headers or ()}
                self._calls[stream_id] = HostileCall(self, stream_id, fields)
            case DataReceived(stream_id=int(stream_id), data=bytes(data)):
                self._calls[stream_id].request += data
                self._grant(stream_id, event.flow_controlled_length or 0)
            case StreamEnded(stream_id=int(stream_id)):
                call = self._calls.pop(stream_id)
                self._tasks[stream_id] = asyncio.create_task(self._run(call))
            case StreamReset(stream_id=int(stream_id)):
                self._end(stream_id)
            case WindowUpdated() | RemoteSettingsChanged():
                self._window_moved.set()
            case ConnectionTerminated():
                raise ProtocolError("the client goes away")

    def _end(self, stream_id: int) -> None:
        self._calls.pop(stream_id, None)
        if stream_id in self._tasks:
            self._tasks[stream_id].cancel()

    def _grant(self, stream_id: int, size: int) -> None:
        if size:
            self.h2.increment_flow_control_window(size)
            with suppress(H2Error):
                self.h2.increment_flow_control_window(size, stream_id)

    async def _run(self, call: HostileCall) -> None:
        try:
            await self._answer(call)
        except OSError:
            pass
        finally:
            del self._tasks[call.stream_id]
            self._forget(call.stream_id)

    def _forget(self, stream_id: int) -> None:
        # What was sent went past h2, which takes the stream for open.
        unsent = self.h2.data_to_send()
        with suppress(H2Error):
            self.h2.reset_stream(stream_id)
            self.h2.data_to_send()
        if not self._writer.is_closing():
            self._writer.write(unsent)

    async def send(self, *parts: Frame | bytes) -> None:
        """Send what h2 has to say, and then ``parts`` with nothing between them."""
        own = [part.serialize() if isinstance(part, Frame) else part for part in parts]
        for part in parts:
            if isinstance(part, DataFrame):
                self._take_out(part)
        self._writer.write(self.h2.data_to_send() + b"".join(own))
        await self._writer.drain()

    def _take_out(self, frame: DataFrame) -> None:
        self.h2.outbound_flow_control_window -= frame.flow_controlled_length
        if frame.stream_id in self.h2.streams:
            stream = self.h2.streams[frame.stream_id]
            stream.outbound_flow_control_window -= frame.flow_controlled_length

    async def window(self, stream_id: int, wanted: int) -> int:
        """Wait until some of ``wanted`` bytes may be sent, and return how many."""
        while True:
            allowed = self.h2.local_flow_control_window(stream_id)
            size = min(wanted, allowed, self.h2.max_outbound_frame_size)
            if size > 0 or not wanted:
                return size
            self._window_moved.clear()
            await self._window_moved.wait()

    async def close(self) -> None:
        """Close the connection in order."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Break the connection off with a TCP reset."""
        raw = self._writer.get_extra_info("socket")
        # No time to linger makes the kernel send RST instead of FIN (socket(7)).
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._writer.transport.abort()
