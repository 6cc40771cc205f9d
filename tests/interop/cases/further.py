"""Cases of our own, for any server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.rpc.status_pb2 import Status as RpcStatus

from bridge.status import Status
from bridge.upstream.call import RpcError
from tests.faults.proxy import proxying
from tests.interop.cases.requests import large, new_call, status, streamed
from tests.interop.client import DEADLINE_SECONDS, Client
from tests.interop.schema import EchoStatus, Payload, SimpleRequest
from tests.interop.servers.python import CALL, DETAILS, MAX_CONCURRENT_STREAMS, TRAILING

MEGABYTE = 1 << 20


async def status_details(client: Client) -> None:
    """Get the details of a status, from ``grpc-status-details-bin``."""
    sent = RpcStatus(code=Status.FAILED_PRECONDITION.code, message="no")
    sent.details.add().Pack(EchoStatus(message="why"))
    request = SimpleRequest(response_status=status(Status.FAILED_PRECONDITION, "no"))
    with pytest.raises(RpcError) as failed:
        await client.unary(request, ((DETAILS, sent.SerializeToString()),))
    assert (failed.value.status, failed.value.message) == (Status.FAILED_PRECONDITION, "no")
    details = dict(failed.value.trailers)["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    assert RpcStatus.FromString(details) == sent


async def deadline(client: Client) -> None:
    """Tell the server how much time a call has."""
    call = new_call()
    await client.unary(SimpleRequest(), ((CALL, call),), deadline=30)
    assert 20 < (await client.server.saw("began", call))["seconds_left"] < 31


async def deadline_in_stream(client: Client) -> None:
    """End a stream when its time is over: DEADLINE_EXCEEDED, and the server ends it, too."""
    call = new_call()
    with pytest.raises(RpcError) as failed:
        async for _ in client.stream(streamed(1, 1, interval=10), ((CALL, call),), deadline=0.3):
            pass
    assert failed.value.status is Status.DEADLINE_EXCEEDED
    await client.server.saw("cancelled", call)


async def many_streams(client: Client) -> None:
    """Start 300 streams at once, of which the server takes 100 or 128 on a connection."""
    count = 3 * MAX_CONCURRENT_STREAMS
    sizes = [1000, 10, 100]
    request = streamed(*sizes, interval=0.02)
    results = await asyncio.gather(*(_served(client, request) for _ in range(count)))
    assert results == [sizes] * count


async def _served(client: Client, request: Any) -> list[int]:
    while True:
        try:
            return await client.sizes(request)
        except RpcError as error:
            # As the bridge does: a server may refuse a stream when the one before it has ended
            # for the client only.
            if not error.unprocessed:
                raise


async def many_calls(client: Client) -> None:
    """Make 200 calls one after the other, each with metadata and an ending of its own."""
    for number in range(200):
        trailing = TRAILING, bytes([number])
        request = SimpleRequest(response_status=status(Status.NOT_FOUND, str(number)))
        with pytest.raises(RpcError) as failed:
            await client.unary(request, ((f"x-number-{number % 70}", str(number)), trailing))
        assert (failed.value.status, failed.value.message) == (Status.NOT_FOUND, str(number))
        assert trailing in tuple(failed.value.trailers)


async def large_messages(client: Client) -> None:
    """Send and receive ten messages of 1 MB at once, on one connection."""
    request = streamed(*[MEGABYTE] * 10, payload=Payload(body=bytes(MEGABYTE)))
    sizes, *responses = await asyncio.gather(
        client.sizes(request),
        *(client.unary(large(MEGABYTE, MEGABYTE)) for _ in range(9)),
    )
    assert sizes == [MEGABYTE] * 10
    assert {len(response.payload.body) for response in responses} == {MEGABYTE}


async def tls(client: Client) -> None:
    """Speak TLS, with h2 agreed on by ALPN."""
    async with client.to(client.server.tls, tls=True) as secure:
        await secure.unary(large())
        assert await secure.sizes(streamed(31415, 9)) == [31415, 9]


async def graceful_shutdown(client: Client) -> None:
    """Let a stream finish after GOAWAY, and make calls over another connection meanwhile."""
    assert await failures_while_leaving(client) == set()


async def failures_while_leaving(client: Client) -> set[Status]:
    """Make calls until one has taken another connection than that of a server which leaves.

    Returns:
        The statuses of those that failed, but for those that can be made again with no harm.
    """
    failures = set()
    async with (
        client.servers.fresh(client.make) as leaving,
        proxying(leaving.address) as route,
        client.to(route.address) as other,
    ):
        responses = aiter(other.stream(streamed(1, 2, 3, interval=0.2)))
        await anext(responses)
        route.target = client.server.address
        await leaving.finish()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while route.accepted == 1:
                try:
                    await other.unary(SimpleRequest(), deadline=3)
                except RpcError as error:
                    if not error.unprocessed:
                        failures.add(error.status)
        assert [len(each.payload.body) async for each in responses] == [2, 3]
    return failures


async def killed(client: Client) -> None:
    """End with UNAVAILABLE when the server is killed in mid-stream."""
    async with (
        client.servers.fresh(client.make) as server,
        client.to(server.address) as other,
    ):
        responses = aiter(other.stream(streamed(1, 2, interval=10)))
        await anext(responses)
        await server.kill()
        with pytest.raises(RpcError) as failed:
            await anext(responses)
    assert failed.value.status is Status.UNAVAILABLE
