"""The error that ends a call, and the details of a gRPC status."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

DETAILS_KEY = "grpc-status-details-bin"
# gRPC refuses trailers of more than 8 KB.
MAX_VIOLATIONS = 16

Violation = tuple[str, str]


class RpcError(Exception):
    """Ends a call with a gRPC status.

    Args:
        code: The status code.
        message: What went wrong and what to do about it; clients see it.
        details: ``google.rpc`` messages for programs, such as ``BadRequest`` or ``RetryInfo``.
    """

    def __init__(
        self, code: grpc.StatusCode, message: str, details: Sequence[Message] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Write the details as every gRPC library reads them: in a ``google.rpc.Status``."""
        if not self.details:
            return ()
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            if isinstance(detail, any_pb2.Any):
                status.details.append(detail)
            else:
                status.details.add().Pack(detail)
        return ((DETAILS_KEY, status.SerializeToString()),)


def retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    """Say that a request may be sent again after ``seconds``."""
    detail = error_details_pb2.RetryInfo()
    detail.retry_delay.FromMilliseconds(round(seconds * 1000))
    return detail


def bad_request(violations: Sequence[Violation]) -> RpcError:
    """INVALID_ARGUMENT with a ``google.rpc.BadRequest``.

    Args:
        violations: Path of a field and what is wrong with it, for each wrong field. The first
            16 are told.
    """
    told = violations[:MAX_VIOLATIONS]
    detail = error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
            for field, description in told
        ]
    )
    message = "; ".join(f"{field}: {description}" for field, description in told)
    if len(told) < len(violations):
        message += f"; and {len(violations) - len(told)} more"
    return RpcError(grpc.StatusCode.INVALID_ARGUMENT, message, [detail])
