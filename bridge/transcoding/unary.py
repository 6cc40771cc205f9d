"""Answers a request with the one message of an RPC."""

from __future__ import annotations

import time
from collections.abc import Sequence

from google.protobuf.message import Message
from starlette.responses import Response

from bridge.call_response import CallResponse, OpenCall, Returned
from bridge.deadlines import Deadlines
from bridge.failure import Failure
from bridge.state import BridgeState
from bridge.status import Status
from bridge.telemetry.record import CallAccount
from bridge.transcoding.streams import Account, MessageDialect
from bridge.upstream import RpcError


class UnaryResponse(CallResponse[Message, Account]):
    """Answers with one message when the RPC has ended, or with an HTTP status.

    Args:
        state: See ``CallResponse``.
        open_call: See ``CallResponse``.
        dialect: Writes the message, or a failure.
        account: See ``CallResponse``.
        deadlines: See ``CallResponse``.
        idempotent: See ``CallResponse``.
        returned: See ``CallResponse``; it has the trailing metadata, too.
    """

    def __init__(
        self,
        state: BridgeState,
        open_call: OpenCall[Message],
        dialect: MessageDialect,
        account: CallAccount[Message],
        deadlines: Deadlines,
        *,
        idempotent: bool,
        returned: Returned,
    ) -> None:
        super().__init__(
            state, open_call, dialect, account, deadlines, idempotent=idempotent, returned=returned
        )
        self._messages: list[Message] = []

    async def _pump(self) -> None:
        await super()._pump()
        if len(self._messages) != 1:
            cause = f"a unary call got {'several messages' if self._messages else 'no message'}"
            raise RpcError(Status.INTERNAL, cause=cause)
        self._body = self._dialect.message(self._messages[0])

    async def _begin(self) -> None:
        pass

    async def _deliver(self, messages: Sequence[Message]) -> None:
        self._keep(messages)

    def _relay(self, messages: Sequence[Message]) -> bool:
        self._keep(messages)
        return True

    def _keep(self, messages: Sequence[Message]) -> None:
        self._messages += messages
        self._account.add(messages, time.monotonic())
        if len(self._messages) > 1 and self._call is not None:
            self._call.cancel()

    async def _finish(self) -> None:
        headers = self._backend_headers(self._account.trailers)
        response = Response(self._body, 200, dict(headers), self._dialect.media_type)
        await response(self._scope, self._receive, self._send)

    async def _fail(self, failure: Failure) -> None:
        await self._send_failure(failure)
