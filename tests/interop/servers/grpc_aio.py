"""The interop test service on ``grpc.aio``."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import grpc
from grpc import aio

from protos.completion.v1.completion_pb2 import StreamCompletionRequest
from tests.interop.schema import Empty
from tests.interop.servers.grpcio_service import (
    CODES,
    GRACE_SECONDS,
    OPTIONS,
    is_compressed,
    serve,
    trailers,
)
from tests.interop.servers.python import Asked, completion, stream_response, tell, unary_response

Context = aio.ServicerContext[Any, Any]


async def empty_call(request: Any, context: Context) -> Any:
    return Empty()


async def unary_call(request: Any, context: Context) -> Any:
    if request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    asked = await _begin(context)
    await _end(request, context, asked)
    return unary_response(request.response_size)


async def streaming_output_call(request: Any, context: Context) -> None:
    if is_compressed(request):
        context.set_compression(grpc.Compression.Gzip)
    asked = await _begin(context)
    try:
        for each in request.response_parameters:
            await asyncio.sleep(each.interval_us / 1e6)
            if not each.compressed.value:
                context.disable_next_message_compression()
            await context.write(stream_response(each.size))
    except asyncio.CancelledError:
        asked.cancelled()
        raise
    await _end(request, context, asked)


async def stream_completion(request: StreamCompletionRequest, context: Context) -> None:
    responses, fails = completion(request)
    for response in responses:
        await context.write(response)
    if fails:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "No more.")


async def _begin(context: Context) -> Asked:
    asked = Asked(context.invocation_metadata() or ())
    asked.began(context.time_remaining())
    # Always: a unary response would not be compressed if they were sent together with it.
    await context.send_initial_metadata(tuple(asked.initial.items()))
    return asked


async def _end(request: Any, context: Context, asked: Asked) -> None:
    context.set_trailing_metadata(trailers(asked))
    status = request.response_status
    if status.code:
        await context.abort(CODES[status.code], status.message, trailers(asked))


async def main() -> None:
    """Serve until SIGTERM, and then end what is open."""
    server = aio.server(options=OPTIONS)
    listening = serve(server, empty_call, unary_call, streaming_output_call, stream_completion)
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    await server.start()
    tell("listening", version=grpc.__version__, **listening)
    await terminated.wait()
    await server.stop(GRACE_SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
