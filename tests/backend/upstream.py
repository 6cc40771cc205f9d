"""An OpenAI-compatible HTTP server on a real socket, which can also break its answers off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Received:
    """A request that arrived. The names of headers are in lower case."""

    target: str
    headers: dict[str, str]
    body: dict[str, Any]


class Response:
    """Writes an HTTP/1.1 response, piece by piece."""

    def __init__(self, writer: asyncio.StreamWriter, left: asyncio.Event) -> None:
        self._writer = writer
        self.left = left

    async def head(self, status: int, content_type: str, **headers: str) -> None:
        """Begin a response with a body in chunks."""
        lines = [
            f"HTTP/1.1 {status} Reason",
            f"Content-Type: {content_type}",
            "Transfer-Encoding: chunked",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        await self._write("\r\n".join([*lines, "", ""]).encode())

    async def piece(self, data: bytes) -> None:
        """Send a chunk of the body."""
        await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        """Send the end of the body."""
        await self._write(b"0\r\n\r\n")

    async def events(self, *events: object) -> None:
        """Begin a stream, and send each event: a string as it is, all else as JSON."""
        await self.head(200, "text/event-stream; charset=utf-8")
        for event in events:
            data = event if isinstance(event, str) else json.dumps(event)
            await self.piece(f"data: {data}\n\n".encode())

    async def json(self, status: int, body: object, **headers: str) -> None:
        """Answer with a JSON body, no stream."""
        await self.head(status, "application/json", **headers)
        await self.piece(json.dumps(body).encode())
        await self.end()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


Respond = Callable[[Response], Awaitable[None]]


class Upstream:
    """The server. Set ``respond`` to say what it answers."""

    def __init__(self) -> None:
        self.base_url = ""
        self.received: list[Received] = []
        self.respond: Respond
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the one request of a connection."""
        try:
            self.received.append(await _read(reader))
            watch = asyncio.create_task(self._watch(reader))
            try:
                await self.respond(Response(writer, self.left))
            finally:
                watch.cancel()
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            await reader.read(1)
        self.left.set()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): value for name, _, value in fields}
    body = json.loads(await reader.readexactly(int(headers["content-length"])))
    return Received(head[0], headers, body)


@asynccontextmanager
async def serving_upstream() -> AsyncIterator[Upstream]:
    """Serve on a free port."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream.base_url = f"http://127.0.0.1:{port}/v1"
    async with server:
        yield upstream
