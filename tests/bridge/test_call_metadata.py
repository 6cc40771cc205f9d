"""What a backend says beside its messages: before the first, and after the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from bridge.status import Status
from bridge.upstream.call import Call, Channel, Metadata, RpcError
from bridge.upstream.completion import STREAM_COMPLETION
from bridge.upstream.transport import Transport
from protos.completion.v1.completion_pb2 import (
    Message,
    StreamCompletionRequest,
    StreamCompletionResponse,
)
from tests.bridge.handled import DEADLINE, Context, channel_to, collect, handled, start
from tests.conftest import eventually
from tests.faults.hostile_backend import saying, serving_hostile
from tests.faults.misbehaviour import Act
from tests.faults.raw_http2 import HostileCall, completion, length_prefixed

SENT: tuple[tuple[str, str | bytes], ...] = (
    ("x-a", "1"),
    ("x-data-bin", b"\0\xff"),
    ("x-b", ""),
    ("x-a", "2"),
    ("x-data-bin", b""),
)
RECEIVED = {"x-a": ["1", "2"], "x-data-bin": [b"\0\xff", b""], "x-b": [""]}

ON_THE_WIRE: list[tuple[str, str | bytes]] = [
    ("x-a", "1"),
    ("x-data-bin", "AP8"),
    ("x-b", ""),
    ("x-a", "2"),
    ("x-data-bin", ""),
]
RESERVED: list[tuple[str, str | bytes]] = [
    ("grpc-encoding", "identity"),
    ("grpc-accept-encoding", "gzip"),
    ("grpc-retry-pushback-ms", "5"),
    ("grpc-trace-bin", "AP8"),
    ("grpc-anything", "x"),
    ("user-agent", "x"),
    ("host", "x"),
    ("te", "trailers"),
]
OF_A_STATUS: list[tuple[str, str | bytes]] = [
    ("grpc-message", "fine"),
    ("grpc-status-details-bin", "AP8"),
]


def by_key(metadata: Metadata) -> dict[str, list[str | bytes]]:
    """Return the values of each key, in their order."""
    found: dict[str, list[str | bytes]] = {}
    for key, value in metadata:
        found.setdefault(key, []).append(value)
    return found


async def test_both_ends_of_an_answer_have_metadata(transport: Transport) -> None:
    seen = asyncio.Event()

    async def handle(_: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        await context.send_initial_metadata(SENT)
        yield b""
        await seen.wait()
        context.set_trailing_metadata((("x-end-bin", b"\1"), *SENT, ("x-end-bin", b"\2")))

    async with handled(handle, transport) as channel:
        call = start(channel, b"")
        assert (call.metadata, call.trailers) == ((), ())
        iterator = aiter(call)
        await anext(iterator)
        assert (by_key(call.metadata), call.trailers) == (RECEIVED, ())
        seen.set()
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
        assert by_key(call.metadata) == RECEIVED
        assert by_key(call.trailers) == RECEIVED | {"x-end-bin": [b"\1", b"\2"]}


async def test_an_answer_without_metadata_has_none(transport: Transport) -> None:
    async def handle(_: AsyncIterator[bytes], __: Context) -> AsyncIterator[bytes]:
        yield b""

    async with handled(handle, transport) as channel:
        call = start(channel, b"")
        await collect(call)
        assert (call.metadata, call.trailers) == ((), ())


@pytest.mark.parametrize("requests", [[], [b""]])
async def test_who_waits_for_messages_has_the_metadata_before_they_come(
    requests: list[bytes], transport: Transport
) -> None:
    seen = asyncio.Event()

    async def handle(_: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        await context.send_initial_metadata(SENT)
        await seen.wait()
        context.set_trailing_metadata((("x-end", "1"),))
        for message in tuple[bytes]():
            yield message

    async with handled(handle, transport) as channel:
        call = start(channel, *requests)
        collecting = asyncio.create_task(collect(call))
        await eventually(lambda: by_key(call.metadata) == RECEIVED)
        seen.set()
        assert await collecting == []
        assert by_key(call.metadata) == RECEIVED
        assert call.trailers == (("x-end", "1"),)


async def test_what_a_failed_call_says_at_its_end_is_in_its_error(transport: Transport) -> None:
    async def handle(_: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        await context.send_initial_metadata(SENT)
        yield b""
        await context.abort(grpc.StatusCode.NOT_FOUND, "none", SENT)

    async with handled(handle, transport) as channel:
        call = start(channel, b"")
        with pytest.raises(RpcError) as caught:
            await collect(call)
        assert caught.value.status is Status.NOT_FOUND
        assert by_key(call.metadata) == RECEIVED
        assert call.trailers == ()
        assert by_key(caught.value.trailers).items() >= RECEIVED.items()


async def test_a_message_that_can_t_be_read_leaves_no_trailers(transport: Transport) -> None:
    async def handle(_: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        context.set_trailing_metadata((("x-end", "1"),))
        yield b"\xff\xff\xff"

    async with handled(handle, transport) as channel:
        call = start(channel, b"")
        with pytest.raises(RpcError, match="can't be read"):
            await collect(call)
        assert call.trailers == ()


def ask(channel: Channel, content: str) -> Call[StreamCompletionResponse]:
    request = StreamCompletionRequest(messages=[Message(content=content)])
    return channel.stream(STREAM_COMPLETION, (request,), deadline=DEADLINE)


async def texts(call: Call[StreamCompletionResponse]) -> list[str]:
    return [message.text async for messages in call for message in messages]


async def _whole(call: HostileCall) -> None:
    await call.open(*ON_THE_WIRE, *RESERVED)
    await call.data(length_prefixed(completion("a")))
    await call.trailers("0", *OF_A_STATUS, *ON_THE_WIRE, *RESERVED)


async def test_what_grpc_reserves_is_left_out(transport: Transport) -> None:
    async with serving_hostile() as hostile, channel_to(hostile.address, transport) as channel:
        hostile.acts["whole"] = _whole
        call = ask(channel, saying("whole"))
        assert await texts(call) == ["a"]
        assert by_key(call.metadata) == RECEIVED
        assert by_key(call.trailers) == RECEIVED


def trailers_only(status: str) -> Act:
    """Return what answers with one header section, which is the end."""

    async def act(call: HostileCall) -> None:
        response: list[tuple[str, str | bytes]] = [
            (":status", "200"),
            ("content-type", "application/grpc"),
            ("content-length", "0"),
            ("grpc-status", status),
        ]
        await call.headers([*response, *OF_A_STATUS, *ON_THE_WIRE, *RESERVED], end=True)

    return act


async def test_an_answer_of_trailers_alone_has_no_initial_metadata(transport: Transport) -> None:
    async with serving_hostile() as hostile, channel_to(hostile.address, transport) as channel:
        hostile.acts["ends"] = trailers_only("0")
        call = ask(channel, saying("ends"))
        assert await texts(call) == []
        assert call.metadata == ()
        assert by_key(call.trailers) == RECEIVED


async def test_an_error_of_trailers_alone_has_them(transport: Transport) -> None:
    async with serving_hostile() as hostile, channel_to(hostile.address, transport) as channel:
        hostile.acts["fails"] = trailers_only("5")
        call = ask(channel, saying("fails"))
        with pytest.raises(RpcError) as caught:
            await texts(call)
        assert (caught.value.status, caught.value.message) == (Status.NOT_FOUND, "fine")
        assert (call.metadata, call.trailers) == ((), ())
        assert by_key(caught.value.trailers).items() >= RECEIVED.items()
