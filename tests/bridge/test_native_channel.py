"""Calls of the native transport: who gets their messages, and on which connections they go."""

import asyncio
import gc
import gzip
import time
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest
from h2.settings import SettingCodes
from hyperframe.frame import SettingsFrame
from structlog.testing import capture_logs

from bridge.status import Status
from bridge.upstream.address import Endpoint
from bridge.upstream.call import Call, Channel, ChannelOptions, RpcError
from bridge.upstream.completion import LIST_MODELS, STREAM_COMPLETION
from bridge.upstream.credentials import Tls
from bridge.upstream.native import connect
from bridge.upstream.native.channel import NativeChannel
from bridge.upstream.native.socket import Socket
from protos.completion.v1.completion_pb2 import (
    ListModelsRequest,
    Message,
    StreamCompletionRequest,
    StreamCompletionResponse,
)
from tests.bridge.stepped import SteppedBackend, serving_stepped
from tests.conftest import eventually
from tests.faults.hostile_backend import HostileBackend, saying, serving_hostile
from tests.faults.misbehaviour import Act
from tests.faults.raw_http2 import HostileCall, completion, length_prefixed

OPTIONS = ChannelOptions(max_message_bytes=1 << 20, keepalive=0, keepalive_timeout=1)
DEADLINE = 20


class Observer:
    """Counts calls."""

    def __init__(self) -> None:
        self.open = 0
        self.failures: list[Status] = []

    def call_began(self) -> None:
        self.open += 1

    def call_ended(self) -> None:
        self.open -= 1

    def call_failed(self, error: RpcError) -> None:
        self.failures.append(error.status)


@asynccontextmanager
async def channel_to(
    address: str,
    observer: Observer | None = None,
    options: ChannelOptions = OPTIONS,
    tls: Tls | None = None,
) -> AsyncIterator[Channel]:
    channel = connect(Endpoint(address, address), options, tls, observer or Observer())
    try:
        yield channel
    finally:
        await channel.close()


@pytest.fixture
async def stepped() -> AsyncIterator[SteppedBackend]:
    async with serving_stepped() as backend:
        yield backend


def start(channel: Channel, content: str = "") -> Call[StreamCompletionResponse]:
    request = StreamCompletionRequest(messages=[Message(content=content)])
    metadata = [("x-request-id", "r")]
    return channel.stream(STREAM_COMPLETION, (request,), metadata, deadline=DEADLINE)


def texts(messages: Sequence[StreamCompletionResponse]) -> list[str]:
    return [message.text for message in messages]


class Taker:
    """Takes messages, unless it refuses."""

    def __init__(self) -> None:
        self.refuses = False
        self.taken: list[str] = []
        self.refused: list[str] = []

    def __call__(self, messages: Sequence[StreamCompletionResponse]) -> bool:
        (self.refused if self.refuses else self.taken).extend(texts(messages))
        return not self.refuses


async def test_what_is_taken_is_not_iterated_and_what_is_refused_is(
    stepped: SteppedBackend,
) -> None:
    async with channel_to(stepped.address) as channel:
        call, take = start(channel), Taker()
        call.relay(take)
        iterated: list[str] = []

        async def iterate() -> None:
            async for messages in call:
                iterated.extend(texts(messages))

        iterating = asyncio.create_task(iterate())
        await stepped.send(StreamCompletionResponse(text="a"))
        await eventually(lambda: take.taken == ["a"])
        take.refuses = True
        await stepped.send(StreamCompletionResponse(text="b"))
        await eventually(lambda: iterated == ["b"])
        take.refuses = False
        await stepped.send(StreamCompletionResponse(text="c"))
        await eventually(lambda: take.taken == ["a", "c"])
        await stepped.end()
        await iterating
        assert (take.taken, take.refused, iterated) == (["a", "c"], ["b"], ["b"])


