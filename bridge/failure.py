"""What a browser is told of an RPC that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any

from bridge.error_details import details, field_violations, is_for_users, retry_delay
from bridge.status import Status
from bridge.upstream import RpcError


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure in words for a browser.

    Attributes:
        message: What happened; never empty.
        status: The gRPC status.
        fields: Each field of the request that is wrong, by its path, and what is wrong with it.
        retry_after: Seconds after which the backend wants to be asked again, if it said so.
        request_id: The ``x-request-id`` of the request, if it has one.
        details: What the backend has added to the status.
    """

    message: str
    status: Status
    fields: Sequence[tuple[str, str]] = ()
    retry_after: float | None = None
    request_id: str | None = None
    details: Sequence[Any] = ()


def describe(error: RpcError, request_id: str, *, show_details: bool) -> Failure:
    """Return what to tell a browser of ``error``.

    The messages of UNKNOWN, INTERNAL and DATA_LOSS, and what a transport says of a lost
    connection, are about the inside of a server: a browser gets a plain sentence, and with the
    former the request id by which the log tells the rest. Of their details it gets those that are
    for users.

    Args:
        error: How the RPC ended.
        request_id: The ``x-request-id`` of the request.
        show_details: Tell all the same.
    """
    status = error.status
    if show_details:
        message = error.message or error.cause or status.sentence
    elif status.private:
        message = f"{status.sentence} Request id: {request_id}"
    else:
        message = error.message or status.sentence
    told = details(error)
    if status.private and not show_details:
        told = list(filter(is_for_users, told))
    return Failure(message, status, field_violations(error), retry_delay(error), request_id, told)
