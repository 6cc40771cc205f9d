import json
from collections.abc import Callable, Sequence

import pytest

from bench import trades
from bench.order import MODEL, PROMPT_TOKENS, last_text, stamped_text
from bench.wire import WIRES, Grammar, Reading
from bridge.dialects import CompletionDialect
from bridge.dialects.anthropic_messages import AnthropicDialect
from bridge.dialects.openai_chat import OpenAIChatDialect
from bridge.dialects.openai_responses import OpenAIResponsesDialect
from bridge.dialects.ui_message import UIMessageDialect
from bridge.telemetry.record import StreamAccount, Usage
from protos.completion.v1.completion_pb2 import StreamCompletionResponse

SIZE = 30
STAMP = 1_234_567_890_123_456
COUNT = 12


REQUEST = "0123456789abcdef" * 2
# How the bridge itself writes each wire, but the plain one.
DIALECTS: dict[str, Callable[[], CompletionDialect]] = {
    "openai": lambda: OpenAIChatDialect(f"chatcmpl-{REQUEST}", 1_234_567_890, ""),
    "openai-responses": lambda: OpenAIResponsesDialect(
        f"resp_{REQUEST}", 1_234_567_890, {"model": ""}, logprobs=False
    ),
    "anthropic": lambda: AnthropicDialect(f"msg_{REQUEST}", ""),
    "ui-message": lambda: UIMessageDialect(f"msg-{REQUEST}"),
}


def written(dialect: CompletionDialect, texts: Sequence[str]) -> list[str]:
    account = StreamAccount(REQUEST, "", keep_answer=False)
    total = PROMPT_TOKENS + COUNT
    account.usage = Usage(PROMPT_TOKENS, COUNT, total)
    messages = [StreamCompletionResponse(text=text, model=MODEL) for text in texts]
    frames = [dialect.message(message) for message in messages]
    return [frame.decode() for frame in (*frames, dialect.closing(account))]


def frames_of(wire: str) -> list[str]:
    texts = [*(stamped_text(number, STAMP, SIZE) for number in range(COUNT)), last_text(COUNT)]
    if wire in DIALECTS:
        return written(DIALECTS[wire](), texts)
    if wire == "envoy":
        return [frame(envoy_message(number, text)) for number, text in enumerate(texts)]
    if wire in ("trades", "envoy-trades"):
        written_trades = [f'data: {{"text":"{text}",{trades.WRITTEN}\n\n' for text in texts]
        return written_trades + ["id: ended\n\ndata: [DONE]\n\n"] * (wire == "trades")
    separators = (",", ":") if wire in ("bridge", "compact") else None
    messages: list[object] = [{"content": text} for text in texts]
    if wire == "bridge":
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COUNT,
            "total_tokens": PROMPT_TOKENS + COUNT,
        }
        messages.append({"content": "", "finish_reason": "stop", "usage": usage})
    ends = "\r\n\r\n" if wire == "sse-starlette" else "\n\n"
    return [*(frame(message, separators, ends) for message in messages), f"data: [DONE]{ends}"]


def envoy_message(number: int, text: str) -> dict[str, object]:
    message: dict[str, object] = {"index": str(number), "text": text}
    if not number:
        return {"text": text, "model": MODEL}
    if number == COUNT:
        message["finishReason"] = "FINISH_REASON_STOP"
        message["usage"] = {
            "promptTokens": str(PROMPT_TOKENS),
            "completionTokens": str(COUNT),
            "totalTokens": str(PROMPT_TOKENS + COUNT),
        }
    return message


def frame(
    message: object, separators: tuple[str, str] | None = (",", ":"), ends: str = "\n\n"
) -> str:
    return f"data: {json.dumps(message, separators=separators)}{ends}"


def read(wire: str, *pieces: bytes) -> Reading:
    reading = Reading(Grammar(WIRES[wire], SIZE))
    for piece in pieces:
        stamps = reading.feed(piece)
        assert all(int(stamp) == STAMP for stamp in stamps)
    reading.finish()
    return reading


every_wire = pytest.mark.parametrize("wire", WIRES)
# The others have times and running numbers, and openings that are looked at only roughly.
every_strict_wire = pytest.mark.parametrize("wire", [w for w in WIRES if w not in DIALECTS])


@every_wire
@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 100_000])
def test_a_whole_stream_is_whole_however_it_is_cut_into_pieces(wire: str, width: int) -> None:
    body = "".join(frames_of(wire)).encode()
    reading = read(wire, *(body[at : at + width] for at in range(0, len(body), width)))
    assert (reading.messages, reading.fault) == (COUNT, "")


@every_strict_wire
def test_every_single_byte_that_is_missing_is_noticed(wire: str) -> None:
    body = "".join(frames_of(wire)).encode()
    unnoticed = [at for at in range(len(body)) if not read(wire, body[:at] + body[at + 1 :]).fault]
    assert not unnoticed


@every_strict_wire
def test_every_digit_that_is_another_one_is_noticed_but_those_of_stamps(wire: str) -> None:
    body = "".join(frames_of(wire)).encode()
    stamp = str(STAMP).encode()
    for at in range(len(body)):
        if body[at : at + 1].isdigit() and stamp not in body[max(0, at - 15) : at + 16]:
            digit = b"%d" % ((body[at] - ord("0") + 1) % 10)
            assert read(wire, body[:at] + digit + body[at + 1 :]).fault, body[at - 20 : at + 20]


@every_wire
def test_every_frame_that_is_missing_or_comes_twice_is_noticed(wire: str) -> None:
    frames = frames_of(wire)
    for at in range(len(frames)):
        assert read(wire, "".join(frames[:at] + frames[at + 1 :]).encode()).fault
        assert read(wire, "".join(frames[: at + 1] + frames[at:]).encode()).fault


@pytest.mark.parametrize(
    ("wire", "heartbeat"),
    [
        ("bridge", b'data: {"content":""}\n\n'),
        ("compact", b": ping\n\n"),
        ("sse-starlette", b": ping - 2026-01-01 00:00:00+00:00\r\n\r\n"),
    ],
)
def test_heartbeats_between_frames_are_no_fault(wire: str, heartbeat: bytes) -> None:
    frames = frames_of(wire)
    with_heartbeats = b"".join(heartbeat + frame.encode() for frame in frames[:COUNT])
    reading = read(wire, with_heartbeats, "".join(frames[COUNT:]).encode())
    assert (reading.messages, reading.fault) == (COUNT, "")
