"""HTTP/2 that is wrong: streams that are reset, connections that end, frames that flood or lie."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from bridge.status import Status
from tests.faults.misbehaviour import (
    FIRST,
    LENIENT,
    MALFORMED,
    PROTOCOL,
    STATUS_CODES,
    TAKEN,
    Act,
    Misbehaviour,
    may_be,
)
from tests.faults.raw_http2 import HostileCall, completion, length_prefixed

_BROKEN = f"{STATUS_CODES}: some data transmitted before the connection breaks: UNAVAILABLE"
_RESET = f"{PROTOCOL}, Errors"
_RESETS = {
    ErrorCodes.REFUSED_STREAM: Status.UNAVAILABLE,
    ErrorCodes.CANCEL: Status.CANCELLED,
    ErrorCodes.ENHANCE_YOUR_CALM: Status.RESOURCE_EXHAUSTED,
    ErrorCodes.INADEQUATE_SECURITY: Status.PERMISSION_DENIED,
}

Parts = list[Frame | bytes]


def reset(code: int) -> Act:
    """Return what ends a call with RST_STREAM."""

    async def act(call: HostileCall) -> None:
        await call.open()
        await call.reset(code)

    return act


async def _reset_without_headers(call: HostileCall) -> None:
    await call.reset(ErrorCodes.INTERNAL_ERROR)


def go_away(last_stream_id: Callable[[int], int], code: int = ErrorCodes.NO_ERROR) -> Act:
    """Return what sends GOAWAY, and then goes on as if nothing had been said."""

    async def act(call: HostileCall) -> None:
        await call.open()
        last = last_stream_id(call.stream_id)
        await call.send(GoAwayFrame(0, last, code, b"10.1.2.3 drains"))
        await call.message("c")
        await call.trailers()

    return act


def cut(raw: bytes = b"", *, abort: bool = False) -> Act:
    """Return what sends ``raw`` bytes, and ends the connection."""

    async def act(call: HostileCall) -> None:
        await call.open()
        await call.send(raw)
        if abort:
            call.connection.abort()
        else:
            await call.connection.close()

    return act


async def _cut_in_a_frame(call: HostileCall) -> None:
    await call.open()
    frame = DataFrame(call.stream_id, length_prefixed(completion("cut")))
    await call.send(frame.serialize()[:-2])
    await call.connection.close()


async def _cut_in_a_message(call: HostileCall) -> None:
    await call.open()
    await call.data(length_prefixed(completion("cut"))[:-2])
    await call.connection.close()


def frames(make: Callable[[int], Parts]) -> Act:
    """Return what sends frames, and then goes on as if nothing had been."""

    async def act(call: HostileCall) -> None:
        await call.open()
        await call.send(*make(call.stream_id))
        await call.message("c")
        await call.trailers()

    return act


async def _data_after_the_end(call: HostileCall) -> None:
    await call.open()
    block = call.header_block([("grpc-status", "0")])
    await call.send(
        HeadersFrame(call.stream_id, block, flags=["END_HEADERS", "END_STREAM"]),
        DataFrame(call.stream_id, length_prefixed(completion("late"))),
    )


async def _data_before_headers(call: HostileCall) -> None:
    await call.data(length_prefixed(completion("c")))
    await call.trailers()


async def _beyond_the_window(call: HostileCall) -> None:
    await call.open()
    message = length_prefixed(completion("x" * (3 << 20)))
    parts = (message[at : at + 16384] for at in range(0, len(message), 16384))
    await call.send(*(DataFrame(call.stream_id, part) for part in parts))
    await call.trailers()


async def _endless_continuation(call: HostileCall) -> None:
    field = b"\0\5x-any\x7f\x81\x3f" + bytes(8192)
    try:
        await call.send(HeadersFrame(call.stream_id, flags=["END_STREAM"] if call.opened else []))
        while True:
            await call.send(ContinuationFrame(call.stream_id, field))
            await asyncio.sleep(0)
    finally:
        call.connection.abort()


async def _silence(call: HostileCall) -> None:
    await call.open()
    await asyncio.Event().wait()


async def _silence_from_the_start(_: HostileCall) -> None:
    await asyncio.Event().wait()


STREAMS = [
    *(
        Misbehaviour(
            f"reset-{code.name.lower().replace('_', '-')}",
            reset(code),
            _RESETS.get(code, Status.INTERNAL),
            _RESET,
        )
        for code in ErrorCodes
    ),
    Misbehaviour("reset-57005", reset(57005), Status.INTERNAL, _RESET),
    Misbehaviour(
        "reset-without-headers", _reset_without_headers, Status.INTERNAL, _RESET, after=FIRST
    ),
    Misbehaviour(
        "silence",
        _silence,
        Status.DEADLINE_EXCEEDED,
        STATUS_CODES,
        deadline=0.3,
    ),
    Misbehaviour(
        "silence-from-the-start",
        _silence_from_the_start,
        Status.DEADLINE_EXCEEDED,
        STATUS_CODES,
        after=FIRST,
        deadline=0.3,
    ),
    Misbehaviour("data-after-the-end", _data_after_the_end, Status.OK, "the status has come"),
    Misbehaviour(
        "data-before-headers",
        _data_before_headers,
        Status.INTERNAL,
        MALFORMED,
        may_be(Status.OK),
        LENIENT,
        after=FIRST,
        texts=("c",),
    ),
    Misbehaviour(
        "beyond-the-window",
        _beyond_the_window,
        Status.INTERNAL,
        f"{STATUS_CODES}: a violation of the flow-control protocol is INTERNAL",
        also=may_be(Status.OK),
        deviation="a client that reads as fast as it is sent has widened the window by then",
        texts=("x" * (3 << 20),),
        ends_connection=True,
    ),
]

CONNECTIONS = [
    *(
        Misbehaviour(name, act, Status.OK, PROTOCOL, texts=("c",), ends_connection=True)
        for name, act in {
            "goaway-after-this": go_away(lambda stream_id: stream_id),
            "goaway-of-a-drain": go_away(lambda _: 2**31 - 1),
            "goaway-calm": go_away(lambda stream_id: stream_id, ErrorCodes.ENHANCE_YOUR_CALM),
        }.items()
    ),
    Misbehaviour(
        "goaway-before-this",
        go_away(lambda stream_id: max(stream_id - 2, 0)),
        Status.UNAVAILABLE,
        f"{PROTOCOL}: streams after the last accepted one are UNAVAILABLE",
        ends_connection=True,
    ),
    *(
        Misbehaviour(name, act, Status.UNAVAILABLE, _BROKEN, ends_connection=True)
        for name, act in {
            "close": cut(),
            "abort": cut(abort=True),
            "close-in-a-frame-header": cut(b"\0\0"),
            "close-in-a-frame": _cut_in_a_frame,
            "close-in-a-message": _cut_in_a_message,
        }.items()
    ),
    Misbehaviour(
        "endless-continuation",
        _endless_continuation,
        Status.RESOURCE_EXHAUSTED,
        f"{PROTOCOL}: clients may limit the size of headers and trailers",
        may_be(Status.INTERNAL, Status.DEADLINE_EXCEEDED),
        "a client may end the connection, and grpc.aio may wait for the end of the headers",
        may_be(Status.UNAVAILABLE),
        deadline=1,
        ends_connection=True,
    ),
]

_ALLOWED: dict[str, Callable[[int], Parts]] = {
    "flood-of-pings": lambda _: [PingFrame(0, bytes(8))] * 2000,
    "flood-of-settings": lambda _: [SettingsFrame(0, {4: 65535 + n % 2}) for n in range(2000)],
    "flood-of-empty-data": lambda stream_id: [DataFrame(stream_id)] * 2000,
    "flood-of-window-updates": lambda stream_id: [WindowUpdateFrame(stream_id, 1)] * 2000,
    "unknown-frame": lambda stream_id: [b"\0\0\4\x77\xff" + stream_id.to_bytes(4, "big") + b"what"],
}

_IGNORED: dict[str, Callable[[int], Parts]] = {
    "data-on-stream-0": lambda _: [b"\0\0\4\0\0\0\0\0\0what"],
    "window-overflow": lambda _: [WindowUpdateFrame(0, 2**31 - 1)] * 2,
    "push-promise": lambda stream_id: [
        PushPromiseFrame(stream_id, 2, b"\x82", flags=["END_HEADERS"])
    ],
}

_BREAKING: dict[str, Callable[[int], Parts]] = {
    "frame-too-large": lambda stream_id: [
        b"\xff\xff\xff\0\0" + stream_id.to_bytes(4, "big") + bytes(70000)
    ],
    "ping-of-7-bytes": lambda _: [b"\0\0\7\6\0\0\0\0\0" + bytes(7)],
    "settings-of-5-bytes": lambda _: [b"\0\0\5\4\0\0\0\0\0" + bytes(5)],
    "settings-window-of-4-gb": lambda _: [b"\0\0\6\4\0\0\0\0\0\0\4\xff\xff\xff\xff"],
    "window-update-of-0": lambda _: [b"\0\0\4\x08\0\0\0\0\0\0\0\0\0"],
    "hpack-garbage": lambda stream_id: [
        HeadersFrame(stream_id, b"\xff" * 40, flags=["END_HEADERS", "END_STREAM"])
    ],
    "continuation-alone": lambda stream_id: [
        ContinuationFrame(stream_id, b"\x82", flags=["END_HEADERS"])
    ],
    "random-bytes": lambda _: [Random(1).randbytes(4096)],
    "http-1-answer": lambda _: [b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"],
    "tls-alert": lambda _: [b"\x15\3\3\0\2\2\x46"],
}

FRAMES = [
    *(
        Misbehaviour(name, frames(make), Status.OK, TAKEN, texts=("c",))
        for name, make in _ALLOWED.items()
    ),
    Misbehaviour(
        "flood-of-padding",
        frames(lambda stream_id: [DataFrame(stream_id, pad_length=9, flags=["PADDED"])] * 200),
        Status.OK,
        TAKEN,
        may_be(Status.INTERNAL),
        "grpc.aio knows no padding",
        texts=("c",),
    ),
    *(
        Misbehaviour(
            name,
            frames(make),
            Status.UNAVAILABLE,
            _BROKEN,
            may_be(Status.OK),
            LENIENT,
            texts=("c",),
            ends_connection=True,
        )
        for name, make in _IGNORED.items()
    ),
    *(
        Misbehaviour(
            name,
            frames(make),
            Status.UNAVAILABLE,
            _BROKEN,
            deadline=2,
            ends_connection=True,
        )
        for name, make in _BREAKING.items()
    ),
]

# The C core 1.85.3 ends the whole process: "http2_status.h:264] UNREACHABLE CODE". So it is in no
# list of what a bridge in the process of the tests is given.
GOAWAY_OF_NO_KNOWN_CODE = Misbehaviour(
    "goaway-57005",
    go_away(lambda stream_id: stream_id, 57005),
    Status.OK,
    "RFC 9113, 7: an unknown error code must not trigger any special behaviour",
    texts=("c",),
    ends_connection=True,
)

WRONG_CONNECTIONS = [*STREAMS, *CONNECTIONS, *FRAMES]
