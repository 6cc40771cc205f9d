"""The cases that gRPC publishes for clients, as far as unary and server-streaming calls go.

https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
"""

from __future__ import annotations

import pytest

from bridge.status import Status
from bridge.upstream.call import RpcError
from tests.faults.proxy import Direction, proxying
from tests.interop.cases.requests import (
    RESPONSE_BYTES,
    compressed,
    large,
    new_call,
    status,
    streamed,
)
from tests.interop.client import Client
from tests.interop.schema import (
    EMPTY_CALL,
    UNIMPLEMENTED_METHOD,
    UNIMPLEMENTED_SERVICE,
    Empty,
    Payload,
    ResponseParameters,
    SimpleRequest,
    StreamingOutputCallRequest,
)
from tests.interop.servers.python import CALL, INITIAL, TRAILING

SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"


async def empty_unary(client: Client) -> None:
    """Send and receive a message of no bytes."""
    assert await client.unary(Empty(), method=EMPTY_CALL) == Empty()


async def large_unary(client: Client) -> None:
    """Send a message of 271,828 bytes, and receive one of 314,159."""
    response = await client.unary(large())
    assert response.payload == Payload(body=bytes(RESPONSE_BYTES))


async def empty_stream(client: Client) -> None:
    """Receive a stream of no messages that ends with OK."""
    assert await client.sizes(StreamingOutputCallRequest()) == []


async def server_streaming(client: Client) -> None:
    """Receive a stream of four messages, in their order."""
    sizes = [31415, 9, 2653, 58979]
    assert await client.sizes(streamed(*sizes)) == sizes


async def server_compressed_unary(client: Client) -> None:
    """Ask for a compressed response, and for one that isn't."""
    assert await unary_bytes(client, client.server.address, True) < RESPONSE_BYTES / 10
    assert await unary_bytes(client, client.server.address, False) > RESPONSE_BYTES


async def server_compressed_streaming(client: Client) -> None:
    """Receive a stream in which the first message is compressed, and the second isn't."""
    size = await stream_bytes(client, client.server.address, True, False)
    assert 92653 < size < 92653 + 31415 / 2


async def unary_bytes(client: Client, address: str, compress: bool) -> int:
    """Return how many bytes ``address`` sends for a large response."""
    async with proxying(address) as wire, client.to(wire.address) as other:
        response = await other.unary(large(response_compressed=compressed(compress)))
        assert len(response.payload.body) == RESPONSE_BYTES
        return wire.passed(Direction.TO_CLIENT)


async def stream_bytes(client: Client, address: str, *compress: bool) -> int:
    """Return how many bytes ``address`` sends for a stream of two messages."""
    sizes = [31415, 92653]
    parameters = [
        ResponseParameters(size=size, compressed=compressed(each))
        for size, each in zip(sizes, compress, strict=True)
    ]
    async with proxying(address) as wire, client.to(wire.address) as other:
        request = StreamingOutputCallRequest(response_parameters=parameters)
        assert await other.sizes(request) == sizes
        return wire.passed(Direction.TO_CLIENT)


async def status_code_and_message(client: Client) -> None:
    """Receive a status and its message, of a unary call and of a stream."""
    await _fails_with("test status message", client)


async def special_status_message(client: Client) -> None:
    """Receive a status message of white space, and of characters in and beyond the BMP."""
    await _fails_with(SPECIAL, client)


async def _fails_with(message: str, client: Client) -> None:
    wanted = status(Status.UNKNOWN, message)
    with pytest.raises(RpcError) as unary:
        await client.unary(SimpleRequest(response_status=wanted))
    with pytest.raises(RpcError) as stream:
        await client.sizes(streamed(10, response_status=wanted))
    for failed in (unary, stream):
        assert (failed.value.status, failed.value.message) == (Status.UNKNOWN, message)
        assert failed.value.cause == ""


async def unimplemented_method(client: Client) -> None:
    """Call a method that the service doesn't have: UNIMPLEMENTED."""
    with pytest.raises(RpcError) as failed:
        await client.unary(Empty(), method=UNIMPLEMENTED_METHOD)
    assert failed.value.status is Status.UNIMPLEMENTED


async def unimplemented_service(client: Client) -> None:
    """Call a service that the server doesn't have: UNIMPLEMENTED."""
    with pytest.raises(RpcError) as failed:
        await client.unary(Empty(), method=UNIMPLEMENTED_SERVICE)
    assert failed.value.status is Status.UNIMPLEMENTED


async def custom_metadata(client: Client) -> None:
    """Send text and bytes in metadata, and receive the bytes again in trailers."""
    call, initial, trailing = new_call(), "test_initial_metadata_value", b"\xab\xab\xab"
    metadata = ((INITIAL, initial), (TRAILING, trailing), (CALL, call))
    await client.unary(large(), metadata)
    assert (await client.server.saw("began", call))["initial"] == initial
    failing = status(Status.NOT_FOUND, "")
    with pytest.raises(RpcError) as unary:
        await client.unary(large(response_status=failing), metadata)
    with pytest.raises(RpcError) as stream:
        await client.sizes(streamed(RESPONSE_BYTES, response_status=failing), metadata)
    for failed in (unary, stream):
        assert failed.value.status is Status.NOT_FOUND
        assert (TRAILING, trailing) in tuple(failed.value.trailers)


async def cancel_after_begin(client: Client) -> None:
    """Cancel a stream at once: CANCELLED."""
    call = client.stream(streamed(1, 1, interval=10))
    call.cancel()
    with pytest.raises(RpcError) as failed:
        await anext(aiter(call))
    assert failed.value.status is Status.CANCELLED


async def cancel_after_first_response(client: Client) -> None:
    """Cancel a stream after its first message: CANCELLED, and the server sees it."""
    name = new_call()
    call = client.stream(streamed(31415, 1, interval=10), ((CALL, name),))
    responses = aiter(call)
    assert len((await anext(responses)).payload.body) == 31415
    call.cancel()
    with pytest.raises(RpcError) as failed:
        await anext(responses)
    assert failed.value.status is Status.CANCELLED
    await client.server.saw("cancelled", name)


async def timeout_on_sleeping_server(client: Client) -> None:
    """Give a call 1 ms: DEADLINE_EXCEEDED."""
    request = streamed(0, 0, interval=10, payload=Payload(body=bytes(27182)))
    with pytest.raises(RpcError) as failed:
        async for _ in client.stream(request, deadline=0.001):
            pass
    assert failed.value.status is Status.DEADLINE_EXCEEDED
