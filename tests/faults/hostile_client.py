"""Requests of broken and hostile clients, byte for byte, and what the bridge answers."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h11
import httpx

from tests.conftest import ask

PATH = b"/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class HostileRequest:
    """What a client sends on a new connection, and the status that it gets.

    Attributes:
        name: What is wrong, in words.
        raw: The bytes.
        expected: The status of the first response; None when the connection is closed with none.
    """

    name: str
    raw: bytes
    expected: int | None

    def __str__(self) -> str:
        return self.name


def post(body: bytes, *headers: bytes, content_type: bytes = b"application/json") -> bytes:
    """Return a request for a completion with ``body`` and these ``headers``, ``Name: value``."""
    lines = [
        b"POST %s HTTP/1.1" % PATH,
        b"Host: bridge",
        b"Content-Length: %d" % len(body),
        b"Content-Type: %s" % content_type,
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def post_framed(framing: bytes, rest: bytes = b"") -> bytes:
    """Return a request for a completion whose body is framed by the headers ``framing``."""
    head = b"POST %s HTTP/1.1\r\nHost: bridge\r\nContent-Type: application/json\r\n" % PATH
    return head + framing + b"\r\n\r\n" + rest


def get(path: bytes = b"/healthz", *headers: bytes, method: bytes = b"GET") -> bytes:
    """Return a request without a body."""
    return (
        b"\r\n".join([b"%s %s HTTP/1.1" % (method, path), b"Host: bridge", *headers]) + b"\r\n" * 2
    )


def conversation(**fields: Any) -> bytes:
    """Return the body of a good request, with ``fields`` in it."""
    return json.dumps(ask("hello", **fields)).encode()


def said(content: bytes) -> bytes:
    """Return a body with ``content``, a JSON value, as what the user says."""
    return b'{"model":"script","messages":[{"role":"user","content":%s}]}' % content


def field(value: bytes) -> bytes:
    """Return a good body with one more field, which has ``value``."""
    return b'{"x":%s,%s' % (value, said(b'"hello"')[1:])


def temperature(value: bytes) -> bytes:
    """Return a good body with ``value`` for its temperature."""
    return b'{"temperature":%s,%s' % (value, said(b'"hello"')[1:])


def nested(levels: int) -> bytes:
    """Return lists in lists."""
    return b"[" * levels + b"]" * levels


def chunked(body: bytes) -> bytes:
    """Return ``body`` as one chunk, and the last one."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


_GOOD = conversation()
_UPGRADE = b"Connection: Upgrade"
_CHUNKED = b"Transfer-Encoding: chunked"
_TLS_CLIENT_HELLO = (
    b"\x16\x03\x01\x00\x35\x01\x00\x00\x31\x03\x03" + bytes(range(32)) + b"\x00\x00\x02\x13\x01\x01"
    b"\x00\x00\x06\x00\x17\x00\x00\x00\x00"
)

_JSON = [
    ("JSON of 10,000 levels", post(nested(10_000)), 400),
    ("JSON of 100,000 levels", post(nested(100_000)), 400),
    ("JSON of 100,000 levels in a field nobody reads", post(field(nested(100_000))), 400),
    ("JSON of 100,000 levels that aren't closed", post(b"[" * 100_000), 400),
    ("JSON of 500 levels for a text", post(said(nested(500))), 422),
    ("objects of 100,000 levels", post(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), 400),
    ("a key twice, of which the last counts", post(said(b'1,"content":"hello"')), 200),
    ("NaN", post(temperature(b"NaN")), 422),
    ("Infinity", post(temperature(b"Infinity")), 422),
    ("-Infinity", post(temperature(b"-Infinity")), 422),
    ("1e400", post(temperature(b"1e400")), 422),
    ("an integer of 10,000 digits", post(temperature(b"1" * 10_000)), 400),
    ("an integer of 10,000 digits in a field nobody reads", post(field(b"1" * 10_000)), 400),
    ("an integer of 4,000 digits", post(temperature(b"1" * 4_000)), 422),
    ("half a surrogate pair", post(said(rb'"\ud800"')), 422),
    ("half a surrogate pair for a role", post(said(rb'"a","role":"\udfff"')), 422),
    ("half a surrogate pair in a name", post(rb'{"\ud800":1}'), 422),
    ("half a surrogate pair for a model", post(said(b'"a"')[:-1] + rb',"model":"\ud800"}'), 422),
    ("invalid UTF-8", post(said(b'"\xff\xfe"')), 400),
    ("a surrogate in UTF-8", post(said(b'"\xed\xa0\x80"')), 422),
    ("a NUL byte in a text", post(said(b'"a\x00b"')), 400),
    ("an escaped NUL in a text", post(said(rb'"a\u0000b"')), 200),
    ("NUL bytes alone", post(b"\0" * 100), 400),
    ("a number for a text", post(said(b"1")), 422),
    ("null for a text", post(said(b"null")), 422),
    ("a list for a text", post(said(b'["hello"]')), 422),
    ("an object for a text", post(said(b'{"a":1}')), 422),
    ("no body", post(b""), 422),
    ("white space for a body", post(b" \r\n\t"), 400),
    ("a text for a body", post(b'"hello"'), 422),
    ("a list for a body", post(b"[]"), 422),
    ("a number for a body", post(b"1"), 422),
    ("null for a body", post(b"null"), 422),
    ("a byte order mark", post(b"\xef\xbb\xbf" + _GOOD), 200),
    ("two JSON values", post(_GOOD + _GOOD), 400),
    ("a truncated body of JSON", post(_GOOD[:-2]), 400),
]

