"""Statuses, trailers and HTTP headers that are wrong."""

from __future__ import annotations

import base64

from google.protobuf.any_pb2 import Any
from google.rpc.status_pb2 import Status as RpcStatus
from hyperframe.frame import ContinuationFrame, HeadersFrame

from bridge.status import Status
from tests.faults.misbehaviour import (
    C_CORE_ENDS_ALL,
    FIRST,
    LENIENT,
    MALFORMED,
    PROTOCOL,
    RACE,
    STATUS_CODES,
    Act,
    Line,
    Misbehaviour,
    may_be,
)
from tests.faults.raw_http2 import HostileCall

MAPPING = "http-grpc-status-mapping.md"
_NO_STATUS = f"{MAPPING}: 200 is UNKNOWN, since there should be a grpc-status"
_UNREADABLE = f"{STATUS_CODES}: an error in parsing the returned status is UNKNOWN"
_GIVEN = f"{MAPPING}: if grpc-status was provided, it must be used"
_READ_AS_FAR_AS_POSSIBLE = f"{PROTOCOL}: a message that can't be decoded must not be an error"
_NO_METADATA = "grpc.aio gives INTERNAL to metadata that it can't read"


def trailers(*lines: Line) -> Act:
    """Return what ends a call with these trailers."""

    async def act(call: HostileCall) -> None:
        await call.open()
        await call.headers(list(lines), end=True)

    return act


def invalid_argument(message: str | bytes, *more: Line) -> Act:
    """Return what ends a call with INVALID_ARGUMENT, whose message browsers are told."""
    return trailers(("grpc-status", "3"), ("grpc-message", message), *more)


def unavailable(*more: Line) -> Act:
    """Return what ends a call with UNAVAILABLE, which is tried again."""
    return trailers(("grpc-status", "14"), ("grpc-message", "m"), *more)


def page(status: str, content_type: str = "text/html") -> Act:
    """Return what answers a call with a page, as proxies do."""

    async def act(call: HostileCall) -> None:
        await call.headers([(":status", status), ("content-type", content_type)])
        await call.data(b"<html><h1>nginx at 10.1.2.3</h1></html>", end=True)

    return act


def large_trailers(size: int) -> Act:
    """Return what ends a call with OK, and with a trailer of so many bytes."""

    async def act(call: HostileCall) -> None:
        await call.open()
        block = call.header_block([("grpc-status", "0"), ("x-large", "x" * size)])
        first, *rest = (block[at : at + 16384] for at in range(0, len(block), 16384))
        continuations = [ContinuationFrame(call.stream_id, part) for part in rest]
        continuations[-1].flags.add("END_HEADERS")
        await call.send(HeadersFrame(call.stream_id, first, flags=["END_STREAM"]), *continuations)

    return act


async def _end_on_data(call: HostileCall) -> None:
    await call.open()
    await call.data(b"", end=True)


async def _no_http_status(call: HostileCall) -> None:
    await call.headers([("content-type", "application/grpc"), ("grpc-status", "0")], end=True)


async def _http_status_as_a_word(call: HostileCall) -> None:
    await call.headers([(":status", "fine"), ("grpc-status", "0")], end=True)


async def _informational(call: HostileCall) -> None:
    await call.headers([(":status", "103"), ("link", "</x>")])
    await call.message("c")
    await call.trailers()


async def _headers_in_the_middle(call: HostileCall) -> None:
    await call.open()
    await call.headers([("x-note", "middle")])
    await call.message("c")
    await call.trailers()


def _percent_encoded(message: str) -> str:
    return "".join(f"%{byte:02X}" for byte in message.encode())


def _retry_info(value: bytes) -> Line:
    detail = Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=value)
    details = RpcStatus(details=[detail]).SerializeToString()
    return "grpc-status-details-bin", base64.b64encode(details)


_LONG = "".join(chr(0x20 + i % 0x5F) for i in range(8192)).replace("%", "/")
_LONG_CONTROLS = "".join(map(chr, range(32))) * 128

