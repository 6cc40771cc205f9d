"""What the Python peers share: the request, the backend's stub, and uvicorn."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, cast

import uvicorn
from fastapi import FastAPI
from grpc import aio
from pydantic import BaseModel
from starlette.types import ASGIApp

from protos.completion.v1.completion_pb2 import Message, Role, StreamCompletionRequest
from protos.completion.v1.completion_pb2_grpc import CompletionServiceStub

if TYPE_CHECKING:
    from protos.completion.v1.completion_pb2_grpc import CompletionServiceAsyncStub

_ROLES = {
    "system": Role.ROLE_SYSTEM,
    "user": Role.ROLE_USER,
    "assistant": Role.ROLE_ASSISTANT,
}


class ChatMessage(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(BaseModel):
    """A conversation."""

    messages: list[ChatMessage]

    def to_rpc(self) -> StreamCompletionRequest:
        """Return the request of the RPC."""
        return StreamCompletionRequest(
            messages=[Message(role=_ROLES[m.role], content=m.content) for m in self.messages]
        )


def with_backend() -> FastAPI:
    """Return an application that has one channel to the backend, for all requests."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with aio.insecure_channel(arguments().backend) as channel:
            app.state.backend = CompletionServiceStub(channel)
            yield

    return FastAPI(lifespan=lifespan)


def backend(app: FastAPI) -> CompletionServiceAsyncStub:
    """Return the backend of an application."""
    # The generated class is the same; only its types differ.
    return cast("CompletionServiceAsyncStub", app.state.backend)


def arguments() -> argparse.Namespace:
    """Read ``--port`` and ``--backend``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--backend", required=True)
    return parser.parse_args()


def serve(app: ASGIApp) -> None:
    """Serve with uvicorn, on uvloop and httptools, and without a log of accesses."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=arguments().port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
    )
