"""How long a stream may take: in all, to its first message, and between two messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bridge.status import Status
from bridge.upstream import RpcError

# RFC 9110 leaves the header's form to us: seconds, as in `Retry-After`, and parts of them.
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Timeout".
_GRPC_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class InvalidTimeoutError(ValueError):
    """A header that sets a timeout can't be read; the text says what it may be."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The three limits of a stream, in seconds.

    Attributes:
        total: From the start of the RPC to its end. The backend has it as the RPC's deadline.
        first_message: From the start of the RPC to its first message.
        between_messages: From one message to the next, or to the end.
    """

    total: float
    first_message: float
    between_messages: float

    def shortened(self, total: float | None) -> Deadlines:
        """Return these with the total that a client asks for, if that is shorter."""
        return self if total is None or total >= self.total else replace(self, total=total)

    def passed(self, now: float, started: float, last_message: float | None) -> RpcError | None:
        """Return the error of the limit that has passed at ``now``, if one has.

        Args:
            now: The time, on the clock of the other two.
            started: When the RPC started.
            last_message: When its last message came; None before the first.
        """
        if now >= started + self.total:
            return self.total_passed()
        if last_message is None:
            if now >= started + self.first_message:
                return _exceeded(f"No message came within {self.first_message:g} s.")
        elif now >= last_message + self.between_messages:
            return _exceeded(f"No message came for {self.between_messages:g} s.")
        return None

    def next_check(self, now: float, started: float, last_message: float | None) -> float:
        """Return when ``passed`` is to be asked again, at the latest, so that it is never late.

        Args:
            now: See ``passed``, which has found nothing.
            started: See ``passed``.
            last_message: See ``passed``.
        """
        if last_message is None:
            # The first message may come at once, and be the last.
            due = min(started + self.first_message, now + self.between_messages)
        else:
            due = last_message + self.between_messages
        return min(due, started + self.total)

    def total_passed(self) -> RpcError:
        """Return the error of a stream that took longer than its total."""
        return _exceeded(f"The answer took longer than {self.total:g} s.")


def _exceeded(message: str) -> RpcError:
    return RpcError(Status.DEADLINE_EXCEEDED, message)


def requested_total(request_timeout: str | None, grpc_timeout: str | None) -> float | None:
    """Return the seconds that a client allows its request, or None when it doesn't say.

    Args:
        request_timeout: The header ``X-Request-Timeout``: seconds, as in ``2.5``.
        grpc_timeout: The header ``grpc-timeout`` of the gRPC protocol, as in ``2500m``.

    Raises:
        InvalidTimeoutError: one of them can't be read, or is zero.
    """
    asked = []
    if request_timeout is not None:
        if not _SECONDS.fullmatch(request_timeout) or float(request_timeout) == 0:
            raise InvalidTimeoutError("X-Request-Timeout must be seconds above 0, as in 2.5")
        asked.append(float(request_timeout))
    if grpc_timeout is not None:
        found = _GRPC_TIMEOUT.fullmatch(grpc_timeout)
        if not found or int(found[1]) == 0:
            raise InvalidTimeoutError("grpc-timeout must be a number and a unit, as in 2500m")
        asked.append(int(found[1]) * _UNITS[found[2]])
    return min(asked, default=None)
