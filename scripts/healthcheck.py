#!/usr/bin/env python
"""Exits with 0 if the server of this container is well: ``healthcheck bridge`` or ``backend``."""

from __future__ import annotations

import http.client
import os
import sys


def bridge(port: int) -> bool:
    """Whether the bridge answers. A backend that is away does not make the bridge unwell."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    connection.request("GET", "/healthz")
    return connection.getresponse().status == 200


def backend(port: int) -> bool:
    """Whether the backend says SERVING."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service="completion.v1.CompletionService")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=3)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def main() -> None:
    """Check the server that the arguments name.

    Raises:
        SystemExit: with 0 if it's well, else with 1 or what is wrong with the arguments.
    """
    match sys.argv[1:]:
        case ["bridge"]:
            well = bridge(int(os.environ.get("BRIDGE_PORT", "8000")))
        case ["backend"]:
            well = backend(int(os.environ.get("BACKEND_PORT", "50051")))
        case _:
            sys.exit("usage: healthcheck bridge|backend")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
