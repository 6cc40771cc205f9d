"""Messages that are wrong: their prefix, their compression, their protobuf."""

from __future__ import annotations

import gzip
import zlib

from bridge.status import Status
from tests.faults.misbehaviour import (
    FIRST,
    PROTOCOL,
    RACE,
    STATUS_CODES,
    Act,
    Line,
    Misbehaviour,
    may_be,
)
from tests.faults.raw_http2 import HostileCall, completion, length_prefixed

_UNREADABLE = f"{STATUS_CODES}: an error in parsing a response proto is INTERNAL"
_TOO_LARGE = f"{STATUS_CODES}: a received message larger than the limit is RESOURCE_EXHAUSTED"
_NOT_INFLATED = f"{STATUS_CODES}: could not decompress: INTERNAL"
_NO_ENCODING = "compression.md: a flag without an encoding must fail with INTERNAL"
_CORRUPT = f"{PROTOCOL}, Errors: the framing of the message stream is corrupt: INTERNAL"
_LOST = "grpc.aio says nothing of a message that is cut off by a status, and none can see it"

_MEGABYTE = bytes(1 << 20)
_LARGE = completion("x" * (4 << 20))


def data(raw: bytes, *headers: Line) -> Act:
    """Return what sends ``raw`` as DATA, after these response headers, and ends with OK."""

    async def act(call: HostileCall) -> None:
        await call.open(*headers)
        await call.data(raw)
        await call.trailers()

    return act


def compressed(raw: bytes, encoding: str = "gzip") -> Act:
    """Return what sends ``raw`` as a compressed message."""
    return data(length_prefixed(raw, flag=1), ("grpc-encoding", encoding))


def bomb(megabytes: int) -> bytes:
    """Return that many megabytes of zeros in gzip: a thousandth of it."""
    deflate = zlib.compressobj(9, wbits=31)
    parts = [deflate.compress(_MEGABYTE) for _ in range(megabytes)]
    return b"".join([*parts, deflate.flush()])


async def _end_in_a_message(call: HostileCall) -> None:
    await call.open()
    await call.data(length_prefixed(completion("cut"))[:-2], end=True)


_ZIPPED = gzip.compress(completion("c"))

WRONG_MESSAGES = [
    Misbehaviour(
        "end-in-a-message",
        _end_in_a_message,
        Status.UNKNOWN,
        "http-grpc-status-mapping.md: there is no grpc-status",
        may_be(Status.INTERNAL),
        _CORRUPT,
    ),
    *(
        Misbehaviour(name, data(raw), Status.INTERNAL, _CORRUPT, may_be(Status.OK), _LOST)
        for name, raw in {
            "ok-in-a-message": length_prefixed(completion("cut"))[:-2],
            "ok-in-a-prefix": b"\0\0\0",
        }.items()
    ),
    *(
        Misbehaviour(name, data(length_prefixed(raw)), Status.INTERNAL, _UNREADABLE)
        for name, raw in {
            "not-protobuf": b"\xff\xff\xff",
            "protobuf-cut": completion("cut")[:-1],
            "text-not-utf-8": b"\x12\x02\xc3\x28",
            "text-half-a-surrogate": b"\x12\x03\xed\xa0\x80",
        }.items()
    ),
    Misbehaviour("too-large", data(length_prefixed(_LARGE)), Status.RESOURCE_EXHAUSTED, _TOO_LARGE),
    Misbehaviour(
        "claims-4-gb",
        data(length_prefixed(b"x" * 100, length=2**32 - 1)),
        Status.RESOURCE_EXHAUSTED,
        _TOO_LARGE,
    ),
    Misbehaviour(
        "compressed-flag-2",
        data(length_prefixed(completion("c"), flag=2)),
        Status.INTERNAL,
        _CORRUPT,
        may_be(Status.OK),
        RACE,
    ),
    Misbehaviour(
        "compressed-without-encoding",
        data(length_prefixed(_ZIPPED, flag=1)),
        Status.INTERNAL,
        _NO_ENCODING,
    ),
]

COMPRESSED = [
    *(
        Misbehaviour(name, act, Status.OK, "compression.md", after=FIRST, texts=("c",))
        for name, act in {
            "gzip": compressed(_ZIPPED),
            "deflate": compressed(zlib.compress(completion("c")), "deflate"),
            "gzip-unused": data(length_prefixed(completion("c")), ("grpc-encoding", "gzip")),
        }.items()
    ),
    *(
        Misbehaviour(name, compressed(raw), Status.INTERNAL, _NOT_INFLATED, after=FIRST)
        for name, raw in {
            "gzip-that-is-none": b"no gzip",
            "gzip-cut": _ZIPPED[:-9],
            "gzip-bad-checksum": _ZIPPED[:-8] + bytes(8),
            "gzip-and-more": _ZIPPED + b"more",
        }.items()
    ),
    Misbehaviour(
        "gzip-of-nothing",
        compressed(b""),
        Status.INTERNAL,
        _NOT_INFLATED,
        may_be(Status.OK),
        "grpc.aio takes it for an empty message",
        after=FIRST,
    ),
    *(
        Misbehaviour(name, compressed(raw), Status.RESOURCE_EXHAUSTED, _TOO_LARGE, after=FIRST)
        for name, raw in {
            "gzip-too-large": gzip.compress(_LARGE),
            "gzip-bomb": bomb(1024),
        }.items()
    ),
    Misbehaviour(
        "encoding-identity",
        compressed(_ZIPPED, "identity"),
        Status.INTERNAL,
        _NO_ENCODING,
        after=FIRST,
    ),
    Misbehaviour(
        "encoding-unknown",
        compressed(_ZIPPED, "snappy"),
        Status.INTERNAL,
        "compression.md: an algorithm that the client doesn't support is INTERNAL",
        after=FIRST,
    ),
]
