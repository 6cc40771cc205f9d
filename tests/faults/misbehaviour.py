"""One thing that a backend can do wrong, and what a client has to make of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.status import Status
from bridge.upstream.transport import Transport
from tests.faults.raw_http2 import HostileCall

# What the good messages before a misbehaviour say.
TEXTS = ("a", "b")

Act = Callable[[HostileCall], Awaitable[None]]
Line = tuple[str, str | bytes]


@dataclass(frozen=True)
class Misbehaviour:
    """One thing that a backend does wrong.

    Attributes:
        name: What a user says to have it.
        act: Does it, after the good messages.
        code: The status that gRPC's documents make of it.
        rule: Where that is said: a document in github.com/grpc/grpc/tree/master/doc, or an RFC.
        grpcio: Other statuses that grpc.aio gives, and that can't be helped.
        deviation: Why these, or those of ``also``, are allowed.
        also: Other statuses that are right, too, whatever the transport.
        after: After how many good messages it makes sense.
        texts: What the texts of its own messages are that a client has to take.
        messages: How its status message may be read; none where a client may not see one.
        deadline: Seconds that a request must ask for, since nothing else ends the call.
        ends_connection: Whether the connection ends with it, and every other call that is on it.
    """

    name: str
    act: Act
    code: Status
    rule: str
    grpcio: frozenset[Status] = frozenset()
    deviation: str = ""
    also: frozenset[Status] = frozenset()
    after: tuple[int, ...] = (0, 2)
    texts: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    deadline: float | None = None
    ends_connection: bool = False

    def expected(self, transport: Transport) -> frozenset[Status]:
        """Return every verdict that is allowed to a bridge on ``transport``."""
        right = self.also | {self.code}
        return right | self.grpcio if transport == "grpcio" else right


def may_be(*statuses: Status) -> frozenset[Status]:
    """Return the statuses that are allowed, too."""
    return frozenset(statuses)


FIRST = (0,)

STATUS_CODES = "statuscodes.md"
PROTOCOL = "PROTOCOL-HTTP2.md"
MALFORMED = "RFC 9113, 8.1.1: a malformed response is a stream error, PROTOCOL_ERROR: INTERNAL"
TAKEN = "RFC 9113 allows it"
RACE = "grpc.aio may see the end of the stream before what came with it"
LENIENT = "grpc.aio takes it"
C_CORE_ENDS_ALL = "grpc.aio ends the connection"
