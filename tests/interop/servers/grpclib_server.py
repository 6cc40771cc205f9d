"""The interop test service on ``grpclib``, which is Python on h2."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from typing import Any

import grpclib
from google.rpc.status_pb2 import Status as RpcStatus
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from bridge.upstream.completion import STREAM_COMPLETION
from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse
from tests.interop.schema import (
    EMPTY_CALL,
    STREAMING_OUTPUT_CALL,
    UNARY_CALL,
    EchoStatus,
    Empty,
    SimpleRequest,
    SimpleResponse,
    StreamingOutputCallRequest,
    StreamingOutputCallResponse,
)
from tests.interop.servers.python import (
    Arguments,
    Asked,
    completion,
    stream_response,
    tell,
    unary_response,
)


class TestService:
    """The service, in the form of what grpclib generates."""

    def __mapping__(self) -> dict[str, Handler]:
        """Return the handlers by their paths."""
        unary, streaming = Cardinality.UNARY_UNARY, Cardinality.UNARY_STREAM
        return {
            EMPTY_CALL.path: Handler(self.empty_call, unary, Empty, Empty),
            UNARY_CALL.path: Handler(self.unary_call, unary, SimpleRequest, SimpleResponse),
            STREAMING_OUTPUT_CALL.path: Handler(
                self.streaming_output_call,
                streaming,
                StreamingOutputCallRequest,
                StreamingOutputCallResponse,
            ),
            STREAM_COMPLETION.path: Handler(
                self.stream_completion,
                streaming,
                StreamCompletionRequest,
                StreamCompletionResponse,
            ),
        }

    async def empty_call(self, stream: Stream[Any, Any]) -> None:
        await stream.recv_message()
        await stream.send_message(Empty())

    async def unary_call(self, stream: Stream[Any, Any]) -> None:
        request: Any = await stream.recv_message()
        asked = await _begin(stream)
        if not request.response_status.code:
            await stream.send_message(unary_response(request.response_size))
        await _end(request, stream, asked)

    async def stream_completion(self, stream: Stream[Any, Any]) -> None:
        request: Any = await stream.recv_message()
        responses, fails = completion(request)
        for response in responses:
            await stream.send_message(response)
        if fails:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "No more.")

    async def streaming_output_call(self, stream: Stream[Any, Any]) -> None:
        request: Any = await stream.recv_message()
        asked = await _begin(stream)
        try:
            for each in request.response_parameters:
                await asyncio.sleep(each.interval_us / 1e6)
                await stream.send_message(stream_response(each.size))
        except asyncio.CancelledError:
            asked.cancelled()
            raise
        await _end(request, stream, asked)


async def _begin(stream: Stream[Any, Any]) -> Asked:
    asked = Asked((stream.metadata or {}).items())
    asked.began(stream.deadline.time_remaining() if stream.deadline else None)
    if asked.initial:
        await stream.send_initial_metadata(metadata=asked.initial)
    return asked


async def _end(request: Any, stream: Stream[Any, Any], asked: Asked) -> None:
    status = request.response_status
    await stream.send_trailing_metadata(
        status=Status(status.code),
        status_message=status.message or None,
        status_details=None if asked.details is None else _unpacked(asked.details),
        metadata=asked.trailing,
    )


def _unpacked(details: Any) -> list[Any]:
    unpacked = []
    for each in RpcStatus.FromString(details).details:
        message = EchoStatus()
        assert each.Unpack(message)
        unpacked.append(message)
    return unpacked


def _with_alpn(arguments: Arguments) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    context.set_alpn_protocols(["h2"])
    return context


async def main() -> None:
    """Serve until SIGTERM, and then cancel what is open: grpclib knows no other end."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    context = _with_alpn(Arguments.of_this_process())
    async with Server([TestService()]) as plain, Server([TestService()]) as secure:
        address, tls = await _listen(plain), await _listen(secure, context)
        tell("listening", version=grpclib.__version__, address=address, tls=tls)
        await terminated.wait()


async def _listen(server: Server, context: ssl.SSLContext | None = None) -> str:
    # Of a socket of another protocol, asyncio thinks that it has no Nagle's algorithm to turn off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    await server.start(sock=listener, ssl=context)
    return f"127.0.0.1:{listener.getsockname()[1]}"


if __name__ == "__main__":
    asyncio.run(main())
