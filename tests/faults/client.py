"""A client that reads answers strictly, and can leave in any way that a socket can."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h11

from tests.conftest import ask
from tests.faults.endings import CUT, LEFT, SILENT, Ending, Frames, no_verdict, of_json, wrong
from tests.faults.proxy import CLOSE_WITH_RST

PATH = "/v1/chat/completions"
_PIECE = 64 * 1024
_SMALL_BUFFER = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What a client sends.

    Attributes:
        body: The body.
        headers: Headers beside those that every request has.
        text: The text of the whole answer; None when it isn't known.
        due: Seconds from the request to the moment in which the fault strikes, when it is the
            request that brings it about.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    due: float = 0


def scripted(
    directives: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    due: float = 0,
    **fields: Any,
) -> Request:
    """Return a request that makes the script model follow ``directives``."""
    body = json.dumps(ask(json.dumps(directives), **fields)).encode()
    return Request(body, headers or {}, _text(directives), due)


def _text(directives: Mapping[str, Any]) -> str:
    if "chunks" in directives:
        return "".join(directives["chunks"])
    return str(directives.get("text", "")) * int(directives.get("count", 1))


class Client:
    """A connection with one request on it.

    Attributes:
        request_id: Its ``x-request-id``.
        sent: When it was sent, in seconds since the epoch.
        ended: When the answer ended.
        frames: What has been read of it.
    """

    def __init__(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.request = request
        self.request_id = uuid.uuid4().hex
        self.sent = 0.0
        self.ended = 0.0
        self.frames = Frames()
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self._response: h11.Response | None = None
        self._body = bytearray()
        self._ending: Ending | None = None

    @classmethod
    async def ask(cls, address: str, request: Request, *, small_buffer: bool = False) -> Client:
        """Connect to ``address``, ``host:port``, and send ``request``.

        Args:
            address: Where the bridge, or a proxy before it, listens.
            request: What to send.
            small_buffer: Whether the kernel shall hold little that isn't read.
        """
        host, _, port = address.rpartition(":")
        opened = socket.socket()
        opened.setblocking(False)
        if small_buffer:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        await asyncio.get_running_loop().sock_connect(opened, (host, int(port)))
        reader, writer = await asyncio.open_connection(sock=opened)
        client = cls(request, reader, writer)
        client._send()
        return client

    def _send(self) -> None:
        headers = {
            "host": "bridge",
            "content-type": "application/json",
            "content-length": str(len(self.request.body)),
            "x-request-id": self.request_id,
            **self.request.headers,
        }
        head = h11.Request(method="POST", target=PATH, headers=list(headers.items()))
        self._writer.write(self._http.send(head) or b"")
        self._writer.write(self._http.send(h11.Data(data=self.request.body)) or b"")
        self._http.send(h11.EndOfMessage())
        self.sent = time.time()

    async def messages(self, count: int) -> None:
        """Read until ``count`` messages have come, or the answer has ended."""
        while self._ending is None and self.frames.messages < count:
            await self._read()

    async def ending(self, seconds: float, rate: float | None = None) -> Ending:
        """Read to the end and return what it was; silence for ``seconds`` is an end, too.

        Args:
            seconds: How long nothing may come.
            rate: The most bytes to read in a second.
        """
        try:
            while self._ending is None:
                async with asyncio.timeout(seconds):
                    await self._read(rate)
        except TimeoutError:
            self._end(SILENT)
        self._writer.transport.abort()
        assert self._ending is not None
        return self._ending

    async def leave(self, *, abruptly: bool) -> None:
        """Close the connection, by RST or by FIN; without effect on one that is closed."""
        if self._writer.is_closing():
            return
        if abruptly:
            opened = self._writer.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RST)
            self._writer.transport.abort()
        else:
            self._writer.close()

    async def ending_by_leaving(self, messages: int) -> Ending:
        """Read so many messages and leave by FIN, unless the answer ends before; return the end."""
        await self.messages(messages)
        if self._ending is None:
            await self.leave(abruptly=False)
            self._end(LEFT)
        return await self.ending(0)

    def read_nothing(self) -> None:
        """Take no more from the kernel."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def _read(self, rate: float | None = None) -> None:
        piece = _PIECE if rate is None else max(1, int(rate / 20))
        try:
            data = await self._reader.read(piece)
        except OSError:
            self._end(CUT)
            return
        if rate is not None:
            await asyncio.sleep(len(data) / rate)
        try:
            self._http.receive_data(data)
            while self._ending is None and self._next() is not h11.NEED_DATA:
                pass
        except h11.RemoteProtocolError as error:
            self._end(CUT if not data else wrong(f"no HTTP: {error}"))

    def _next(self) -> object:
        event = self._http.next_event()
        match event:
            case h11.Response():
                self._response = event
            case h11.Data():
                self._take(bytes(event.data))
            case h11.EndOfMessage():
                self._end(self._verdict())
            case h11.ConnectionClosed() | h11.PAUSED:
                self._end(CUT)
        return event

    def _streams(self) -> bool:
        assert self._response is not None
        kind = dict(self._response.headers).get(b"content-type", b"")
        return self._response.status_code == 200 and kind.startswith(b"text/event-stream")

    def _take(self, data: bytes) -> None:
        if self._streams():
            self.frames.feed(data)
        else:
            self._body += data

    def _verdict(self) -> Ending:
        assert self._response is not None
        if self._http.trailing_data[0]:
            return no_verdict("something after the body")
        if not self._streams():
            return of_json(self._response.status_code, bytes(self._body))
        return self._true(self.frames.ending())

    def _true(self, ending: Ending) -> Ending:
        """Return ``ending``, unless the text that came is not what it says."""
        text = self.request.text
        if text is None or self.frames.text == text:
            return ending
        if ending.kind == "finished":
            return wrong("finished, but the text is not whole")
        return ending if text.startswith(self.frames.text) else wrong("another text")

    def _end(self, ending: Ending) -> None:
        self._ending = ending
        self.ended = time.time()
