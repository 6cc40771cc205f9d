"""One thing that a backend can do wrong, and what a client has to make of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge.status import Status
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
        also: Other statuses that are right, or that grpc.aio gives and that can't be helped.
        deviation: Why ``also`` is allowed.
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
    also: frozenset[Status] = frozenset()
    deviation: str = ""
    after: tuple[int, ...] = (0, 2)
    texts: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    deadline: float | None = None
    ends_connection: bool = False

    @property
    def expected(self) -> frozenset[Status]:
        """Every verdict that is allowed."""
        return self.also | {self.code}


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
