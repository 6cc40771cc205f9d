"""The methods of the backend that the bridge calls."""

from __future__ import annotations

from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from bridge.upstream.call import Method
from protos.completion.v1.completion_pb2 import (
    ListModelsRequest,
    ListModelsResponse,
    StreamCompletionRequest,
    StreamCompletionResponse,
)

SERVICE = "completion.v1.CompletionService"

STREAM_COMPLETION = Method(
    f"/{SERVICE}/StreamCompletion", StreamCompletionRequest, StreamCompletionResponse.FromString
)
LIST_MODELS = Method(f"/{SERVICE}/ListModels", ListModelsRequest, ListModelsResponse.FromString)
WATCH_HEALTH = Method(
    "/grpc.health.v1.Health/Watch", HealthCheckRequest, HealthCheckResponse.FromString
)
CHECK_HEALTH = Method(
    "/grpc.health.v1.Health/Check", HealthCheckRequest, HealthCheckResponse.FromString
)
