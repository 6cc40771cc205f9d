"""Which form of a stream a client gets."""

from __future__ import annotations

import pytest

from bridge.transcoding.accept import stream_format
from bridge.transcoding.formats import StreamFormat

SSE, NDJSON, ARRAY = StreamFormat.SSE, StreamFormat.NDJSON, StreamFormat.ARRAY


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", SSE),
        ("text/*", SSE),
        ("application/x-ndjson", NDJSON),
        ("application/jsonl", NDJSON),
        ("application/json; stream", NDJSON),
        ("application/json;stream=true", NDJSON),
        ("application/json", ARRAY),
        ("APPLICATION/JSON", ARRAY),
        ("application/json;q=0.5, text/event-stream;q=0.9", SSE),
        ("application/json, text/event-stream", ARRAY),
        ("text/event-stream;q=0, application/x-ndjson", NDJSON),
        ("text/event-stream;q=much", SSE),
    ],
)
@pytest.mark.parametrize("default", StreamFormat)
def test_a_form_that_is_asked_for_is_given(
    accept: str, expected: StreamFormat, default: StreamFormat
) -> None:
    assert stream_format(accept, default) is expected


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/*",
        "image/png",
        "text/event-stream;q=0",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ],
)
@pytest.mark.parametrize("default", StreamFormat)
def test_who_asks_for_none_gets_the_default(accept: str, default: StreamFormat) -> None:
    assert stream_format(accept, default) is default
