"""The routes of the services that are exposed, which may change while the bridge runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from fastapi import Request
from google.protobuf.message import Message
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from bridge.call_response import OpenCall
from bridge.deadlines import Deadlines, requested_total
from bridge.request_id import HEADER
from bridge.state import BridgeState
from bridge.stream import Head, StreamResponse
from bridge.telemetry.record import CallAccount
from bridge.transcoding.accept import stream_format
from bridge.transcoding.catalog import Catalog
from bridge.transcoding.content import refusal, to_messages
from bridge.transcoding.exposed import Exposed, http_body, method_of
from bridge.transcoding.formats import StreamFormat
from bridge.transcoding.headers import to_headers, to_metadata
from bridge.transcoding.path_table import ANY_METHOD, PathMatch
from bridge.transcoding.routes import Route
from bridge.transcoding.streams import (
    ENDED,
    EventStream,
    JsonArray,
    JsonLines,
    JsonObject,
    MessageDialect,
    RawBody,
)
from bridge.transcoding.unary import UnaryResponse

_FOUND = "transcoded"
_LARGE_BYTES = 64 << 10


class TranscodedRoutes(BaseRoute):
    """All routes of a catalog, after those that the bridge has itself.

    Args:
        catalog: Has the routes.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a route has the path, and the method, of a request."""
        exposed = self._catalog.exposed
        if scope["type"] != "http":
            return Match.NONE, {}
        if _FOUND in scope:
            return Match.FULL, {}
        if exposed is None:
            return Match.PARTIAL, {}
        with suppress(UnicodeDecodeError):
            path = _path(scope)
            if (found := exposed.table.match(scope["method"], path)) is not None:
                return Match.FULL, {_FOUND: (exposed, found)}
            if exposed.table.methods(path):
                return Match.PARTIAL, {}
        return Match.NONE, {}

    def serve(self, scope: Scope) -> bool:
        """Return whether a request is for one of the routes, which is kept in ``scope``."""
        match, found = self.matches(scope)
        scope.update(found)
        return match is Match.FULL

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            RpcError: nothing is exposed yet.
            HTTPException: the path has other methods.
        """
        if _FOUND not in scope:
            if self._catalog.exposed is None:
                raise self._catalog.obstacle
            scope["state"]["error_form"] = self._catalog.exposed.errors
            allowed = self._catalog.exposed.table.methods(_path(scope))
            raise HTTPException(405, headers={"allow": ", ".join(sorted(allowed - {ANY_METHOD}))})
        exposed, found = scope[_FOUND]
        scope["state"]["error_form"] = exposed.errors
        state: BridgeState = scope["app"].state.bridge
        transcoding = Transcoding(state, exposed, found, Request(scope, receive))
        response = await transcoding.response()
        await response(scope, receive, send)


def _path(scope: Scope) -> str:
    raw: bytes = scope["raw_path"]
    return raw.decode("utf-8")


class Transcoding:
    """One HTTP request as one RPC.

    Args:
        state: The application's.
        exposed: What is exposed; the request keeps it, also when there is a newer one.
        found: The route.
        request: The request.
    """

    def __init__(
        self, state: BridgeState, exposed: Exposed, found: PathMatch[Route], request: Request
    ) -> None:
        self._state = state
        self._settings = state.settings
        self._exposed = exposed
        self._route = found.route
        self._values = found.values
        self._request = request
        self._returned = partial(to_headers, names=self._settings.return_metadata)

    async def response(self) -> Response:
        """Return what answers it.

        Raises:
            HTTPException: the body has a type that isn't taken.
            InvalidTimeoutError: a header that sets a timeout can't be read.
            RequestError: the request is no message of the RPC.
        """
        headers = self._request.headers
        streams = self._route.rpc.server_streaming
        if streams and self._request.method == "GET" and headers.get("last-event-id") == ENDED:
            return Response(status_code=204)
        body = await self._request.body()
        content_type = headers.get("content-type", "")
        if body and (why := refusal(self._route, content_type)):
            raise HTTPException(415, why)
        messages = await self._messages(body, content_type)
        given = to_metadata(headers.raw, self._settings.forward_headers)
        request_id: str = self._request.state.request_id
        open_call: OpenCall[Message] = partial(
            self._state.backends.stream,
            method_of(self._route.rpc),
            messages,
            [(HEADER, request_id), *given],
        )
        account: CallAccount[Message] = CallAccount(request_id, method=self._route.rpc.path)
        respond = partial(StreamResponse, head=self._head()) if streams else UnaryResponse
        return respond(
            self._state,
            open_call,
            self._dialect(),
            account,
            self._deadlines(),
            idempotent=self._route.rpc.idempotent,
            returned=self._returned,
        )

    async def _messages(self, body: bytes, content_type: str) -> Sequence[Message]:
        query = self._request.scope["query_string"].decode("ascii")
        read = partial(
            to_messages,
            self._route,
            self._exposed.reader,
            self._values,
            query,
            body,
            content_type,
        )
        # It may take a second, in which no stream would go on.
        return read() if len(body) < _LARGE_BYTES else await asyncio.to_thread(read)

    def _dialect(self) -> MessageDialect:
        errors = self._exposed.errors
        if self._route.answers_content:
            return RawBody(http_body(self._route), errors)
        write = self._exposed.write(self._route)
        if not self._route.rpc.server_streaming:
            return JsonObject(write, errors)
        accept = self._request.headers.get("accept", "")
        match stream_format(accept, self._settings.stream_format):
            case StreamFormat.SSE:
                return EventStream(write, errors, self._returned)
            case StreamFormat.NDJSON:
                return JsonLines(write, errors)
            case StreamFormat.ARRAY:
                return JsonArray(write, errors, self._settings.array_failure)

    def _head(self) -> Head:
        # The first message has the media type of a content.
        return Head.WITH_MESSAGE if self._route.answers_content else Head.WITH_FRAME

    def _deadlines(self) -> Deadlines:
        headers = self._request.headers
        asked = requested_total(headers.get("x-request-timeout"), headers.get("grpc-timeout"))
        total = self._settings.deadlines.shortened(asked).total
        # A stream may be one that waits for something to happen.
        return Deadlines(total, total, total)
