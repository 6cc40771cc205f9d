"""Whatever a server sends, in whatever pieces: an end for everybody, and the same end."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from bridge.upstream.http2 import Connection, Failure, Field, frames
from tests.bridge.http2_ends import (
    RESPONSE,
    SECTION_BYTES,
    TRAILERS,
    Heard,
    block,
    cut_at,
    fuzz,
    number,
    opened,
    pieces,
    split,
)

STREAMS = st.sampled_from([0, 1, 1, 1, 3, 3, 5, 7, 2, 2**31 - 1])
BLOCKS = st.one_of(
    st.sampled_from([block(*RESPONSE), block(*TRAILERS), block((b":status", b"100")), b"\x88"]),
    st.binary(max_size=30),
)
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([bytes(4), bytes(5), bytes(8), bytes(16384), b"\0\0\0\5hello"]),
    st.builds(number, st.integers(0, 2**32 - 1)),
    BLOCKS,
)
# Frames as they should be, frames with a slip, and what is no frame.
HEADERS = st.builds(
    frames.frame, st.sampled_from([1, 1, 9]), st.sampled_from([4, 5, 0, 1, 12, 36]), STREAMS, BLOCKS
)
DATA = st.builds(frames.frame, st.just(0), st.sampled_from([0, 0, 1, 8]), STREAMS, PAYLOADS)
ANY = st.builds(frames.frame, st.integers(0, 12), st.integers(0, 255), STREAMS, PAYLOADS)
SETTINGS = st.builds(
    frames.settings,
    st.dictionaries(
        st.integers(1, 8),
        st.sampled_from([0, 1, 100, 16384, 65535, 2**24, 2**31 - 1, 2**31]),
        max_size=3,
    ),
)
SENT = st.lists(
    st.one_of(HEADERS, HEADERS, DATA, ANY, SETTINGS, st.binary(max_size=20)), max_size=12
)


Outcome = tuple[int, list[Field], bytes, list[Field] | None, Failure | None, bool]


@dataclass
class Told:
    """All that came of what a server sent."""

    output: bytes
    failure: str
    receivers: list[Outcome]


def tell(reads: list[bytes], *, greets: bool) -> Told:
    """Let a server send to a connection with three calls, one of which is given up."""
    connection = Connection(SECTION_BYTES)
    if greets:
        connection.receive(frames.settings({}))
    heard = [opened(connection, b"request"), opened(connection), opened(connection)]
    heard[2].give_up()
    output = connection.output()
    for read in reads:
        connection.receive(read)
        output += connection.output()
    check(connection, heard, output)
    return Told(output, connection.failure, [outcome(one) for one in heard])


def check(connection: Connection, heard: list[Heard], output: bytes) -> None:
    """Check what holds whatever has come."""
    goaways = [frame for frame in split(output) if frame.kind == frames.GOAWAY]
    assert len(goaways) == bool(connection.failure)
    over = sum(one.over for one in heard)
    assert over + connection.open_streams == len(heard)
    if connection.failure:
        assert over == len(heard)
    resets = [frame.stream_id for frame in split(output) if frame.kind == frames.RST_STREAM]
    assert len(resets) == len(set(resets))


def outcome(heard: Heard) -> Outcome:
    """Return what a receiver was told."""
    content = bytes(heard.content)
    return heard.status, heard.fields, content, heard.trailers_, heard.failure, heard.whole


@fuzz
@given(sent=SENT, cuts=st.lists(st.integers(0, 1 << 16), max_size=8), greets=st.booleans())
def test_the_end_does_not_depend_on_how_the_bytes_are_cut(
    sent: list[bytes], cuts: list[int], greets: bool
) -> None:
    raw = b"".join(sent)
    whole = tell([raw], greets=greets)
    assert tell(cut_at(raw, cuts), greets=greets) == whole
    assert tell([*pieces(raw[:2000], 1), raw[2000:]], greets=greets) == whole


@fuzz
@given(noise=st.binary(max_size=300), greets=st.booleans())
def test_noise_does_no_harm(noise: bytes, greets: bool) -> None:
    tell([noise], greets=greets)
