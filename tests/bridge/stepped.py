"""A gRPC backend of which a test decides each step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
from grpc import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from bridge.upstream.completion import CHECK_HEALTH, STREAM_COMPLETION, WATCH_HEALTH
from protos.completion.v1.completion_pb2 import StreamCompletionResponse

Health = grpc.StatusCode | int
Step = bytes | tuple[grpc.StatusCode, str]


class SteppedBackend(grpc.GenericRpcHandler):
    """Serves StreamCompletion, one call at a time: a message goes out when the test sends it."""

    def __init__(self) -> None:
        self.address = ""
        self.written = 0
        self.ended = 0
        self.trailers: tuple[tuple[str, str | bytes], ...] = ()
        self.seconds_left: float | None = None
        self.health: Health | None = None
        self.watched = False
        self.breaks_off_the_watch = False
        self.asked_for: list[str] = []
        self.metadata: list[tuple[str, str | bytes]] = []
        self.client_name: str | None = None
        self.connections: set[str] = set()
        self.server: aio.Server
        self._steps: asyncio.Queue[Step] = asyncio.Queue()
        self._began = asyncio.Event()
        self._cancelled = asyncio.Event()

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        self.asked_for.append(details.method or "")
        if details.method == CHECK_HEALTH.path and self.health is not None:
            return grpc.unary_unary_rpc_method_handler(self._check)
        if details.method == WATCH_HEALTH.path and self.watched:
            return grpc.unary_stream_rpc_method_handler(self._watch)
        if details.method != STREAM_COMPLETION.path:
            return None
        self.metadata = list(details.invocation_metadata)
        return grpc.unary_stream_rpc_method_handler(self._complete)

    async def _complete(self, request: bytes, context: aio.ServicerContext[bytes, bytes]) -> None:
        self.connections.add(context.peer())
        self.seconds_left = context.time_remaining()
        for name in context.auth_context().get("x509_common_name", ()):
            self.client_name = name.decode()
        self._began.set()
        try:
            while isinstance(step := await self._steps.get(), bytes):
                await context.write(step)
                self.written += 1
            if step[0] is not grpc.StatusCode.OK:
                await context.abort(*step, trailing_metadata=self.trailers)
        except asyncio.CancelledError:
            self._cancelled.set()
            raise
        except aio.InternalError:
            # The client has left while a message was being written.
            self._cancelled.set()
        finally:
            self.ended += 1

    async def _watch(self, request: bytes, context: aio.ServicerContext[bytes, bytes]) -> None:
        await context.write(HealthCheckResponse(status=self.health).SerializeToString())
        if self.breaks_off_the_watch:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no")
        await asyncio.get_running_loop().create_future()

    async def _check(self, request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        if isinstance(self.health, grpc.StatusCode):
            await context.abort(self.health, "no")
        raw: bytes = HealthCheckResponse(status=self.health).SerializeToString()
        return raw

    async def send(self, message: StreamCompletionResponse | bytes) -> None:
        """Let the call send ``message``."""
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        await self._steps.put(raw)

    async def end(self, code: grpc.StatusCode = grpc.StatusCode.OK, message: str = "") -> None:
        """Let the call end."""
        await self._steps.put((code, message))

    async def began(self) -> None:
        """Wait until a call has arrived."""
        async with asyncio.timeout(5):
            await self._began.wait()

    async def leave(self) -> None:
        """Take no more connections and no more calls, and stop when the open call has ended."""
        await self.server.stop(30)

    async def cancelled(self) -> None:
        """Wait until a call has been cancelled by its client."""
        async with asyncio.timeout(5):
            await self._cancelled.wait()


@asynccontextmanager
async def serving_stepped(
    address: str = "127.0.0.1:0",
    credentials: grpc.ServerCredentials | None = None,
    options: Sequence[tuple[str, int]] = (),
) -> AsyncIterator[SteppedBackend]:
    """Serve a stepped backend on ``address``, by default on a free port."""
    stepped = SteppedBackend()
    stepped.server = server = aio.server(options=options)
    server.add_generic_rpc_handlers((stepped,))
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    stepped.address = address.replace(":0", f":{port}")
    await server.start()
    try:
        yield stepped
    finally:
        await server.stop(0)
