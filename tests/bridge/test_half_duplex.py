"""Calls of several requests, or of none, all of which are known from the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import EncodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.wrappers_pb2 import BytesValue
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived

from bridge.status import Status
from bridge.upstream.call import Call, Method, RpcError
from bridge.upstream.transport import Transport
from tests.bridge.handled import (
    DEADLINE,
    Context,
    channel_to,
    collect,
    handled,
    start,
)

# More than any window of a gRPC server at its start.
LARGE = [bytes([number]) * 100_000 for number in range(50)]


async def echo(requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


@pytest.mark.parametrize("count", [0, 1, 3, 10_000])
async def test_each_request_comes_and_can_be_answered(count: int, transport: Transport) -> None:
    requests = [str(number).encode() for number in range(count)]
    async with handled(echo, transport) as channel:
        assert await collect(start(channel, *requests)) == requests


async def digest(requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
    """Answer once, when all requests have come."""
    values = [BytesValue.FromString(request).value async for request in requests]
    yield BytesValue(value=digest_of(values)).SerializeToString()


def digest_of(values: Iterable[bytes]) -> bytes:
    """Return what only these values have, in this order."""
    return b"".join(sha256(value).digest() for value in values)


@pytest.mark.parametrize(
    "requests", [[], [b"a"], [b"a", b"", b"c"], LARGE], ids=["none", "one", "three", "large"]
)
async def test_requests_can_be_answered_when_they_are_all_there(
    requests: list[bytes], transport: Transport
) -> None:
    async with handled(digest, transport) as channel:
        assert await collect(start(channel, *requests)) == [digest_of(requests)]


async def test_requests_beyond_the_windows_are_answered_one_by_one(transport: Transport) -> None:
    async with handled(echo, transport) as channel:
        assert await collect(start(channel, *LARGE)) == LARGE


ANSWERS = [BytesValue(value=value).SerializeToString() for value in (b"a", b"b")]


@pytest.mark.parametrize("reads", [0, 1])
@pytest.mark.parametrize("answers", [[], ANSWERS])
async def test_a_backend_may_end_with_ok_before_it_has_read_all(
    reads: int, answers: list[bytes], transport: Transport
) -> None:
    async def handle(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        for _ in range(reads):
            await anext(requests)
        for answer in answers:
            yield answer
        context.set_trailing_metadata((("x-end", "1"),))

    async with handled(handle, transport) as channel:
        # It depends on what comes first: the end, or that a write has failed.
        for _ in range(50):
            call = start(channel, *LARGE)
            assert await collect(call) == [b"a", b"b"][: len(answers)]
            assert call.trailers == (("x-end", "1"),)


async def each(call: Call[BytesValue]) -> AsyncIterator[BytesValue]:
    async for messages in call:
        for message in messages:
            yield message


@pytest.mark.parametrize("answers", [[], ANSWERS])
async def test_a_backend_may_fail_before_it_has_read_all(
    answers: list[bytes], transport: Transport
) -> None:
    async def handle(_: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        for answer in answers:
            yield answer
        await context.abort(grpc.StatusCode.NOT_FOUND, "none")

    async with handled(handle, transport) as channel:
        for _ in range(50):
            iterator = each(start(channel, *LARGE))
            for answer in answers:
                assert (await anext(iterator)).SerializeToString() == answer
            with pytest.raises(RpcError) as caught:
                await anext(iterator)
            assert (caught.value.status, caught.value.message) == (Status.NOT_FOUND, "none")


class Early:
    """A server that answers as soon as a call begins, and takes no more than one window."""

    def __init__(self) -> None:
        self.address = ""
        self.received = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(1 << 16):
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    self.received += len(event.data or b"")
                elif isinstance(event, RequestReceived):
                    self._answer(connection, event.stream_id or 0)
            writer.write(connection.data_to_send())
        writer.close()

    def _answer(self, connection: H2Connection, stream_id: int) -> None:
        headers = [(":status", "200"), ("content-type", "application/grpc")]
        connection.send_headers(stream_id, headers)
        connection.send_data(stream_id, b"\0" + len(ANSWERS[0]).to_bytes(4, "big") + ANSWERS[0])
        connection.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
        connection.reset_stream(stream_id, ErrorCodes.NO_ERROR)


@asynccontextmanager
async def answering_early() -> AsyncIterator[Early]:
    early = Early()
    served: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(early.serve(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        early.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield early
        for task in served:
            with suppress(ConnectionError):
                await task


async def test_a_reset_after_the_answer_leaves_the_answer(transport: Transport) -> None:
    async with answering_early() as early, channel_to(early.address, transport) as channel:
        for _ in range(20):
            assert await collect(start(channel, *LARGE)) == [b"a"]
    assert early.received <= 65535


async def never(_: AsyncIterator[bytes], __: Context) -> AsyncIterator[bytes]:
    """Read nothing, and answer nothing."""
    await asyncio.get_running_loop().create_future()
    yield b""


async def test_a_call_whose_requests_are_being_sent_can_be_cancelled(transport: Transport) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(requests: AsyncIterator[bytes], _: Context) -> AsyncIterator[bytes]:
        yield await anext(requests)
        began.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    async with asyncio.timeout(DEADLINE), handled(handle, transport) as channel:
        call = start(channel, *LARGE)
        iterator = aiter(call)
        (message,) = await anext(iterator)
        assert message.value == LARGE[0]
        await began.wait()
        call.cancel()
        with pytest.raises(RpcError) as caught:
            await anext(iterator)
        assert caught.value.status is Status.CANCELLED
        assert call.trailers == ()
        await cancelled.wait()


async def test_a_deadline_passes_while_requests_are_being_sent(transport: Transport) -> None:
    async with handled(never, transport) as channel:
        with pytest.raises(RpcError) as caught:
            await collect(start(channel, *LARGE, deadline=0.2))
        assert caught.value.status is Status.DEADLINE_EXCEEDED


async def test_a_connection_that_is_lost_while_requests_are_being_sent_is_unavailable(
    transport: Transport,
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        await reader.readexactly(50_000)
        writer.transport.abort()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, channel_to(address, transport) as channel:
        with pytest.raises(RpcError) as caught:
            await collect(start(channel, *LARGE))
        assert caught.value.status is Status.UNAVAILABLE


def dynamic(label: FieldDescriptorProto.Label.ValueType) -> type[Message]:
    """Return the class of a message that is known by a descriptor alone."""
    field = FieldDescriptorProto(
        name="text", number=1, label=label, type=FieldDescriptorProto.TYPE_STRING
    )
    pool = DescriptorPool()
    pool.Add(
        FileDescriptorProto(
            name="test.proto",
            package="test",
            message_type=[DescriptorProto(name="Item", field=[field])],
        )
    )
    return GetMessageClass(pool.FindMessageTypeByName("test.Item"))


async def test_messages_may_be_known_by_their_descriptors_alone(transport: Transport) -> None:
    item: Any = dynamic(FieldDescriptorProto.LABEL_OPTIONAL)
    item_type: type[Message] = item
    method = Method("/test.Service/Method", item_type, item_type.FromString)
    requests: list[Message] = [item(text="a"), item(text="b")]
    async with handled(echo, transport) as channel:
        call = channel.stream(method, requests, deadline=DEADLINE)
        answers = [message async for messages in call for message in messages]
        assert answers == requests
        assert await channel.unary(method, requests[0], deadline=DEADLINE) == requests[0]


@pytest.mark.parametrize("count", [1, 2])
async def test_requests_that_can_t_be_sent_start_no_call(count: int, transport: Transport) -> None:
    item = dynamic(FieldDescriptorProto.LABEL_REQUIRED)
    method = Method("/test.Service/Method", item, item.FromString)
    async with handled(echo, transport) as channel:
        with pytest.raises(EncodeError):
            channel.stream(method, [item()] * count, deadline=DEADLINE)
