"""Sends a part of a body at once, where the server lets it.

ASGI's ``send`` is a coroutine that each middleware wraps in one of its own: on the way of every
message that costs as much as the write itself. This hands the application an extension (ASGI 3.0,
"Extensions") that writes to the client's socket, and says when it can't.
"""

from __future__ import annotations

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

try:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
except ImportError:  # without httptools, uvicorn speaks through h11, which wants every event
    RequestResponseCycle = None  # type: ignore[assignment, misc]

_EXTENSION = "bridge.direct_send"
_TRANSPORT = "bridge.transport"


class DirectSend:
    """Writes parts of one response's body.

    Args:
        cycle: The request and its response, in uvicorn.
    """

    __slots__ = ("_cycle", "_flow", "_write")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._flow = cycle.flow
        self._write = cycle.transport.write

    @property
    def ready(self) -> bool:
        """Whether it may write now.

        It may not when the client reads too slowly, or is gone, or when the body is not in chunks:
        then a part has to go through ``send``.
        """
        cycle = self._cycle
        waits = self._flow.write_paused or cycle.disconnected
        return bool(cycle.chunked_encoding) and not waits

    def __call__(self, body: bytes) -> None:
        """Write a part of the body, which is not empty, as one chunk (RFC 9112, section 7.1)."""
        self._write(b"%x\r\n%b\r\n" % (len(body), body))


class DirectSendServer:
    """Puts the extension into the scope of each request. It has to be the outermost application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        cycle: Any = getattr(send, "__self__", None)
        extensions = scope.setdefault("extensions", {})
        if (transport := getattr(cycle, "transport", None)) is not None:
            extensions[_TRANSPORT] = transport
        if RequestResponseCycle is not None and isinstance(cycle, RequestResponseCycle):
            extensions[_EXTENSION] = DirectSend(cycle)
        await self._app(scope, receive, send)


def direct_send(scope: Scope) -> DirectSend | None:
    """Return what sends the body of a request's response at once, if the server has it."""
    found: DirectSend | None = scope.get("extensions", {}).get(_EXTENSION)
    return found


class BrokenOffError(Exception):
    """A response that must not look finished, on a server that offers no other way to say so."""


def break_off(scope: Scope) -> None:
    """Close the connection of a request whose response isn't whole.

    Its client sees that the last chunk is missing (RFC 9112, section 8).

    Raises:
        BrokenOffError: the server hands its connections to nobody; it closes one at an exception.
    """
    transport = scope.get("extensions", {}).get(_TRANSPORT)
    if transport is None:
        raise BrokenOffError
    transport.close()
