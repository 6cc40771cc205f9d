"""Cases for what stands behind a proxy."""

from __future__ import annotations

import pytest

from bridge.status import Status
from bridge.upstream.call import RpcError
from tests.interop.cases.requests import streamed
from tests.interop.client import Client
from tests.interop.schema import SimpleRequest
from tests.interop.servers.makes import GRPC_GO, Proxy
from tests.interop.servers.running import NOWHERE, UPSTREAM


async def no_upstream(client: Client) -> None:
    """End with UNAVAILABLE when nobody listens where the proxy sends a call."""
    with pytest.raises(RpcError) as failed:
        await client.unary(SimpleRequest(), ((UPSTREAM, NOWHERE),))
    assert failed.value.status is Status.UNAVAILABLE


async def upstream_killed(client: Client) -> None:
    """End with INTERNAL, for a reset stream, when the server behind the proxy is killed."""
    assert isinstance(client.make, Proxy)
    async with (
        client.servers.fresh(GRPC_GO) as server,
        client.servers.before(client.make, server) as proxy,
        client.to(proxy.address) as other,
    ):
        responses = aiter(other.stream(streamed(1, 2, interval=10)))
        await anext(responses)
        await server.kill()
        with pytest.raises(RpcError) as failed:
            await anext(responses)
    assert failed.value.status is Status.INTERNAL
