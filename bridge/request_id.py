"""Gives every request an id: the client's own ``x-request-id`` if it is sound, else a new one."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"

# What may stand in an HTTP header, in gRPC metadata, in a log line and in a URL unescaped.
_SOUND = re.compile(r"[A-Za-z0-9._~:-]{1,128}")


def choose(proposed: str | None) -> str:
    """Return ``proposed`` if it is 1 to 128 letters, digits, or ``._~:-``; else a new id."""
    if proposed is not None and _SOUND.fullmatch(proposed):
        return proposed
    return uuid.uuid4().hex


class RequestIdMiddleware:
    """Puts the id into ``request.state.request_id`` and into the response's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on with its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
