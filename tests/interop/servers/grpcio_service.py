"""What the two servers of grpcio have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import grpc

from bridge.upstream.completion import SERVICE as COMPLETION_SERVICE
from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse
from tests.interop.schema import (
    SERVICE,
    Empty,
    SimpleRequest,
    SimpleResponse,
    StreamingOutputCallRequest,
    StreamingOutputCallResponse,
)
from tests.interop.servers.python import MAX_CONCURRENT_STREAMS, Arguments, Asked

OPTIONS = (("grpc.max_concurrent_streams", MAX_CONCURRENT_STREAMS),)
CODES = {code.value[0]: code for code in grpc.StatusCode}
GRACE_SECONDS = 30

Behaviour = Callable[[Any, Any], Any]


class Server(Protocol):
    """What a ``grpc.Server`` and a ``grpc.aio.Server`` both have."""

    def add_generic_rpc_handlers(self, handlers: Any, /) -> None:
        """Add handlers."""
        ...

    def add_insecure_port(self, address: str, /) -> int:
        """Listen, and return the port."""
        ...

    def add_secure_port(self, address: str, credentials: Any, /) -> int:
        """Listen with TLS, and return the port."""
        ...


def serve(
    server: Server,
    empty: Behaviour,
    unary: Behaviour,
    streaming: Behaviour,
    completion: Behaviour,
) -> dict[str, str]:
    """Add the services to ``server``, and return where it listens."""
    handlers = {
        "EmptyCall": grpc.unary_unary_rpc_method_handler(
            empty, Empty.FromString, Empty.SerializeToString
        ),
        "UnaryCall": grpc.unary_unary_rpc_method_handler(
            unary, SimpleRequest.FromString, SimpleResponse.SerializeToString
        ),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(
            streaming,
            StreamingOutputCallRequest.FromString,
            StreamingOutputCallResponse.SerializeToString,
        ),
    }
    completions = {
        "StreamCompletion": grpc.unary_stream_rpc_method_handler(
            completion,
            StreamCompletionRequest.FromString,
            StreamCompletionResponse.SerializeToString,
        )
    }
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, handlers),
            grpc.method_handlers_generic_handler(COMPLETION_SERVICE, completions),
        )
    )
    credentials = grpc.ssl_server_credentials([Arguments.of_this_process().pair])
    return {
        "address": f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}",
        "tls": f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}",
    }


def trailers(asked: Asked) -> tuple[tuple[str, Any], ...]:
    """Return the trailing metadata that a call asked for."""
    details = {} if asked.details is None else {"grpc-status-details-bin": asked.details}
    return (*asked.trailing.items(), *details.items())


def is_compressed(request: Any) -> bool:
    """Tell whether any response to ``request`` is to be compressed."""
    return any(each.compressed.value for each in request.response_parameters)
