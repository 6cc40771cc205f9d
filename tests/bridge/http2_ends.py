"""Both ends of an HTTP/2 connection in memory: who receives for the client, and a server of h2."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from hpack import Encoder, NeverIndexedHeaderTuple
from hypothesis import settings

from bridge.upstream.http2 import (
    Connection,
    ErrorCode,
    Failure,
    Field,
    Stream,
    frames,
    write_section,
)
from bridge.upstream.native.messages import prefixed

# Like tests/faults/test_fuzzed_backend.py: how many examples, which are new ones then.
EXAMPLES = os.environ.get("FAULTS_EXAMPLES", "")
fuzz = settings(max_examples=int(EXAMPLES or 200), derandomize=not EXAMPLES, deadline=None)

SECTION_BYTES = 16 * 1024
WINDOW = 65535

REQUEST: list[Field] = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/a.B/C"),
    (b":authority", b"backend"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
]
RESPONSE: list[Field] = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS: list[Field] = [(b"grpc-status", b"0")]


class Heard:
    """A receiver that notes what it is told, and that it is told in order.

    Attributes:
        status: The HTTP status; 0 before it.
        fields: The headers.
        content: What has come of the content.
        trailers_: The trailers; None before them.
        failure: How the stream failed; None while it hasn't.
        whole: Whether the answer has come whole.
        held: How much of the stream's window is not given back.
        abandoned: Whether it has given up, and must be told no more.
        stream: The stream on which the answer comes.

    Args:
        taking: Whether what comes is given back at once.
    """

    stream: Stream

    def __init__(self, *, taking: bool = False) -> None:
        self._taking = taking
        self.status = 0
        self.fields: list[Field] = []
        self.content = bytearray()
        self.trailers_: list[Field] | None = None
        self.failure: Failure | None = None
        self.whole = False
        self.held = 0
        self.abandoned = False

    @property
    def over(self) -> bool:
        """Whether nothing more may come."""
        return self.whole or self.abandoned or self.failure is not None

    def headers(self, status: int, fields: list[Field]) -> None:
        assert not self.over
        assert not self.status
        self.status, self.fields = status, fields

    def data(self, buffer: bytes, start: int, stop: int) -> None:
        assert not self.over
        assert self.status
        assert self.trailers_ is None
        self.content += buffer[start:stop]
        self.held += stop - start
        if self._taking:
            self.give_back(self.held)

    def give_back(self, size: int) -> None:
        """Let the server send so much more."""
        self.held -= size
        self.stream.credit(size)

    def give_up(self) -> None:
        """Reset the stream."""
        self.abandoned = self.abandoned or not self.over
        self.stream.reset(ErrorCode.CANCEL)

    def trailers(self, fields: list[Field]) -> None:
        assert not self.over
        assert self.status
        assert self.trailers_ is None
        self.trailers_ = fields

    def ended(self) -> None:
        assert not self.over
        self.whole = True

    def failed(self, failure: Failure) -> None:
        assert not self.over
        self.failure = failure


@dataclass
class Request:
    """What a server has of one request."""

    fields: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    reset: int | None = None


class Server:
    """A server of h2, which raises an error when the client breaks the protocol.

    Attributes:
        h2: Its connection.
        requests: What has come, by stream.
        settled: Whether the client has acknowledged all settings. h2 takes one acknowledgement
            for that of all that it has sent, so that it must not send more before.
    """

    def __init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.h2.initiate_connection()
        self.requests: dict[int, Request] = {}
        self.settled = False
        self._rest = b""

    def set(self, settings: Mapping[SettingCodes | int, int]) -> None:
        """Change the settings."""
        assert self.settled
        self.settled = False
        self.h2.update_settings(dict(settings))

    def receive(self, raw: bytes) -> None:
        """Take what the client sends."""
        raw = self._rest + raw
        # h2 applies a new MAX_FRAME_SIZE with the next bytes: so it gets one frame at a time.
        while len(raw) >= (size := _length_of_first(raw)):
            for event in self.h2.receive_data(raw[:size]):
                self._note(event)
            raw = raw[size:]
        self._rest = raw

    def _note(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream_id), headers=fields):
                self.requests[stream_id] = Request(
                    [(bytes(name), bytes(value)) for name, value in fields or ()]
                )
            case DataReceived(stream_id=int(stream_id), data=bytes(data)):
                self.requests[stream_id].body += data
            case StreamEnded(stream_id=int(stream_id)):
                self.requests[stream_id].whole = True
            case StreamReset(stream_id=int(stream_id), error_code=int(code)):
                self.requests[stream_id].reset = code
            case SettingsAcknowledged():
                self.settled = True


def _length_of_first(raw: bytes) -> int:
    if raw.startswith(b"PRI"):
        return len(frames.PREFACE)
    return frames.HEAD_BYTES + int.from_bytes(raw[:3], "big")


def connected(
    settings: Mapping[SettingCodes | int, int] | None = None,
) -> tuple[Connection, Server]:
    """Return a client and a server that have greeted one another, and that have ``settings``."""
    connection, server = Connection(SECTION_BYTES), Server()
    exchange(connection, server)
    assert connection.ready
    if settings:
        server.set(settings)
        exchange(connection, server)
    return connection, server


def exchange(connection: Connection, server: Server) -> None:
    """Let both read what the other has sent, until neither has anything to say."""
    while True:
        to_server, to_client = connection.output(), server.h2.data_to_send()
        if not to_server and not to_client:
            return
        server.receive(to_server)
        connection.receive(to_client)


def opened(connection: Connection, body: bytes = b"", heard: Heard | None = None) -> Heard:
    """Return who receives the answer of a new request; it takes it at once unless it is given."""
    heard = heard or Heard(taking=True)
    heard.stream = connection.open(write_section(REQUEST), body, heard)
    return heard


def holding(connection: Connection, body: bytes = b"") -> Heard:
    """Return who receives the answer of a new request, and gives nothing back."""
    return opened(connection, body, Heard())


def block(*fields: Field) -> bytes:
    """Return an HPACK block that needs no state and leaves none."""
    literal = (NeverIndexedHeaderTuple(*field) for field in fields)
    return bytes(Encoder().encode(literal, huffman=False))


END = frames.END_HEADERS | frames.END_STREAM


def headers(stream_id: int, *fields: Field, flags: int = frames.END_HEADERS) -> bytes:
    """Return HEADERS with these fields, or those with which an answer begins."""
    return frames.frame(frames.HEADERS, flags, stream_id, block(*(fields or RESPONSE)))


def data(stream_id: int, content: bytes = b"x", flags: int = 0) -> bytes:
    """Return DATA."""
    return frames.frame(frames.DATA, flags, stream_id, content)


def number(value: int) -> bytes:
    """Return 32 bits."""
    return value.to_bytes(4, "big")


def greeted() -> Connection:
    """Return a connection to which a server has said its settings, and which has answered."""
    connection = Connection(SECTION_BYTES)
    connection.receive(frames.settings({}))
    assert connection.ready
    connection.output()
    return connection


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


def compressed(message: bytes, encoding: str = "gzip") -> bytes:
    """Return a message as a server sends it that compresses it."""
    return b"\1" + prefixed(COMPRESS[encoding](message))[1:]


@dataclass(frozen=True)
class Frame:
    """One frame of a byte stream."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    def __bytes__(self) -> bytes:
        return frames.frame(self.kind, self.flags, self.stream_id, self.payload)


