"""All cases, which server differs from them, and what it does instead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from bridge.status import Status
from bridge.upstream.call import RpcError
from tests.interop.cases import further, proxied, published
from tests.interop.cases.requests import RESPONSE_BYTES, streamed
from tests.interop.client import Client
from tests.interop.servers.makes import (
    CONNECT_NODE,
    GRPC_AIO,
    GRPC_GO,
    GRPC_JS,
    GRPC_SYNC,
    GRPCLIB,
    Make,
    Proxy,
)

Case = Callable[[Client], Awaitable[None]]

PUBLISHED: tuple[Case, ...] = (
    published.empty_unary,
    published.large_unary,
    published.empty_stream,
    published.server_streaming,
    published.server_compressed_unary,
    published.server_compressed_streaming,
    published.status_code_and_message,
    published.special_status_message,
    published.unimplemented_method,
    published.unimplemented_service,
    published.custom_metadata,
    published.cancel_after_begin,
    published.cancel_after_first_response,
    published.timeout_on_sleeping_server,
)
FURTHER: tuple[Case, ...] = (
    further.status_details,
    further.deadline,
    further.deadline_in_stream,
    further.many_streams,
    further.many_calls,
    further.large_messages,
    further.tls,
    further.graceful_shutdown,
    further.killed,
)
PROXIED: tuple[Case, ...] = (proxied.no_upstream, proxied.upstream_killed)

CASES = (*PUBLISHED, *FURTHER, *PROXIED)


@dataclass(frozen=True)
class Deviation:
    """What a server does that isn't what the case asks for.

    Attributes:
        makes: The servers that do so.
        case: The case.
        reason: Why, for people.
        instead: Asserts what happens instead.
    """

    makes: tuple[Make, ...]
    case: Case
    reason: str
    instead: Case


async def unary_uncompressed(client: Client) -> None:
    """Assert that a response isn't compressed, and comes whole."""
    address = client.server.address
    assert await published.unary_bytes(client, address, True) > RESPONSE_BYTES


async def stream_uncompressed(client: Client) -> None:
    """Assert that no message of a stream is compressed, and all come whole."""
    address = client.server.address
    assert await published.stream_bytes(client, address, True, False) > 92653 + 31415


async def unary_compressed(client: Client) -> None:
    """Assert that a listener compresses a response though the client doesn't ask for it."""
    assert client.server.compressing is not None
    address = client.server.compressing
    assert await published.unary_bytes(client, address, False) < RESPONSE_BYTES / 10


async def stream_compressed(client: Client) -> None:
    """Assert that a listener compresses all messages of a stream."""
    assert client.server.compressing is not None
    address = client.server.compressing
    assert await published.stream_bytes(client, address, True, False) < 92653 / 2


async def crossing_calls_are_lost(client: Client) -> None:
    """Assert that a server which leaves finishes its stream, and may lose calls that cross that."""
    lost = {Status.CANCELLED, Status.DEADLINE_EXCEEDED}
    assert await further.failures_while_leaving(client) <= lost


async def open_streams_are_dropped(client: Client) -> None:
    """Assert that a server which leaves ends its stream by closing the connection."""
    async with (
        client.servers.fresh(client.make) as leaving,
        client.to(leaving.address) as other,
    ):
        responses = aiter(other.stream(streamed(1, 2, interval=10)))
        await anext(responses)
        await leaving.finish()
        with pytest.raises(RpcError) as failed:
            await anext(responses)
    assert failed.value.status is Status.UNAVAILABLE


_NO_COMPRESSION = "It can't compress responses."
_ALL_OR_NOTHING = "Its listener compresses all responses or none; all, here."

DEVIATIONS = (
    Deviation(
        (GRPCLIB, GRPC_JS), published.server_compressed_unary, _NO_COMPRESSION, unary_uncompressed
    ),
    Deviation(
        (GRPCLIB, GRPC_JS),
        published.server_compressed_streaming,
        _NO_COMPRESSION,
        stream_uncompressed,
    ),
    Deviation(
        (CONNECT_NODE, GRPC_GO),
        published.server_compressed_unary,
        _ALL_OR_NOTHING,
        unary_compressed,
    ),
    Deviation(
        (CONNECT_NODE, GRPC_GO),
        published.server_compressed_streaming,
        _ALL_OR_NOTHING,
        stream_compressed,
    ),
    Deviation(
        (GRPC_AIO, GRPC_SYNC),
        further.graceful_shutdown,
        "Its stream finishes, but a call that crosses its GOAWAY may end with CANCELLED or get no "
        "answer.",
        crossing_calls_are_lost,
    ),
    Deviation(
        (GRPCLIB,),
        further.graceful_shutdown,
        "It sends no GOAWAY, and drops its stream: UNAVAILABLE.",
        open_streams_are_dropped,
    ),
)


def deviation(make: Make, case: Case) -> Deviation | None:
    """Return how ``make`` differs from ``case``, if it does."""
    return next((each for each in DEVIATIONS if each.case is case and make in each.makes), None)


def concerns(make: Make, case: Case) -> bool:
    """Tell whether ``case`` can be asked of ``make``."""
    return case not in PROXIED or isinstance(make, Proxy)


async def run(client: Client, case: Case) -> None:
    """Run ``case``, or what the server does instead of it.

    Raises:
        AssertionError: something else came of it.
    """
    differs = deviation(client.make, case)
    await (case if differs is None else differs.instead)(client)
    await client.has_no_open_calls()
