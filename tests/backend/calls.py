"""Calls of a backend, and what they gave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message as ProtobufMessage
from google.rpc import status_pb2

from protos.completion.v1.completion_pb2 import (
    FinishReason,
    Message,
    Role,
    StreamCompletionRequest,
    StreamCompletionResponse,
    Usage,
)
from protos.completion.v1.completion_pb2_grpc import CompletionServiceStub

Metadata = tuple[tuple[str, str], ...]
Call = grpc.aio.UnaryStreamCall[StreamCompletionRequest, StreamCompletionResponse]
Detail = TypeVar("Detail", bound=ProtobufMessage)


def asking(content: str, model: str = "script", **fields: Any) -> StreamCompletionRequest:
    """Return a request in which a user says ``content``."""
    messages = [Message(role=Role.ROLE_USER, content=content)]
    return StreamCompletionRequest(model=model, messages=messages, **fields)


@dataclass
class Answer:
    """All that one call gave."""

    messages: list[StreamCompletionResponse] = field(default_factory=list)
    code: grpc.StatusCode = grpc.StatusCode.OK
    details: str = ""
    trailing_metadata: dict[str, str | bytes] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """The texts of the messages that have one."""
        return [message.text for message in self.messages if message.text]

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def finish_reason(self) -> str:
        """The finish reason, which at most one message has."""
        reasons = [m.finish_reason for m in self.messages if m.finish_reason]
        assert len(reasons) <= 1
        return FinishReason.Name(reasons[0]).removeprefix("FINISH_REASON_") if reasons else ""

    @property
    def usage(self) -> Usage | None:
        """The usage, which only the last message has."""
        assert not any(message.HasField("usage") for message in self.messages[:-1])
        if not self.messages or not self.messages[-1].HasField("usage"):
            return None
        return self.messages[-1].usage

    def detail(self, kind: type[Detail]) -> Detail:
        """Return the one detail of the status that is a ``kind``."""
        packed = self.trailing_metadata["grpc-status-details-bin"]
        assert isinstance(packed, bytes)
        status = status_pb2.Status.FromString(packed)
        assert status.code == self.code.value[0]
        assert status.message == self.details
        (found,) = (detail for detail in status.details if detail.Is(kind.DESCRIPTOR))
        unpacked = kind()
        found.Unpack(unpacked)
        return unpacked


async def read(call: Call) -> Answer:
    """Read what is left of ``call``."""
    answer = Answer()
    try:
        while isinstance(message := await call.read(), StreamCompletionResponse):
            answer.messages.append(message)
    except grpc.aio.AioRpcError:
        pass
    answer.code = await call.code()
    answer.details = await call.details()
    answer.trailing_metadata = dict(await call.trailing_metadata())
    return answer


class Client:
    """A client of one backend.

    Args:
        channel: A channel to it.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.stub = CompletionServiceStub(channel)

    def call(
        self, request: StreamCompletionRequest, metadata: Metadata = (), seconds: float = 60
    ) -> Call:
        """Start a call."""
        return self.stub.StreamCompletion(request, metadata=metadata, timeout=seconds)

    async def begin(
        self, request: StreamCompletionRequest, metadata: Metadata = ()
    ) -> tuple[Call, StreamCompletionResponse]:
        """Start a call, and wait for its first message."""
        call = self.call(request, metadata)
        message = await call.read()
        assert isinstance(message, StreamCompletionResponse)
        return call, message

    async def ask(
        self, request: StreamCompletionRequest, metadata: Metadata = (), seconds: float = 60
    ) -> Answer:
        """Make a call and read it to its end."""
        return await read(self.call(request, metadata, seconds))


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[Client]:
    """Open a channel of its own to the backend at ``address``."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield Client(channel)
