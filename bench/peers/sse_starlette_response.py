"""The package sse-starlette, as its documentation shows it, and ``grpc.aio``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse

from bench.peers.asgi import Chat, backend, serve, with_backend

app = with_backend()


@app.post("/v1/chat/completions")
async def complete(chat: Chat) -> EventSourceResponse:
    """Stream an answer."""

    async def events() -> AsyncIterator[dict[str, str]]:
        async for message in backend(app).StreamCompletion(chat.to_rpc()):
            yield {"data": json.dumps({"content": message.text})}
        yield {"data": "[DONE]"}

    return EventSourceResponse(events())


if __name__ == "__main__":
    serve(app)