_BY_HTTP_STATUS = {
    "200": Status.UNKNOWN,
    "204": Status.UNKNOWN,
    "302": Status.UNKNOWN,
    "400": Status.INTERNAL,
    "401": Status.UNAUTHENTICATED,
    "403": Status.PERMISSION_DENIED,
    "404": Status.UNIMPLEMENTED,
    "429": Status.UNAVAILABLE,
    "431": Status.INTERNAL,
    "500": Status.UNKNOWN,
    "502": Status.UNAVAILABLE,
    "503": Status.UNAVAILABLE,
    "504": Status.UNAVAILABLE,
}

NO_STATUSES = [
    Misbehaviour("no-trailers", _end_on_data, Status.UNKNOWN, _NO_STATUS),
    Misbehaviour("no-status", trailers(("x-note", "y")), Status.UNKNOWN, _NO_STATUS),
    Misbehaviour("status-99", trailers(("grpc-status", "99")), Status.UNKNOWN, _UNREADABLE),
    *(
        Misbehaviour(
            f"status-{name}",
            trailers(("grpc-status", status)),
            Status.UNKNOWN,
            _UNREADABLE,
            may_be(Status.INTERNAL),
            _NO_METADATA,
        )
        for name, status in {
            "word": "OK",
            "empty": "",
            "negative": "-1",
            "huge": "9" * 20,
        }.items()
    ),
    Misbehaviour(
        "status-twice",
        trailers(("grpc-status", "0"), ("grpc-status", "3")),
        Status.UNKNOWN,
        _UNREADABLE,
        may_be(Status.INVALID_ARGUMENT),
        "grpc.aio takes the last",
    ),
]

MESSAGES = [
    Misbehaviour(
        "message-8k",
        invalid_argument(_LONG),
        Status.INVALID_ARGUMENT,
        _GIVEN,
        messages=(_LONG,),
    ),
    Misbehaviour(
        "message-controls",
        invalid_argument(_percent_encoded(_LONG_CONTROLS)),
        Status.INVALID_ARGUMENT,
        _GIVEN,
        messages=(_LONG_CONTROLS,),
    ),
    Misbehaviour(
        "message-badly-encoded",
        invalid_argument("100% wrong %zz %4"),
        Status.INVALID_ARGUMENT,
        _READ_AS_FAR_AS_POSSIBLE,
        messages=("100% wrong %zz %4",),
    ),
    Misbehaviour(
        "message-not-utf-8",
        invalid_argument("caf%E9 %FF%FE"),
        Status.INVALID_ARGUMENT,
        _READ_AS_FAR_AS_POSSIBLE,
        messages=("caf%E9 %FF%FE", "caf\ufffd \ufffd\ufffd", "caf\xe9 \xff\xfe"),
    ),
    Misbehaviour(
        "message-raw-bytes",
        invalid_argument(b"caf\xe9"),
        Status.INVALID_ARGUMENT,
        _READ_AS_FAR_AS_POSSIBLE,
        messages=("caf\ufffd", "caf\xe9"),
    ),
    Misbehaviour(
        "message-raw-controls",
        invalid_argument(b"a\1\x1b\x7f"),
        Status.INVALID_ARGUMENT,
        _READ_AS_FAR_AS_POSSIBLE,
        messages=("a\1\x1b\x7f",),
    ),
    Misbehaviour(
        "message-line-ends",
        invalid_argument(b"a\r\n\r\n\0b"),
        Status.INTERNAL,
        MALFORMED,
        may_be(Status.INVALID_ARGUMENT),
        LENIENT,
        messages=("a\r\n\r\n\0b",),
    ),
    Misbehaviour(
        "message-empty", invalid_argument(""), Status.INVALID_ARGUMENT, _READ_AS_FAR_AS_POSSIBLE
    ),
]