async def test_nothing_is_offered_while_the_iteration_is_busy(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        call, take = start(channel), Taker()
        take.refuses = True
        call.relay(take)
        iterator = aiter(call)
        await stepped.send(StreamCompletionResponse(text="a"))
        assert texts(await anext(iterator)) == ["a"]
        take.refuses = False
        await stepped.send(StreamCompletionResponse(text="b"))
        await stepped.send(StreamCompletionResponse(text="c"))
        await stepped.end()
        await eventually(lambda: stepped.ended == 1)
        rest = [text async for messages in iterator for text in texts(messages)]
        assert (rest, take.taken) == (["b", "c"], [])


async def test_a_message_that_can_t_be_read_ends_its_call_after_those_before_it(
    stepped: SteppedBackend,
) -> None:
    observer = Observer()
    async with channel_to(stepped.address, observer) as channel:
        call = start(channel)
        await stepped.send(StreamCompletionResponse(text="a"))
        assert texts(await anext(aiter(call))) == ["a"]
        await stepped.send(b"\xff\xff\xff")
        with pytest.raises(RpcError, match="can't be read") as caught:
            await collect(call)
        assert caught.value.status is Status.INTERNAL
        await stepped.cancelled()
        assert observer.open == 0


async def test_a_message_that_is_refused_is_not_read_again(stepped: SteppedBackend) -> None:
    read: list[str] = []

    def parse(raw: bytes) -> StreamCompletionResponse:
        message = StreamCompletionResponse.FromString(raw)
        read.append(message.text)
        return message

    async with channel_to(stepped.address) as channel:
        method = replace(STREAM_COMPLETION, parse=parse)
        call = channel.stream(method, (StreamCompletionRequest(),), deadline=DEADLINE)
        take = Taker()
        take.refuses = True
        call.relay(take)
        iterating = asyncio.create_task(collect(call))
        for text in "abc":
            await stepped.send(StreamCompletionResponse(text=text))
            await eventually(lambda: text in take.refused)  # noqa: B023
        await stepped.end()
        assert await iterating == ["a", "b", "c"]
        assert read == ["a", "b", "c"]


@pytest.mark.parametrize("refuses", [False, True])
async def test_a_message_that_tells_of_an_error_ends_its_call(
    stepped: SteppedBackend, refuses: bool
) -> None:
    def parse(raw: bytes) -> StreamCompletionResponse:
        message = StreamCompletionResponse.FromString(raw)
        if message.text == "error":
            raise RpcError(Status.RESOURCE_EXHAUSTED, "no more")
        return message

    observer = Observer()
    async with channel_to(stepped.address, observer) as channel:
        method = replace(STREAM_COMPLETION, parse=parse)
        call = channel.stream(method, (StreamCompletionRequest(),), deadline=DEADLINE)
        take = Taker()
        take.refuses = refuses
        call.relay(take)
        iterating = asyncio.create_task(collect(call))
        await stepped.send(StreamCompletionResponse(text="a"))
        await eventually(lambda: take.taken + take.refused == ["a"])
        await stepped.send(StreamCompletionResponse(text="error"))
        with pytest.raises(RpcError, match="no more") as caught:
            await iterating
        assert caught.value.status is Status.RESOURCE_EXHAUSTED
        await stepped.cancelled()
        assert (observer.open, observer.failures) == (0, [Status.RESOURCE_EXHAUSTED])


def compressed(*messages: bytes, ends: bool = False) -> Act:
    """Return what sends these as compressed messages in one frame, and may end with OK."""

    async def act(call: HostileCall) -> None:
        await call.open(("grpc-encoding", "gzip"))
        await call.data(b"".join(length_prefixed(message, flag=1) for message in messages))
        if ends:
            await call.trailers()
        else:
            await asyncio.Event().wait()

    return act


@pytest.mark.parametrize("ends", [False, True])
async def test_a_message_that_can_t_be_inflated_ends_its_call_after_those_before_it(
    ends: bool,
) -> None:
    observer = Observer()
    good = gzip.compress(completion("a"))
    async with serving_hostile() as hostile, channel_to(hostile.address, observer) as channel:
        hostile.acts["compressed"] = compressed(good, b"no gzip", good, ends=ends)
        iterator = aiter(start(channel, saying("compressed")))
        assert texts(await anext(iterator)) == ["a"]
        for _ in range(2):
            with pytest.raises(RpcError) as caught:
                await anext(iterator)
            assert caught.value.status is Status.INTERNAL
        await eventually(lambda: hostile.open_calls == 0)
        assert observer.open == 0


async def test_a_compressed_message_is_not_offered_but_iterated() -> None:
    take = Taker()
    async with serving_hostile() as hostile, channel_to(hostile.address) as channel:
        # What is no message is empty, and as such would be one.
        hostile.acts["compressed"] = compressed(b"")
        call = start(channel, saying("compressed"))
        call.relay(take)
        with pytest.raises(RpcError, match="INTERNAL"):
            await collect(call)
        assert not take.taken


async def test_a_call_that_is_cancelled_inflates_nothing_more() -> None:
    large = "a" * (1 << 17)
    async with serving_hostile() as hostile, channel_to(hostile.address) as channel:
        act = compressed(gzip.compress(completion(large)), b"no gzip")
        hostile.acts["compressed"] = act
        call = start(channel, saying("compressed"))
        iterator = aiter(call)
        assert texts(await anext(iterator)) == [large]
        call.cancel()
        with pytest.raises(RpcError) as caught:
            await anext(iterator)
        assert caught.value.status is Status.CANCELLED


async def test_who_is_handed_messages_lets_the_backend_send_more(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        call, take = start(channel), Taker()
        call.relay(take)
        ending = asyncio.create_task(collect(call))
        for _ in range(200):
            await stepped.send(StreamCompletionResponse(text="x" * 1000))
        await stepped.end()
        # What comes with the end is left to the iteration.
        assert len(take.taken + await ending) == 200


async def test_who_takes_messages_lets_the_backend_send_more(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        call = start(channel)
        text = "x" * 1000
        for _ in range(100):
            await stepped.send(StreamCompletionResponse(text=text))
        await stepped.end()
        # By then they fill the stream's window, and nothing else comes on the connection.
        await eventually(lambda: stepped.written >= 64)
        assert await collect(call) == [text] * 100


async def test_nothing_is_left_of_a_call_that_has_ended(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        call = start(channel)
        await stepped.end()
        assert await collect(call) == []
        left = weakref.ref(call)
        del call
        gc.collect()
        assert left() is None


async def test_a_unary_call_that_fails_has_its_status(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        with pytest.raises(RpcError) as caught:
            await channel.unary(LIST_MODELS, ListModelsRequest(), deadline=5)
        assert caught.value.status is Status.UNIMPLEMENTED


async def test_a_unary_call_must_have_a_message(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        await stepped.end()
        with pytest.raises(RpcError) as caught:
            await channel.unary(STREAM_COMPLETION, StreamCompletionRequest(), deadline=5)
        assert caught.value.cause == "a unary call got no message"


async def test_a_unary_call_ends_with_its_second_message(stepped: SteppedBackend) -> None:
    async with channel_to(stepped.address) as channel:
        for _ in range(2):
            await stepped.send(StreamCompletionResponse(text="a"))
        with pytest.raises(RpcError) as caught:
            await channel.unary(STREAM_COMPLETION, StreamCompletionRequest(), deadline=5)
        assert caught.value.status is Status.INTERNAL
        assert caught.value.cause == "a unary call got several messages"
        await stepped.cancelled()


@asynccontextmanager
async def few_streams(count: int) -> AsyncIterator[HostileBackend]:
    async with serving_hostile({SettingCodes.MAX_CONCURRENT_STREAMS: count}) as hostile:
        yield hostile


async def collect(call: Call[StreamCompletionResponse]) -> list[str]:
    return [text async for messages in call for text in texts(messages)]


def held_calls(channel: Channel, count: int) -> list[asyncio.Task[list[str]]]:
    """Start calls that have one message, and end when the backend is told to go on."""
    return [
        asyncio.create_task(collect(start(channel, saying("good", 1, held=True))))
        for _ in range(count)
    ]


async def test_more_connections_are_made_when_one_takes_no_more_streams() -> None:
    async with few_streams(2) as hostile, channel_to(hostile.address) as channel:
        held = held_calls(channel, 5)
        await eventually(lambda: hostile.open_calls == 5)
        assert hostile.open_connections == 3
        hostile.go_on("r")
        assert await asyncio.gather(*held) == [["a"]] * 5


async def test_a_backend_gets_at_most_a_hundred_connections() -> None:
    async with few_streams(1) as hostile, channel_to(hostile.address) as channel:
        held = held_calls(channel, 102)
        await eventually(lambda: hostile.open_calls == 100)
        hostile.go_on("r")
        assert await asyncio.gather(*held) == [["a"]] * 102
        assert hostile.open_connections == 100


def sockets(channel: Channel) -> list[Socket]:
    return cast("NativeChannel", channel)._sockets  # noqa: SLF001 - nothing else shows them


async def test_connections_that_have_had_no_call_for_a_while_are_closed_but_for_one() -> None:
    # Keepalive makes the ticks shorter, too.
    options = replace(OPTIONS, keepalive=0.05, idle_timeout=0.2)
    async with few_streams(1) as hostile, channel_to(hostile.address, None, options) as channel:
        held = held_calls(channel, 3)
        await eventually(lambda: hostile.open_calls == 3)
        hostile.go_on("r")
        await asyncio.gather(*held)
        await eventually(lambda: hostile.open_connections == 1)
        (kept,) = sockets(channel)
        assert await collect(start(channel, saying("good", 1))) == ["a"]
        assert sockets(channel) == [kept]


async def test_of_connections_that_are_idle_at_once_one_is_kept() -> None:
    async with few_streams(1) as hostile, channel_to(hostile.address) as channel:
        held = held_calls(channel, 3)
        await eventually(lambda: hostile.open_calls == 3)
        hostile.go_on("r")
        await asyncio.gather(*held)
        for socket in tuple(sockets(channel)):
            cast("NativeChannel", channel).idle(socket)
        assert [s.connection.draining for s in sockets(channel)] == [True, True, False]


async def test_a_connection_whose_stream_ids_have_run_out_ends_with_its_last_stream() -> None:
    async with serving_hostile() as hostile, channel_to(hostile.address) as channel:
        assert await collect(start(channel, saying("good", 1))) == ["a"]
        (first,) = sockets(channel)
        first.connection._next_id = 2**31 - 1  # noqa: SLF001 - a billion calls take too long
        held = held_calls(channel, 2)
        await eventually(lambda: hostile.open_calls == hostile.open_connections == 2)
        hostile.go_on("r")
        assert await asyncio.gather(*held) == [["a"]] * 2
        await eventually(lambda: hostile.open_connections == 1)
        assert first not in sockets(channel)


@asynccontextmanager
async def one_place() -> AsyncIterator[tuple[HostileBackend, Channel, asyncio.Task[list[str]]]]:
    """Return a backend that takes one stream on one connection, and the call that has it."""
    async with few_streams(1) as hostile, channel_to(hostile.address) as channel:
        hostile.most_connections = 1
        (holder,) = held_calls(channel, 1)
        await eventually(lambda: hostile.open_calls == 1)
        yield hostile, channel, holder


async def test_a_call_waits_for_a_place_while_no_other_connection_can_be_made() -> None:
    async with one_place() as (hostile, channel, holder):
        waiting = asyncio.create_task(collect(start(channel, saying("good", 1))))
        await eventually(lambda: hostile.refused_connections == 2)
        assert not waiting.done()
        hostile.go_on("r")
        assert await holder == await waiting == ["a"]


async def test_a_call_that_waits_for_a_place_tells_the_backend_what_is_left_of_its_time() -> None:
    told: list[str] = []

    async def note(call: HostileCall) -> None:
        told.append(call.request_headers["grpc-timeout"])
        await call.trailers()

    async with one_place() as (hostile, channel, _):
        hostile.acts["note"] = note
        began = time.monotonic()
        waiting = asyncio.create_task(collect(start(channel, saying("note"))))
        await eventually(lambda: hostile.refused_connections == 2)
        waited = time.monotonic() - began
        hostile.go_on("r")
        await waiting
        (timeout,) = told
        assert 10 < int(timeout.removesuffix("u")) / 1e6 <= DEADLINE - waited


async def test_a_call_that_waits_for_a_place_takes_that_of_a_connection_that_can_be_made() -> None:
    async with one_place() as (hostile, channel, holder):
        waiting = asyncio.create_task(collect(start(channel, saying("good", 1))))
        await eventually(lambda: hostile.refused_connections == 2)
        hostile.most_connections = 2
        assert await waiting == ["a"]
        assert not holder.done()
        hostile.go_on("r")
        assert await holder == ["a"]


async def test_a_call_that_waits_for_a_place_fails_when_the_last_connection_is_lost() -> None:
    async with one_place() as (hostile, channel, holder):
        waiting = asyncio.create_task(collect(start(channel, saying("good", 1))))
        await eventually(lambda: hostile.refused_connections == 1)
        hostile.most_connections = 0
        await hostile.disconnect()
        for call in (holder, waiting):
            with pytest.raises(RpcError) as caught:
                await call
            assert caught.value.status is Status.UNAVAILABLE


async def test_a_backend_that_drops_connections_before_their_first_call_is_given_a_pause() -> None:
    connections = 0

    async def take_no_call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        settings = SettingsFrame(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 0})
        writer.write(settings.serialize())
        await reader.readuntil(SettingsFrame(flags=["ACK"]).serialize())
        writer.close()

    server = await asyncio.start_server(take_no_call, "127.0.0.1", 0)
    async with server, channel_to(f"127.0.0.1:{server.sockets[0].getsockname()[1]}") as channel:
        with pytest.raises(RpcError) as caught:
            await collect(start(channel))
        assert caught.value.status is Status.UNAVAILABLE
        assert caught.value.cause.endswith(": the backend closed the connection")
        assert connections == 1


async def test_what_nobody_expected_of_a_connection_fails_its_calls_and_is_logged() -> None:
    # A label of a name has at most 63 letters, which Python doesn't say with an OSError.
    async with channel_to(f"{'a' * 64}.example:50051") as channel:
        with capture_logs() as logged:
            for _ in range(2):
                channel.reconnect()
                with pytest.raises(RpcError) as caught:
                    await collect(start(channel))
                assert caught.value.status is Status.UNAVAILABLE
                assert "idna" in caught.value.cause
    assert [line["event"] for line in logged] == ["a connection failed to be made"] * 2


async def test_a_call_that_waits_for_room_can_be_cancelled() -> None:
    observer = Observer()
    async with few_streams(0) as hostile, channel_to(hostile.address, observer) as channel:
        call = start(channel, saying("good"))
        waiting = asyncio.create_task(collect(call))
        await eventually(lambda: hostile.open_connections == 1)
        call.cancel()
        with pytest.raises(RpcError) as caught:
            await waiting
        assert caught.value.status is Status.CANCELLED
        assert observer.open == 0


async def test_a_channel_that_is_closed_leaves_nothing() -> None:
    observer = Observer()
    async with AsyncExitStack() as stack:
        hostile = await stack.enter_async_context(few_streams(1))
        channel = await stack.enter_async_context(channel_to(hostile.address, observer))
        calls = [start(channel, saying("good", 1, held=True)) for _ in range(3)]
        await eventually(lambda: hostile.open_calls == 3)
        await channel.close()
        for call in calls:
            with pytest.raises(RpcError) as caught:
                await collect(call)
            assert caught.value.status is Status.CANCELLED
        await eventually(lambda: hostile.open_connections == hostile.open_calls == 0)
        assert (observer.open, observer.failures) == (0, [])