_CONTENT = [
    ("text/plain", post(_GOOD, content_type=b"text/plain"), 415),
    ("a form", post(b"messages=hello", content_type=b"application/x-www-form-urlencoded"), 415),
    ("multipart", post(b"--a--", content_type=b"multipart/form-data; boundary=a"), 415),
    ("an empty Content-Type", post(_GOOD, content_type=b""), 415),
    ("a broken Content-Type", post(_GOOD, content_type=b";;;/=\xff"), 415),
    (
        "a charset, of which JSON has none",
        post(_GOOD, content_type=b"application/json;charset=x"),
        200,
    ),
    ("a body in gzip", post(gzip.compress(_GOOD), b"Content-Encoding: gzip"), 415),
    ("an unknown Content-Encoding", post(_GOOD, b"Content-Encoding: x, gzip"), 415),
    ("no Content-Encoding by name", post(_GOOD, b"Content-Encoding: identity"), 200),
    ("a body of more than a megabyte", post(b" " * (1 << 20) + _GOOD), 413),
    ("a wrong X-Request-Timeout", post(_GOOD, b"X-Request-Timeout: NaN"), 400),
    ("a wrong grpc-timeout", post(_GOOD, b"grpc-timeout: 999999999S"), 400),
    ("a Prefer of nonsense", post(_GOOD, b'Prefer: ;;,="\xff'), 200),
    ("an Accept of nonsense", post(_GOOD, b"Accept: \xff;;,"), 200),
    ("an X-Forwarded-For of nonsense", post(_GOOD, b"X-Forwarded-For: ,\xff,1.2.3.4:x"), 200),
    ("an X-Request-Id that is not ASCII", get(b"/healthz", b"X-Request-Id: \xe9\xff"), 200),
    ("an X-Request-Id that is long", get(b"/healthz", b"X-Request-Id: " + b"a" * 4000), 200),
]

_METHODS = [
    ("HEAD of a GET", get(method=b"HEAD"), 200),
    ("HEAD of the page", get(b"/", method=b"HEAD"), 200),
    ("HEAD of a POST", get(PATH, method=b"HEAD"), 405),
    ("OPTIONS", get(PATH, method=b"OPTIONS"), 405),
    ("OPTIONS of everything", get(b"*", method=b"OPTIONS"), 404),
    ("GET of a POST", get(PATH), 405),
    ("DELETE", get(PATH, method=b"DELETE"), 405),
    ("TRACE", get(method=b"TRACE"), 405),
    ("a path that nobody knows", get(b"/nowhere"), 404),
    ("a path out of the folder", get(b"/web/../../settings.py"), 404),
    ("an escaped path out of the folder", get(b"/web/%2e%2e/%2e%2e/settings.py"), 404),
    ("an escaped NUL in a path", get(b"/web/%00.js"), 404),
    ("invalid UTF-8, escaped, in a path", get(b"/web/%ff%fe.js"), 404),
    ("a long name in a path", get(b"/web/" + b"a" * 5000 + b".js"), 404),
    ("a body for a GET", get(b"/healthz", b"Content-Length: 5") + b"hello", 200),
]

