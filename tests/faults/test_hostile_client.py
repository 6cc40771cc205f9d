"""Broken and hostile clients: each gets the documented answer, and the bridge serves the next."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import h11
import httpx
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

import backend.server
from bridge.settings import Settings
from bridge.upstream.transport import Transport
from bridge.verdict import Outcome
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import SteppedBackend, serving_stepped
from tests.conftest import DONE, RunningBridge, ask, eventually, http_client, script, serving_bridge
from tests.faults.hostile_client import (
    HOSTILE_REQUESTS,
    PATH,
    HostileRequest,
    client_of,
    conversation,
    get,
    post,
    post_framed,
    read_response,
    send_raw,
)

pytestmark = pytest.mark.usefixtures("no_error_is_logged")

PROTOCOLS: list[type[asyncio.Protocol]] = [H11Protocol]
if find_spec("httptools"):
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    PROTOCOLS.append(HttpToolsProtocol)

GOOD = b'data: {"content":"hello"}\n\ndata: {"content":"","finish_reason":"stop"}\n\n' + DONE
ALIVE = (200, b'{"status":"alive"}')


@pytest.fixture(scope="module", params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> type[asyncio.Protocol]:
    chosen: type[asyncio.Protocol] = request.param
    return chosen


@pytest.fixture(scope="module")
async def running(
    backend_server: backend.server.Server,
    transport: Transport,
    protocol: type[asyncio.Protocol],
) -> AsyncIterator[RunningBridge]:
    settings = Settings(backend=backend_server.address, shutdown_grace=0)
    async with serving_bridge(settings, protocol) as bridge:
        yield bridge


@pytest.fixture
async def stepped() -> AsyncIterator[SteppedBackend]:
    async with serving_stepped() as stepped_backend:
        yield stepped_backend


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(running: RunningBridge) -> Connection:
    url = httpx.URL(running.url)
    return await asyncio.open_connection(url.host, url.port)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the bridge closes the connection."""
    async with asyncio.timeout(20):
        return await reader.read()


async def serves_on(running: RunningBridge) -> None:
    """Assert that a good request is served, and that nothing is left of the others."""
    assert await send_raw(running.url, post(conversation())) == (200, GOOD)
    await eventually(lambda: len(running.streams) == 0)
    await eventually(lambda: not running.server.server_state.connections)


def is_an_error(body: bytes) -> bool:
    error = json.loads(body)
    return bool(error["error"]) and error["code"].isupper() and error["retryable"] in {True, False}


@pytest.mark.parametrize("hostile", HOSTILE_REQUESTS, ids=str)
async def test_a_hostile_request_gets_its_answer(
    running: RunningBridge, hostile: HostileRequest
) -> None:
    status, body = await send_raw(running.url, hostile.raw)
    assert status == hostile.expected
    if status is not None and status >= 400 and not hostile.raw.startswith(b"HEAD"):
        assert is_an_error(body)
    await serves_on(running)


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (get(method=b"BREW"), {400, 405}),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", {400, 404}),
        (b"A" * 300_000, {400, 431}),
        (get(b"http://bridge/healthz"), {200, 404}),
    ],
)
async def test_what_the_parsers_of_http_read_differently_is_answered_by_both(
    running: RunningBridge, raw: bytes, statuses: set[int]
) -> None:
    status, _ = await send_raw(running.url, raw)
    assert status in statuses
    await serves_on(running)


async def test_every_refusal_has_a_request_id_and_closes(running: RunningBridge) -> None:
    for raw in (b"hello\r\n\r\n", get(b"/", b"X: " + b"a" * 20_000), get(b"/", b"Host: other")):
        reader, writer = await connect(running)
        writer.write(raw)
        head, _, _ = (await rest(reader)).partition(b"\r\n\r\n")
        assert b"\r\nx-request-id: " in head
        assert b"\r\nconnection: close" in head.lower()
        writer.close()


async def test_every_path_answers_head_and_options(running: RunningBridge) -> None:
    async with http_client(running.url) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        for path in [*paths, "/", "/web/app.js", "/docs", "/openapi.json"]:
            read = path not in paths or "get" in paths[path]
            head, options = await http.head(path), await http.options(path)
            assert head.content == b""
            if read:
                got = await http.get(path)
                assert head.status_code == got.status_code != 405
                assert head.headers["content-length"] == got.headers["content-length"]
            else:
                assert head.status_code == 405
            assert options.status_code == 405
            if "{" not in path and path != "/web/app.js":
                assert options.headers["allow"]


