"""A backend of services that are compiled while the tests run, with all four kinds of RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bridge.transcoding.schema import RpcMethod, Schema, build, read

HANDLERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}

# What the class has, by the name of the method.
Behaviour = Mapping[str, Any]


def schema_of(path: Path) -> Schema:
    return build(read([path]))


@asynccontextmanager
async def serving(
    schema: Schema, behaviour: Behaviour, *, port: int = 0, reflect: bool = True
) -> AsyncIterator[str]:
    """Serve all services of a schema; yield the address."""
    server = aio.server()
    for service, methods in schema.services.items():
        handlers = {
            method.name: _handler(method, behaviour[method.name])
            for method in methods
            if method.name in behaviour
        }
        generic = grpc.method_handlers_generic_handler(service, handlers)
        server.add_generic_rpc_handlers([generic])
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    if reflect:
        names = [*schema.services, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, server, pool=schema.pool)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(0)


def _handler(method: RpcMethod, behaviour: Any) -> grpc.RpcMethodHandler[Any, Any]:
    answer = GetMessageClass(method.response)
    make = HANDLERS[method.client_streaming, method.server_streaming]
    return make(
        behaviour(answer),
        request_deserializer=GetMessageClass(method.request).FromString,
        response_serializer=answer.SerializeToString,
    )
