"""Answers a request with the one message of an RPC."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message
from starlette.responses import Response

from bridge.call_response import OpenCall, Returned
from bridge.deadlines import Deadlines
from bridge.state import BridgeState
from bridge.telemetry.record import CallAccount
from bridge.transcoding.streams import Account, MessageDialect
from bridge.upstream.call import only
from bridge.whole import WholeResponse


class UnaryResponse(WholeResponse[Message, Account]):
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

    def _keep(self, messages: Sequence[Message]) -> None:
        super()._keep(messages)
        self._messages += messages
        if len(self._messages) > 1 and self._call is not None:
            self._call.cancel()

    def _whole(self) -> Response:
        body = self._dialect.message(only(self._messages))
        headers = self._backend_headers(self._account.trailers)
        return Response(body, 200, dict(headers), self._dialect.media_type)
