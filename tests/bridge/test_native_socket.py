"""Connections of the native transport: when they end, whatever the backend does about it."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
import trustme

from bridge.upstream.call import ChannelOptions, RpcError
from bridge.upstream.credentials import Tls
from bridge.upstream.http2 import frames
from tests.bridge.test_native_channel import channel_to, collect, start
from tests.faults.hostile_backend import saying, serving_hostile
from tests.faults.listening import stop_listening

SETTINGS = frames.settings({})
PING = frames.frame(frames.PING, 0, 0, bytes(8))
ANSWER = frames.frame(frames.PING, frames.ACK, 0, bytes(8))

Backend = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving_unread(backend: Backend, folder: Path) -> AsyncIterator[str]:
    """Let ``backend`` write to each connection, of which nobody reads, and return its address."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        cast("asyncio.Transport", writer.transport).pause_reading()
        await backend(writer)

    async with await asyncio.start_unix_server(accept, folder / "s") as server:
        yield f"unix:{folder}/s"
        await stop_listening(server)
        for writer in writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def test_a_backend_that_floods_and_reads_no_answer_loses_its_connection(
    tmp_path: Path,
) -> None:
    gone = asyncio.Event()

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(SETTINGS)
        with suppress(ConnectionError):
            while True:
                writer.write(PING * 1000)
                await writer.drain()
        gone.set()

    async with serving_unread(flood, tmp_path) as address, channel_to(address) as channel:
        with pytest.raises(RpcError) as caught:
            await collect(start(channel))
        assert caught.value.cause == "the backend doesn't read what it is answered"
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_backend_that_closes_its_side_and_reads_no_answer_loses_its_connection(
    tmp_path: Path,
) -> None:
    async def close(writer: asyncio.StreamWriter) -> None:
        # The answers are more than the kernel keeps.
        writer.write(SETTINGS + PING * 19_000)
        writer.write_eof()

    async with serving_unread(close, tmp_path) as address, channel_to(address) as channel:
        with pytest.raises(RpcError) as caught:
            await asyncio.wait_for(collect(start(channel)), 10)
        assert caught.value.cause == "the backend closed the connection"


async def test_a_connection_that_is_still_being_greeted_goes_with_its_channel() -> None:
    accepted: asyncio.Queue[asyncio.StreamReader] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accepted.put(reader)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        gone.set()

    gone = asyncio.Event()
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with channel_to(f"{host}:{port}") as channel:
            call = start(channel)
            await accepted.get()
        async with asyncio.timeout(5):
            await gone.wait()
        with pytest.raises(RpcError, match="CANCELLED"):
            await collect(call)


async def test_the_limit_of_frames_without_content_is_of_a_second_and_not_for_ever() -> None:
    answered = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        writer.write(SETTINGS)
        for _ in range(2):
            writer.write(frames.frame(0xFF, 0, 0) * 60_000 + PING)
            with suppress(asyncio.IncompleteReadError):
                await reader.readuntil(ANSWER)
                answered += 1
            # What passes has to be that second.
            await asyncio.sleep(1.5)
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with channel_to(f"{host}:{port}") as channel:
            with pytest.raises(RpcError) as caught:
                await collect(start(channel))
    assert (answered, caught.value.cause) == (2, "the backend closed the connection")


async def call_over_tls(protocols: list[str]) -> list[str]:
    """Call a backend that speaks HTTP/2, and says that it speaks ``protocols``."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_alpn_protocols(protocols)
    trusted = Tls(authority.cert_pem.bytes(), None, None)
    async with (
        serving_hostile(tls=context) as hostile,
        channel_to(hostile.address, tls=trusted) as channel,
    ):
        return await collect(start(channel, saying("good", 1)))


async def test_a_backend_that_says_h2_is_spoken_to_over_tls() -> None:
    assert await call_over_tls(["http/1.1", "h2"]) == ["a"]


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]], ids=["nothing", "HTTP/1.1"])
async def test_a_backend_that_does_not_say_h2_is_not_spoken_to(protocols: list[str]) -> None:
    with pytest.raises(RpcError, match="UNAVAILABLE") as caught:
        await call_over_tls(protocols)
    assert caught.value.cause.endswith("the backend speaks TLS, but not HTTP/2 (ALPN)")


async def test_a_system_that_has_no_limit_for_the_unacknowledged_does_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # macOS has none.
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    options = ChannelOptions(max_message_bytes=1 << 20, keepalive=30, keepalive_timeout=10)
    async with serving_hostile() as hostile, channel_to(hostile.address, None, options) as channel:
        assert await collect(start(channel, saying("good", 1))) == ["a"]
