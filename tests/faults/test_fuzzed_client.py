"""Requests that hypothesis makes and breaks: each is answered as documented, and nothing is left.

``FAULTS_EXAMPLES`` sets how many requests each test makes.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backend.server
from bridge.settings import Settings
from bridge.upstream.transport import Transport
from tests.conftest import DONE, RunningBridge, ask, eventually, serving_bridge
from tests.faults.hostile_client import chunked, conversation, get, post, post_framed, send_raw

pytestmark = pytest.mark.usefixtures("no_error_is_logged")

EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "300"))

DOCUMENTED = {200, 400, 404, 405, 408, 413, 415, 422, 431}

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FAULTS_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
async def running(
    backend_server: backend.server.Server, transport: Transport
) -> AsyncIterator[RunningBridge]:
    bridge_settings = Settings(
        backend=backend_server.address, shutdown_grace=0, request_timeout=0.05
    )
    async with serving_bridge(bridge_settings) as bridge:
        yield bridge


class Runner:
    """Runs the steps of a test, which hypothesis needs to be synchronous, on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(timeout=60)


async def is_answered(running: RunningBridge, raw: bytes) -> None:
    """Assert that ``raw`` gets a documented answer, or the end of the connection."""
    try:
        status, body = await send_raw(running.url, raw)
    except h11.RemoteProtocolError as error:
        raise AssertionError(f"not a whole response: {error}") from error
    assert status is None or status in DOCUMENTED, (status, body)
    if status is not None and status >= 400 and body:
        assert {"error", "code", "retryable"} <= json.loads(body).keys()
    elif status == 200 and body.startswith(b"data: "):
        assert body.count(DONE) == 1
        assert body.endswith(DONE)
    await eventually(lambda: len(running.streams) == 0)


VALID = [
    post(conversation()),
    post(conversation(stream=False), b"Prefer: status", b"X-Request-Timeout: 5"),
    post_framed(b"Transfer-Encoding: chunked", chunked(conversation())),
    post(conversation(), b"Expect: 100-continue"),
    post(conversation(), b"Connection: close"),
    get(),
    get(b"/v1/models?a=b"),
]

Edit = tuple[str, int, bytes]

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "truncate", "repeat"]),
        st.integers(0, 2**16),
        st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def edited(raw: bytes, edits: list[Edit]) -> bytes:
    for kind, where, data in edits:
        at = where % (len(raw) + 1)
        before, after = raw[:at], raw[at:]
        match kind:
            case "flip":
                raw = before + bytes([(after[0] if after else 0) ^ (data[0] or 1)]) + after[1:]
            case "insert":
                raw = before + data + after
            case "delete":
                raw = before + after[len(data) :]
            case "truncate":
                raw = before
            case "repeat":
                raw = before + after[: data[0]] * 2 + after[data[0] :]
    return raw


# With halves of surrogate pairs, which `text()` leaves out.
TEXT = st.lists(st.characters() | st.sampled_from("\ud800\udfff\0"), max_size=20).map("".join)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXT, values, max_size=4),
    max_leaves=10,
)

FIELDS = ("messages", "model", "temperature", "max_tokens", "stream", "role", "content")

CONVERSATIONS = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5),
    st.fixed_dictionaries(
        {"messages": st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))}
    ),
    st.builds(ask, TEXT),
    st.builds(lambda text: ask("hello", model=text), TEXT),
    st.builds(lambda fields: ask("hello") | fields, st.dictionaries(st.sampled_from(FIELDS), JSON)),
)

TOKENS = st.sampled_from(
    [
        *("content-type", "content-length", "transfer-encoding", "connection", "expect", "upgrade"),
        *("prefer", "accept", "x-request-id", "x-request-timeout", "grpc-timeout", "host", "te"),
        *("content-encoding", "x-forwarded-for", "x-forwarded-proto", "origin", "trailer", "range"),
    ]
)

VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"", b"0", b"-1", b"1e9", b"5S", b"chunked", b"close", b"keep-alive, upgrade"),
            *(b"100-continue", b"h2c", b"websocket", b"status", b"gzip", b"bytes=0-1", b"null"),
            *(b"application/json", b"text/event-stream", b"NaN", b"inf", b"999999999S", b"a, b"),
        ]
    ),
)


@pytest.fixture
async def run() -> Runner:
    return Runner(asyncio.get_running_loop())


async def test_valid_requests_that_are_mutated(running: RunningBridge, run: Runner) -> None:
    @fuzzed
    @given(st.sampled_from(VALID), EDITS)
    def holds(raw: bytes, edits: list[Edit]) -> None:
        run(is_answered(running, edited(raw, edits)))

    await asyncio.to_thread(holds)


async def test_any_json_for_a_body(running: RunningBridge, run: Runner) -> None:
    @fuzzed
    @given(CONVERSATIONS)
    def holds(value: object) -> None:
        run(is_answered(running, post(json.dumps(value).encode())))

    await asyncio.to_thread(holds)


async def test_any_headers(running: RunningBridge, run: Runner) -> None:
    @fuzzed
    @given(st.lists(st.tuples(TOKENS, VALUES), max_size=5))
    def holds(headers: list[tuple[str, bytes]]) -> None:
        lines = [name.encode() + b": " + value for name, value in headers]
        run(is_answered(running, post(conversation(), *lines)))

    await asyncio.to_thread(holds)


async def test_any_bytes(running: RunningBridge, run: Runner) -> None:
    @fuzzed
    @given(st.binary(max_size=300))
    def holds(raw: bytes) -> None:
        run(is_answered(running, raw))

    await asyncio.to_thread(holds)
