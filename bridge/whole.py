"""Answers a request when its RPC has ended."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence

from starlette.responses import JSONResponse, Response

from bridge.call_response import Account, CallResponse, Message, OpenCall
from bridge.deadlines import Deadlines
from bridge.dialects import WholeDialect
from bridge.failure import Failure
from bridge.state import BridgeState
from bridge.telemetry.record import StreamAccount
from protos.completion.v1.completion_pb2 import StreamCompletionResponse


class WholeResponse(CallResponse[Message, Account]):
    """Answers when the RPC has ended, or with an HTTP status; see ``CallResponse``."""

    async def _pump(self) -> None:
        await super()._pump()
        self._response = self._whole()

    async def _begin(self) -> None:
        pass

    async def _deliver(self, messages: Sequence[Message]) -> None:
        self._keep(messages)

    def _relay(self, messages: Sequence[Message]) -> bool:
        self._keep(messages)
        return True

    def _keep(self, messages: Sequence[Message]) -> None:
        self._account.add(messages, time.monotonic())

    @abstractmethod
    def _whole(self) -> Response:
        """Return the answer, when all messages have come.

        Raises:
            RpcError: there is none.
        """

    async def _finish(self) -> None:
        await self._response(self._scope, self._receive, self._send)

    async def _fail(self, failure: Failure) -> None:
        await self._send_failure(failure)


class CompletionResponse(WholeResponse[StreamCompletionResponse, StreamAccount]):
    """Answers with one JSON object when the stream of a completion has ended.

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
        self._object = dialect.whole

    def _whole(self) -> Response:
        return JSONResponse(self._object(self._account))
