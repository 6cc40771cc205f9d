"""A gRPC backend with two models, whose answers are told by the question."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc import aio

from protos.completion.v1 import completion_pb2_grpc
from protos.completion.v1.completion_pb2 import (
    FINISH_REASON_STOP,
    ListModelsRequest,
    ListModelsResponse,
    Model,
    StreamCompletionRequest,
    StreamCompletionResponse,
    Usage,
)

BLUE = [
    "Sunlight holds all colours. ",
    "Air scatters the short waves, which are blue, far more than the long ones, which are red, ",
    "so blue light reaches your eye from everywhere in the sky.",
    "\n\nIn the evening the light crosses more air. Most of the blue is gone before it arrives, ",
    "and the sky turns red.",
]
MODELS = [
    Model(id="small", description="Short answers, at once.", context_tokens=8192),
    Model(id="large", description="Better answers, later."),
]

Context = aio.ServicerContext[StreamCompletionRequest, StreamCompletionResponse]


class DemoBackend(completion_pb2_grpc.CompletionServiceServicer):
    """Answers why the sky is blue; "And at noon?" is left open, "And on Mars?" fails."""

    def __init__(self) -> None:
        self.asked: list[StreamCompletionRequest] = []

    async def StreamCompletion(  # noqa: N802
        self, request: StreamCompletionRequest, context: Context
    ) -> AsyncIterator[StreamCompletionResponse]:
        self.asked.append(request)
        question = request.messages[-1].content
        for text in BLUE[:3] if question.startswith("And") else BLUE:
            yield StreamCompletionResponse(text=text)
            await asyncio.sleep(0.02)
        if question == "And at noon?":
            await asyncio.Event().wait()
        if question == "And on Mars?":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "The model is being replaced.")
        usage = Usage(prompt_tokens=31, completion_tokens=74, total_tokens=105)
        yield StreamCompletionResponse(finish_reason=FINISH_REASON_STOP, usage=usage)

    async def ListModels(  # noqa: N802
        self, request: ListModelsRequest, context: object
    ) -> ListModelsResponse:
        return ListModelsResponse(models=MODELS)


@asynccontextmanager
async def serving_demo() -> AsyncIterator[tuple[DemoBackend, str]]:
    """Serve it on a free port; its address comes with it."""
    demo = DemoBackend()
    server = aio.server()
    completion_pb2_grpc.add_CompletionServiceServicer_to_server(demo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield demo, f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
