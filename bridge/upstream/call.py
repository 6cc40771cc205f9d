"""What an upstream offers, whatever transport stands behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

from bridge.status import Status
from bridge.upstream.address import Endpoint
from bridge.upstream.credentials import Tls

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Response_co = TypeVar("Response_co", bound=Message, covariant=True)

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Method(Generic[Request, Response]):
    """A method of a gRPC service.

    Attributes:
        path: ``/package.Service/Method``.
        request_type: The class of its request; only for mypy, which knows ``Request`` by it.
        parse: Reads one response; raises ``google.protobuf.message.DecodeError``, or the
            ``RpcError`` that ends the RPC. It gets each response once and in order, but may get one
            again at which it has raised.
    """

    path: str
    request_type: type[Request]
    parse: Callable[[bytes], Response]


class RpcError(Exception):
    """An RPC that ended with another status than OK.

    Attributes:
        status: The status that the server or the transport gave.
        message: The status message, meant for people; may be empty.
        trailers: The trailing metadata.
        cause: What the transport says of a failure on this side of the connection (addresses,
            system errors): for the log, never for a browser. Empty when the server gave the
            status.
        unprocessed: Whether the backend has certainly not begun to serve the RPC, so that
            another try is as good as the first.
    """

    def __init__(
        self,
        status: Status,
        message: str = "",
        trailers: Metadata = (),
        cause: str = "",
        *,
        unprocessed: bool = False,
    ) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.trailers = trailers
        self.cause = cause
        self.unprocessed = unprocessed

    @property
    def reason(self) -> str:
        """What there is to know of it, for the log and the terminal."""
        return self.cause or str(self)

    def __str__(self) -> str:
        return f"{self.status.name}: {self.message or self.status.sentence}"


class Call(Protocol[Response_co]):
    """An RPC that has been started, of any kind: its requests are known from the start."""

    @property
    def backend(self) -> str:
        """Where the backend listens that serves it."""
        ...

    @property
    def metadata(self) -> Metadata:
        """The initial metadata of the response; empty before it has come.

        It is there with the first message; of an answer without one, a transport may miss it. What
        gRPC reserves is left out. Values of keys that end with ``-bin`` are bytes, and those of one
        key are in the order of the backend.
        """
        ...

    @property
    def trailers(self) -> Metadata:
        """The trailing metadata of an RPC that has ended with OK, as ``metadata``; else empty.

        That of an RPC that has failed is in its ``RpcError``.
        """
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Response_co]]:
        """Iterate over the messages, those together that have come together.

        The end of the iteration is the status OK.

        Raises:
            RpcError: the RPC ended with another status; CANCELLED after ``cancel()``.
        """
        ...

    def relay(self, take: Callable[[Sequence[Response_co]], bool]) -> None:
        """Offer messages to ``take`` as soon as they have been read, while the iteration waits.

        That saves a turn of the event loop. What ``take`` refuses, by returning False, is left to
        the iteration. A transport may offer nothing.

        Args:
            take: Must not block, nor raise.
        """
        ...

    def cancel(self) -> None:
        """Cancel the RPC at once; without effect on one that has ended."""
        ...


def only(messages: Sequence[Response]) -> Response:
    """Return the one message that a unary RPC has answered.

    Raises:
        RpcError: there is none, or there are several.
    """
    if len(messages) != 1:
        cause = f"a unary call got {'several messages' if messages else 'no message'}"
        raise RpcError(Status.INTERNAL, cause=cause)
    return messages[0]


class CallObserver(Protocol):
    """Sees the calls of a channel begin and end."""

    def call_began(self) -> None:
        """Note that an RPC has been started."""
        ...

    def call_ended(self) -> None:
        """Note that an RPC that was started has ended, with whatever status."""
        ...

    def call_failed(self, error: RpcError) -> None:
        """Note that an RPC has ended with ``error``."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How the connection to a backend is made and kept.

    Attributes:
        max_message_bytes: A larger message of the backend ends its RPC with RESOURCE_EXHAUSTED.
        keepalive: Seconds of silence after which the backend is pinged; 0 for never.
        keepalive_timeout: Seconds to the answer of a ping; without one the connection is lost.
        authority: The ``:authority`` of requests, and the name that the backend's certificate
            must have; empty for that of the endpoint.
        idle_timeout: Seconds without a call after which a connection is closed if there are others.
    """

    max_message_bytes: int
    keepalive: float
    keepalive_timeout: float
    authority: str = ""
    idle_timeout: float = 60.0


class Channel(Protocol):
    """A connection to one backend, made when it is needed and again when it was lost."""

    def stream(
        self,
        method: Method[Request, Response],
        requests: Sequence[Request],
        metadata: Metadata = (),
        *,
        deadline: float | None,
    ) -> Call[Response]:
        """Start an RPC of any kind that has ``deadline`` seconds; None: any time.

        The requests are sent as the backend takes them, whether it answers meanwhile or not. When
        it ends the RPC before it has taken all, the others are dropped: RFC 9113, section 8.1.

        Raises:
            EncodeError: a request has no value for a field that it must have.
            ValueError: the metadata can't be sent. A transport may end the RPC with INTERNAL
                instead.
        """
        ...

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        metadata: Metadata = (),
        *,
        deadline: float,
    ) -> Response:
        """Run a unary RPC that has ``deadline`` seconds.

        Raises:
            RpcError: the RPC ended with another status than OK.
            ValueError: the metadata can't be sent, as for ``stream``.
        """
        ...

    def reconnect(self) -> None:
        """Let the next RPC connect at once, with no pause after an attempt that has failed."""
        ...

    async def close(self) -> None:
        """Cancel what is open and close the connection."""
        ...


class Connect(Protocol):
    """Makes channels: a transport."""

    def __call__(
        self,
        endpoint: Endpoint,
        options: ChannelOptions,
        tls: Tls | None,
        observer: CallObserver,
    ) -> Channel:
        """Return a channel to ``endpoint``, which connects with its first RPC.

        Must be called on the running event loop.
        """
        ...
