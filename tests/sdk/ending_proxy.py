"""A proxy that makes an end of a cut, as some do: it loses its upstream, and ends the response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

# The end of a body in chunks (RFC 9112, section 7.1).
_LAST_CHUNK = b"0\r\n\r\n"


@asynccontextmanager
async def ending_proxy(target: str, last: bytes) -> AsyncIterator[str]:
    """Pass requests on to the URL ``target``, and end each answer after the chunk with ``last``."""
    url = urlsplit(target)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(url.hostname, url.port)
        passing = asyncio.create_task(_pass_on(reader, upstream))
        passed = b""
        try:
            while data := await upstream_reader.read(1 << 16):
                passed += data
                writer.write(data)
                if last in passed and passed.endswith(b"\r\n"):
                    writer.write(_LAST_CHUNK)
                    break
            await writer.drain()
        finally:
            passing.cancel()
            with suppress(asyncio.CancelledError):
                await passing
            upstream.close()
            writer.close()

    # A browser keeps connections that it has no use for yet.
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
