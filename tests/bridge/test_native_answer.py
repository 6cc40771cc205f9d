"""What a call makes of its answer: its messages, and one status, whatever the server does."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from bridge.status import Status
from bridge.upstream.call import RpcError
from bridge.upstream.http2 import (
    Connection,
    ErrorCode,
    FailureKind,
    Field,
    frames,
    write_section,
)
from bridge.upstream.http2.errors import Failure
from bridge.upstream.native.answer import Answer
from bridge.upstream.native.messages import prefixed
from tests.bridge.http2_ends import (
    END,
    REQUEST,
    RESPONSE,
    TRAILERS,
    WINDOW,
    compressed,
    data,
    greeted,
    headers,
    number,
    pieces,
    sent_codes,
)

SECTION_BYTES = 2000
GRPC = b"application/grpc"


class Call:
    """An answer on a connection of its own, and how often it was said to have come and ended."""

    def __init__(self) -> None:
        self.arrivals = 0
        self.closings = 0
        self.connection: Connection = greeted()
        self.answer = Answer(1 << 20, SECTION_BYTES, self._close)
        self.answer.arrived = self._arrive
        self.answer.stream = self.connection.open(write_section(REQUEST), b"", self.answer)
        self.connection.output()

    def _arrive(self) -> None:
        self.arrivals += 1

    def _close(self) -> None:
        self.closings += 1

    @property
    def ending(self) -> RpcError:
        """How it ended, once."""
        assert self.closings == 1
        assert self.answer.ending is not None
        return self.answer.ending

    def headers(self, *fields: Field, last: bool = False) -> Call:
        flags = END if last else frames.END_HEADERS
        self.connection.receive(headers(1, *fields, flags=flags))
        return self

    def data(self, content: bytes, *, last: bool = False) -> Call:
        self.connection.receive(data(1, content, frames.END_STREAM if last else 0))
        return self


def begun(*more: Field) -> Call:
    return Call().headers(*RESPONSE, *more)


GZIP: Field = (b"grpc-encoding", b"gzip")


def http(status: int, content_type: bytes, *more: Field) -> list[Field]:
    return [(b":status", str(status).encode()), (b"content-type", content_type), *more]


def status(code: int, message: str = "") -> list[Field]:
    fields = [(b"grpc-status", str(code).encode())]
    return [*fields, (b"grpc-message", message.encode())] if message else fields


def test_messages_are_there_with_the_frame_that_ends_them() -> None:
    call = begun().data(prefixed(b"one") + prefixed(b"two")[:4])
    assert call.answer.messages == [b"one"]
    call.data(prefixed(b"two")[4:])
    assert call.answer.take()[0] == [b"one", b"two"]
    assert call.arrivals == 1
    call.data(prefixed(b"three"))
    assert call.arrivals == 2
    assert call.answer.ending is None


def test_an_answer_ends_with_its_trailers() -> None:
    call = begun().data(prefixed(b"one")).headers(*TRAILERS, last=True)
    assert call.ending.status is Status.OK
    assert call.answer.messages == [b"one"]


def test_messages_before_an_error_stay() -> None:
    call = begun().data(prefixed(b"one"))
    call.headers(*status(8, "no%20more"), (b"x-trailer", b"v"), last=True)
    assert (call.ending.status, call.ending.message) == (Status.RESOURCE_EXHAUSTED, "no more")
    assert ("x-trailer", "v") in call.ending.trailers
    assert call.answer.messages == [b"one"]


def test_an_answer_of_trailers_alone_has_their_status() -> None:
    call = Call().headers(*RESPONSE, *status(5, "none"), last=True)
    assert (call.ending.status, call.ending.message) == (Status.NOT_FOUND, "none")
    assert not call.arrivals


def test_a_status_in_headers_that_are_not_the_end_is_not_the_status() -> None:
    call = Call().headers(*RESPONSE, *status(0)).data(b"")
    assert call.answer.ending is None
    call.headers(*status(13), last=True)
    assert call.ending.status is Status.INTERNAL


@pytest.mark.parametrize(
    "end",
    [
        lambda call: call.data(b"", last=True),
        lambda call: call.headers((b"x-trailer", b"v"), last=True),
    ],
    ids=["no trailers", "trailers without one"],
)
def test_an_answer_without_a_status_is_not_ok(end: Callable[[Call], Call]) -> None:
    ending = end(begun().data(prefixed(b"one"))).ending
    assert ending.status is Status.UNKNOWN
    assert ending.cause == "the answer ends without a grpc-status"


@pytest.mark.parametrize(
    "end",
    [
        lambda call: call.data(b"", last=True),
        lambda call: call.data(prefixed(b"one"), last=True),
        lambda call: call.headers((b"x", b"y"), last=True),
    ],
    ids=["no content", "content", "trailers"],
)
def test_a_status_of_the_headers_does_not_stand_for_that_of_the_end(
    end: Callable[[Call], Call],
) -> None:
    assert end(Call().headers(*RESPONSE, *status(0))).ending.status is Status.UNKNOWN


def test_ok_inside_a_message_is_not_ok() -> None:
    call = begun().data(prefixed(b"whole") + prefixed(b"cut")[:-1]).headers(*TRAILERS, last=True)
    assert call.ending.status is Status.INTERNAL
    assert call.answer.messages == [b"whole"]


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"application/grpc;charset=x", True),
        (b"Application/gRPC", True),
        (b"application/grpc-web", False),
        (b"application/grpc-web+proto", False),
        (b"application/grpcx", False),
        (b"text/html", False),
        (b"", False),
    ],
)
def test_only_grpc_is_taken_for_grpc(content_type: bytes, taken: bool) -> None:
    call = Call().headers(*http(200, content_type))
    if taken:
        assert call.answer.ending is None
    else:
        assert call.ending.status is Status.UNKNOWN
        assert call.ending.cause.startswith("HTTP status 200")
        assert sent_codes(call.connection) == ({1: ErrorCode.CANCEL}, None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (http(503, b"text/html"), Status.UNAVAILABLE),
        (http(503, GRPC), Status.UNAVAILABLE),
        (http(401, GRPC), Status.UNAUTHENTICATED),
        (http(404, b"text/plain"), Status.UNIMPLEMENTED),
        (http(418, b"text/plain"), Status.UNKNOWN),
        (http(503, GRPC, *status(7)), Status.PERMISSION_DENIED),
        (http(503, GRPC, *status(0)), Status.UNAVAILABLE),
        (http(200, b"text/html", *status(7)), Status.PERMISSION_DENIED),
    ],
)
def test_an_http_answer_is_an_error_of_its_own_status(
    fields: list[Field], expected: Status
) -> None:
    assert Call().headers(*fields, last=True).ending.status is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, Status.INTERNAL),
        (1, Status.INTERNAL),
        (2, Status.INTERNAL),
        (3, Status.INTERNAL),
        (4, Status.INTERNAL),
        (5, Status.INTERNAL),
        (6, Status.INTERNAL),
        (7, Status.UNAVAILABLE),
        (8, Status.CANCELLED),
        (9, Status.INTERNAL),
        (10, Status.INTERNAL),
        (11, Status.RESOURCE_EXHAUSTED),
        (12, Status.PERMISSION_DENIED),
        (13, Status.INTERNAL),
        (57005, Status.INTERNAL),
    ],
)
def test_a_reset_is_the_status_that_grpc_says(code: int, expected: Status) -> None:
    call = begun()
    call.connection.receive(frames.rst_stream(1, code))
    assert call.ending.status is expected
    assert call.ending.unprocessed == (code == ErrorCode.REFUSED_STREAM)


def test_a_lost_connection_is_unavailable_and_says_why_to_the_log_alone() -> None:
    call = begun()
    call.connection.lose("the network of 10.0.0.1 is gone")
    assert call.ending.status is Status.UNAVAILABLE
    assert (call.ending.message, call.ending.cause) == ("", "the network of 10.0.0.1 is gone")
    assert not call.ending.unprocessed


def test_a_call_that_a_server_has_not_seen_may_be_made_again() -> None:
    call = Call()
    call.connection.receive(frames.frame(frames.GOAWAY, 0, 0, bytes(8)))
    assert call.ending.status is Status.UNAVAILABLE
    assert call.ending.unprocessed


def test_a_call_that_is_the_last_of_those_a_server_serves_goes_on() -> None:
    call = begun()
    call.connection.receive(frames.frame(frames.GOAWAY, 0, 0, number(1) + number(0)))
    assert call.answer.ending is None
    assert call.headers(*TRAILERS, last=True).ending.status is Status.OK


@pytest.mark.parametrize("place", ["headers", "trailers"])
def test_a_section_beyond_its_limit_ends_the_call(place: str) -> None:
    large: Field = (b"x-large", b"x" * SECTION_BYTES)
    call = Call()
    if place == "headers":
        call.headers(*RESPONSE, large)
    else:
        call.headers(*RESPONSE).headers(*TRAILERS, large, last=True)
    assert call.ending.status is Status.RESOURCE_EXHAUSTED
    assert "headers or trailers have 2" in call.ending.cause


@pytest.mark.parametrize("last", [False, True])
def test_a_message_that_cannot_be_read_ends_the_call(last: bool) -> None:
    call = begun().data(prefixed(b"good") + b"\2" + bytes(4), last=last)
    assert call.ending.status is Status.INTERNAL
    assert call.answer.messages == [b"good"]
    assert sent_codes(call.connection) == ({} if last else {1: ErrorCode.CANCEL}, None)


def test_a_call_that_has_ended_is_not_ended_again() -> None:
    call = begun()
    call.answer.end(RpcError(Status.CANCELLED))
    call.answer.end(RpcError(Status.DEADLINE_EXCEEDED))
    assert call.ending.status is Status.CANCELLED
    call.data(prefixed(b"late")).headers(*TRAILERS, last=True)
    call.connection.lose("later")
    assert call.ending.status is Status.CANCELLED
    assert not call.answer.messages


def test_a_call_that_was_never_sent_can_fail() -> None:
    closings: list[None] = []
    answer = Answer(1, SECTION_BYTES, lambda: closings.append(None))
    answer.end(RpcError(Status.UNAVAILABLE))
    assert len(closings) == 1


def test_a_failure_of_a_kind_and_a_code_is_one_status() -> None:
    for kind, expected in (
        (FailureKind.RESET, Status.RESOURCE_EXHAUSTED),
        (FailureKind.MALFORMED, Status.RESOURCE_EXHAUSTED),
        (FailureKind.CONNECTION, Status.UNAVAILABLE),
    ):
        answer = Answer(1, SECTION_BYTES, lambda: None)
        answer.failed(Failure(kind, ErrorCode.ENHANCE_YOUR_CALM, "calm"))
        assert answer.ending is not None
        assert (answer.ending.status, answer.ending.cause) == (expected, "calm")


def test_messages_that_are_not_taken_hold_the_window_and_give_it_back_when_they_are() -> None:
    call = begun()
    message = prefixed(bytes(16379))
    for _ in range(3):
        call.data(message)
    assert not call.connection.output()
    messages, held = call.answer.take()
    assert (len(messages), held) == (3, 3 * len(message))
    assert call.answer.take() == ([], 0)


def test_a_message_larger_than_the_window_can_come() -> None:
    call = begun()
    large = prefixed(bytes(3 * WINDOW))
    for piece in pieces(large, 16384):
        call.data(piece)
        assert call.answer.ending is None
    assert call.answer.messages == [bytes(3 * WINDOW)]


def test_messages_that_are_released_are_forgotten_and_credited() -> None:
    call = begun().data(prefixed(bytes(16000))).data(prefixed(bytes(16000)))
    call.answer.release()
    assert call.answer.take() == ([], 0)
    assert not call.connection.output()
    call.data(prefixed(bytes(1000))).answer.release()
    assert call.connection.output() == frames.window_update(1, 33_015)


def test_messages_that_are_not_taken_stay_compressed() -> None:
    large = compressed(bytes(1 << 20))
    count = WINDOW // len(large)
    call = begun(GZIP)
    for _ in range(count):
        call.data(large)
    assert call.answer.ending is None
    assert sum(map(len, call.answer.messages)) < WINDOW
    for left in reversed(range(count)):
        messages, held = call.answer.take()
        assert (messages, held) == ([bytes(1 << 20)], len(large))
        assert len(call.answer.messages) == left
    assert call.answer.take() == ([], 0)


def test_small_messages_are_taken_together_though_they_are_compressed() -> None:
    content = compressed(b"one") + prefixed(b"two") + compressed(b"three") + prefixed(b"cut")[:-1]
    call = begun(GZIP).data(content)
    assert call.answer.take() == ([b"one", b"two", b"three"], len(content))


def test_what_a_message_has_given_back_in_parts_is_not_given_back_again() -> None:
    large, small = compressed(Random(1).randbytes(1 << 16)), compressed(b"small")
    call = begun(GZIP)
    for piece in pieces(large[:-9], 16384):
        call.data(piece)
    call.data(large[-9:] + small)
    assert [call.answer.take()[1] for _ in range(3)] == [9 + len(small), 0, 0]


@pytest.mark.parametrize("ends", [True, False])
def test_a_message_that_can_t_be_inflated_is_told_after_those_before_it(ends: bool) -> None:
    broken = b"\1" + prefixed(b"no gzip")[1:]
    call = begun(GZIP).data(compressed(b"one") + prefixed(b"two") + broken + prefixed(b"three"))
    if ends:
        call.headers(*TRAILERS, last=True)
    assert call.answer.take()[0] == [b"one", b"two"]
    with pytest.raises(RpcError) as caught:
        call.answer.take()
    assert caught.value.status is Status.INTERNAL
    assert "can't be inflated" in caught.value.cause
