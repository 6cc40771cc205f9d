"""What is against the rules ends a connection, or one stream, with the code that RFC 9113 says."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hpack import Encoder

from bridge.upstream.http2 import Connection, ErrorCode, FailureKind, frames
from tests.bridge.http2_ends import (
    END,
    RESPONSE,
    SECTION_BYTES,
    TRAILERS,
    WINDOW,
    Heard,
    block,
    data,
    greeted,
    headers,
    number,
    opened,
    pieces,
    sent_codes,
)

HUGE = frames.LEAST_MAX_FRAME_BYTES


def frame(kind: int, payload: bytes = b"", *, stream_id: int = 0, flags: int = 0) -> bytes:
    """Return a frame of any kind."""
    return frames.frame(kind, flags, stream_id, payload)


def setting(key: int, value: int) -> bytes:
    """Return SETTINGS with one."""
    return frames.settings({key: value})


def large_section() -> bytes:
    """Return a header section of a few bytes that stand for many."""
    encoder = Encoder()
    first = bytes(encoder.encode([(b":status", b"200"), (b"x", b"y" * 4000)]))
    return first + bytes(encoder.encode([(b"x", b"y" * 4000)])) * 40


@dataclass(frozen=True)
class Wrong:
    """What a server must not send.

    Attributes:
        what: It, in words.
        section: The rule's.
        sent: It, in bytes; stream 1 has had its headers, and stream 3 nothing.
        code: What the server is told.
        last: Whether it ends its stream, which is closed then if the request has been sent: such
            a stream takes no frame (5.1), RST_STREAM among them.
    """

    what: str
    section: str
    sent: bytes
    code: ErrorCode
    last: bool = False


PROTOCOL = ErrorCode.PROTOCOL_ERROR
SIZE = ErrorCode.FRAME_SIZE_ERROR
FLOW = ErrorCode.FLOW_CONTROL_ERROR
HPACK = ErrorCode.COMPRESSION_ERROR

OF_THE_CONNECTION = [
    Wrong("a frame beyond the largest", "4.2", data(1, bytes(HUGE + 1)), SIZE),
    Wrong("an unknown frame beyond the largest", "4.2", frame(99, bytes(HUGE + 1)), SIZE),
    Wrong("a block that is none", "4.3", frame(1, b"\xff" * 9, stream_id=1, flags=4), HPACK),
    Wrong("an index beyond the table", "4.3", frame(1, b"\xbf", stream_id=1, flags=4), HPACK),
    Wrong("DATA inside a block", "4.3", headers(3, flags=0) + data(1), PROTOCOL),
    Wrong("an unknown frame inside a block", "4.3", headers(3, flags=0) + frame(99), PROTOCOL),
    Wrong("another HEADERS inside a block", "4.3", headers(3, flags=0) + headers(1), PROTOCOL),
    Wrong("DATA on an idle stream", "5.1", data(5), PROTOCOL),
    Wrong("HEADERS on an idle stream", "5.1", headers(5), PROTOCOL),
    Wrong("RST_STREAM on an idle stream", "5.1", frames.rst_stream(5, 8), PROTOCOL),
    Wrong("WINDOW_UPDATE on an idle stream", "5.1", frames.window_update(5, 1), PROTOCOL),
    Wrong("HEADERS on a stream of the server", "5.1.1", headers(2), PROTOCOL),
    Wrong("DATA on stream 0", "6.1", data(0), PROTOCOL),
    Wrong("DATA with more padding than frame", "6.1", data(1, b"\2x", frames.PADDED), PROTOCOL),
    Wrong("padded DATA without its length", "6.1", data(1, b"", frames.PADDED), SIZE),
    Wrong("HEADERS on stream 0", "6.2", headers(0), PROTOCOL),
    Wrong(
        "HEADERS with too much padding", "6.2", frame(1, b"\2x", stream_id=1, flags=12), PROTOCOL
    ),
    Wrong("HEADERS with half a priority", "6.2", frame(1, b"four", stream_id=1, flags=36), SIZE),
    Wrong("PRIORITY on stream 0", "6.3", frame(2, bytes(5)), PROTOCOL),
    Wrong("PRIORITY of 4 bytes", "6.3", frame(2, bytes(4), stream_id=1), SIZE),
    Wrong("RST_STREAM on stream 0", "6.4", frames.rst_stream(0, 8), PROTOCOL),
    Wrong("RST_STREAM of 3 bytes", "6.4", frame(3, bytes(3), stream_id=1), SIZE),
    Wrong("RST_STREAM of 5 bytes", "6.4", frame(3, bytes(5), stream_id=1), SIZE),
    Wrong("SETTINGS on a stream", "6.5", frame(4, stream_id=1), PROTOCOL),
    Wrong("SETTINGS of 5 bytes", "6.5", frame(4, bytes(5)), SIZE),
    Wrong("an acknowledgement with settings", "6.5", frame(4, bytes(6), flags=1), SIZE),
    Wrong("ENABLE_PUSH", "6.5.2", setting(2, 1), PROTOCOL),
    Wrong("a window of 2^31", "6.5.2", setting(4, 1 << 31), FLOW),
    Wrong("frames of 16,383 bytes", "6.5.2", setting(5, 16383), PROTOCOL),
    Wrong("frames of 2^24 bytes", "6.5.2", setting(5, 1 << 24), PROTOCOL),
    Wrong("PUSH_PROMISE", "6.6", frame(5, number(2) + block(), stream_id=1, flags=4), PROTOCOL),
    Wrong("PING on a stream", "6.7", frame(6, bytes(8), stream_id=1), PROTOCOL),
    Wrong("PING of 7 bytes", "6.7", frame(6, bytes(7)), SIZE),
    Wrong("GOAWAY on a stream", "6.8", frame(7, bytes(8), stream_id=1), PROTOCOL),
    Wrong("GOAWAY of 7 bytes", "6.8", frame(7, bytes(7)), SIZE),
    Wrong("GOAWAY of 3 bytes", "6.8", frame(7, bytes(3)), SIZE),
    Wrong("WINDOW_UPDATE of 3 bytes", "6.9", frame(8, bytes(3)), SIZE),
    Wrong("WINDOW_UPDATE of 5 bytes", "6.9", frame(8, bytes(5), stream_id=1), SIZE),
    Wrong("WINDOW_UPDATE of 0", "6.9", frames.window_update(0, 0), PROTOCOL),
    Wrong("a connection's window of 2^31", "6.9.1", frames.window_update(0, 2**31 - 1), FLOW),
    Wrong(
        "a stream's window of 2^31 by a setting",
        "6.9.2",
        frames.window_update(1, 2**31 - 1 - 65535) + setting(4, 65536),
        FLOW,
    ),
    Wrong("CONTINUATION of nothing", "6.10", frame(9, block(*RESPONSE), stream_id=1), PROTOCOL),
    Wrong(
        "CONTINUATION after the end of a block",
        "6.10",
        headers(3) + frame(9, stream_id=3),
        PROTOCOL,
    ),
    Wrong(
        "CONTINUATION on another stream",
        "6.10",
        headers(3, flags=0) + frame(9, stream_id=1, flags=4),
        PROTOCOL,
    ),
    Wrong("CONTINUATION on stream 0", "6.10", headers(3, flags=0) + frame(9, flags=4), PROTOCOL),
]
OF_THE_STREAM = [
    Wrong("content before headers", "8.1", data(3), PROTOCOL),
    Wrong("an end before headers", "8.1", data(3, b"", frames.END_STREAM), PROTOCOL, last=True),
    Wrong("trailers that are not the end", "8.1", headers(3) + headers(3, *TRAILERS), PROTOCOL),
    Wrong("content after 103 alone", "8.1", headers(3, (b":status", b"103")) + data(3), PROTOCOL),
    Wrong(
        "103 as the end", "8.1", headers(3, (b":status", b"103"), flags=END), PROTOCOL, last=True
    ),
    Wrong("an empty section", "8.3.2", frame(1, stream_id=3, flags=4), PROTOCOL),
    Wrong("no :status", "8.3.2", headers(3, (b"server", b"x")), PROTOCOL),
    Wrong(":status behind a field", "8.3", headers(3, (b"server", b"x"), *RESPONSE), PROTOCOL),
    Wrong(":status twice", "8.3", headers(3, *RESPONSE[:1], *RESPONSE[:1]), PROTOCOL),
    Wrong("a request's :path", "8.3", headers(3, *RESPONSE, (b":path", b"/")), PROTOCOL),
    Wrong(
        ":status in trailers",
        "8.1",
        headers(3) + headers(3, *RESPONSE, flags=END),
        PROTOCOL,
        last=True,
    ),
    Wrong("a status of two digits", "8.3.2", headers(3, (b":status", b"20")), PROTOCOL),
    Wrong("a status of 099", "8.3.2", headers(3, (b":status", b"099")), PROTOCOL),
    Wrong("a status with a sign", "8.3.2", headers(3, (b":status", b"+20")), PROTOCOL),
    Wrong("an uppercase name", "8.2.1", headers(3, *RESPONSE, (b"Server", b"x")), PROTOCOL),
    Wrong("an empty name", "8.2.1", headers(3, *RESPONSE, (b"", b"x")), PROTOCOL),
    Wrong("a name with a blank", "8.2.1", headers(3, *RESPONSE, (b"a b", b"x")), PROTOCOL),
    Wrong("a name beyond ASCII", "8.2.1", headers(3, *RESPONSE, (b"\xe4", b"x")), PROTOCOL),
    Wrong("a value with NUL", "8.2.1", headers(3, *RESPONSE, (b"a", b"x\0y")), PROTOCOL),
    Wrong("a value with CR", "8.2.1", headers(3, *RESPONSE, (b"a", b"x\ry")), PROTOCOL),
    Wrong("a value with LF", "8.2.1", headers(3, *RESPONSE, (b"a", b"x\ny")), PROTOCOL),
    Wrong("connection", "8.2.2", headers(3, *RESPONSE, (b"connection", b"close")), PROTOCOL),
    Wrong("upgrade", "8.2.2", headers(3, *RESPONSE, (b"upgrade", b"h2c")), PROTOCOL),
    Wrong("keep-alive", "8.2.2", headers(3, *RESPONSE, (b"keep-alive", b"1")), PROTOCOL),
    Wrong(
        "transfer-encoding",
        "8.2.2",
        headers(3, *RESPONSE, (b"transfer-encoding", b"chunked")),
        PROTOCOL,
    ),
    Wrong(
        "upgrade in trailers",
        "8.2.2",
        headers(3) + headers(3, *TRAILERS, (b"upgrade", b"h2c"), flags=END),
        PROTOCOL,
        last=True,
    ),
    Wrong("a stream's window widened by 0", "6.9", frames.window_update(3, 0), PROTOCOL),
    Wrong("a stream's window of 2^31", "6.9.1", frames.window_update(3, 2**31 - 1), FLOW),
]


def ids(wrong: Wrong) -> str:
    return f"{wrong.section} {wrong.what}"


def struck(wrong: Wrong, size: int, request: bytes = b"") -> tuple[Connection, Heard, Heard]:
    """Return a connection on which it has come in pieces of ``size`` bytes, and its two calls."""
    connection = greeted()
    first, second = opened(connection), opened(connection, request)
    connection.receive(headers(1))
    connection.output()
    for piece in pieces(wrong.sent, size):
        connection.receive(piece)
    return connection, first, second


@pytest.mark.parametrize("size", [1 << 20, 1], ids=["in one read", "byte by byte"])
@pytest.mark.parametrize("wrong", OF_THE_CONNECTION, ids=ids)
def test_the_connection_ends_with_the_right_code(wrong: Wrong, size: int) -> None:
    connection, *calls = struck(wrong, size)
    assert sent_codes(connection) == ({}, wrong.code)
    assert connection.failure.startswith(wrong.code.name)
    assert connection.draining
    assert (connection.room, connection.open_streams) == (0, 0)
    for heard in calls:
        assert heard.failure is not None
        assert heard.failure.kind is FailureKind.CONNECTION
        assert heard.failure.reason == connection.failure
        assert not heard.failure.unprocessed


@pytest.mark.parametrize("wrong", OF_THE_CONNECTION, ids=ids)
def test_nothing_is_said_or_done_on_a_connection_that_has_failed(wrong: Wrong) -> None:
    connection, *_ = struck(wrong, 1 << 20)
    connection.output()
    failure = connection.failure
    connection.receive(frame(frames.PING, bytes(8)) + setting(3, 7) + data(1) + wrong.sent)
    assert not connection.output()
    assert connection.failure == failure


@pytest.mark.parametrize("size", [1 << 20, 1], ids=["in one read", "byte by byte"])
@pytest.mark.parametrize("wrong", OF_THE_STREAM, ids=ids)
def test_one_stream_ends_with_the_right_code_and_the_others_go_on(wrong: Wrong, size: int) -> None:
    connection, other, bad = struck(wrong, size)
    assert sent_codes(connection) == ({} if wrong.last else {3: wrong.code}, None)
    assert bad.failure is not None
    assert bad.failure.kind is FailureKind.MALFORMED
    assert bad.failure.code == wrong.code
    connection.receive(data(1, b"text") + headers(1, *TRAILERS, flags=END))
    assert other.whole
    assert other.content == b"text"
    assert not connection.failure
    assert connection.open_streams == 0


@pytest.mark.parametrize("wrong", [wrong for wrong in OF_THE_STREAM if wrong.last], ids=ids)
def test_a_server_that_ends_its_side_wrong_is_told_while_a_request_is_being_sent(
    wrong: Wrong,
) -> None:
    connection, _, bad = struck(wrong, 1 << 20, request=bytes(WINDOW + 1))
    assert sent_codes(connection) == ({3: wrong.code}, None)
    assert bad.failure is not None


@pytest.mark.parametrize(
    "late",
    [
        headers(1, *TRAILERS, flags=END),
        data(1, b"x" * 100),
        data(1, b"", frames.END_STREAM),
        frames.rst_stream(1, ErrorCode.CANCEL),
        frames.window_update(1, 1),
        frames.window_update(1, 0),
        headers(1, (b"no", b"status")),
        frame(frames.PRIORITY, bytes(5), stream_id=1),
    ],
    ids=["trailers", "content", "end", "reset", "window", "no window", "malformed", "priority"],
)
def test_what_comes_late_on_a_stream_that_was_reset_is_ignored(late: bytes) -> None:
    connection = greeted()
    heard, other = opened(connection), opened(connection)
    connection.receive(headers(1))
    heard.give_up()
    connection.output()
    connection.receive(late * 2)
    assert not connection.output()
    connection.receive(headers(3, *RESPONSE, *TRAILERS, flags=END))
    assert other.whole


@pytest.mark.parametrize(
    "answer",
    [frame(frames.PING, bytes(8), flags=frames.ACK), frame(frames.SETTINGS, flags=frames.ACK)],
    ids=["PING", "SETTINGS"],
)
def test_what_acknowledges_is_not_acknowledged(answer: bytes) -> None:
    connection = greeted()
    connection.receive(answer)
    assert not connection.output()
    assert not connection.failure


def test_headers_that_come_late_are_decoded_for_the_sake_of_the_next() -> None:
    connection = greeted()
    heard, other = opened(connection), opened(connection)
    heard.give_up()
    encoder = Encoder()
    for stream_id in (1, 3):
        # The second block refers to what the first has put into the table.
        section = bytes(encoder.encode([*RESPONSE, (b"x-long-name", b"and its value")]))
        connection.receive(frame(frames.HEADERS, section, stream_id=stream_id, flags=END))
    assert other.whole
    assert (b"x-long-name", b"and its value") in other.fields


@pytest.mark.parametrize(
    ("first", "what"),
    [
        (frame(frames.PING, bytes(8)), "something else"),
        (frame(frames.SETTINGS, flags=frames.ACK), "SETTINGS"),
        (headers(1), "something else"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1"),
        (b"220 mail.example ESMTP\r\n", "something else"),
    ],
    ids=["PING", "an acknowledgement", "HEADERS", "HTTP/1.1", "SMTP"],
)
def test_a_server_begins_with_its_settings(first: bytes, what: str) -> None:
    connection = Connection(SECTION_BYTES)
    connection.output()
    connection.receive(first)
    assert sent_codes(connection) == ({}, PROTOCOL)
    assert what in connection.failure
    assert not connection.ready


def test_a_section_that_is_too_large_ends_the_connection_and_says_so_to_its_stream() -> None:
    connection = greeted()
    heard, other = opened(connection), opened(connection)
    connection.output()
    connection.receive(frame(frames.HEADERS, large_section(), stream_id=1, flags=4))
    assert sent_codes(connection) == (
        {1: ErrorCode.ENHANCE_YOUR_CALM},
        ErrorCode.ENHANCE_YOUR_CALM,
    )
    assert heard.failure is not None
    assert other.failure is not None
    assert (heard.failure.kind, heard.failure.code) == (FailureKind.MALFORMED, 11)
    assert other.failure.kind is FailureKind.CONNECTION
