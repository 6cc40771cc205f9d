"""Whether an RPC that failed before its first message is tried again, and when."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus

from bridge.status import Status
from bridge.upstream import RpcError

_MILLISECONDS = re.compile(r"\d{1,10}", re.ASCII)
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_BUDGET_SHARE = 0.1
_BUDGET_LIMIT = 10.0


@dataclass(slots=True)
class RetryBudget:
    """What keeps retries from making an outage worse: a tenth more calls, and ten at once.

    Every call adds a tenth of a retry, every retry takes one.
    """

    _tokens: float = field(default=_BUDGET_LIMIT)

    def add_call(self) -> None:
        """Count a call that isn't a retry."""
        self._tokens = min(_BUDGET_LIMIT, self._tokens + _BUDGET_SHARE)

    def take(self) -> bool:
        """Take a retry out, if there is one."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def pause_before_retry(error: RpcError, attempt: int) -> float | None:
    """Return the seconds to wait before a call is tried again, or None when it must not be.

    Only UNAVAILABLE is tried again. The server may say when, or that it must not be: with the
    trailer ``grpc-retry-pushback-ms`` (gRFC A6) or a ``google.rpc.RetryInfo``. Otherwise the pause
    doubles with each attempt, and a random part of up to half of it is taken off.

    Args:
        error: How the call ended.
        attempt: How many times it has been tried again already.
    """
    if error.status is not Status.UNAVAILABLE:
        return None
    trailers = dict(error.trailers)
    pushback = trailers.get("grpc-retry-pushback-ms")
    if pushback is not None:
        return int(pushback) / 1000 if _MILLISECONDS.fullmatch(str(pushback)) else None
    details = trailers.get("grpc-status-details-bin")
    if isinstance(details, bytes) and (asked := _retry_delay(details)) is not None:
        return asked
    pause = min(_FIRST_PAUSE_SECONDS * 2.0**attempt, _LONGEST_PAUSE_SECONDS)
    return pause * random.uniform(0.5, 1)  # noqa: S311 - it only spreads the calls


def _retry_delay(details: bytes) -> float | None:
    info = RetryInfo()
    try:
        for detail in RpcStatus.FromString(details).details:
            if detail.Unpack(info):
                delay = info.retry_delay
                return float(delay.seconds + delay.nanos * 1e-9)
    except DecodeError:
        pass
    return None
