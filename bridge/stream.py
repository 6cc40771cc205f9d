"""Answers a request with the stream of an RPC."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bridge.call_response import (
    NO_HEADERS,
    Account,
    CallResponse,
    Message,
    OpenCall,
    Returned,
    return_nothing,
)
from bridge.deadlines import Deadlines
from bridge.dialects import Dialect
from bridge.direct_send import DirectSend, break_off, direct_send
from bridge.failure import Failure
from bridge.state import BridgeState

# A heartbeat may come after this part of the silence that the settings allow.
_EARLIEST_HEARTBEAT = 0.9


class Head(Enum):
    """When the head of an answer is sent. Until then a failure is an HTTP status."""

    AT_ONCE = auto()
    WITH_MESSAGE = auto()
    WITH_FRAME = auto()
    """With the first message, or with a heartbeat that is due before it."""


class StreamResponse(CallResponse[Message, Account]):
    """Answers with the stream itself, each message as soon as it has come.

    Args:
        state: See ``CallResponse``.
        open_call: See ``CallResponse``.
        dialect: See ``CallResponse``.
        account: See ``CallResponse``.
        deadlines: See ``CallResponse``.
        head: When the head of the answer is sent.
        headers: Further headers of the answer.
        idempotent: See ``CallResponse``.
        returned: See ``CallResponse``.
    """

    def __init__(
        self,
        state: BridgeState,
        open_call: OpenCall[Message],
        dialect: Dialect[Message, Account],
        account: Account,
        deadlines: Deadlines,
        *,
        head: Head,
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool = True,
        returned: Returned = return_nothing,
    ) -> None:
        super().__init__(
            state, open_call, dialect, account, deadlines, idempotent=idempotent, returned=returned
        )
        self._head = head
        self._further_headers = headers
        self._started = False
        # Streams that fell silent together are not to beat together, and hold up all others.
        spread = random.uniform(_EARLIEST_HEARTBEAT, 1)  # noqa: S311
        self._heartbeat = state.settings.heartbeat * spread
        self._last_frame = account.started
        self._beat: asyncio.Task[None] | None = None
        self._direct_send: DirectSend | None = None
        self._untellable: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the RPC and answer the request."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stop_heartbeat()

    def check(self, now: float) -> float:
        """See whether a limit has passed, or a heartbeat is due; return when to check again."""
        due = super().check(now)
        if not self._heartbeat:
            return due
        if now - self._last_frame >= self._heartbeat:
            self._last_frame = now
            self._send_heartbeat()
        return min(due, self._last_frame + self._heartbeat)

    def _send_heartbeat(self) -> None:
        if not self._started and self._head is Head.WITH_MESSAGE:
            return
        # While the client's socket is full, it has enough to read.
        if not self._ending.open or self._delivering:
            return
        frame = self._dialect.heartbeat()
        if self._direct_send is not None:
            if frame and self._direct_send.ready:
                self._direct_send(frame)
        elif self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(self._send_in_turn(frame))

    async def _send_in_turn(self, frame: bytes) -> None:
        with suppress(OSError):
            if not self._started:
                await self._send_head()
            await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    def _stop_heartbeat(self) -> None:
        if self._beat is not None:
            self._beat.cancel()

    async def _pump(self) -> None:
        await super()._pump()
        self._closing = self._dialect.closing(self._account)

    async def _begin(self) -> None:
        if self._head is Head.AT_ONCE:
            await self._start()

    async def _start(self) -> None:
        # One that still waits until the client reads must not send the head, too.
        self._stop_heartbeat()
        await self._send_head()

    async def _send_head(self) -> None:
        headers = [
            (name.encode(), value.encode())
            for name, value in {
                **_headers(self._dialect),
                **self._backend_headers(),
                **self._further_headers,
            }.items()
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._started = True
        self._direct_send = direct_send(self._scope)

    async def _deliver(self, messages: Sequence[Message]) -> None:
        self._raise_untellable()
        frames = self._frames(messages)
        if not self._started and frames:
            await self._start()
        body = b"".join(frames)
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._count(messages[: len(frames)], body)
        self._raise_untellable()

    def _relay(self, messages: Sequence[Message]) -> bool:
        send = self._direct_send
        # A dialect is told of each message once: so first whether its frames can be sent.
        if send is None or not send.ready:
            return False
        frames = self._frames(messages)
        body = b"".join(frames)
        if body:
            send(body)
        self._count(messages[: len(frames)], body)
        # `_deliver` raises what has come between, and the stream ends with the truth.
        return self._untellable is None

    def _frames(self, messages: Sequence[Message]) -> list[bytes]:
        """Return the frames of the messages up to one that can't be told, which is kept."""
        frames: list[bytes] = []
        try:
            frames.extend(map(self._dialect.message, messages))
        except Exception as error:
            self._untellable = error
        return frames

    def _raise_untellable(self) -> None:
        if self._untellable is not None:
            raise self._untellable

    def _count(self, messages: Sequence[Message], body: bytes) -> None:
        now = time.monotonic()
        if body:
            self._last_frame = now
        self._account.add(messages, now)

    async def _finish(self) -> None:
        if not self._started:
            await self._start()
        await self._send_last(self._closing)

    async def _fail(self, failure: Failure) -> None:
        if not self._started:
            await self._send_failure(failure, self._further_headers)
        elif (frames := self._dialect.error(failure)) is not None:
            await self._send_last(frames)
        else:
            self._stop_heartbeat()
            break_off(self._scope)
            await self._watcher

    async def _send_last(self, frames: bytes) -> None:
        # One that still waits until the client reads must not come after this.
        self._stop_heartbeat()
        await self._send({"type": "http.response.body", "body": frames})


def stream_head(dialect: Dialect[Any, Any]) -> Response:
    """Return what answers a ``HEAD`` with the headers of a stream, and runs no RPC."""
    response = Response(headers=_headers(dialect))
    # A stream has none.
    del response.headers["content-length"]
    return response


def _headers(dialect: Dialect[Any, Any]) -> dict[str, str]:
    return {
        "content-type": dialect.media_type,
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
    }
