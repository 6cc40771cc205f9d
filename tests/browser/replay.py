"""A server that replays one captured HTTP response, split or cut at any of its bytes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

import bridge.web

HERE = Path(__file__).parent
STREAM_JS = Path(bridge.web.__file__).with_name("stream.js")
END_OF_HEAD = b"\r\n\r\n"
CHUNKED = re.compile(rb"\r\ntransfer-encoding: chunked", re.IGNORECASE)
FILES = {
    "/": (b"text/html", None),
    "/stream.js": (b"text/javascript", STREAM_JS),
    "/every_offset.mjs": (b"text/javascript", HERE / "every_offset.mjs"),
    "/every_offset_page.mjs": (b"text/javascript", HERE / "every_offset_page.mjs"),
}


async def capture(url: str, body: object) -> bytes:
    """Return the response of a bridge to ``body``, each byte from the status line to the last."""
    target = httpx.URL(url)
    payload = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(target.host, target.port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: bridge\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(payload), payload)
    )
    try:
        return await reader.readuntil(b"\r\n0\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()


def content(response: bytes) -> bytes:
    """Return the content of a response in chunked coding, or of what has come of one."""
    head, _, rest = response.partition(END_OF_HEAD)
    if not CHUNKED.search(head):
        return rest
    whole = b""
    while rest:
        size, end, rest = rest.partition(b"\r\n")
        if not end:
            break
        length = int(size, 16)
        whole += rest[:length]
        rest = rest[length + 2 :]
    return whole


def close_delimited(response: bytes) -> bytes:
    """Return ``response`` with no coding: its content ends where the connection ends."""
    head = CHUNKED.sub(b"", response.partition(END_OF_HEAD)[0])
    return head + END_OF_HEAD + content(response)


class Replay:
    """Answers each POST with the same response.

    ``?split=N`` sends N bytes, waits until the client says with ``GET /read?split=N`` that it
    has read what they hold of the content (if they hold any), and sends the rest, so that the
    two parts are two reads. ``?cut=N`` sends N bytes and closes the connection.
    """

    def __init__(self, response: bytes) -> None:
        self.response = response
        self.url = ""
        self._read: dict[str, asyncio.Event] = {}

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                await self._request((await reader.readuntil(END_OF_HEAD)).decode(), reader, writer)
        writer.close()

    async def _request(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, target, _ = head.split(" ", 2)
        url = urlsplit(target)
        if method == "POST":
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
            await reader.readexactly(length)
            await self._replay(url.query, writer)
        elif url.path == "/read":
            self._has_been_read(url.query).set()
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            self._file(url.path, writer)
        await writer.drain()

    def _has_been_read(self, query: str) -> asyncio.Event:
        return self._read.setdefault(query, asyncio.Event())

    async def _replay(self, query: str, writer: asyncio.StreamWriter) -> None:
        ((part, (offset,)),) = parse_qs(query).items()
        first, rest = self.response[: int(offset)], self.response[int(offset) :]
        writer.write(first)  # asyncio sets TCP_NODELAY: it goes out at once
        await writer.drain()
        if part == "split":
            if content(first):
                async with asyncio.timeout(10):
                    await self._has_been_read(query).wait()
            writer.write(rest)
        else:
            writer.close()

    def _file(self, path: str, writer: asyncio.StreamWriter) -> None:
        media_type, file = FILES.get(path, (b"text/plain", None))
        text = file.read_bytes() if file else b""
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (media_type, len(text), text)
        )


@asynccontextmanager
async def serving_replay(response: bytes) -> AsyncIterator[Replay]:
    """Serve ``response`` on a free port."""
    replay = Replay(response)
    async with await asyncio.start_server(replay.handle, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        replay.url = f"http://{host}:{port}"
        yield replay
