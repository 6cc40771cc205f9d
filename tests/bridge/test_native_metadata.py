"""Metadata, deadlines and statuses as header fields (gRPC's PROTOCOL-HTTP2.md)."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.status import Status
from bridge.upstream.call import Metadata
from bridge.upstream.http2 import Field
from bridge.upstream.native.metadata import (
    Target,
    read_metadata,
    read_status,
    request_headers,
    status_of_http,
    timeout,
)
from tests.bridge.http2_ends import fuzz

TARGET = Target("https", "backend.example:443")
SECONDS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "S": 1, "M": 60, "H": 3600}


def fields_of(metadata: Metadata = (), deadline: float | None = None) -> list[Field]:
    """Return the fields of a request, decoded by hpack."""
    section = request_headers(TARGET, "/a.B/C", metadata).section(deadline)
    return [(name, value) for name, value in hpack.Decoder().decode(section, raw=True)]


def sent(key: str, value: str | bytes) -> bytes | None:
    """Return what one value of metadata is sent as."""
    return dict(fields_of([(key, value)])).get(key.encode())


def test_no_field_may_be_put_into_a_table_by_a_proxy() -> None:
    section = request_headers(TARGET, "/a.B/C", [("authorization", "secret")]).section(1)
    assert all(
        isinstance(field, hpack.NeverIndexedHeaderTuple)
        for field in hpack.Decoder().decode(section, raw=True)
    )


def test_a_request_begins_as_grpc_says() -> None:
    fields = fields_of([("x-a", "1")], deadline=1.5)
    assert fields[:7] == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", b"/a.B/C"),
        (b":authority", b"backend.example:443"),
        (b"grpc-timeout", b"1500000u"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    assert [name for name, _ in fields[7:]] == [b"grpc-accept-encoding", b"user-agent", b"x-a"]


def test_a_call_with_any_time_has_no_timeout() -> None:
    assert b"grpc-timeout" not in dict(fields_of())


@pytest.mark.parametrize(
    ("seconds", "value"),
    [
        (-1, b"1n"),
        (1e-12, b"1n"),
        (0.05, b"50000000n"),
        (0.1, b"100000u"),
        (1.5, b"1500000u"),
        (99.999999, b"99999999u"),
        (100, b"100000m"),
        (99_999_999, b"99999999S"),
        (1e9, b"16666667M"),
        (1e13, b"99999999H"),
    ],
)
def test_a_timeout_has_the_smallest_unit_that_fits(seconds: float, value: bytes) -> None:
    assert timeout(seconds) == value


@fuzz
@given(seconds=st.floats(1e-9, 3.5e11))
def test_a_timeout_is_as_exact_as_eight_digits_allow(seconds: float) -> None:
    value = timeout(seconds).decode()
    count, unit = int(value[:-1]), value[-1]
    assert 1 <= count <= 99_999_999
    error = abs(count * SECONDS[unit] - seconds)
    assert error <= SECONDS[unit] / 2 * 1.000001
    # It's a matter of the seventh digit, but for the smallest unit.
    assert unit == "n" or error <= seconds * 1e-5


@fuzz
@given(value=st.binary(max_size=60))
def test_a_binary_value_comes_back_as_it_went(value: bytes) -> None:
    raw = sent("x-data-bin", value)
    assert raw is not None
    assert b"=" not in raw
    assert read_metadata([(b"x-data-bin", raw)]) == [("x-data-bin", value)]
    padded = raw + b"=" * (-len(raw) % 4)
    assert read_metadata([(b"x-data-bin", padded)]) == [("x-data-bin", value)]


def test_a_text_under_a_binary_key_is_sent_as_its_bytes() -> None:
    assert sent("x-data-bin", "\u00e4") == b"w6Q"


def test_binary_values_may_come_in_one_field() -> None:
    fields = [(b"x-data-bin", b"AQ==,Ag, Aw")]
    assert read_metadata(fields) == [("x-data-bin", bytes([number])) for number in (1, 2, 3)]


def test_a_binary_value_that_is_none_does_not_spoil_the_rest() -> None:
    fields = [(b"x-data-bin", b"AQ,no base64!,Ag"), (b"x-a", b"1")]
    assert read_metadata(fields) == [("x-data-bin", b"\1"), ("x-data-bin", b"\2"), ("x-a", "1")]


def test_keys_that_come_twice_are_both_there_and_pseudo_headers_are_not() -> None:
    fields = [(b":status", b"200"), (b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"\xff")]
    assert read_metadata(fields) == [("x-a", "1"), ("x-a", "2"), ("x-b", "\ufffd")]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "X-Upper",
        "x y",
        "x\u00e4",
        ":path",
        "te",
        "host",
        "content-type",
        "content-length",
        "user-agent",
        "connection",
        "transfer-encoding",
        "grpc-timeout",
        "grpc-anything",
    ],
)
def test_a_key_that_would_break_or_forge_a_request_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="can't be a key of metadata"):
        fields_of([(key, "x")])


@pytest.mark.parametrize("value", ["\n", "a\rb", "\0", "\x7f", "\u00e4", "\t"])
def test_a_value_that_is_not_printable_ascii_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not printable ASCII"):
        fields_of([("x-a", f"x{value}y")])


def test_a_value_has_no_blanks_around_it() -> None:
    assert sent("x-a", "  two words ") == b"two words"
    assert sent("x-a", b" bytes ") == b"bytes"


@pytest.mark.parametrize(
    ("trailers", "status", "message"),
    [
        ([], None, ""),
        ([("grpc-status", "0")], Status.OK, ""),
        ([("grpc-status", "14"), ("grpc-message", "gone")], Status.UNAVAILABLE, "gone"),
        ([("grpc-status", "016")], Status.UNAUTHENTICATED, ""),
        ([("grpc-status", "17")], Status.UNKNOWN, ""),
        ([("grpc-status", "999999999")], Status.UNKNOWN, ""),
        ([("grpc-status", "1234567890")], Status.UNKNOWN, ""),
        ([("grpc-status", "-1")], Status.UNKNOWN, ""),
        ([("grpc-status", "")], Status.UNKNOWN, ""),
        ([("grpc-status", " 0")], Status.UNKNOWN, ""),
        ([("grpc-status", "\u0660")], Status.UNKNOWN, ""),
        ([("grpc-status", "OK")], Status.UNKNOWN, ""),
        ([("grpc-status", "0"), ("grpc-status", "0")], Status.UNKNOWN, ""),
        ([("grpc-message", "alone")], None, "alone"),
    ],
)
def test_a_status_that_is_none_is_unknown_and_never_ok(
    trailers: Metadata, status: Status | None, message: str
) -> None:
    assert read_status(trailers) == (status, message)


@pytest.mark.parametrize(
    ("sent_as", "message"),
    [
        ("100%25", "100%"),
        ("%E2%82%AC", "\u20ac"),
        ("%e2%82%ac", "\u20ac"),
        ("50%", "50%"),
        ("%zz%4", "%zz%4"),
        ("%FF", "\ufffd"),
        ("a+b", "a+b"),
        ("%0A%09", "\n\t"),
    ],
)
def test_a_status_message_is_percent_decoded_as_far_as_it_can_be(
    sent_as: str, message: str
) -> None:
    assert read_status([("grpc-status", "2"), ("grpc-message", sent_as)])[1] == message


@pytest.mark.parametrize(
    ("http", "status"),
    [
        (200, Status.UNKNOWN),
        (301, Status.UNKNOWN),
        (400, Status.INTERNAL),
        (401, Status.UNAUTHENTICATED),
        (403, Status.PERMISSION_DENIED),
        (404, Status.UNIMPLEMENTED),
        (418, Status.UNKNOWN),
        (429, Status.UNAVAILABLE),
        (431, Status.INTERNAL),
        (500, Status.UNKNOWN),
        (502, Status.UNAVAILABLE),
        (503, Status.UNAVAILABLE),
        (504, Status.UNAVAILABLE),
    ],
)
def test_an_http_status_means_what_grpc_says(http: int, status: Status) -> None:
    assert status_of_http(http) is status