def split(raw: bytes) -> Iterator[Frame]:
    """Split whole frames apart, after the preface of a client if there is one."""
    raw = raw.removeprefix(frames.PREFACE)
    while raw:
        high, low, kind, flags, stream_id = frames.HEAD.unpack_from(raw)
        end = frames.HEAD_BYTES + (high << 8 | low)
        yield Frame(kind, flags, stream_id, raw[frames.HEAD_BYTES : end])
        raw = raw[end:]


def pieces(raw: bytes, size: int) -> Iterator[bytes]:
    """Return ``raw`` in pieces of ``size`` bytes."""
    for at in range(0, len(raw), size):
        yield raw[at : at + size]


def cut_at(raw: bytes, cuts: list[int]) -> list[bytes]:
    """Return ``raw`` in pieces."""
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[start:end] for start, end in pairwise(edges)]


def sent_codes(connection: Connection) -> tuple[dict[int, int], int | None]:
    """Return the codes of RST_STREAM by stream, and that of GOAWAY, that are to be sent."""
    resets: dict[int, int] = {}
    goaway: int | None = None
    for sent in split(connection.output()):
        if sent.kind == frames.RST_STREAM:
            assert sent.stream_id not in resets
            resets[sent.stream_id] = int.from_bytes(sent.payload, "big")
        elif sent.kind == frames.GOAWAY:
            assert goaway is None
            goaway = int.from_bytes(sent.payload[4:8], "big")
    return resets, goaway
