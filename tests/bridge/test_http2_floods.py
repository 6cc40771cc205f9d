"""A server can make neither work nor memory without end."""

from __future__ import annotations

import pytest

from bridge.upstream.http2 import Connection, ErrorCode, frames
from tests.bridge.http2_ends import data, greeted, headers, holding, opened, sent_codes

# What bridge/upstream/http2/connection.py takes in one second, and headers.py of one section.
FRAMES = 100_000
SECTION = 128 * 1024
MANY = 20_000

FLOODS = {
    "PING": frames.frame(frames.PING, 0, 0, bytes(8)),
    "answered PING": frames.frame(frames.PING, frames.ACK, 0, bytes(8)),
    "SETTINGS": frames.settings({}),
    "acknowledgements": frames.frame(frames.SETTINGS, frames.ACK, 0),
    "PRIORITY": frames.frame(frames.PRIORITY, 0, 1, bytes(5)),
    "WINDOW_UPDATE": frames.window_update(0, 1),
    "WINDOW_UPDATE of a stream": frames.window_update(1, 1),
    "informational headers": headers(1, (b":status", b"103")),
    "RST_STREAM of a stream that is gone": frames.rst_stream(3, ErrorCode.CANCEL),
    "unknown frames": frames.frame(99, 0, 0, b"x"),
}
LATER_FLOODS = {
    "empty DATA": data(1, b""),
    "padding": data(1, b"\3\0\0\0", frames.PADDED),
}


def flooded() -> Connection:
    """Return a connection with one open call, and one that has been given up."""
    connection = greeted()
    opened(connection)
    opened(connection).give_up()
    connection.output()
    connection.tick()
    return connection


def send(connection: Connection, flood: bytes, times: int) -> None:
    """Let a server send a frame so often, and take what it is answered."""
    for _ in range(times // MANY):
        connection.receive(flood * MANY)
        connection.output()


@pytest.mark.parametrize("flood", [*FLOODS, *LATER_FLOODS])
def test_frames_without_content_are_taken_up_to_a_number_a_second(flood: str) -> None:
    connection = flooded()
    if flood in LATER_FLOODS:
        connection.receive(headers(1))
        connection.tick()
    frame = (FLOODS | LATER_FLOODS)[flood]
    send(connection, frame, FRAMES)
    connection.tick()
    send(connection, frame, FRAMES)
    assert not connection.failure
    connection.receive(frame)
    assert sent_codes(connection)[1] == ErrorCode.ENHANCE_YOUR_CALM
    assert "frames a second without content" in connection.failure


def test_content_is_no_flood_however_small() -> None:
    connection = flooded()
    connection.receive(headers(1))
    send(connection, data(1), 2 * FRAMES)
    assert not connection.failure


def test_a_setting_that_touches_every_stream_counts_as_often() -> None:
    connection = greeted()
    for _ in range(1000):
        holding(connection)
    connection.output()
    wider, narrower = frames.settings({4: 65536}), frames.settings({4: 65535})
    connection.receive((wider + narrower) * 49)
    assert not connection.failure
    connection.receive((wider + narrower) * 2)
    assert sent_codes(connection)[1] == ErrorCode.ENHANCE_YOUR_CALM


@pytest.mark.parametrize("fragment", [b"", b"\0\1a\1b"], ids=["empty", "full"])
def test_a_header_section_that_never_ends_is_not_kept(fragment: bytes) -> None:
    connection = flooded()
    connection.receive(headers(1, flags=0))
    continuation = frames.frame(frames.CONTINUATION, 0, 1, fragment)
    taken = 0
    while not connection.failure:
        connection.receive(continuation)
        taken += len(continuation)
        assert taken <= SECTION + 100
    assert taken > SECTION // 2
    assert sent_codes(connection) == (
        {1: ErrorCode.ENHANCE_YOUR_CALM},
        ErrorCode.ENHANCE_YOUR_CALM,
    )


def test_a_section_is_decoded_up_to_a_size_whatever_its_blocks_are() -> None:
    connection = flooded()
    # RFC 7541, section 6.2.1: a name of 3,000 bytes is put into the table, and repeated.
    first = b"\x88\x40" + b"\x7f\xb9\x16" + b"n" * 3000 + b"\1v"
    bomb = first + b"\xbe" * 10_000
    assert len(bomb) < frames.LEAST_MAX_FRAME_BYTES
    connection.receive(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, bomb))
    assert sent_codes(connection) == (
        {1: ErrorCode.ENHANCE_YOUR_CALM},
        ErrorCode.ENHANCE_YOUR_CALM,
    )


def test_the_table_for_header_sections_is_not_made_larger_by_the_server() -> None:
    connection = flooded()
    # RFC 7541, section 6.3: an update to 8,192, beyond the 4,096 that we have not changed.
    update = b"\x3f\xe1\x3f"
    connection.receive(frames.frame(frames.HEADERS, frames.END_HEADERS, 1, update + b"\x88"))
    assert sent_codes(connection) == ({}, ErrorCode.COMPRESSION_ERROR)