TRAILERS = [
    Misbehaviour(
        "trailer-not-ascii",
        invalid_argument("m", ("x-note", b"caf\xe9 \xff")),
        Status.INVALID_ARGUMENT,
        f"{PROTOCOL}: implementations must not error due to an invalid ASCII-Value",
        messages=("m",),
    ),
    Misbehaviour(
        "trailer-bad-base64",
        invalid_argument("m", ("x-note-bin", "!!not base64!!")),
        Status.INVALID_ARGUMENT,
        _GIVEN,
        may_be(Status.INTERNAL),
        _NO_METADATA,
        messages=("m",),
    ),
    Misbehaviour(
        "trailer-cut-base64",
        invalid_argument("m", ("x-note-bin", "abcde")),
        Status.INVALID_ARGUMENT,
        _GIVEN,
        may_be(Status.INTERNAL),
        _NO_METADATA,
        messages=("m",),
    ),
    Misbehaviour(
        "trailer-bad-base64-ok",
        trailers(("grpc-status", "0"), ("x-note-bin", "!")),
        Status.OK,
        _GIVEN,
        may_be(Status.INTERNAL),
        _NO_METADATA,
    ),
    Misbehaviour(
        "trailer-in-upper-case", invalid_argument("m", ("X-Note", "x")), Status.INTERNAL, MALFORMED
    ),
    Misbehaviour(
        "details-not-protobuf",
        invalid_argument("m", ("grpc-status-details-bin", "////")),
        Status.INVALID_ARGUMENT,
        _GIVEN,
        messages=("m",),
    ),
    Misbehaviour(
        "details-bad-retry-info",
        unavailable(_retry_info(b"\xff\xff")),
        Status.UNAVAILABLE,
        _GIVEN,
        messages=("m",),
    ),
    *(
        Misbehaviour(
            f"pushback-{name}",
            unavailable(("grpc-retry-pushback-ms", value)),
            Status.UNAVAILABLE,
            _GIVEN,
            may_be(Status.INTERNAL),
            _NO_METADATA,
            messages=("m",),
        )
        for name, value in {"negative": "-1", "word": "soon", "huge": "9" * 5000}.items()
    ),
    *(
        Misbehaviour(
            f"trailers-{size >> 10}k",
            large_trailers(size),
            Status.RESOURCE_EXHAUSTED,
            f"{PROTOCOL}: clients may limit the size of trailers",
            # What is far too large is not decoded, and with it nothing that follows.
            ends_connection=size > 128 << 10,
        )
        for size in (64 << 10, 1 << 20)
    ),
]

HTTP = [
    *(
        Misbehaviour(
            f"page-{status}",
            page(status),
            code,
            MAPPING,
            may_be(*{Status.UNKNOWN} - {code}),
            "" if code is Status.UNKNOWN else f"{RACE}, and it doesn't know 431",
            after=FIRST,
        )
        for status, code in _BY_HTTP_STATUS.items()
    ),
    Misbehaviour(
        "http-502-as-grpc",
        page("502", "application/grpc"),
        Status.UNAVAILABLE,
        MAPPING,
        may_be(Status.UNKNOWN),
        RACE,
        after=FIRST,
    ),
    Misbehaviour(
        "no-http-status",
        _no_http_status,
        Status.INTERNAL,
        MALFORMED,
        may_be(Status.OK),
        LENIENT,
        after=FIRST,
    ),
    Misbehaviour(
        "http-status-word", _http_status_as_a_word, Status.INTERNAL, MALFORMED, after=FIRST
    ),
    Misbehaviour(
        "http-103-first",
        _informational,
        Status.OK,
        f"{MAPPING}: 1xx should have the entire header skipped",
        may_be(Status.UNAVAILABLE, Status.UNKNOWN),
        C_CORE_ENDS_ALL,
        after=FIRST,
        texts=("c",),
        ends_connection=True,
    ),
    Misbehaviour(
        "headers-in-the-middle",
        _headers_in_the_middle,
        Status.INTERNAL,
        MALFORMED,
        may_be(Status.UNAVAILABLE),
        C_CORE_ENDS_ALL,
        ends_connection=True,
    ),
]

WRONG_STATUSES = [*NO_STATUSES, *MESSAGES, *TRAILERS, *HTTP]