async def test_a_request_id_injects_no_header(running: RunningBridge) -> None:
    for value in (b"a%0d%0aSet-Cookie: b", b"a\\r\\nSet-Cookie: b", b"a\tb", b"\xc4\x8d\xc4\x8aa"):
        reader, writer = await connect(running)
        writer.write(get(b"/healthz", b"X-Request-Id: " + value, b"Connection: close"))
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"cookie" not in answer.lower()
        writer.close()


@pytest.mark.parametrize("count", [2, 10])
async def test_pipelined_requests_are_answered_in_order(running: RunningBridge, count: int) -> None:
    texts = [f"number{number}" for number in range(count)]
    raw = b"".join(post(json.dumps(ask(text)).encode()) + get() for text in texts)
    reader, writer = await connect(running)
    writer.write(raw)
    connection = client_of(b"")
    for text in texts:
        status, body = await read_response(reader, connection)
        assert (status, body) == (200, GOOD.replace(b"hello", text.encode()))
        next_response(connection)
        assert await read_response(reader, connection) == ALIVE
        next_response(connection)
    writer.close()
    await serves_on(running)


def next_response(connection: h11.Connection) -> None:
    connection.start_next_cycle()
    connection.send(h11.Request(method=b"GET", target=b"/", headers=[(b"Host", b"bridge")]))
    connection.send(h11.EndOfMessage())


async def test_a_flood_of_pipelined_requests_is_cut_between_two_answers(
    running: RunningBridge,
) -> None:
    reader, writer = await connect(running)
    writer.write(get() * 50_000)
    connection, answers = client_of(b""), 0
    with suppress(ConnectionResetError):
        while (answer := await read_response(reader, connection)) == ALIVE:
            answers += 1
            if connection.their_state is not h11.DONE:
                break
            next_response(connection)
        else:
            assert answer == (None, b"")
    assert 0 < answers < 50_000
    writer.transport.abort()
    await serves_on(running)


async def test_what_is_not_http_behind_a_stream_does_not_touch_it(running: RunningBridge) -> None:
    slow = script(text="ab", count=5, interval_ms=50)
    reader, writer = await connect(running)
    writer.write(post(json.dumps(ask(slow)).encode()) + b"hello\r\n\r\n")
    status, body = await read_response(reader, client_of(b""))
    assert status == 200
    assert body.count(b'data: {"content":"ab"}\n\n') == 5
    assert body.endswith(DONE)
    writer.close()
    await serves_on(running)


@pytest.mark.parametrize("framing", [b"Content-Length: 4\r\nTransfer-Encoding: chunked"])
async def test_no_request_is_smuggled(running: RunningBridge, framing: bytes) -> None:
    reader, writer = await connect(running)
    writer.write(post_framed(framing, b"0\r\n\r\n" + get(b"/nowhere")))
    answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    writer.close()


async def test_a_client_that_half_closes_has_left(
    stepped: SteppedBackend, protocol: type[asyncio.Protocol]
) -> None:
    async with serving_bridge(Settings(backend=stepped.address), protocol) as running:
        reader, writer = await connect(running)
        writer.write(post(conversation(), b"X-Request-Id: the-request"))
        await stepped.began()
        await stepped.send(StreamCompletionResponse(text="a"))
        await reader.readuntil(b'data: {"content":"a"}\n\n')
        writer.write_eof()
        await stepped.cancelled()
        assert b"[DONE]" not in await rest(reader)
        assert (await running.record("the-request")).outcome is Outcome.LEFT
        writer.close()


async def test_a_client_that_expects_100_is_told_to_continue(running: RunningBridge) -> None:
    raw = post(conversation(), b"Expect: 100-continue")
    head, body = raw[: -len(conversation())], conversation()
    reader, writer = await connect(running)
    writer.write(head)
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") in {
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 100 \r\n\r\n",
        }
    writer.write(body)
    assert await read_response(reader, client_of(b"")) == (200, GOOD)
    writer.close()


