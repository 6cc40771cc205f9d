"""How each peer writes a stream, and the check that not a byte of it is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench import trades
from bench.order import (
    FILLER,
    LEAST_SIZE,
    MODEL,
    NUMBER_DIGITS,
    PROMPT_TOKENS,
    STAMP_DIGITS,
    Order,
)

_RPC_PATH: Final = "/completion.v1.CompletionService/StreamCompletion"

# All numbers in a row: what a stream has is compared with a piece of it.
_KNOWN_NUMBERS = 1 << 18
_NUMBERS = b"".join(b"%07d" % number for number in range(_KNOWN_NUMBERS))


Body = Callable[[str], dict[str, Any]]


def _chat(role: str = "user", **fields: Any) -> Body:
    return lambda content: {"messages": [{"role": role, "content": content}], **fields}


_USER = _chat()


def _responses(content: str) -> dict[str, Any]:
    return {"input": content, "stream": True}


def _parts(content: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "parts": [{"type": "text", "text": content}]}]}


@dataclass(frozen=True, slots=True)
class Wire:
    """The bytes of one peer's streams, as regular expressions.

    A group ``index`` in ``before`` has to be the number of the message. The groups ``messages`` and
    ``tokens`` of ``ending`` have to be how many there were, and that with the prompt's tokens.

    Attributes:
        before: What stands before a text.
        after: What stands after it.
        ending: What stands after the last text.
        heartbeat: What a silent stream may have between its frames.
        blank: The blank line that ends each frame.
        path: Where to post a request.
        body: Returns the body of a request in which a user says something.
        status_first: Whether the head of an answer waits for the first message.
    """

    before: bytes
    after: bytes
    ending: bytes
    heartbeat: bytes = rb": ping[^\n]*\n\n"
    blank: bytes = b"\n\n"
    path: str = "/v1/chat/completions"
    body: Body = _USER
    status_first: bool = False

    def request(self, host: str, order: Order) -> bytes:
        """Return a whole HTTP request for ``order``."""
        body = json.dumps(self.body(order.to_json())).encode()
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
_AFTER = rb'"\}\n\n'
_DONE = rb"data: \[DONE\]\n\n"
_COUNTS = (rb"%d" % PROMPT_TOKENS, rb"(?P<messages>\d+)", rb"(?P<tokens>\d+)")

BRIDGE = Wire(
    before=_COMPACT,
    after=_AFTER,
    ending=_AFTER
    + rb'data: \{"content":"","finish_reason":"stop","usage":'
    + rb'\{"prompt_tokens":%b,"completion_tokens":%b,"total_tokens":%b\}\}\n\n' % _COUNTS
    + _DONE,
    heartbeat=rb'data: \{"content":""\}\n\n',
)
COMPACT = Wire(before=_COMPACT, after=_AFTER, ending=_AFTER + _DONE)
SPACED = Wire(before=_SPACED, after=_AFTER, ending=_AFTER + _DONE)
SSE_STARLETTE = Wire(
    before=_SPACED,
    after=rb'"\}\r\n\r\n',
    ending=rb'"\}\r\n\r\ndata: \[DONE\]\r\n\r\n',
    heartbeat=rb": ping[^\n]*\r\n\r\n",
    blank=b"\r\n\r\n",
)
# The first message has no index, since that is 0, and the name of the model; no other has one.
ENVOY = Wire(
    before=rb'data: \{(?:"index":"(?P<index>[1-9]\d*)",)?"text":"',
    after=rb'"(?(index)|,"model":"%b")\}\n\n' % MODEL.encode(),
    ending=rb'","finishReason":"FINISH_REASON_STOP","usage":'
    + rb'\{"promptTokens":"%b","completionTokens":"%b","totalTokens":"%b"\}\}\n\n' % _COUNTS,
    path=_RPC_PATH,
    body=_chat("ROLE_USER"),
)

_CHUNK = (
    rb'data: \{"id":"chatcmpl-[0-9a-f]{32}","created":\d+,"model":"%b",'
    rb'"object":"chat\.completion\.chunk","choices":\[\{"index":0,"delta":\{' % MODEL.encode()
)
_NO_REASON = rb'\},"logprobs":null,"finish_reason":null\}\]\}\n\n'
OPENAI = Wire(
    before=_CHUNK + rb'"content":"',
    after=rb'"' + _NO_REASON,
    ending=rb'"'
    + _NO_REASON
    + _CHUNK
    + rb'\},"logprobs":null,"finish_reason":"stop"\}\]\}\n\n'
    + _DONE,
    heartbeat=_CHUNK + rb'"role":"assistant","content":"","refusal":null' + _NO_REASON,
    path="/openai/v1/chat/completions",
    body=_chat(stream=True),
    status_first=True,
)
_EVENT = rb"event: %b\ndata: [^\n]*\n\n"
OPENAI_RESPONSES = Wire(
    before=rb"event: response\.output_text\.delta\n"
    rb'data: \{"type":"response\.output_text\.delta","sequence_number":\d+,'
    rb'"item_id":"msg_resp_[0-9a-f]{32}_0","output_index":0,"content_index":0,"delta":"',
    after=rb'","logprobs":\[\]\}\n\n',
    ending=rb'","logprobs":\[\]\}\n\n'
    + b"".join(
        _EVENT % kind
        for kind in (
            *(rb"response\.output_text\.done", rb"response\.content_part\.done"),
            *(rb"response\.output_item\.done", rb"response\.completed"),
        )
    )
    + _DONE,
    heartbeat=_EVENT % rb"response\.(?:created|in_progress|output_item\.added|content_part\.added)",
    path="/openai/v1/responses",
    body=_responses,
    status_first=True,
)
_DELTA_END = rb'"\}\}\n\n'
ANTHROPIC = Wire(
    before=rb'event: content_block_delta\ndata: \{"type":"content_block_delta","index":0,'
    rb'"delta":\{"type":"text_delta","text":"',
    after=_DELTA_END,
    ending=_DELTA_END
    + rb'event: content_block_stop\ndata: \{"type":"content_block_stop","index":0\}\n\n'
    + rb'event: message_delta\ndata: \{"type":"message_delta",'
    + rb'"delta":\{"stop_reason":"end_turn","stop_sequence":null,[^{}\n]*\},'
    + rb'"usage":\{"input_tokens":%b,"output_tokens":%b,[^{}\n]*\}\}\n\n' % _COUNTS[:2]
    + rb'event: message_stop\ndata: \{"type":"message_stop"\}\n\n',
    heartbeat=_EVENT % rb"(?:message_start|content_block_start|ping)",
    path="/anthropic/v1/messages",
    body=_chat(stream=True, max_tokens=1024),
    status_first=True,
)
UI_MESSAGE = Wire(
    before=rb'data: \{"type":"text-delta","id":"text-0","delta":"',
    after=_AFTER,
    ending=_AFTER
    + rb'data: \{"type":"text-end","id":"text-0"\}\n\n'
    + rb'data: \{"type":"finish-step"\}\n\n'
    + rb'data: \{"type":"finish","finishReason":"stop"\}\n\n'
    + _DONE,
    heartbeat=rb'data: \{"type":"(?:start|start-step|text-start)"[^\n]*\n\n',
    path="/ui-message/api/chat",
    body=_parts,
    status_first=True,
)

# The text is the first of ten fields. Envoy ends a stream of them as it ends one that is cut.
_BEFORE_TRADE = rb'data: \{"text":"'
_AFTER_TRADE = b'",' + re.escape(trades.WRITTEN.encode()) + rb"\n\n"
ENVOY_TRADES = Wire(
    before=_BEFORE_TRADE,
    after=_AFTER_TRADE,
    ending=_AFTER_TRADE,
    path=trades.PATH,
    body=lambda content: {"order": content},
    status_first=True,
)
TRADES = replace(ENVOY_TRADES, ending=_AFTER_TRADE + rb"id: ended\n\n" + _DONE)

WIRES = {
    "bridge": BRIDGE,
    "openai": OPENAI,
    "openai-responses": OPENAI_RESPONSES,
    "anthropic": ANTHROPIC,
    "ui-message": UI_MESSAGE,
    "compact": COMPACT,
    "spaced": SPACED,
    "sse-starlette": SSE_STARLETTE,
    "envoy": ENVOY,
    "trades": TRADES,
    "envoy-trades": ENVOY_TRADES,
}


class Grammar:
    """The compiled expressions of a wire, for texts of one size."""

    def __init__(self, wire: Wire, size: int) -> None:
        filler = FILLER + b"{%d}" % (size - LEAST_SIZE)
        stamp = b"(?P<stamp>\\d{%d})" % STAMP_DIGITS
        before, number = wire.before, b"(?P<number>\\d{%d})" % NUMBER_DIGITS
        if b"(?P<index>" in before:
            # The digits that follow are the index, behind as many zeros as it takes.
            number = (
                b"(?(index)(?=0*(?P=index)\\d{%d}\\D)|(?=0{%d}))"
                % (
                    STAMP_DIGITS,
                    NUMBER_DIGITS,
                )
                + number
            )
        self.frame = re.compile(before + b"#" + number + stamp + filler + wire.after)
        last = b"=(?P<number>\\d{%d})" % NUMBER_DIGITS
        self.ending = re.compile(before + last + wire.ending)
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
        # The groups of each frame, and what stands between two.
        parts = grammar.frame.split(rest)
        if len(parts) == 1:
            return []
        self._rest = parts[-1]
        groups = grammar.frame.groupindex
        each = len(groups) + 1
        between = parts[:-1:each]
        numbers, stamps = parts[groups["number"] :: each], parts[groups["stamp"] :: each]
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
            return
        counts = {name: int(digits) for name, digits in ending.groupdict().items()}
        tokens = counts.pop("tokens", PROMPT_TOKENS + self.messages) - PROMPT_TOKENS
        if {tokens, *counts.values()} != {self.messages}:
            self._complain("fewer messages than were sent")

    def _complain(self, fault: str) -> None:
        self.fault = self.fault or fault


def _numbers(first: int, count: int) -> bytes:
    if first + count <= _KNOWN_NUMBERS:
        return _NUMBERS[first * NUMBER_DIGITS : (first + count) * NUMBER_DIGITS]
    return b"".join(b"%07d" % number for number in range(first, first + count))
