"""FastAPI's own ``EventSourceResponse``, as its documentation shows it, and ``grpc.aio``."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from bench.peers.asgi import Chat, backend, serve, with_backend

app = with_backend()


class Chunk(BaseModel):
    """A piece of an answer."""

    content: str


@app.post("/v1/chat/completions", response_class=EventSourceResponse)
async def complete(chat: Chat) -> AsyncIterator[Chunk]:
    """Stream an answer."""
    async for message in backend(app).StreamCompletion(chat.to_rpc()):
        yield Chunk(content=message.text)
    yield ServerSentEvent(raw_data="[DONE]")  # type: ignore[misc]


if __name__ == "__main__":
    serve(app)
