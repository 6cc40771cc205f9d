"""Leads a request to the routes of its wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge.dialects.wires import UnknownWireError, Wire, chosen, error_form
from bridge.http_errors import answer

_CHATS = (Wire.PLAIN, Wire.OPENAI)

# The wires that have something at a path without a prefix.
_AT_PATH: Mapping[str, Sequence[Wire]] = {
    "/v1/chat/completions": _CHATS,
    "/chat/completions": _CHATS,
    "/v1/models": (*_CHATS, Wire.ANTHROPIC),
    "/models": _CHATS,
    "/v1/responses": (Wire.OPENAI,),
    "/responses": (Wire.OPENAI,),
    "/v1/messages": (Wire.ANTHROPIC,),
    "/v1/messages/count_tokens": (Wire.ANTHROPIC,),
}

_OLLAMA = frozenset({"/api/generate", "/api/tags"})


def unprefixed(path: str) -> str:
    """Return the path at which a wire's route is also found, if its wire is chosen otherwise."""
    wire = _named_by(path)
    return path if wire is None else path.removeprefix(f"/{wire}")


def _named_by(path: str) -> Wire | None:
    return next((wire for wire in Wire if path.startswith(f"/{wire}/")), None)


class WireMiddleware:
    """Puts how a request's wire tells errors into its state, and what belongs to it into its path.

    What is below ``/openai/``, ``/plain/``, ... belongs to that wire, whoever asks.
    Of the wires that have the same path without it, the request chooses one. It also chooses how a
    failure is told at any other path.

    Args:
        app: The application.
        default: The wire of a request that doesn't choose.
        api_chat: The wire of ``/api/chat``; None for none.
    """

    def __init__(self, app: ASGIApp, *, default: Wire, api_chat: Wire | None) -> None:
        self._app = app
        self._default = default
        self._api_chat = () if api_chat is None else (api_chat,)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless it asks for a wire that there is not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            wire, path = self._route(scope)
        except UnknownWireError as error:
            await answer(400, str(error))(scope, receive, send)
            return
        state = {**scope.get("state", {}), "error_form": error_form(wire)}
        await self._app({**scope, "state": state, "path": path}, receive, send)

    def _route(self, scope: Scope) -> tuple[Wire, str]:
        path: str = scope["path"]
        named = _named_by(path)
        if named is not None:
            return named, unprefixed(path) if named is Wire.PLAIN else path
        wires = self._wires_at(path)
        wire = chosen(Headers(scope=scope), self._default, wires or tuple(Wire))
        return wire, f"/{wire}{path}" if wires and wire is not Wire.PLAIN else path

    def _wires_at(self, path: str) -> Sequence[Wire]:
        if path.startswith("/v1/models/"):
            return Wire.OPENAI, Wire.ANTHROPIC
        if path == "/api/chat" or path.startswith("/api/chat/"):
            return self._api_chat
        if path in _OLLAMA and Wire.OLLAMA in self._api_chat:
            return self._api_chat
        return _AT_PATH.get(path, ())
