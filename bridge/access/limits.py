"""How large and how slow a body may be, and how many requests that stream may be open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.access.counts import Counts
from bridge.http_errors import answer

RETRY_AFTER_SECONDS = 1

# How many times its limit a body may be, for its client to be sure of an answer.
_THROWN_AWAY = 16


class BodyLimitMiddleware:
    """Refuses a body of more than ``max_bytes``, with 413, and a slow one, with 408.

    Some more of one that is too large is read and thrown away: a client that still writes when
    the connection is closed never sees the answer (RFC 9112, section 9.6).

    Args:
        app: The application.
        max_bytes: The most bytes of a body.
        seconds: How long it may take to come.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            body = _Body(receive, max_bytes=self._max_bytes, seconds=self._seconds)
            await self._app(scope, body.receive, send)
        else:
            await self._app(scope, receive, send)


class _Body:
    """One body, as it comes."""

    def __init__(self, receive: Receive, *, max_bytes: int, seconds: float) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds
        self._received = 0
        self._more = True

    async def receive(self) -> Message:
        """Return the next event; raise when the body is too large or too late."""
        event = await self._next()
        if self._received > self._max_bytes:
            with suppress(HTTPException):
                while self._more and self._received < _THROWN_AWAY * self._max_bytes:
                    await self._next()
            message = f"The body is larger than {self._max_bytes} bytes."
            raise HTTPException(413, message, {"connection": "close"})
        return event

    async def _next(self) -> Message:
        if not self._more:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._end):
                event = await self._receive()
        except TimeoutError:
            message = f"The body did not come within {self._seconds:g} seconds."
            raise HTTPException(408, message, {"connection": "close"}) from None
        self._received += len(event.get("body", b""))
        self._more = event.get("more_body", False)
        return event


class StreamLimitMiddleware:
    """Refuses a request that would stream while as many are open as may be.

    It does so before a byte of the body is read, so that a refusal costs little. A request
    counts from then to the end of its answer.

    Args:
        app: The application.
        total: The most open requests.
        per_client: The most open requests of one client address; 0 for any number.
        counts: How many are open, where those are counted too that this process doesn't serve.
        gets: Returns of the scope of a ``GET`` whether it would stream; all else does.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        total: int,
        per_client: int,
        counts: Counts,
        gets: Callable[[Scope], bool],
    ) -> None:
        self._app = app
        self._gets = gets
        self._total = total
        self._per_client = per_client
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or not self._would_stream(scope):
            await self._app(scope, receive, send)
            return
        client = (scope.get("client") or ("",))[0]
        refusal = self._refusal(client)
        if refusal is not None:
            status, message = refusal
            headers = {"retry-after": str(RETRY_AFTER_SECONDS), "connection": "close"}
            await answer(status, message, headers=headers)(scope, receive, send)
            return
        self._counts.add(client)
        try:
            await self._app(scope, receive, send)
        finally:
            self._counts.remove(client)

    def _would_stream(self, scope: Scope) -> bool:
        match scope["method"]:
            case "OPTIONS" | "HEAD":
                return False
            case "GET":
                return self._gets(scope)
        return True

    def _refusal(self, client: str) -> tuple[int, str] | None:
        if self._counts.streams() >= self._total:
            return 503, "Too many streams are open. Try again in a moment."
        if self._per_client and self._counts.streams_of(client) >= self._per_client:
            return 429, f"You have {self._per_client} streams open, which is the limit."
        return None
