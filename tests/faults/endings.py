"""How an answer ended, as the strictest client sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The ways in which an answer ends for its client.

    CUT is an end of the connection inside the answer, LEFT one that the client itself made.
    NO_VERDICT is an answer that does not say how it ended, or says it twice, on a connection
    that stands. WRONG is one that breaks another rule of the wire, or lies.
    """

    FINISHED = "finished"
    FAILED = "failed"
    STATUS = "HTTP"
    LEFT = "left"
    CUT = "cut off"
    NO_VERDICT = "no verdict"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, order=True)
class Ending:
    """How an answer ended.

    Attributes:
        kind: Which way.
        detail: The code of a failure, the status and code of an HTTP error, or what is wrong.
    """

    kind: Kind
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}".strip()


FINISHED = Ending(Kind.FINISHED)
LEFT = Ending(Kind.LEFT)
CUT = Ending(Kind.CUT)
SILENT = Ending(Kind.NO_VERDICT, "silent")


def failed(code: str) -> Ending:
    """Return the ending of a stream with one error frame of ``code``."""
    return Ending(Kind.FAILED, code)


def status(number: int, code: str) -> Ending:
    """Return the ending of a request that is answered with an HTTP status and a JSON error."""
    return Ending(Kind.STATUS, f"{number} {code}")


def no_verdict(why: str) -> Ending:
    """Return the ending of an answer that does not say how it ended, or says it twice."""
    return Ending(Kind.NO_VERDICT, why)


def wrong(what: str) -> Ending:
    """Return the ending of an answer that breaks the wire's rules or lies."""
    return Ending(Kind.WRONG, what)


class Frames:
    """Reads a body that streams, and notes what the wire's rules say of its end.

    Attributes:
        text: All ``content`` so far.
        messages: The frames with text so far.
        heartbeats: The frames, or comments, with none.
    """

    def __init__(self) -> None:
        self.text = ""
        self.messages = 0
        self.heartbeats = 0
        self._rest = b""
        self._codes: list[str] = []
        self._done = 0
        self._fault: Ending | None = None

    def feed(self, data: bytes) -> None:
        """Read more of the body."""
        *frames, self._rest = (self._rest + data).split(b"\n\n")
        for frame in frames:
            self._frame(frame)

    def ending(self) -> Ending:
        """Return how the body ended, which is whole."""
        if self._fault is not None:
            return self._fault
        if self._rest:
            return no_verdict("ends inside a frame")
        if not self._done:
            return no_verdict("no [DONE]")
        return failed(self._codes[0]) if self._codes else FINISHED

    def _frame(self, frame: bytes) -> None:
        if self._done:
            self._note(no_verdict("something after [DONE]"))
        elif frame == b"data: [DONE]":
            self._done += 1
        elif frame == b": ping":
            self._beat()
        elif frame.startswith(b"data: ") and b"\n" not in frame and b"\r" not in frame:
            self._payload(frame.removeprefix(b"data: "))
        else:
            self._note(wrong("no frame of the wire"))

    def _payload(self, raw: bytes) -> None:
        try:
            payload = json.loads(raw)
        except ValueError:
            self._note(wrong("no JSON in a frame"))
            return
        if "error" in payload:
            if self._codes:
                self._note(no_verdict("two verdicts"))
            self._codes.append(_code_of(payload) or "")
            if not self._codes[-1]:
                self._note(wrong("no error frame"))
        elif payload.get("content"):
            if self._codes:
                self._note(no_verdict("text after the error"))
            self.text += payload["content"]
            self.messages += 1
        elif payload == {"content": ""}:
            self._beat()

    def _beat(self) -> None:
        self.heartbeats += 1
        if self._codes:
            self._note(no_verdict("a heartbeat after the error"))

    def _note(self, fault: Ending) -> None:
        self._fault = self._fault or fault


def of_json(http_status: int, body: bytes) -> Ending:
    """Return the ending that an answer with a JSON body tells."""
    try:
        payload = json.loads(body)
    except ValueError:
        return no_verdict(f"HTTP {http_status} with no JSON")
    if http_status == 200 and isinstance(payload.get("content"), str):
        return FINISHED
    code = _code_of(payload)
    return status(http_status, code) if code else no_verdict(f"HTTP {http_status} with no error")


def _code_of(payload: Any) -> str | None:
    match payload:
        case {"error": str(error), "code": str(code), "retryable": bool()} if error and code:
            return code
    return None
