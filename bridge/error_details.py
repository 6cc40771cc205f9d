"""The ``google.rpc`` messages that come with a status, in ``grpc-status-details-bin``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, LocalizedMessage, RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus

from bridge.status import Status
from bridge.upstream import RpcError

_KEY = "grpc-status-details-bin"

Detail = TypeVar("Detail", bound=Message)


def retry_delay(error: RpcError) -> float | None:
    """Return the seconds of a ``RetryInfo`` after which to try again, if there is one."""
    for info in _details(error, RetryInfo):
        return float(info.retry_delay.seconds + info.retry_delay.nanos * 1e-9)
    return None


def field_violations(error: RpcError) -> list[tuple[str, str]]:
    """Return the fields that a ``BadRequest`` names, each with what is wrong with it."""
    return [
        (violation.field, violation.description)
        for bad_request in _details(error, BadRequest)
        for violation in bad_request.field_violations
    ]


def bad_request(violations: Sequence[tuple[str, str]]) -> RpcError:
    """Return INVALID_ARGUMENT with a ``BadRequest``.

    Args:
        violations: The fields that are wrong, each with what is wrong with it; an empty one is
            the whole request.
    """
    detail = BadRequest()
    for field, description in violations:
        detail.field_violations.add(field=field, description=description)
    message = "; ".join(": ".join(filter(None, violation)) for violation in violations)
    status = RpcStatus(code=Status.INVALID_ARGUMENT.code, message=message)
    status.details.add().Pack(detail)
    return RpcError(Status.INVALID_ARGUMENT, message, [(_KEY, status.SerializeToString())])


def is_for_users(detail: Any) -> bool:
    """Return whether a detail may be shown to users: a ``LocalizedMessage``, by its definition."""
    found: bool = detail.Is(LocalizedMessage.DESCRIPTOR)
    return found


def details(error: RpcError) -> Sequence[Any]:
    """Return all details of an RPC that failed, of whatever types."""
    status = dict(error.trailers).get(_KEY)
    if not isinstance(status, bytes):
        return ()
    try:
        found: Sequence[Any] = RpcStatus.FromString(status).details
    except DecodeError:
        return ()
    return found


def _details(error: RpcError, kind: type[Detail]) -> Iterator[Detail]:
    with suppress(DecodeError):
        for detail in details(error):
            found = kind()
            if detail.Unpack(found):
                yield found
