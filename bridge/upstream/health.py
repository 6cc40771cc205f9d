"""What a backend says of its own health, by ``grpc.health.v1``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from bridge.status import Status
from bridge.upstream.call import Channel, Metadata, RpcError
from bridge.upstream.completion import CHECK_HEALTH, WATCH_HEALTH

_CHECK_EVERY_SECONDS = 1.0
_CHECK_DEADLINE_SECONDS = 2.0


async def watch(
    channel: Channel, service: str, metadata: Metadata
) -> AsyncIterator[RpcError | None]:
    """Yield why the backend can't serve, or None when it can: now, and at each change.

    A backend that doesn't offer ``Watch`` is asked by ``Check`` every second. One without the
    health service is there, and that is all that can be known.

    Args:
        channel: To the backend.
        service: Which of its services is meant; empty for all of it.
        metadata: What proves who asks.

    Raises:
        RpcError: the backend can't be reached any more.
    """
    request = HealthCheckRequest(service=service)
    call = channel.stream(WATCH_HEALTH, (request,), metadata, deadline=None)
    try:
        async for responses in call:
            yield _obstacle(responses[-1], service)
    except RpcError as error:
        if error.status is Status.UNAVAILABLE:
            raise
    finally:
        call.cancel()
    while True:
        yield await _check(channel, request, metadata)
        await asyncio.sleep(_CHECK_EVERY_SECONDS)


async def _check(
    channel: Channel, request: HealthCheckRequest, metadata: Metadata
) -> RpcError | None:
    try:
        response = await channel.unary(
            CHECK_HEALTH, request, metadata, deadline=_CHECK_DEADLINE_SECONDS
        )
    except RpcError as error:
        match error.status:
            case Status.UNIMPLEMENTED:
                return None
            case Status.NOT_FOUND:
                return _unknown_service(request.service)
            case Status.UNAVAILABLE:
                raise
        return error
    return _obstacle(response, request.service)


def _obstacle(response: HealthCheckResponse, service: str) -> RpcError | None:
    if response.status == HealthCheckResponse.SERVING:
        return None
    if response.status == HealthCheckResponse.SERVICE_UNKNOWN:
        return _unknown_service(service)
    try:
        state = HealthCheckResponse.ServingStatus.Name(response.status)
    except ValueError:
        state = f"the unknown status {response.status}"
    return RpcError(Status.UNAVAILABLE, f"The backend says {state}.")


def _unknown_service(service: str) -> RpcError:
    return RpcError(Status.UNIMPLEMENTED, f"The backend does not offer {service}.")
