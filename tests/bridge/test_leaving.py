"""What happens to the RPC when the client leaves."""

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
from structlog.testing import capture_logs

from bridge.settings import Settings
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import RunningBridge, ask, eventually, on_each_transport, serving_bridge

pytestmark = on_each_transport

PATH = "/v1/chat/completions"


class RawClient:
    """An HTTP client that can leave in any way a socket can."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def post(
        cls, running: RunningBridge, request_id: str, stream: bool = True
    ) -> "RawClient":
        body = json.dumps(ask("hello", stream=stream)).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(running.url).port)
        writer.write(
            b"POST %s HTTP/1.1\r\nhost: bridge\r\ncontent-type: application/json\r\n"
            b"x-request-id: %s\r\ncontent-length: %d\r\n\r\n%s"
            % (PATH.encode(), request_id.encode(), len(body), body)
        )
        return cls(reader, writer)

    async def leave(self, *, abruptly: bool) -> None:
        if abruptly:
            self.writer.transport.abort()
        else:
            self.writer.close()
            await self.writer.wait_closed()


@pytest.mark.parametrize("abruptly", [True, False])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("messages", [0, 1, 3])
async def test_the_rpc_is_cancelled_when_the_client_leaves(
    stepped: SteppedBackend,
    messages: int,
    stream: bool,
    abruptly: bool,
    record_property: Callable[[str, object], None],
) -> None:
    async with serving_bridge(Settings(backend=stepped.address)) as running:
        client = await RawClient.post(running, "the-request", stream)
        await stepped.began()
        for _ in range(messages):
            await stepped.send(StreamCompletionResponse(text="ab"))
        if stream:
            for _ in range(messages):
                await client.reader.readuntil(b'data: {"content":"ab"}\n\n')
        await eventually(lambda: len(running.streams) == 1)
        left = asyncio.get_running_loop().time()
        await client.leave(abruptly=abruptly)
        await stepped.cancelled()
        record_property("seconds to the cancellation", asyncio.get_running_loop().time() - left)

        record = await running.record("the-request")
        assert (record.outcome, record.code) == (Outcome.LEFT, None)
        assert record.request_id == "the-request"
        if stream:
            assert (record.messages, record.text) == (messages, "ab" * messages)
        assert len(running.streams) == 0


async def test_a_client_that_leaves_is_no_error_in_the_log(
    stepped: SteppedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logged:
        async with serving_bridge(Settings(backend=stepped.address)) as running:
            client = await RawClient.post(running, "the-request")
            await stepped.began()
            await client.leave(abruptly=True)
            await running.record("the-request")
    ended = next(line for line in logged if line["event"] == "stream ended")
    assert (ended["log_level"], ended["outcome"]) == ("info", "left by the client")
    assert [r for r in caplog.records if r.levelname in {"WARNING", "ERROR", "CRITICAL"}] == []


async def test_a_client_that_leaves_does_not_touch_its_neighbour(
    http: httpx.AsyncClient, bridge_server: RunningBridge
) -> None:
    slow = json.dumps({"text": "ab", "count": 20, "interval_ms": 20})
    neighbour = asyncio.create_task(http.post(PATH, json=ask(slow)))
    client = await RawClient.post(bridge_server, "leaver")
    await client.leave(abruptly=True)
    response = await neighbour
    assert response.content.count(b'data: {"content":"ab"}\n\n') == 20
    assert response.content.endswith(b"data: [DONE]\n\n")