_HTTP = [
    ("a text", b"hello\r\n\r\n", 400),
    ("NUL bytes", b"\0" * 1000, 400),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", 400),
    ("HTTP/3.7", b"GET /healthz HTTP/3.7\r\nHost: bridge\r\n\r\n", 400),
    ("HTTP/2 with prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400),
    ("TLS", _TLS_CLIENT_HELLO, 400),
    ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", get(b"/healthz", b"Host: other"), 400),
    ("HTTP/1.0 without a Host", b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    ("an upgrade to h2c", get(b"/healthz", b"Connection: Upgrade", b"Upgrade: h2c"), 200),
    (
        "an upgrade to a WebSocket",
        get(b"/healthz", b"Connection: Upgrade", b"Upgrade: websocket"),
        200,
    ),
    ("a header with no colon", get(b"/healthz", b"hello"), 400),
    ("a space before the colon", get(b"/healthz", b"X : y"), 400),
    ("a NUL in a header", get(b"/healthz", b"X: a\0b"), 400),
    ("a folded first header", b"GET /healthz HTTP/1.1\r\n X: y\r\nHost: bridge\r\n\r\n", 400),
    ("a CR in a request id", get(b"/healthz", b"X-Request-Id: a\rSet-Cookie: b"), 400),
    ("a space in the target", get(b"/heal thz"), 400),
    ("bytes beyond ASCII in the target", get(b"/\xc3\xa9"), 400),
    ("a header of 20 KB", get(b"/healthz", b"X: " + b"a" * 20_000), 431),
    ("a header of 300 KB", get(b"/healthz", b"X: " + b"a" * 300_000), 431),
    ("a header that doesn't end", b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 300_000, 431),
    ("200 headers", get(b"/healthz", *[b"X: y"] * 200), 431),
    ("10,000 headers", get(b"/healthz", *[b"X: y"] * 10_000), 431),
    ("a URL of 20 KB", get(b"/" + b"a" * 20_000), 431),
    ("a query of 300 KB", get(b"/?" + b"a" * 300_000), 431),
]

_FRAMING = [
    ("chunks", post_framed(_CHUNKED, chunked(_GOOD)), 200),
    ("a chunk of no number", post_framed(_CHUNKED, b"hello\r\n"), 400),
    ("a chunk of a negative size", post_framed(_CHUNKED, b"-1\r\n"), 400),
    ("a chunk of a huge size", post_framed(_CHUNKED, b"f" * 30 + b"\r\n"), 400),
    ("a chunk longer than it says", post_framed(_CHUNKED, b"2\r\nhello\r\n0\r\n\r\n"), 400),
    ("a Transfer-Encoding nobody knows", post_framed(b"Transfer-Encoding: x"), 400),
    ("chunks in HTTP/1.0", b"POST /v1/chat/completions HTTP/1.0\r\n%s\r\n\r\n" % _CHUNKED, 400),
    ("chunks in gzip", post_framed(b"Transfer-Encoding: gzip, chunked", chunked(_GOOD)), 400),
    (
        "a Content-Length and a Transfer-Encoding",
        post_framed(b"Content-Length: 5\r\n" + _CHUNKED, chunked(_GOOD)),
        400,
    ),
    (
        "a Transfer-Encoding and a Content-Length",
        post_framed(_CHUNKED + b"\r\nContent-Length: 5", chunked(_GOOD)),
        400,
    ),
    ("two Content-Lengths", post(_GOOD, b"Content-Length: 1"), 400),
    ("a negative Content-Length", post_framed(b"Content-Length: -1"), 400),
    ("a Content-Length of text", post_framed(b"Content-Length: x"), 400),
    ("a Content-Length with a sign", post_framed(b"Content-Length: +5", b"hello"), 400),
    ("a huge Content-Length", post_framed(b"Content-Length: " + b"9" * 40), 400),
]

HOSTILE_REQUESTS = tuple(
    HostileRequest(*row) for row in (*_JSON, *_CONTENT, *_METHODS, *_HTTP, *_FRAMING)
)


async def read_response(
    reader: asyncio.StreamReader, connection: h11.Connection
) -> tuple[int | None, bytes]:
    """Return the status and the whole body of the next response; no status if there is none.

    Raises:
        h11.RemoteProtocolError: the response is not whole.
    """
    status, body = None, b""
    while not isinstance(
        event := connection.next_event(), (h11.EndOfMessage, h11.ConnectionClosed)
    ):
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            if not data and status is None:
                return None, b""
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
    return status, body


def client_of(raw: bytes) -> h11.Connection:
    """Return what reads the response to ``raw``."""
    connection = h11.Connection(h11.CLIENT)
    method = b"HEAD" if raw.startswith(b"HEAD ") else b"GET"
    connection.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"bridge")]))
    connection.send(h11.EndOfMessage())
    return connection


async def send_raw(url: str, raw: bytes, seconds: float = 20) -> tuple[int | None, bytes]:
    """Send ``raw`` on a connection of its own, and return the first response.

    Returns:
        Its status, None if the connection was closed with none; and its whole body.

    Raises:
        h11.RemoteProtocolError: the response is not whole.
        TimeoutError: there was no end of it within ``seconds``.
    """
    parts = httpx.URL(url)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(parts.host, parts.port)
        try:
            with suppress(ConnectionError):
                writer.write(raw)
                await writer.drain()
            with suppress(ConnectionError):
                return await read_response(reader, client_of(raw))
            return None, b""
        finally:
            writer.transport.abort()
