"""Whatever bytes a backend sends: one verdict, ``[DONE]``, and the bridge goes on.

``FAULTS_EXAMPLES`` sets how many answers each test tries, and makes them new ones at every run.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import httpx
from h2.errors import ErrorCodes
from hpack import Encoder, NeverIndexedHeaderTuple
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.upstream.transport import Transport
from tests.conftest import RunningBridge, ask, eventually
from tests.faults.answer import read
from tests.faults.hostile_backend import HostileBackend, saying
from tests.faults.misbehaviour import TEXTS
from tests.faults.raw_http2 import HostileCall, completion, length_prefixed
from tests.faults.test_hostile_backend import PATH, until_served

EXAMPLES = os.environ.get("FAULTS_EXAMPLES", "")

fuzz = settings(max_examples=int(EXAMPLES or 200), derandomize=not EXAMPLES, deadline=None)

ENDINGS = ("close", "abort", "silence")


@dataclass(frozen=True)
class Mutation:
    """A change of some bytes.

    Attributes:
        kind: ``flip``, ``insert``, ``delete``, ``repeat`` or ``cut``.
        at: Where, modulo the length.
        with_bytes: What is put there, or how much is taken.
    """

    kind: str
    at: int
    with_bytes: bytes

    def apply(self, raw: bytes) -> bytes:
        """Return ``raw``, changed."""
        at, new = self.at % (len(raw) + 1), self.with_bytes
        before, after = raw[:at], raw[at:]
        match self.kind:
            case "flip":
                changed = bytes(a ^ b for a, b in zip(after, new, strict=False))
                return before + changed + after[len(changed) :]
            case "insert":
                return before + new + after
            case "delete":
                return before + after[len(new) :]
            case "repeat":
                return before + after[: len(new)] * 2 + after[len(new) :]
            case _:
                return before


def header_block(*headers: tuple[str, str]) -> bytes:
    """Return an HPACK block that needs no state and leaves none."""
    fields = (NeverIndexedHeaderTuple(name.encode(), value.encode()) for name, value in headers)
    return bytes(Encoder().encode(fields, huffman=False))


HEADERS = header_block((":status", "200"), ("content-type", "application/grpc"))
TRAILERS = header_block(("grpc-status", "0"), ("grpc-message", "m"), ("x-note-bin", "AAAA"))


def good_answer(stream_id: int) -> bytes:
    """Return all bytes of a good answer."""
    messages = [DataFrame(stream_id, length_prefixed(completion(text))) for text in TEXTS]
    frames: list[Frame] = [
        HeadersFrame(stream_id, HEADERS, flags=["END_HEADERS"]),
        *messages,
        HeadersFrame(stream_id, TRAILERS, flags=["END_HEADERS", "END_STREAM"]),
    ]
    return b"".join(frame.serialize() for frame in frames)


async def send_and_end(
    call: HostileCall, chunks: list[bytes], ending: str, told: asyncio.Event
) -> None:
    """Send ``chunks`` one by one, and end the connection, at the latest when the client was told.

    Nothing that comes on it afterwards could be trusted.
    """
    try:
        for chunk in chunks:
            await call.send(chunk)
            await asyncio.sleep(0)
        if ending == "close":
            await call.connection.close()
        elif ending == "silence":
            await told.wait()
    finally:
        call.connection.abort()


def ends_the_process(raw: bytes) -> bool:
    """Return whether there is a GOAWAY on which gRPC's core aborts; see GOAWAY_OF_NO_KNOWN_CODE."""
    while len(raw) >= 9:
        size = int.from_bytes(raw[:3], "big")
        if raw[3] == GoAwayFrame.type and int.from_bytes(raw[13:17], "big") > max(ErrorCodes):
            return True
        raw = raw[9 + size :]
    return False


async def one_verdict(
    client: httpx.AsyncClient,
    hostile: HostileBackend,
    running: RunningBridge,
    transport: Transport,
    chunks: Callable[[int], list[bytes]],
    ending: str,
) -> None:
    if transport == "grpcio":
        assume(not ends_the_process(b"".join(chunks(3))))
    told = asyncio.Event()
    hostile.acts["fuzzed"] = lambda call: send_and_end(call, chunks(call.stream_id), ending, told)
    headers = {"x-request-timeout": "0.3"}
    read((await client.post(PATH, json=ask(saying("fuzzed")), headers=headers)).content)
    told.set()
    await until_served(client)
    await eventually(lambda: len(running.streams) == 0)
    await eventually(lambda: hostile.open_calls == 0)


