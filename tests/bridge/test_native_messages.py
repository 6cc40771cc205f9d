"""Messages in the content of an answer, whatever its frames are."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.status import Status
from bridge.upstream.call import RpcError
from bridge.upstream.native.messages import MessageReader, prefixed
from tests.bridge.http2_ends import COMPRESS, compressed, cut_at, fuzz

MOST = 1000


def read(reader: MessageReader, *parts: bytes) -> list[bytes]:
    """Return the messages in the parts of a content, each of which comes amid other bytes."""
    messages: list[bytes] = []
    for part in parts:
        reader.read(b"before" + part + b"after", 6, 6 + len(part), messages)
    return [reader.inflate(message) for message in messages]


def reader(encoding: str = "", max_bytes: int = MOST) -> MessageReader:
    made = MessageReader(max_bytes)
    made.encoding = encoding
    return made


def refused(content: bytes, encoding: str = "") -> RpcError:
    """Return the error of a content that can't be read."""
    with pytest.raises(RpcError) as caught:
        read(reader(encoding), content)
    return caught.value


@fuzz
@given(
    messages=st.lists(st.tuples(st.binary(max_size=MOST), st.booleans()), max_size=6),
    encoding=st.sampled_from(["gzip", "deflate"]),
    cuts=st.lists(st.integers(0, 1 << 16), max_size=8),
)
@example([(b"", False), (b"", True)], "gzip", [1, 2, 3, 4, 5, 6])
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[tuple[bytes, bool]], encoding: str, cuts: list[int]
) -> None:
    content = b"".join(
        compressed(message, encoding) if squeezed else prefixed(message)
        for message, squeezed in messages
    )
    taking = reader(encoding)
    assert read(taking, *cut_at(content, cuts)) == [message for message, _ in messages]
    assert not taking.in_a_message


@pytest.mark.parametrize("missing", range(1, 8))
def test_what_is_not_whole_is_told(missing: int) -> None:
    taking = reader()
    content = prefixed(b"whole") + prefixed(b"cut")
    assert read(taking, content[:-missing]) == [b"whole"]
    assert taking.in_a_message
    assert read(taking, content[-missing:]) == [b"cut"]
    assert not taking.in_a_message


def test_a_message_of_the_largest_size_is_taken() -> None:
    assert read(reader(), prefixed(bytes(MOST))) == [bytes(MOST)]
    assert read(reader("gzip"), compressed(bytes(MOST), "gzip")) == [bytes(MOST)]


def test_a_message_that_is_too_large_is_refused_by_its_prefix() -> None:
    error = refused(prefixed(bytes(MOST + 1))[:5])
    assert error.status is Status.RESOURCE_EXHAUSTED
    assert error.message == "A message of the backend is too large."
    assert error.cause == f"a message has {MOST + 1} bytes"


@pytest.mark.parametrize("encoding", COMPRESS)
def test_a_message_that_inflates_to_too_many_bytes_is_not_inflated(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(1 << 24))
    tracemalloc.start()
    with pytest.raises(RpcError) as caught:
        read(reader(encoding, max_bytes=1 << 16), b"\1" + prefixed(bomb)[1:])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert caught.value.cause == f"a message of {len(bomb)} bytes inflates to too many"


@pytest.mark.parametrize("flag", [2, 3, 128, 255])
def test_an_unknown_flag_is_an_error_and_not_a_message(flag: int) -> None:
    error = refused(bytes([flag]) + prefixed(b"x")[1:])
    assert (error.status, error.cause) == (
        Status.INTERNAL,
        f"a message has the unknown flag {flag}",
    )


@pytest.mark.parametrize(
    ("encoding", "named"), [("", "'nothing'"), ("identity", "'identity'"), ("zstd", "'zstd'")]
)
def test_a_compressed_message_needs_an_encoding_that_was_offered(encoding: str, named: str) -> None:
    error = refused(compressed(b"x", "gzip"), encoding)
    assert error.status is Status.INTERNAL
    assert error.cause == f"a message is compressed as {named}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip at all",
        gzip.compress(b"x")[:-1],
        gzip.compress(b"x") + b"y",
        gzip.compress(b"x") + gzip.compress(b"y"),
        gzip.compress(b"x")[:-8] + bytes(8),
        zlib.compress(b"x"),
    ],
    ids=["empty", "text", "cut", "followed", "doubled", "wrong sum", "deflate"],
)
def test_what_is_not_one_gzip_stream_is_an_error_and_not_a_message(body: bytes) -> None:
    error = refused(b"\1" + prefixed(body)[1:], "gzip")
    assert error.status is Status.INTERNAL
    assert "inflated" in error.cause or "cut off, or too long" in error.cause


def test_messages_before_one_that_cannot_be_read_are_not_lost() -> None:
    messages: list[bytes] = []
    content = prefixed(b"one") + prefixed(b"two") + b"\7"
    with pytest.raises(RpcError):
        reader().read(content + bytes(4), 0, len(content) + 4, messages)
    assert messages == [b"one", b"two"]
