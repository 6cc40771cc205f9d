"""Why a request is no message of an RPC."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that is no message.

    Attributes:
        field: The path of the field that is wrong; empty for all of it.
        reason: What is wrong with it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}" if self.field else self.reason
