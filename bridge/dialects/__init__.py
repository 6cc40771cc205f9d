"""The wires that the bridge speaks. A dialect is pure: it has no I/O and opens no RPC."""

from __future__ import annotations

from typing import Any, Protocol

from bridge.failure import Failure
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse


class Dialect(Protocol):
    """How one stream is written."""

    media_type: str

    def message(self, message: StreamCompletionResponse) -> bytes:
        """Return the frames of a message; empty when it has nothing to show."""
        ...

    def heartbeat(self) -> bytes:
        """Return what shows a client that a silent stream lives."""
        ...

    def error(self, failure: Failure) -> bytes:
        """Return the frames that end a stream with an error."""
        ...

    def closing(self, account: StreamAccount) -> bytes:
        """Return the frames that end a finished stream, of which ``account`` knows the rest."""
        ...

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the JSON object that answers a request which wants no stream."""
        ...
