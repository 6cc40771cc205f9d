"""HTTP/2 against a server of h2: whatever it sends that is legal, every call comes out right.

h2 checks every frame that the client sends, and that it stays within the windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from h2.settings import SettingCodes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bridge.upstream.http2 import (
    Connection,
    ErrorCode,
    FailureKind,
    Field,
    frames,
    write_section,
)
from tests.bridge.http2_ends import (
    EXAMPLES,
    REQUEST,
    RESPONSE,
    SECTION_BYTES,
    TRAILERS,
    WINDOW,
    Frame,
    Heard,
    Server,
    split,
)

# What bodies and contents are cut out of: no two parts of it are alike.
TEXT = Random(1).randbytes(1 << 18)

MOST_CALLS = 12

SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(0, 20_000),
    st.sampled_from([16384, 16385, 65535, 65536, 1 << 17]),
)
SETTINGS = st.dictionaries(
    st.sampled_from(
        [
            SettingCodes.HEADER_TABLE_SIZE,
            SettingCodes.MAX_CONCURRENT_STREAMS,
            SettingCodes.INITIAL_WINDOW_SIZE,
            SettingCodes.MAX_FRAME_SIZE,
            SettingCodes.MAX_HEADER_LIST_SIZE,
            4242,
        ]
    ),
    st.integers(0, 99),
    max_size=3,
)
ALLOWED: dict[SettingCodes | int, tuple[int, ...]] = {
    SettingCodes.HEADER_TABLE_SIZE: (0, 50, 4096, 1 << 16),
    SettingCodes.MAX_CONCURRENT_STREAMS: (0, 1, 3, 100, 2**32 - 1),
    SettingCodes.INITIAL_WINDOW_SIZE: (0, 1, 100, 16384, 65535, 1 << 18),
    SettingCodes.MAX_FRAME_SIZE: (16384, 16385, 1 << 17, 2**24 - 1),
    SettingCodes.MAX_HEADER_LIST_SIZE: (SECTION_BYTES, 1 << 20),
    4242: (0, 2**32 - 1),
}
FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"x-a", b"x-b", b"grpc-encoding", b"x-c-bin"]),
        st.sampled_from([b"", b"v", b"some", b"x" * 60, b"x" * 5000]),
    ),
    max_size=4,
)
# Flags that mean nothing on a frame of that type, which must be ignored (section 4.1).
MEANINGLESS = {frames.DATA: 0xF6, frames.HEADERS: 0xD2, frames.SETTINGS: 0xFE, frames.PING: 0xFE}


@dataclass(frozen=True)
class Part:
    """A part of an answer's content.

    Attributes:
        start: Where in ``TEXT`` the content of each frame begins.
        size: How long it is.
        frames: In how many frames it is sent, again and again.
        padding: Of how many bytes; None for a frame that isn't padded.
    """

    start: int
    size: int
    frames: int
    padding: int | None


PARTS = st.builds(
    Part,
    start=st.integers(0, 1 << 17),
    size=st.sampled_from([0, 1, 5, 1000, 16384]),
    frames=st.integers(1, 5),
    padding=st.sampled_from([None, None, 0, 1, 255]),
)


@dataclass
class Exchange:
    """One call, as both ends know it.

    Attributes:
        number: The stream.
        body: The request.
        heard: What the client was told.
        fields: The headers that the server has sent, if any.
        content: The content that the server has sent.
        trailers: The trailers that the server has sent, if any.
        closed: Whether the server has ended its side.
        code: The code with which the server has reset the stream.
    """

    number: int
    body: bytes
    heard: Heard
    fields: list[Field] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    trailers: list[Field] | None = None
    closed: bool = False
    code: int | None = None


class LegalServer(RuleBasedStateMachine):
    """A client and a server that do anything they may, in any order, over a slow wire."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection(SECTION_BYTES)
        self.server = Server()
        self.calls: list[Exchange] = []
        self.to_client = bytearray()
        self.to_server = bytearray()
        self.disguise: Callable[[Frame], bytes] = bytes
        self.sent_by_client()

    @initialize(
        fragment=st.sampled_from([1, 7, 1 << 20]),
        padding=st.sampled_from([0, 0, 1, 255]),
        priority=st.booleans(),
        bits=st.sampled_from([0, 0xFF]),
        greeted=st.sampled_from([True, True, False]),
    )
    def begin(self, fragment: int, padding: int, priority: bool, bits: int, greeted: bool) -> None:
        """Choose a form for the frames that h2 has only one form for, and say hello."""

        def disguise(frame: Frame) -> bytes:
            flags = frame.flags | bits & MEANINGLESS.get(frame.kind, 0)
            stream_id = frame.stream_id | (0x8000_0000 if bits else 0)
            if frame.kind != frames.HEADERS:
                return bytes(Frame(frame.kind, flags, stream_id, frame.payload))
            parts = [
                frame.payload[at : at + fragment] for at in range(0, len(frame.payload), fragment)
            ]
            first = parts[0]
            if priority:
                first = b"\x80\0\0\0\7" + first
                flags |= frames.PRIORITIZED
            if padding:
                first = bytes([padding]) + first + bytes(padding)
                flags |= frames.PADDED
            kinds = [frames.HEADERS, *[frames.CONTINUATION] * (len(parts) - 1)]
            all_flags = [flags & ~frames.END_HEADERS, *[bits & 0xFB] * (len(parts) - 1)]
            all_flags[-1] |= frames.END_HEADERS
            payloads = [first, *parts[1:]]
            return b"".join(map(frames.frame, kinds, all_flags, [stream_id] * len(kinds), payloads))

        self.disguise = disguise
        self.sent_by_server()
        if greeted:
            self.carry_everything()

    def sent_by_server(self) -> None:
        """Put on the wire what h2 has to say."""
        for frame in split(self.server.h2.data_to_send()):
            self.to_client += self.disguise(frame)

    def sent_by_client(self) -> None:
        self.to_server += self.connection.output()

    def answerable(self) -> list[Exchange]:
        return [
            call
            for call in self.calls
            if not call.closed
            and call.number in self.server.requests
            and self.server.requests[call.number].reset is None
        ]

    # What the client does.

    @precondition(lambda self: self.connection.room > 0 and len(self.calls) < MOST_CALLS)
    @rule(size=SIZES, start=st.integers(0, 1 << 17), more=FIELDS, at_once=st.booleans())
    def open(self, size: int, start: int, more: list[Field], at_once: bool) -> None:
        body = TEXT[start : start + size]
        heard = Heard()
        heard.stream = self.connection.open(write_section([*REQUEST, *more]), body, heard)
        self.calls.append(Exchange(heard.stream.stream_id, body, heard))
        self.sent_by_client()
        if at_once:
            self.carry_everything()

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, MOST_CALLS), share=st.sampled_from([1, 2, 10]))
    def take(self, which: int, share: int) -> None:
        call = self.calls[which % len(self.calls)]
        call.heard.give_back(call.heard.held // share)
        self.sent_by_client()

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, MOST_CALLS))
    def cancel(self, which: int) -> None:
        call = self.calls[which % len(self.calls)]
        call.heard.give_up()
        self.sent_by_client()

    # What the wire does.

    @precondition(lambda self: self.to_client)
    @rule(size=st.sampled_from([1, 8, 9, 10, 100, 16384, 1 << 20]), at_once=st.booleans())
    def carry_to_client(self, size: int, at_once: bool) -> None:
        carried = bytes(self.to_client[:size])
        del self.to_client[:size]
        if at_once or size > 100:
            self.connection.receive(carried)
        else:
            for byte in carried:
                self.connection.receive(bytes([byte]))
        assert not self.connection.failure
        self.sent_by_client()

    @precondition(lambda self: self.to_server)
    @rule(size=st.sampled_from([1, 10, 1000, 1 << 20, 1 << 20]))
    def carry_to_server(self, size: int) -> None:
        carried = bytes(self.to_server[:size])
        del self.to_server[:size]
        self.server.receive(carried)
        self.sent_by_server()

    # What the server does.

    @precondition(lambda self: self.answerable())
    @rule(
        which=st.integers(0, MOST_CALLS),
        informed=st.sampled_from([None, None, None, b"100", b"103", b"199"]),
        more=FIELDS,
        parts=st.lists(PARTS, max_size=4),
    )
    def answer(
        self, which: int, informed: bytes | None, more: list[Field], parts: list[Part]
    ) -> None:
        call = self.answerable()[which % len(self.answerable())]
        if not call.fields:
            if informed:
                self.server.h2.send_headers(call.number, [(b":status", informed), (b"link", b"x")])
            call.fields = [*RESPONSE, *more]
            self.server.h2.send_headers(call.number, call.fields)
        for part in parts:
            self.send(call, part)
        self.sent_by_server()

    def send(self, call: Exchange, part: Part) -> None:
        """Send a part of the content, as far as the windows allow."""
        overhead = 0 if part.padding is None else part.padding + 1
        most = 16384 - overhead
        for _ in range(part.frames):
            room = self.server.h2.local_flow_control_window(call.number) - overhead
            if room < 0:
                return
            content = TEXT[part.start :][: min(part.size, room, most)]
            call.content += content
            self.server.h2.send_data(call.number, content, pad_length=part.padding)

    @precondition(lambda self: self.answerable())
    @rule(which=st.integers(0, MOST_CALLS), more=FIELDS, with_data=st.booleans())
    def end(self, which: int, more: list[Field], with_data: bool) -> None:
        call = self.answerable()[which % len(self.answerable())]
        call.closed = True
        if not call.fields:
            call.fields = [*RESPONSE, *more]
            self.server.h2.send_headers(call.number, call.fields, end_stream=True)
        elif with_data:
            self.server.h2.end_stream(call.number)
        else:
            call.trailers = [*TRAILERS, *more]
            self.server.h2.send_headers(call.number, call.trailers, end_stream=True)
        self.sent_by_server()

    @precondition(lambda self: len(self.answerable()) > 2)
    @rule(which=st.integers(0, MOST_CALLS), code=st.sampled_from([*ErrorCode, 57005, 2**32 - 1]))
    def reset(self, which: int, code: int) -> None:
        call = self.answerable()[which % len(self.answerable())]
        call.closed, call.code = True, int(code)
        self.server.h2.reset_stream(call.number, int(code))
        self.sent_by_server()

    @rule(which=st.integers(0, MOST_CALLS), size=st.sampled_from([1, 100, 16384, WINDOW, 1 << 18]))
    def widen(self, which: int, size: int) -> None:
        self.server.h2.increment_flow_control_window(size)
        if self.answerable():
            call = self.answerable()[which % len(self.answerable())]
            self.server.h2.increment_flow_control_window(size, call.number)
        self.sent_by_server()

    @precondition(lambda self: self.server.settled)
    @rule(chosen=SETTINGS)
    def set(self, chosen: dict[SettingCodes | int, int]) -> None:
        values = {key: ALLOWED[key][n % len(ALLOWED[key])] for key, n in chosen.items()}
        self.server.set(values)
        self.sent_by_server()

    @rule(
        kind=st.sampled_from([frames.PRIORITY, 10, 12, 16, 255]),
        stream_id=st.sampled_from([1, 2, 3, 2**31 - 1]),
        payload=st.binary(min_size=8, max_size=8),
    )
    def say_nothing(self, kind: int, stream_id: int, payload: bytes) -> None:
        self.server.h2.ping(payload)
        self.sent_by_server()
        self.to_client += frames.frame(kind, 0, stream_id, payload[:5])
        self.connection.ping()
        self.sent_by_client()

    # How it all ends.

    def teardown(self) -> None:
        self.settle()
        for call in self.answerable():
            self.server.h2.increment_flow_control_window(len(call.body) or 1)
            self.server.h2.increment_flow_control_window(len(call.body) + (1 << 19), call.number)
        self.settle()
        for call in self.calls:
            self.check_request(call)
        for call in self.answerable():
            self.finish(call)
        self.settle()
        for call in self.calls:
            self.check_answer(call)
        assert self.connection.open_streams == 0
        assert not self.connection.failure

    @rule()
    def carry_everything(self) -> None:
        while self.to_client or self.to_server:
            if self.to_server:
                self.carry_to_server(1 << 20)
            if self.to_client:
                self.carry_to_client(1 << 20, at_once=True)

    def settle(self) -> None:
        """Let everything arrive, and take it."""
        self.sent_by_server()
        self.carry_everything()
        for number in range(len(self.calls)):
            self.take(number, 1)
        self.carry_everything()

    def finish(self, call: Exchange) -> None:
        """Answer with what the windows allow, which is at least half of what is granted."""
        if not call.fields:
            call.fields = RESPONSE
            self.server.h2.send_headers(call.number, RESPONSE)
        room = self.server.h2.local_flow_control_window(call.number)
        assert room > WINDOW // 2
        for at in range(0, room, 16384):
            part = TEXT[at : min(at + 16384, room)]
            call.content += part
            self.server.h2.send_data(call.number, part)
        call.trailers = TRAILERS
        call.closed = True
        self.server.h2.send_headers(call.number, TRAILERS, end_stream=True)

    def check_request(self, call: Exchange) -> None:
        request = self.server.requests[call.number]
        assert call.body.startswith(request.body)
        if not call.closed and not call.heard.abandoned:
            assert request.whole
            assert request.body == call.body

    def check_answer(self, call: Exchange) -> None:
        heard = call.heard
        if heard.abandoned:
            assert call.content.startswith(heard.content)
            assert not heard.whole
            return
        assert heard.fields == call.fields
        assert heard.content == call.content
        assert heard.trailers_ == call.trailers
        if call.code is None:
            assert heard.whole
        else:
            assert heard.failure is not None
            assert heard.failure.kind is FailureKind.RESET
            assert heard.failure.code == call.code
            assert heard.failure.unprocessed == (call.code == ErrorCode.REFUSED_STREAM)


LegalServer.TestCase.settings = settings(
    max_examples=int(EXAMPLES or 150),
    stateful_step_count=50,
    derandomize=not EXAMPLES,
    deadline=None,
)
TestLegalServer = LegalServer.TestCase
