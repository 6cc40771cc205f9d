"""The wires that the bridge speaks. A dialect is pure: it has no I/O and opens no RPC."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from bridge.dialects.errors import ErrorForm
from bridge.failure import Failure
from bridge.telemetry.record import CallAccount, StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse

Message_contra = TypeVar("Message_contra", contravariant=True)
Account_contra = TypeVar("Account_contra", bound=CallAccount[Any], contravariant=True)


class Dialect(Protocol[Message_contra, Account_contra]):
    """How one stream is written.

    Attributes:
        media_type: The content type of the stream.
    """

    media_type: str

    @property
    def errors(self) -> ErrorForm:
        """How a failure before the first message is told."""
        ...

    def message(self, message: Message_contra) -> bytes:
        """Return the frames of a message; empty when it has nothing to show.

        Raises:
            RpcError: this wire can't tell what the backend has sent.
        """
        ...

    def heartbeat(self) -> bytes:
        """Return what shows a client that a silent stream lives."""
        ...

    def error(self, failure: Failure) -> bytes | None:
        """Return the frames that end a stream with an error.

        None: this wire has none, and the connection is to break instead.
        """
        ...

    def closing(self, account: Account_contra) -> bytes:
        """Return the frames that end a finished stream, of which ``account`` knows the rest.

        Raises:
            RpcError: this wire can't tell what the backend has sent.
        """
        ...


CompletionDialect = Dialect[StreamCompletionResponse, StreamAccount]


class WholeDialect(CompletionDialect, Protocol):
    """How one stream is written, or its whole."""

    def whole(self, account: StreamAccount) -> dict[str, Any]:
        """Return the JSON object that answers a request which wants no stream.

        Args:
            account: Of a stream that has finished, with the whole answer.

        Raises:
            RpcError: this wire can't tell what the backend has sent.
        """
        ...
