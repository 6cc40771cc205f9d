"""How a stream ends: decided once, by whatever comes first, and told once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.status import Status
from bridge.upstream import RpcError

SHUTTING_DOWN = RpcError(Status.UNAVAILABLE, "The server is shutting down.")


class Outcome(StrEnum):
    """How a stream ended."""

    FINISHED = "finished"
    FAILED = "failed"
    LEFT = "left by the client"
    SHUTDOWN = "cut by shutdown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a stream ended, and the error if it failed or was cut."""

    outcome: Outcome
    error: RpcError | None = None


class Ending:
    """The state of a stream: open, then decided, then told.

    While it is open, messages and heartbeats may be sent. The first event that ends a stream
    decides it; every later one changes nothing. What was decided is told once.
    """

    __slots__ = ("_told", "_verdict")

    def __init__(self) -> None:
        self._verdict: Verdict | None = None
        self._told = False

    @property
    def open(self) -> bool:
        """Whether nothing has ended the stream yet."""
        return self._verdict is None

    def decide(self, verdict: Verdict) -> bool:
        """End the stream with ``verdict``, unless it has ended; return whether this decided."""
        if self._verdict is not None:
            return False
        self._verdict = verdict
        return True

    def tell(self) -> Verdict:
        """Return what was decided, for the one time that it is told.

        Raises:
            RuntimeError: nothing was decided, or it has been told.
        """
        if self._verdict is None or self._told:
            raise RuntimeError("a verdict is told once, and when it has been decided")
        self._told = True
        return self._verdict
