"""Whether a request that failed is tried again, by the bridge or by its client, and when."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.error_details import retry_delay
from bridge.failure import Failure
from bridge.status import Status
from bridge.upstream import RpcError

# The headers of ``retry_advice``.
ADVICE = ("x-should-retry", "retry-after", "retry-after-ms")

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
    pushback = dict(error.trailers).get("grpc-retry-pushback-ms")
    if pushback is not None:
        return int(pushback) / 1000 if _MILLISECONDS.fullmatch(str(pushback)) else None
    if (asked := retry_delay(error)) is not None:
        return asked
    pause = min(_FIRST_PAUSE_SECONDS * 2.0**attempt, _LONGEST_PAUSE_SECONDS)
    return pause * random.uniform(0.5, 1)  # noqa: S311 - it only spreads the calls


def retry_advice(failure: Failure, *, paid: bool) -> Mapping[str, str]:
    """Return the headers that tell a client whether to send its request again, and when.

    OpenAI's and Anthropic's SDKs send one again by themselves, unless ``x-should-retry`` says no.
    A second request must not be paid for when the backend has worked for the first.

    Args:
        failure: What the client is told.
        paid: Whether the backend has sent a part of the answer.
    """
    status = failure.status
    may = status.retryable and not paid and status is not Status.DEADLINE_EXCEEDED
    advice = {"x-should-retry": "true" if may else "false"}
    if may and failure.retry_after is not None:
        # The header has whole seconds (RFC 9110, section 10.2.3); the SDKs know the other, too.
        advice["retry-after"] = str(math.ceil(failure.retry_after))
        advice["retry-after-ms"] = str(math.ceil(failure.retry_after * 1000))
    return advice
