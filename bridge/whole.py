"""Answers a request with the whole of a stream."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.responses import JSONResponse

from bridge.call_response import CallResponse, OpenCall
from bridge.deadlines import Deadlines
from bridge.dialects import WholeDialect
from bridge.failure import Failure
from bridge.state import BridgeState
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse


class WholeResponse(CallResponse[StreamCompletionResponse, StreamAccount]):
    """Answers with one JSON object when the stream has ended, or with an HTTP status.

    Args:
        state: See ``CallResponse``.
        open_call: See ``CallResponse``.
        dialect: Writes the answer.
        account: Keeps the answer.
        deadlines: See ``CallResponse``.
    """

    def __init__(
        self,
        state: BridgeState,
        open_call: OpenCall[StreamCompletionResponse],
        dialect: WholeDialect,
        account: StreamAccount,
        deadlines: Deadlines,
    ) -> None:
        super().__init__(state, open_call, dialect, account, deadlines)
        self._whole = dialect.whole

    async def _pump(self) -> None:
        await super()._pump()
        self._body = self._whole(self._account)

    async def _begin(self) -> None:
        pass

    async def _deliver(self, messages: Sequence[StreamCompletionResponse]) -> None:
        self._account.add(messages, time.monotonic())

    def _relay(self, messages: Sequence[StreamCompletionResponse]) -> bool:
        self._account.add(messages, time.monotonic())
        return True

    async def _finish(self) -> None:
        await JSONResponse(self._body)(self._scope, self._receive, self._send)

    async def _fail(self, failure: Failure) -> None:
        await self._send_failure(failure)
