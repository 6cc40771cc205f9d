"""An answer of the bridge, taken apart, and what holds of every one."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bridge.status import Status
from tests.conftest import DONE

_FRAME = b"data: "
_END = b"\n\n"


@dataclass(frozen=True)
class Answer:
    """What a client was told.

    Attributes:
        texts: The text of each frame.
        code: The verdict.
        error: What a person is told of a failure; empty if there was none.
    """

    texts: list[str]
    code: Status
    error: str


def read(body: bytes) -> Answer:
    """Take a body apart; fail unless it has one verdict, and ends with the one ``[DONE]``."""
    assert body.endswith(DONE)
    *frames, nothing = body.removesuffix(DONE).split(_END)
    assert nothing == b""
    assert all(frame.startswith(_FRAME) for frame in frames), body
    payloads = [json.loads(frame.removeprefix(_FRAME)) for frame in frames]
    failures = [payload for payload in payloads if "error" in payload]
    assert failures in ([], payloads[-1:])
    texts = [payload["content"] for payload in payloads if payload not in failures]
    if not failures:
        return Answer(texts, Status.OK, "")
    (failure,) = failures
    status = Status[failure["code"]]
    assert status is not Status.OK
    assert failure["error"]
    assert failure["retryable"] is status.retryable
    return Answer(texts, status, failure["error"])
