"""A browser is told how a stream ended, whatever its backend is made of."""

from __future__ import annotations

import pytest

from bridge.settings import Settings
from tests.conftest import DONE, ask, http_client, on_each_transport, serving_bridge
from tests.interop.servers.makes import GRPC_GO, MAKES, Make, Servers

TEXTS = b'data: {"content":"a"}\n\ndata: {"content":"b"}\n\n'
FAILURE = b'data: {"error":"No more.","code":"RESOURCE_EXHAUSTED","retryable":true}\n\n'

# It has no StreamCompletion: its generator of code knows no optional fields.
COMPLETING = [make for make in MAKES if make is not GRPC_GO]


@on_each_transport
@pytest.mark.parametrize("make", COMPLETING, ids=lambda make: make.name)
@pytest.mark.parametrize(("model", "ending"), [("ends", DONE), ("fails", FAILURE + DONE)])
async def test_a_stream_ends_with_the_truth(
    make: Make, model: str, ending: bytes, servers: Servers
) -> None:
    backend = (await servers.shared(make)).address
    settings = Settings(backend=backend, shutdown_grace=0)
    async with (
        serving_bridge(settings) as bridge,
        http_client(bridge.url, timeout=20) as http,
    ):
        answer = await http.post("/v1/chat/completions", json=ask("go", model=model))
    assert answer.content == TEXTS + ending