async def test_the_end_of_an_answer_to_http_1_0_is_that_of_the_connection(
    running: RunningBridge,
) -> None:
    reader, writer = await connect(running)
    writer.write(post(conversation()).replace(b"HTTP/1.1", b"HTTP/1.0"))
    head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == GOOD
    writer.close()
    await serves_on(running)


def leave(writer: asyncio.StreamWriter, abruptly: bool) -> None:
    if abruptly:
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


@pytest.mark.parametrize("abruptly", [True, False], ids=["RST", "FIN"])
@pytest.mark.parametrize("sent", [0, 1, 30, 80, 150, 170])
async def test_a_client_may_leave_in_the_middle_of_its_request(
    running: RunningBridge, sent: int, abruptly: bool
) -> None:
    raw = post(conversation())
    assert sent < len(raw)
    _, writer = await connect(running)
    writer.write(raw[:sent])
    await eventually(lambda: bool(running.server.server_state.connections))
    leave(writer, abruptly)
    await serves_on(running)


@pytest.mark.parametrize("abruptly", [True, False], ids=["RST", "FIN"])
@pytest.mark.parametrize("messages", [0, 1])
async def test_a_client_may_leave_in_the_middle_of_its_answer(
    stepped: SteppedBackend, messages: int, abruptly: bool, protocol: type[asyncio.Protocol]
) -> None:
    async with serving_bridge(Settings(backend=stepped.address), protocol) as running:
        reader, writer = await connect(running)
        writer.write(post(conversation(), b"X-Request-Id: the-request"))
        await stepped.began()
        for _ in range(messages):
            await stepped.send(StreamCompletionResponse(text="a"))
            await reader.readuntil(b'data: {"content":"a"}\n\n')
        leave(writer, abruptly)
        await stepped.cancelled()
        assert (await running.record("the-request")).outcome is Outcome.LEFT
        assert await send_raw(running.url, get()) == ALIVE
        await eventually(lambda: not running.server.server_state.connections)


