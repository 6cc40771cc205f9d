"""Who takes nothing holds back their own stream, and no other (RFC 9113, sections 5.2 and 6.9)."""

from __future__ import annotations

import pytest

from bridge.upstream.http2 import Connection, ErrorCode, FailureKind, frames
from tests.bridge.http2_ends import (
    END,
    RESPONSE,
    TRAILERS,
    WINDOW,
    Heard,
    Server,
    connected,
    data,
    exchange,
    greeted,
    headers,
    holding,
    opened,
    sent_codes,
    split,
)

FRAME = frames.LEAST_MAX_FRAME_BYTES
PART = bytes(FRAME)


def whole_window(stream_id: int) -> bytes:
    """Return frames that take all of a stream's window."""
    rest = data(stream_id, bytes(WINDOW % FRAME))
    return data(stream_id, PART) * (WINDOW // FRAME) + rest


def widened(connection: Connection) -> dict[int, int]:
    """Return by how much each window is to be widened."""
    windows: dict[int, int] = {}
    for sent in split(connection.output()):
        assert sent.kind == frames.WINDOW_UPDATE
        size = int.from_bytes(sent.payload, "big")
        windows[sent.stream_id] = windows.get(sent.stream_id, 0) + size
    return windows


def answering(connection: Connection, server: Server, *receivers: Heard) -> None:
    """Let the server begin its answers."""
    exchange(connection, server)
    for heard in receivers:
        server.h2.send_headers(heard.stream.stream_id, RESPONSE)
    exchange(connection, server)


def fill(connection: Connection, server: Server, heard: Heard) -> int:
    """Let the server send what it may on one stream; return how much that was."""
    sent = 0
    while room := min(FRAME, server.h2.local_flow_control_window(heard.stream.stream_id)):
        server.h2.send_data(heard.stream.stream_id, PART[:room])
        sent += room
    exchange(connection, server)
    return sent


def test_who_takes_nothing_holds_the_server_at_the_window_while_others_go_on() -> None:
    connection, server = connected()
    slow, other = holding(connection), opened(connection)
    answering(connection, server, slow, other)
    assert fill(connection, server, slow) == WINDOW
    assert sum(fill(connection, server, other) for _ in range(20)) > 10 * WINDOW
    assert server.h2.local_flow_control_window(slow.stream.stream_id) == 0
    assert len(slow.content) == slow.held == WINDOW
    slow.give_back(WINDOW)
    exchange(connection, server)
    assert fill(connection, server, slow) == WINDOW


def test_answers_go_far_beyond_the_connection_s_window() -> None:
    connection, server = connected()
    receivers = [opened(connection) for _ in range(3)]
    answering(connection, server, *receivers)
    size = 0
    while size < 1 << 23:
        size += min(fill(connection, server, heard) for heard in receivers)
    for heard in receivers:
        server.h2.send_headers(heard.stream.stream_id, TRAILERS, end_stream=True)
    exchange(connection, server)
    assert all(heard.whole and len(heard.content) >= size for heard in receivers)


def test_many_who_take_nothing_do_not_use_up_the_connection_s_window() -> None:
    connection = greeted()
    # The connection's window is 16 MiB: these hold more.
    slow = [holding(connection) for _ in range(300)]
    connection.output()
    granted = 1 << 24
    for heard in slow:
        stream_id = heard.stream.stream_id
        connection.receive(headers(stream_id) + whole_window(stream_id))
        windows = widened(connection)
        assert windows.keys() <= {0}
        granted += windows.get(0, 0) - WINDOW
        assert granted >= 1 << 23
    assert not connection.failure
    assert sum(heard.held for heard in slow) == 300 * WINDOW


def test_what_comes_for_streams_that_are_gone_is_given_back_to_the_connection() -> None:
    connection = greeted()
    heard = opened(connection)
    stream_id = heard.stream.stream_id
    connection.receive(headers(stream_id))
    heard.give_up()
    connection.output()
    for _ in range((1 << 23) // FRAME):
        connection.receive(data(stream_id, PART))
    assert not connection.output()
    connection.receive(data(stream_id, b"x"))
    assert widened(connection) == {0: (1 << 23) + 1}


def test_the_server_is_told_of_room_when_it_is_half_the_window() -> None:
    connection = greeted()
    heard = holding(connection)
    connection.output()
    connection.receive(headers(1) + whole_window(1))
    heard.give_back(WINDOW // 2 - 1)
    assert not connection.output()
    heard.give_back(1)
    assert widened(connection) == {1: WINDOW // 2}


def test_padding_is_given_back_by_itself() -> None:
    connection = greeted()
    heard = holding(connection)
    connection.output()
    connection.receive(headers(1))
    padded = data(1, b"\xff" + bytes(255), frames.PADDED)
    connection.receive(padded * (WINDOW // 2 // 256))
    assert not connection.output()
    connection.receive(padded)
    assert widened(connection) == {1: (WINDOW // 2 // 256 + 1) * 256}
    assert not heard.content
    connection.receive(padded * (3 * WINDOW // 256))
    assert not connection.failure
    assert heard.failure is None


def test_a_server_that_answers_before_it_has_the_request_is_told_that_no_more_comes() -> None:
    connection = greeted()
    heard = opened(connection, bytes(WINDOW + 1))
    connection.output()
    connection.receive(headers(1, *RESPONSE, *TRAILERS, flags=END))
    assert heard.whole
    assert sent_codes(connection) == ({1: ErrorCode.NO_ERROR}, None)


def test_nothing_is_given_back_on_a_stream_that_has_ended() -> None:
    connection = greeted()
    heard = holding(connection)
    connection.output()
    connection.receive(headers(1) + whole_window(1) + headers(1, *TRAILERS, flags=END))
    assert heard.whole
    heard.give_back(WINDOW)
    assert not connection.output()


@pytest.mark.parametrize(
    ("beyond", "resets"),
    [
        (data(1, b"x"), {1: ErrorCode.FLOW_CONTROL_ERROR}),
        # The stream is closed then.
        (data(1, b"x", frames.END_STREAM), {}),
        (data(1, b"\0", frames.PADDED), {1: ErrorCode.FLOW_CONTROL_ERROR}),
    ],
    ids=["content", "the last content", "padding"],
)
def test_who_sends_beyond_a_stream_s_window_loses_the_stream_alone(
    beyond: bytes, resets: dict[int, int]
) -> None:
    connection = greeted()
    slow, other = holding(connection), opened(connection)
    connection.output()
    connection.receive(headers(1) + headers(3) + whole_window(1) + data(1, b""))
    assert slow.failure is None
    connection.receive(beyond + data(3, b"x", frames.END_STREAM))
    assert sent_codes(connection) == (resets, None)
    assert slow.failure is not None
    assert slow.failure.kind is FailureKind.MALFORMED
    assert slow.failure.code == ErrorCode.FLOW_CONTROL_ERROR
    assert len(slow.content) == WINDOW
    assert other.whole


def test_the_window_is_as_wide_as_what_was_given_back_and_no_wider() -> None:
    connection = greeted()
    heard = holding(connection)
    connection.output()
    connection.receive(headers(1) + whole_window(1))
    heard.give_back(40_000)
    connection.receive(data(1, PART) * 2 + data(1, bytes(40_000 - 2 * FRAME)))
    assert heard.failure is None
    connection.output()
    connection.receive(data(1, b"x"))
    assert sent_codes(connection) == ({1: ErrorCode.FLOW_CONTROL_ERROR}, None)
