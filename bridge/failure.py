"""What a browser is told of an RPC that failed."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.status import Status
from bridge.upstream import RpcError


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure in words for a browser.

    Attributes:
        message: What happened; never empty.
        status: The gRPC status.
    """

    message: str
    status: Status

    def as_json(self) -> dict[str, str | bool]:
        """Return the object that stands in an error frame and in the body of an HTTP error."""
        return {
            "error": self.message,
            "code": self.status.name,
            "retryable": self.status.retryable,
        }


def describe(error: RpcError, request_id: str, *, show_details: bool) -> Failure:
    """Return what to tell a browser of ``error``.

    The messages of UNKNOWN, INTERNAL and DATA_LOSS, and what a transport says of a lost
    connection, are about the inside of a server: a browser gets a plain sentence, and with the
    former the request id by which the log tells the rest.

    Args:
        error: How the RPC ended.
        request_id: The ``x-request-id`` of the request.
        show_details: Tell all the same.
    """
    status = error.status
    if show_details:
        return Failure(error.message or error.cause or status.sentence, status)
    if status.private:
        return Failure(f"{status.sentence} Request id: {request_id}", status)
    return Failure(error.message or status.sentence, status)
