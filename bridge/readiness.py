"""Whether the backend can serve, asked at most once a second."""

from __future__ import annotations

import asyncio
import time

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from bridge.status import Status
from bridge.upstream import Channel, RpcError
from bridge.upstream.completion import CHECK_HEALTH, SERVICE

_FRESH_SECONDS = 1.0
_DEADLINE_SECONDS = 2.0


class Readiness:
    """Asks the backend's ``grpc.health.v1.Health`` and remembers the answer for a second."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        self._obstacle: RpcError | None = None

    async def obstacle(self) -> RpcError | None:
        """Return why the backend can't serve, or None when it can."""
        async with self._asking:
            if time.monotonic() - self._asked >= _FRESH_SECONDS:
                self._obstacle = await ask(self._channel)
                self._asked = time.monotonic()
            return self._obstacle


async def ask(channel: Channel) -> RpcError | None:
    """Ask the backend now; return why it can't serve, or None when it can.

    A backend without the health service answers UNIMPLEMENTED: it's there, and that is all that
    can be known.
    """
    request = HealthCheckRequest(service=SERVICE)
    try:
        response = await channel.unary(CHECK_HEALTH, request, deadline=_DEADLINE_SECONDS)
    except RpcError as error:
        if error.status is Status.UNIMPLEMENTED:
            return None
        if error.status is Status.NOT_FOUND:
            return RpcError(Status.UNIMPLEMENTED, f"The backend does not offer {SERVICE}.")
        return error
    if response.status == HealthCheckResponse.SERVING:
        return None
    state = HealthCheckResponse.ServingStatus.Name(response.status)
    return RpcError(Status.UNAVAILABLE, f"The backend says {state}.")
