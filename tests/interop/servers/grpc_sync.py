"""The interop test service on the server of grpcio that has a pool of threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

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

THREADS = 40

Context = grpc.ServicerContext


def empty_call(request: Any, context: Context) -> Any:
    return Empty()


def unary_call(request: Any, context: Context) -> Any:
    if request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    asked = _begin(context)
    _end(request, context, asked)
    return unary_response(request.response_size)


def streaming_output_call(request: Any, context: Context) -> Iterator[Any]:
    if is_compressed(request):
        context.set_compression(grpc.Compression.Gzip)
    asked = _begin(context)
    served, over = threading.Event(), threading.Event()

    def terminated() -> None:
        over.set()
        if not served.is_set():
            asked.cancelled()

    context.add_callback(terminated)
    for each in request.response_parameters:
        over.wait(each.interval_us / 1e6)
        if not each.compressed.value:
            context.disable_next_message_compression()
        yield stream_response(each.size)
    served.set()
    _end(request, context, asked)


def stream_completion(request: StreamCompletionRequest, context: Context) -> Iterator[Any]:
    responses, fails = completion(request)
    yield from responses
    if fails:
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "No more.")


def _begin(context: Context) -> Asked:
    asked = Asked(context.invocation_metadata())
    asked.began(context.time_remaining())
    if asked.initial:
        context.send_initial_metadata(tuple(asked.initial.items()))
    return asked


def _end(request: Any, context: Context, asked: Asked) -> None:
    context.set_trailing_metadata(trailers(asked))
    if request.response_status.code:
        context.abort(CODES[request.response_status.code], request.response_status.message)


def main() -> None:
    """Serve until SIGTERM, and then end what is open."""
    # Before there are threads: any that takes the signal would leave this one asleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    listening = serve(server, empty_call, unary_call, streaming_output_call, stream_completion)
    server.start()
    tell("listening", version=grpc.__version__, **listening)
    signal.sigwait({signal.SIGTERM})
    server.stop(GRACE_SECONDS).wait()


if __name__ == "__main__":
    main()
