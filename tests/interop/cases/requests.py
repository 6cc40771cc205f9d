"""The requests of the cases, and the metadata with which a server tells what it sees."""

from __future__ import annotations

import uuid
from typing import Any

from bridge.status import Status
from tests.interop.schema import (
    BoolValue,
    EchoStatus,
    Payload,
    ResponseParameters,
    SimpleRequest,
    StreamingOutputCallRequest,
)

# The sizes of gRPC's interop tests.
REQUEST_BYTES = 271828
RESPONSE_BYTES = 314159


def large(
    request_bytes: int = REQUEST_BYTES, response_bytes: int = RESPONSE_BYTES, **fields: Any
) -> Any:
    """Return a request to UnaryCall, large, for a large response."""
    payload = Payload(body=bytes(request_bytes))
    return SimpleRequest(response_size=response_bytes, payload=payload, **fields)


def streamed(*sizes: int, interval: float = 0, **fields: Any) -> Any:
    """Return a request to StreamingOutputCall.

    Args:
        sizes: Those of the payloads of the responses.
        interval: Seconds before each response but the first.
        fields: Others of the request.
    """
    parameters = [
        ResponseParameters(size=size, interval_us=int(interval * 1e6) if number else 0)
        for number, size in enumerate(sizes)
    ]
    return StreamingOutputCallRequest(response_parameters=parameters, **fields)


def status(code: Status, message: str) -> Any:
    """Return what makes a server end the call with a status."""
    return EchoStatus(code=code.code, message=message)


def compressed(value: bool) -> Any:
    """Return what makes a server compress a response, or not."""
    return BoolValue(value=value)


def new_call() -> str:
    """Return what a call sends as ``x-interop-call``, so that the server tells of it."""
    return uuid.uuid4().hex
