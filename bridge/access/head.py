"""The head of a request: what may stand in it, before anything else is done."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.http_errors import answer

# The least that a header has beside its name and its value: a colon and the end of the line.
_HEADER_OVERHEAD = 3

# As many as Apache's httpd takes. Some look-ups go through all.
_MOST_HEADERS = 100

# "2" and "3" are what an ASGI server that speaks them says. uvicorn's parsers say "2.0", and "0.9",
# of what only looks like HTTP/1.
_VERSIONS = frozenset({"1.0", "1.1", "2", "3"})

Refusal = tuple[int, str]


def too_large(max_bytes: int) -> str:
    """Return what to tell a client whose head has more than ``max_bytes``."""
    return f"The request line and the headers are larger than {max_bytes} bytes."


class HeadMiddleware:
    """Refuses a head that is too large, that can be read in two ways, or whose body can't be read.

    The parsers of HTTP differ in what they let pass; here is what all of them have in common.

    Args:
        app: The application.
        max_bytes: The most bytes of the request line and the headers together.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            status, message = refusal
            await answer(status, message, headers={"connection": "close"})(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if len(headers) > _MOST_HEADERS:
            return 431, f"The request has more than {_MOST_HEADERS} headers."
        line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
        if line + sum(map(_size, headers)) > self._max_bytes:
            return 431, too_large(self._max_bytes)
        return _malformed(headers, scope["http_version"]) or _encoded(headers)


def _size(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1]) + _HEADER_OVERHEAD


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value.strip().lower() for key, value in headers if key == name]


def _malformed(headers: list[tuple[bytes, bytes]], http_version: str) -> Refusal | None:
    # A proxy before the bridge may have read it the other way (RFC 9112, sections 3.2 and 6.1).
    if http_version not in _VERSIONS:
        return 400, f"HTTP/{http_version} is not spoken here, but HTTP/1.1 is."
    if http_version == "1.1" and len(_values(headers, b"host")) != 1:
        return 400, "The request must have one Host."
    coding = _values(headers, b"transfer-encoding")
    if not coding:
        return None
    if coding != [b"chunked"] or http_version == "1.0":
        return 400, "The only Transfer-Encoding is chunked, in HTTP/1.1."
    if _values(headers, b"content-length"):
        return 400, "The request has both a Transfer-Encoding and a Content-Length."
    return None


def _encoded(headers: list[tuple[bytes, bytes]]) -> Refusal | None:
    if set(_values(headers, b"content-encoding")) <= {b"identity", b""}:
        return None
    return 415, "The body must be sent without a Content-Encoding."


class HeadAsGetMiddleware:
    """Serves ``HEAD`` as ``GET``, without the body, which the ASGI server leaves out.

    A server must offer it wherever it offers ``GET`` (RFC 9110, section 9.1). FastAPI doesn't.

    Args:
        app: The application.
        but: The paths that have a ``HEAD`` of their own.
    """

    def __init__(self, app: ASGIApp, *, but: Collection[str]) -> None:
        self._app = app
        self._but = but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and scope["path"] not in self._but:
            # The server's own scope tells it that the body is left out.
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
