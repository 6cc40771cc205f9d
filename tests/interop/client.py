"""A client of one transport and the server that it calls, as the cases see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from bridge.upstream.address import Endpoint
from bridge.upstream.call import (
    Call,
    Channel,
    ChannelOptions,
    Connect,
    Metadata,
    Method,
)
from bridge.upstream.credentials import Tls
from tests.bridge.handled import OpenCalls
from tests.conftest import eventually
from tests.interop.schema import STREAMING_OUTPUT_CALL, UNARY_CALL
from tests.interop.servers.makes import Make, Servers
from tests.interop.servers.running import Running

OPTIONS = ChannelOptions(max_message_bytes=1 << 22, keepalive=0, keepalive_timeout=0)
DEADLINE_SECONDS = 20


@dataclass(frozen=True)
class Streaming:
    """A stream that has been started; iterates over its responses one by one."""

    call: Call[Any]

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for responses in self.call:
            for response in responses:
                yield response

    def cancel(self) -> None:
        """Cancel it."""
        self.call.cancel()


@dataclass(frozen=True)
class Client:
    """Calls one server.

    Attributes:
        connect: Its transport.
        make: What the server is.
        server: The one that all cases share.
        servers: Starts more.
        channel: To where the server listens without TLS.
        open_calls: What is open on any of the client's channels.
    """

    connect: Connect
    make: Make
    server: Running
    servers: Servers
    channel: Channel
    open_calls: OpenCalls

    @asynccontextmanager
    async def to(self, address: str, *, tls: bool = False) -> AsyncIterator[Client]:
        """Return the same client with another channel, to ``address``."""
        authority = Tls(self.servers.files.ca, None, None) if tls else None
        endpoint = Endpoint(address, address)
        channel = self.connect(endpoint, OPTIONS, authority, self.open_calls)
        try:
            yield replace(self, channel=channel)
        finally:
            await channel.close()

    async def unary(
        self,
        request: Any,
        metadata: Metadata = (),
        *,
        method: Method[Any, Any] = UNARY_CALL,
        deadline: float = DEADLINE_SECONDS,
    ) -> Any:
        """Run a unary RPC."""
        return await self.channel.unary(method, request, metadata, deadline=deadline)

    def stream(
        self, request: Any, metadata: Metadata = (), *, deadline: float = DEADLINE_SECONDS
    ) -> Streaming:
        """Start StreamingOutputCall."""
        return Streaming(
            self.channel.stream(STREAMING_OUTPUT_CALL, (request,), metadata, deadline=deadline)
        )

    async def sizes(self, request: Any, metadata: Metadata = ()) -> list[int]:
        """Run StreamingOutputCall, and return the sizes of what came."""
        return [len(each.payload.body) async for each in self.stream(request, metadata)]

    async def has_no_open_calls(self) -> None:
        """Wait until its transport has told of the end of each call."""
        await eventually(lambda: self.open_calls.count == 0)


@asynccontextmanager
async def client(connect: Connect, make: Make, servers: Servers) -> AsyncIterator[Client]:
    """Return a client of the server of ``make`` that all share."""
    server = await servers.shared(make)
    open_calls = OpenCalls()
    endpoint = Endpoint(server.address, server.address)
    channel = connect(endpoint, OPTIONS, None, open_calls)
    try:
        yield Client(connect, make, server, servers, channel, open_calls)
    finally:
        await channel.close()
