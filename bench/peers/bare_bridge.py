"""The bridge without its extras: no heartbeats, deadlines, limits, account and record.

The same request, upstream, dialect and server; a stream is still cancelled when its client leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bench.peers.asgi import arguments
from bridge.app import open_backends
from bridge.dialects.plain import ChatRequest, PlainDialect
from bridge.direct_send import DirectSendServer, direct_send
from bridge.listeners import bind
from bridge.settings import Settings
from bridge.telemetry.log import configure_logging
from bridge.telemetry.record import StreamAccount
from bridge.upstream import Call
from bridge.upstream.completion import STREAM_COMPLETION
from protos.completion.v1.completion_pb2 import StreamCompletionResponse

_DEADLINE_SECONDS = 600


class BareResponse(Response):
    """Sends each message as it comes, and no more."""

    def __init__(self, call: Call[StreamCompletionResponse]) -> None:
        super().__init__()
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        watcher = asyncio.create_task(self._watch(receive))
        dialect = PlainDialect()
        headers = [
            (b"content-type", dialect.media_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        direct = direct_send(scope)
        last: Sequence[StreamCompletionResponse] = ()

        def relay(messages: Sequence[StreamCompletionResponse]) -> bool:
            nonlocal last
            if direct is None or not direct.ready:
                return False
            last = messages
            direct(b"".join(map(dialect.message, messages)))
            return True

        self._call.relay(relay)
        async for messages in self._call:
            last = messages
            body = b"".join(map(dialect.message, messages))
            await send({"type": "http.response.body", "body": body, "more_body": True})
        account = StreamAccount("", "", keep_answer=False)
        account.add(last, time.monotonic())
        await send({"type": "http.response.body", "body": dialect.closing(account)})
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._call.cancel()


def create_app(settings: Settings) -> FastAPI:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_backends(settings) as backends:
            app.state.backends = backends
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/chat/completions")
    async def complete(body: ChatRequest) -> Response:
        """Stream the answer to a conversation."""
        rpc = body.to_rpc()
        backends = app.state.backends
        return BareResponse(backends.stream(STREAM_COMPLETION, (rpc,), deadline=_DEADLINE_SECONDS))

    return app


def main() -> None:
    """Serve with uvicorn, on sockets like the bridge's."""
    configure_logging("json")
    settings = Settings(backend=arguments().backend, port=arguments().port)
    sockets = bind(settings.host, settings.port, write_timeout=settings.write_timeout)
    config = uvicorn.Config(
        DirectSendServer(create_app(settings)),
        access_log=False,
        log_level="error",
        lifespan="on",
        server_header=False,
    )
    uvicorn.Server(config).run(sockets)


if __name__ == "__main__":
    main()
