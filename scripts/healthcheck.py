#!/usr/bin/env python
"""Whether the server of a container is well: ``healthcheck bridge`` or ``healthcheck backend``."""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 3


def bridge(port: int) -> str | None:
    """Return what is wrong with the bridge. That the backend is away is not its fault."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    return None if status == 200 else f"/healthz answers {status}"


def backend(port: int) -> str | None:
    """Return what is wrong with the backend."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service="completion.v1.CompletionService")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=SECONDS)
        except grpc.RpcError as error:
            return str(error.details())
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return None if status == "SERVING" else f"it says {status}"


def main() -> None:
    """Check the server that the arguments name.

    Raises:
        SystemExit: with 0 if it's well; else with 1, and the reason on stderr.
    """
    match sys.argv[1:]:
        case ["bridge"]:
            sys.exit(bridge(int(os.environ.get("BRIDGE_PORT", "8000"))))
        case ["backend"]:
            sys.exit(backend(int(os.environ.get("BACKEND_PORT", "50051"))))
        case _:
            sys.exit("usage: healthcheck bridge|backend")


if __name__ == "__main__":
    main()
