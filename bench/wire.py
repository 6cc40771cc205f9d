"""How each peer writes a stream, and the check that not a byte of it is missing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from bench.order import FILLER, LEAST_SIZE, NUMBER_DIGITS, STAMP_DIGITS, Order

_ROLE_PATH: Final = "/completion.v1.CompletionService/StreamCompletion"

# All numbers in a row: what a stream has is compared with a piece of it.
_KNOWN_NUMBERS = 1 << 18
_NUMBERS = b"".join(b"%07d" % number for number in range(_KNOWN_NUMBERS))


@dataclass(frozen=True, slots=True)
class Wire:
    """The bytes of one peer's streams, as regular expressions.

    Attributes:
        before: What stands before a text.
        after: What stands after it.
        closing: What follows the last text.
        heartbeat: What a silent stream may have between its frames.
        blank: The blank line that ends each frame.
        path: Where to post a request.
        role: What the field ``role`` is for a user.
    """

    before: bytes
    after: bytes
    closing: bytes
    heartbeat: bytes = rb": ping[^\n]*\n\n"
    blank: bytes = b"\n\n"
    path: str = "/v1/chat/completions"
    role: str = "user"

    def request(self, host: str, order: Order) -> bytes:
        """Return a whole HTTP request for ``order``."""
        message = {"role": self.role, "content": order.to_json()}
        body = json.dumps({"messages": [message]}).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\n"
            f"Host: {host}\r\n"
            "Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n"
            "\r\n"
        )
        return head.encode() + body


_COMPACT = rb'data: \{"content":"'
_SPACED = rb'data: \{"content": "'
_USAGE = rb'\{"prompt_tokens":7,"completion_tokens":\d+,"total_tokens":\d+\}'
_DONE = rb"data: \[DONE\]\n\n"

BRIDGE = Wire(
    before=_COMPACT,
    after=rb'"\}\n\n',
    closing=rb'data: \{"content":"","finish_reason":"stop","usage":' + _USAGE + rb"\}\n\n" + _DONE,
    heartbeat=rb'data: \{"content":""\}\n\n',
)
COMPACT = Wire(before=_COMPACT, after=rb'"\}\n\n', closing=_DONE)
SPACED = Wire(before=_SPACED, after=rb'"\}\n\n', closing=_DONE)
SSE_STARLETTE = Wire(
    before=_SPACED,
    after=rb'"\}\r\n\r\n',
    closing=rb"data: \[DONE\]\r\n\r\n",
    heartbeat=rb": ping[^\n]*\r\n\r\n",
    blank=b"\r\n\r\n",
)
ENVOY = Wire(
    before=rb'data: \{(?:"index":"\d+",)?"text":"',
    after=rb'"(?:,"model":"bench")?(?:,"finishReason":"FINISH_REASON_STOP","usage":\{[^\n]*\})?'
    rb"\}\n\n",
    closing=b"",
    path=_ROLE_PATH,
    role="ROLE_USER",
)

WIRES = {
    "bridge": BRIDGE,
    "compact": COMPACT,
    "spaced": SPACED,
    "sse-starlette": SSE_STARLETTE,
    "envoy": ENVOY,
}


class Grammar:
    """The compiled expressions of a wire, for texts of one size."""

    def __init__(self, wire: Wire, size: int) -> None:
        filler = FILLER + b"{%d}" % (size - LEAST_SIZE)
        text = b"#(\\d{%d})(\\d{%d})" % (NUMBER_DIGITS, STAMP_DIGITS) + filler
        self.frame = re.compile(wire.before + text + wire.after)
        last = b"=(\\d{%d})" % NUMBER_DIGITS
        self.ending = re.compile(wire.before + last + wire.after + wire.closing)
        self.heartbeats = re.compile(b"(?:" + wire.heartbeat + b")*")
        self.blank = wire.blank


@dataclass(slots=True)
class Reading:
    """What has come of one stream.

    Attributes:
        grammar: What it has to look like.
        messages: How many messages there were.
        fault: What was wrong first; empty while nothing was.
    """

    grammar: Grammar
    messages: int = 0
    fault: str = ""
    _rest: bytes = field(default=b"", repr=False)

    def feed(self, body: bytes) -> list[bytes]:
        """Read a piece of the body; return the stamps of the messages that it completes."""
        grammar = self.grammar
        rest = self._rest = self._rest + body
        if grammar.blank not in rest:
            return []
        # Between the frames, one after the other: the number and the stamp of each.
        parts = grammar.frame.split(rest)
        if len(parts) == 1:
            return []
        self._rest = parts[-1]
        between, numbers, stamps = parts[:-1:3], parts[1::3], parts[2::3]
        if any(between) and not all(map(grammar.heartbeats.fullmatch, between)):
            self._complain("bytes that belong to no message")
        count = len(numbers)
        if b"".join(numbers) != _numbers(self.messages, count):
            self._complain("a message is missing, or out of order")
        self.messages += count
        return stamps

    def finish(self) -> None:
        """See whether the body has ended as it has to."""
        ending = self.grammar.ending.fullmatch(self._rest)
        if ending is None:
            self._complain("the ending is missing, or has other bytes")
        elif int(ending[1]) != self.messages:
            self._complain("fewer messages than were sent")

    def _complain(self, fault: str) -> None:
        self.fault = self.fault or fault


def _numbers(first: int, count: int) -> bytes:
    if first + count <= _KNOWN_NUMBERS:
        return _NUMBERS[first * NUMBER_DIGITS : (first + count) * NUMBER_DIGITS]
    return b"".join(b"%07d" % number for number in range(first, first + count))
