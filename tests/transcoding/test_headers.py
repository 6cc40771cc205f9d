"""Headers as metadata, and metadata as headers."""

from __future__ import annotations

import pytest

from bridge.transcoding.headers import to_headers, to_metadata
from bridge.transcoding.request_error import RequestError
from bridge.upstream import Metadata


def test_headers_that_are_named_become_metadata() -> None:
    headers = [
        (b"x-tenant", b"us"),
        (b"x-other", b"no"),
        (b"x-tenant", b"eu"),
        (b"X-Trace-Bin", b"/wA="),
        (b"x-trace-bin", b"/wA"),
    ]
    assert to_metadata(headers, ["x-tenant", "x-trace-bin"]) == [
        ("x-tenant", "us"),
        ("x-tenant", "eu"),
        ("x-trace-bin", b"\xff\x00"),
        ("x-trace-bin", b"\xff\x00"),
    ]


@pytest.mark.parametrize("value", [b"!", b"abcde"])
def test_a_binary_header_that_is_no_base64_is_refused(value: bytes) -> None:
    with pytest.raises(RequestError, match=r"^The header x-trace-bin isn't base64$"):
        to_metadata([(b"x-trace-bin", value)], ["x-trace-bin"])


def test_metadata_that_are_named_become_headers() -> None:
    metadata: Metadata = [
        ("x-cost", "2"),
        ("x-other", "no"),
        ("x-cost", "3"),
        ("x-raw-bin", b"\xff\x00"),
    ]
    assert to_headers(metadata, ["x-cost", "x-raw-bin"]) == {"x-cost": "2, 3", "x-raw-bin": "/wA"}


def test_what_no_header_can_have_is_percent_encoded() -> None:
    assert to_headers([("x-name", "a b\r\nx: \u8c37%")], ["x-name"]) == {
        "x-name": "a b%0D%0Ax: %E8%B0%B7%25"
    }
