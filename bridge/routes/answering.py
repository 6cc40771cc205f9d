"""What all routes that answer a conversation do with it, whatever their wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header, Response

from bridge.call_response import NO_HEADERS, OpenCall
from bridge.deadlines import Deadlines, requested_total
from bridge.dialects import CompletionDialect, WholeDialect
from bridge.request_id import HEADER
from bridge.state import BridgeState, RequestId, State
from bridge.stream import Head, StreamResponse
from bridge.telemetry.record import StreamAccount
from bridge.upstream import Call
from bridge.upstream.completion import STREAM_COMPLETION
from bridge.whole import CompletionResponse
from protos.completion.v1.completion_pb2 import StreamCompletionRequest, StreamCompletionResponse


class Answering:
    """Answers one HTTP request with one RPC.

    Args:
        state: The application's.
        request_id: The ``x-request-id`` of the request.
        deadlines: How long the answer may take.
    """

    def __init__(self, state: BridgeState, request_id: str, deadlines: Deadlines) -> None:
        self.settings = state.settings
        self.request_id = request_id
        self._state = state
        self._deadlines = deadlines

    def answer(
        self, request: StreamCompletionRequest, dialect: WholeDialect, *, stream: bool
    ) -> Response:
        """Return what answers as the APIs of SDKs do: with a status first, or as a whole."""
        if stream:
            return self.stream(request, dialect, Head.WITH_MESSAGE)
        return self.whole(request, dialect)

    def whole(self, request: StreamCompletionRequest, dialect: WholeDialect) -> Response:
        """Return what answers with one JSON object, when the stream of the RPC has ended."""
        rpc = self._rpc(request)
        account = self._account(request, rpc, keep_answer=True)
        return CompletionResponse(self._state, rpc.open_call, dialect, account, self._deadlines)

    def stream(
        self,
        request: StreamCompletionRequest,
        dialect: CompletionDialect,
        head: Head,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Response:
        """Return what answers with the stream of the RPC; see ``StreamResponse``."""
        rpc = self._rpc(request)
        return StreamResponse(
            self._state,
            rpc.open_call,
            dialect,
            self._account(request, rpc, keep_answer=self._state.hook is not None),
            self._deadlines,
            head=head,
            headers=headers,
        )

    def _account(
        self, request: StreamCompletionRequest, rpc: _Rpc, *, keep_answer: bool
    ) -> StreamAccount:
        return StreamAccount(
            self.request_id, request.model, keep_answer=keep_answer, method=rpc.path
        )

    def _rpc(self, request: StreamCompletionRequest) -> _Rpc:
        metadata = [(HEADER, self.request_id)]
        completions = self._state.completions()
        if completions is None:
            open_call = partial(
                self._state.backends.stream, STREAM_COMPLETION, (request,), metadata
            )
            return _Rpc(STREAM_COMPLETION.path, open_call)
        completion = completions.of(request.model)
        mapped = completion.request(request)

        def open_mapped(*, deadline: float) -> Call[StreamCompletionResponse]:
            # Each call has a method of its own, which knows what it has parsed.
            method = completion.method()
            return self._state.backends.stream(method, (mapped,), metadata, deadline=deadline)

        return _Rpc(completion.path, open_mapped)


@dataclass(frozen=True, slots=True)
class _Rpc:
    path: str
    open_call: OpenCall[StreamCompletionResponse]


def event_stream(finished: str, failed: str) -> dict[str, Any]:
    """Return what OpenAPI says of a stream: an example that finished, and one that failed."""
    return {
        "schema": {"type": "string"},
        "examples": {
            "finished": {"summary": "A whole answer", "value": finished},
            "failed": {"summary": "An answer that failed", "value": failed},
        },
    }


async def _answering(
    state: State,
    request_id: RequestId,
    x_request_timeout: Annotated[
        str | None, Header(description="Seconds that the answer may take; shortens the limit.")
    ] = None,
    grpc_timeout: Annotated[
        str | None, Header(description="The same in gRPC's form, as in `2500m`.")
    ] = None,
) -> Answering:
    total = requested_total(x_request_timeout, grpc_timeout)
    return Answering(state, request_id, state.settings.deadlines.shortened(total))


PerRequest = Annotated[Answering, Depends(_answering)]
