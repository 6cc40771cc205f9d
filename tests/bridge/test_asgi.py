"""The application under ASGI servers that do what uvicorn doesn't, but the specification allows."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message

from bridge.app import create_app
from bridge.settings import Settings
from bridge.telemetry.record import StreamRecord
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend
from tests.conftest import CUT, ask, on_each_transport

pytestmark = on_each_transport

FRAME = b'data: {"content":"a"}\n\n'


class Exchange:
    """One request, as an ASGI server hands it to the application."""

    def __init__(self) -> None:
        body = json.dumps(ask("hello")).encode()
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
        self.body = b""
        self.broken = False
        self.sent = asyncio.Event()

    async def receive(self) -> Message:
        return await self.incoming.get()

    async def send(self, message: Message) -> None:
        if self.broken:
            raise OSError
        self.body += message.get("body", b"")
        self.sent.set()

    async def has_sent(self, frames: bytes) -> None:
        async with asyncio.timeout(5):
            while self.body != frames:
                self.sent.clear()
                await self.sent.wait()


@asynccontextmanager
async def exchange(
    stepped: SteppedBackend,
) -> AsyncIterator[tuple[Exchange, "asyncio.Task[None]", Callable[[], StreamRecord]]]:
    """Ask for a stream, of which one message has been sent."""
    records: list[StreamRecord] = []
    app = create_app(Settings(backend=stepped.address), on_stream_end=records.append)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"bridge"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    def record() -> StreamRecord:
        (only,) = records
        return only

    async with app.router.lifespan_context(app):
        one = Exchange()
        serving = asyncio.create_task(app(scope, one.receive, one.send))
        await stepped.send(StreamCompletionResponse(text="a"))
        await one.has_sent(FRAME)
        yield one, serving, record


async def test_a_send_that_fails_is_a_client_that_has_left(stepped: SteppedBackend) -> None:
    async with exchange(stepped) as (one, serving, record):
        one.broken = True
        await stepped.send(StreamCompletionResponse(text="b"))
        await serving
        await stepped.cancelled()
    assert (record().outcome, record().text) == (Outcome.LEFT, "a")


async def test_a_send_that_fails_at_the_end_is_no_error(stepped: SteppedBackend) -> None:
    async with exchange(stepped) as (one, serving, record):
        one.broken = True
        await stepped.end()
        await serving
    assert record().text == "a"


async def test_a_cancelled_request_tells_its_verdict(stepped: SteppedBackend) -> None:
    async with exchange(stepped) as (one, serving, record):
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        await stepped.cancelled()
    assert one.body == FRAME + CUT
    assert record().outcome is Outcome.SHUTDOWN


async def test_only_a_disconnect_is_a_client_that_has_left(stepped: SteppedBackend) -> None:
    async with exchange(stepped) as (one, serving, record):
        one.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await stepped.send(StreamCompletionResponse(text="b"))
        await one.has_sent(FRAME + b'data: {"content":"b"}\n\n')
        one.incoming.put_nowait({"type": "http.disconnect"})
        await serving
        await stepped.cancelled()
    assert (record().outcome, record().text) == (Outcome.LEFT, "ab")


async def test_streams_that_are_open_when_the_application_ends_are_cut(
    stepped: SteppedBackend,
) -> None:
    async with exchange(stepped) as (one, serving, record):
        pass
    await serving
    assert one.body == FRAME + CUT
    assert record().outcome is Outcome.SHUTDOWN