mutations = st.lists(
    st.builds(
        Mutation,
        kind=st.sampled_from(["flip", "insert", "delete", "repeat", "cut"]),
        at=st.integers(0, 400),
        with_bytes=st.binary(min_size=1, max_size=12),
    ),
    max_size=4,
)


def cut_at(raw: bytes, cuts: list[int]) -> list[bytes]:
    """Return ``raw`` in pieces."""
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[start:end] for start, end in pairwise(edges)]


@given(
    changes=mutations,
    cuts=st.lists(st.integers(0, 400), max_size=5),
    ending=st.sampled_from(ENDINGS),
)
@fuzz
async def test_a_good_answer_whose_bytes_are_changed(
    client: httpx.AsyncClient,
    hostile: HostileBackend,
    running: RunningBridge,
    transport: Transport,
    changes: list[Mutation],
    cuts: list[int],
    ending: str,
) -> None:
    def chunks(stream_id: int) -> list[bytes]:
        raw = good_answer(stream_id)
        for change in changes:
            raw = change.apply(raw)
        return cut_at(raw, cuts)

    await one_verdict(client, hostile, running, transport, chunks, ending)


@dataclass(frozen=True)
class FuzzedFrame:
    """A frame of which everything but the length is chosen at random.

    Attributes:
        kind: The type.
        flags: The flags.
        own: Whether it is on the stream of the call; otherwise it is on ``other_stream``.
        other_stream: Another stream, which need not exist.
        payload: What it carries.
    """

    kind: int
    flags: int
    own: bool
    other_stream: int
    payload: bytes

    def serialize(self, stream_id: int) -> bytes:
        """Return its bytes, in an answer on the stream ``stream_id``."""
        stream = stream_id if self.own else self.other_stream
        head = len(self.payload).to_bytes(3, "big") + bytes([self.kind, self.flags])
        return head + stream.to_bytes(4, "big") + self.payload


fields = st.lists(
    st.tuples(
        st.sampled_from([":status", "content-type", "grpc-status", "grpc-message", "x-a-bin"]),
        st.sampled_from(["200", "503", "0", "14", "application/grpc", "%", ""]),
    ),
    max_size=3,
).map(lambda headers: header_block(*headers))

messages = st.builds(
    length_prefixed,
    st.sampled_from([completion("a"), completion(""), b"\xff", b""]),
    flag=st.sampled_from([0, 0, 0, 1, 2]),
    length=st.sampled_from([None, None, None, 0, 5, 2**32 - 1]),
)

payloads = st.one_of(
    st.sampled_from([HEADERS, TRAILERS]),
    fields,
    messages,
    st.binary(max_size=20),
    st.sampled_from([*ErrorCodes]).map(lambda code: code.to_bytes(4, "big")),
)

frames = st.builds(
    FuzzedFrame,
    kind=st.one_of(st.sampled_from([0, 1]), st.integers(0, 12)),
    flags=st.one_of(st.sampled_from([0, 1, 4, 5]), st.integers(0, 255)),
    own=st.sampled_from([True, True, True, False]),
    other_stream=st.sampled_from([0, 0, 1, 2, 2**31 - 1, 2**32 - 1]),
    payload=payloads,
)

OPENING = FuzzedFrame(1, 4, True, 0, HEADERS)


@given(
    opened=st.booleans(),
    sequence=st.lists(frames, max_size=8),
    ending=st.sampled_from(ENDINGS),
)
@fuzz
async def test_frames_in_any_order(
    client: httpx.AsyncClient,
    hostile: HostileBackend,
    running: RunningBridge,
    transport: Transport,
    opened: bool,
    sequence: list[FuzzedFrame],
    ending: str,
) -> None:
    def chunks(stream_id: int) -> list[bytes]:
        whole = [OPENING, *sequence] if opened else sequence
        return [frame.serialize(stream_id) for frame in whole]

    await one_verdict(client, hostile, running, transport, chunks, ending)
