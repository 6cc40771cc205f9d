"""A gRPC backend whose one method is a function of the test, and a channel to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue
from grpc import aio

from bridge.upstream import transport as transports
from bridge.upstream.address import Endpoint
from bridge.upstream.call import Call, Channel, ChannelOptions, Method, RpcError
from bridge.upstream.transport import Transport

Context = aio.ServicerContext[bytes, bytes]
Handle = Callable[[AsyncIterator[bytes], Context], AsyncIterator[bytes]]

METHOD = Method("/test.Service/Method", BytesValue, BytesValue.FromString)
DEADLINE = 20

_OPTIONS = ChannelOptions(max_message_bytes=1 << 20, keepalive=0, keepalive_timeout=1)


class OpenCalls:
    """Counts the open calls of a channel."""

    def __init__(self) -> None:
        self.count = 0

    def call_began(self) -> None:
        self.count += 1

    def call_ended(self) -> None:
        self.count -= 1

    def call_failed(self, error: RpcError) -> None:
        """Nothing: a call that failed also ends."""


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        handle: Any = self._handle
        return grpc.stream_stream_rpc_method_handler(handle)


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[str]:
    """Serve ``handle`` as a method of any kind, and return where."""
    server = aio.server()
    server.add_generic_rpc_handlers((_Handler(handle),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def channel_to(
    address: str, transport: Transport, open_calls: OpenCalls | None = None
) -> AsyncIterator[Channel]:
    """Return a channel, which must be left without open calls."""
    observer = open_calls or OpenCalls()
    endpoint = Endpoint(address, address)
    channel = transports.transport(transport)(endpoint, _OPTIONS, None, observer)
    try:
        yield channel
    finally:
        await channel.close()
    assert observer.count == 0


@asynccontextmanager
async def handled(handle: Handle, transport: Transport) -> AsyncIterator[Channel]:
    """Return a channel to a backend that serves ``handle``."""
    async with serving(handle) as address, channel_to(address, transport) as channel:
        yield channel


def start(channel: Channel, *requests: bytes, deadline: float = DEADLINE) -> Call[BytesValue]:
    """Start a call that has these requests."""
    values = [BytesValue(value=request) for request in requests]
    return channel.stream(METHOD, values, deadline=deadline)


async def collect(call: Call[BytesValue]) -> list[bytes]:
    """Return all that a call is answered."""
    return [message.value async for messages in call for message in messages]
