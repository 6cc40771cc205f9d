"""The 17 status codes of gRPC, and what each means to a browser."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """A status code of gRPC.

    The numbers and names are those of https://grpc.io/docs/guides/status-codes/; the HTTP
    statuses are the canonical mapping of ``google/rpc/code.proto``.

    Attributes:
        code: The number on the wire.
        http: The HTTP status for an RPC that failed before its first message.
        retryable: Whether the same request may succeed a little later.
        private: Whether the message is about the inside of a server, and not for a browser.
        sentence: What to tell a browser when there is no message for it.
    """

    OK = (0, 200, False, False, "The request was served.")
    CANCELLED = (1, 499, False, False, "The request was cancelled.")
    UNKNOWN = (2, 500, False, True, "The request failed.")
    INVALID_ARGUMENT = (3, 400, False, False, "The request is not valid.")
    DEADLINE_EXCEEDED = (4, 504, True, False, "The request took too long.")
    NOT_FOUND = (5, 404, False, False, "What the request names does not exist.")
    ALREADY_EXISTS = (6, 409, False, False, "What the request creates exists already.")
    PERMISSION_DENIED = (7, 403, False, False, "The request is not allowed.")
    RESOURCE_EXHAUSTED = (8, 429, True, False, "A limit is reached.")
    FAILED_PRECONDITION = (9, 400, False, False, "The request can't be served in this state.")
    ABORTED = (10, 409, True, False, "The request was aborted.")
    OUT_OF_RANGE = (11, 400, False, False, "The request is out of range.")
    UNIMPLEMENTED = (12, 501, False, False, "The backend does not offer this.")
    INTERNAL = (13, 500, False, True, "The request failed.")
    UNAVAILABLE = (14, 503, True, False, "The backend is not available.")
    DATA_LOSS = (15, 500, False, True, "The request failed.")
    UNAUTHENTICATED = (16, 401, False, False, "The request carries no valid credentials.")

    def __init__(self, code: int, http: int, retryable: bool, private: bool, sentence: str) -> None:
        self.code = code
        self.http = http
        self.retryable = retryable
        self.private = private
        self.sentence = sentence

    @classmethod
    def from_code(cls, code: int) -> Status:
        """Return the status of a number on the wire; UNKNOWN for one that gRPC doesn't define."""
        return _BY_CODE.get(code, cls.UNKNOWN)


_BY_CODE = {status.code: status for status in Status}