async def dribble(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send a byte at a time, for ever."""
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.02)


async def answer_to_a_dribble(running: RunningBridge, at_once: bytes, slowly: bytes) -> bytes:
    reader, writer = await connect(running)
    writer.write(at_once)
    sending = asyncio.create_task(dribble(writer, slowly))
    try:
        answer = b""
        async with asyncio.timeout(20):
            while data := await reader.read(65536):
                answer += data
    except ConnectionResetError:
        pass
    finally:
        sending.cancel()
        writer.transport.abort()
    return answer


@pytest.fixture
async def impatient(
    backend_server: backend.server.Server, protocol: type[asyncio.Protocol]
) -> AsyncIterator[RunningBridge]:
    settings = Settings(backend=backend_server.address, shutdown_grace=0, request_timeout=0.5)
    async with serving_bridge(settings, protocol) as running:
        yield running


LATE: dict[str, Any] = {"code": "DEADLINE_EXCEEDED", "retryable": True}


@pytest.mark.parametrize(
    ("at_once", "slowly", "thing"),
    [
        (b"", b"GET /healthz HTTP/1.1\r\nHost: bridge\r\nX: ", "request"),
        (b"GET /healthz HTTP/1.1\r\n", b"X: ", "request"),
        (b"POST %s HTTP/1.1\r\n" % PATH, b"Host: bridge\r\n", "request"),
        (post_framed(b"Content-Length: 100000"), b"{", "body"),
        (post_framed(b"Transfer-Encoding: chunked", b"fffff\r\n"), b"{", "body"),
    ],
)
async def test_a_request_that_does_not_come_in_time_is_408(
    impatient: RunningBridge, at_once: bytes, slowly: bytes, thing: str
) -> None:
    answer = await answer_to_a_dribble(impatient, at_once, slowly)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nconnection: close" in head.lower()
    message = f"The {thing} did not come within 0.5 seconds."
    assert json.loads(body) == {"error": message, **LATE}
    await serves_on(impatient)


async def test_the_second_request_of_a_connection_has_no_more_time(
    impatient: RunningBridge,
) -> None:
    answer = await answer_to_a_dribble(impatient, get(), b"GET / HTTP/1.1\r\nX: ")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
    await serves_on(impatient)


@pytest.mark.parametrize("at_once", [b"", get(b"/healthz", b"Content-Length: 100000")])
async def test_a_connection_that_brings_no_request_is_closed_with_no_word(
    impatient: RunningBridge, at_once: bytes
) -> None:
    reader, writer = await connect(impatient)
    writer.write(at_once)
    answer = await rest(reader)
    assert answer.count(b"HTTP/1.1 ") == (1 if at_once else 0)
    writer.close()
    await serves_on(impatient)


async def test_a_body_that_nobody_reads_is_not_waited_for(impatient: RunningBridge) -> None:
    head = get(b"/healthz", b"Content-Length: 100000")
    answer = await answer_to_a_dribble(impatient, head, b"a")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    await serves_on(impatient)


async def test_a_body_that_nobody_reads_and_that_is_too_large_ends_the_connection(
    backend_server: backend.server.Server, protocol: type[asyncio.Protocol]
) -> None:
    settings = Settings(backend=backend_server.address, max_body_bytes=100_000)
    async with serving_bridge(settings, protocol) as running:
        reader, writer = await connect(running)
        writer.write(get(b"/healthz", b"Content-Length: 100000000"))
        assert await read_response(reader, client_of(b"")) == ALIVE
        writer.write(b"a" * 50_000)
        await writer.drain()
        writer.write(b"a" * 60_000)
        with suppress(ConnectionResetError):
            assert await rest(reader) == b""
        writer.close()
        await serves_on(running)


async def test_a_slow_body_holds_a_place_for_a_time_only(
    backend_server: backend.server.Server, protocol: type[asyncio.Protocol]
) -> None:
    settings = Settings(backend=backend_server.address, request_timeout=0.5, max_streams=1)
    async with serving_bridge(settings, protocol) as running:
        slow = asyncio.create_task(
            answer_to_a_dribble(running, post_framed(b"Content-Length: 100000"), b"{")
        )
        await eventually(lambda: bool(running.server.server_state.tasks))
        assert (await send_raw(running.url, post(conversation())))[0] == 503
        assert (await slow).startswith(b"HTTP/1.1 408 ")
        await serves_on(running)


async def test_a_slow_body_that_is_too_large_is_413_in_time(
    backend_server: backend.server.Server, protocol: type[asyncio.Protocol]
) -> None:
    settings = Settings(backend=backend_server.address, request_timeout=0.5, max_body_bytes=1000)
    async with serving_bridge(settings, protocol) as running:
        start = post_framed(b"Content-Length: 100000", b"{" + b" " * 2000)
        assert (await answer_to_a_dribble(running, start, b" ")).startswith(b"HTTP/1.1 413 ")
        await serves_on(running)


@pytest.mark.parametrize(("size", "status"), [(1500, 200), (2048, 200), (2600, 431), (9000, 431)])
@pytest.mark.parametrize("pieces", [1, 3])
async def test_the_size_of_a_head_is_limited(
    backend_server: backend.server.Server,
    protocol: type[asyncio.Protocol],
    size: int,
    status: int,
    pieces: int,
) -> None:
    settings = Settings(backend=backend_server.address, max_header_bytes=2048)
    async with serving_bridge(settings, protocol) as running:
        raw = get(b"/healthz", b"X: ")
        raw = raw[:-4] + b"a" * (size - len(raw)) + b"\r\n\r\n"
        assert len(raw) == size
        reader, writer = await connect(running)
        step = -(-size // pieces)
        for start in range(0, size, step):
            writer.write(raw[start : start + step])
            await writer.drain()
        assert (await read_response(reader, client_of(b"")))[0] == status
        writer.close()
        await serves_on(running)


async def test_a_connection_too_many_is_503_and_the_others_are_served(
    backend_server: backend.server.Server, protocol: type[asyncio.Protocol]
) -> None:
    settings = Settings(backend=backend_server.address, max_connections=3)
    async with serving_bridge(settings, protocol) as running:
        open_ones = [await connect(running) for _ in range(3)]
        await eventually(lambda: len(running.server.server_state.connections) == 3)
        reader, refused = await connect(running)
        head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert json.loads(body) == {
            "error": "Too many connections are open. Try again in a moment.",
            "code": "UNAVAILABLE",
            "retryable": True,
        }
        refused.close()
        for one_reader, writer in open_ones:
            writer.write(get())
            assert await read_response(one_reader, client_of(b"")) == ALIVE
            writer.close()
        await eventually(lambda: not running.server.server_state.connections)
        await serves_on(running)
