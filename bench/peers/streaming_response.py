"""What everybody writes: FastAPI's ``StreamingResponse``, ``json.dumps`` and ``grpc.aio``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from bench.peers.asgi import Chat, backend, serve, with_backend

app = with_backend()


@app.post("/v1/chat/completions")
async def complete(chat: Chat) -> StreamingResponse:
    """Stream an answer."""

    async def frames() -> AsyncIterator[str]:
        async for message in backend(app).StreamCompletion(chat.to_rpc()):
            yield f"data: {json.dumps({'content': message.text})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(frames(), media_type="text/event-stream")


if __name__ == "__main__":
    serve(app)
