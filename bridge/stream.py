"""The one place where a stream starts, and where it ends exactly once, with a verdict."""

from __future__ import annotations

import asyncio
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

import structlog
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bridge.deadlines import Deadlines
from bridge.dialects import Dialect, WholeDialect
from bridge.direct_send import DirectSend, direct_send
from bridge.failure import Failure, describe
from bridge.retry import pause_before_retry, retry_advice
from bridge.state import BridgeState
from bridge.status import Status
from bridge.telemetry.record import StreamAccount, publish
from bridge.upstream import UNSEEN_TRIES, Call, RpcError
from bridge.verdict import SHUTTING_DOWN, Ending, Outcome, Verdict
from protos.completion.v1.completion_pb2 import StreamCompletionResponse

_log = structlog.get_logger("bridge.stream")

CompletionCall = Call[StreamCompletionResponse]


class OpenCall(Protocol):
    """Starts the RPC of a stream."""

    def __call__(self, *, deadline: float) -> CompletionCall:
        """Start it, with ``deadline`` seconds."""
        ...


# Timers may be a millisecond early, and then there is nothing yet to be seen.
_SHORTEST_PAUSE_SECONDS = 1e-3

# A heartbeat may come after this part of the silence that the settings allow.
_EARLIEST_HEARTBEAT = 0.9

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class CallResponse(Response, ABC):
    """An ASGI response that runs one RPC for one HTTP request, from its start to its verdict.

    Whatever happens first decides the verdict: the RPC's status, the client that leaves, a
    deadline, the shutdown of the bridge, an exception in our own code.

    Args:
        state: The application's: its open streams, its hook, its settings.
        open_call: Starts the RPC.
        dialect: Writes the answer.
        account: Counts what is sent.
        deadlines: How long it may take.
    """

    def __init__(
        self,
        state: BridgeState,
        open_call: OpenCall,
        dialect: Dialect,
        account: StreamAccount,
        deadlines: Deadlines,
    ) -> None:
        super().__init__()
        self._state = state
        self._open_call = open_call
        self._dialect = dialect
        self._account = account
        self._deadlines = deadlines
        self._ending = Ending()
        self._call: CompletionCall | None = None
        self._pause: asyncio.Event | None = None
        self._tries_left = state.settings.retries
        self._unseen_tries_left = UNSEEN_TRIES
        self._delivering = False
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the RPC and answer the request."""
        self._scope, self._receive, self._send = scope, receive, send
        watcher = asyncio.create_task(self._watch(receive))
        self._state.streams.add(self)
        try:
            self._keep_time()
            await self._run()
        finally:
            self._state.streams.discard(self)
            self._stop_timer()
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    def _keep_time(self) -> None:
        now = time.monotonic()
        due = self.check(now)
        if self._ending.open:
            pause = max(due - now, _SHORTEST_PAUSE_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(pause, self._keep_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def check(self, now: float) -> float:
        """End the stream if one of its limits has passed at ``now``; return when to check again."""
        # While the client's socket is full, it's not the backend that is late.
        last_message = now if self._delivering else self._account.last_message
        started = self._account.started
        error = self._deadlines.passed(now, started, last_message)
        if error is not None:
            self._decide(Verdict(Outcome.FAILED, error))
        return self._deadlines.next_check(now, started, last_message)

    def cut(self) -> None:
        """End the stream now, since the bridge shuts down."""
        self._decide(Verdict(Outcome.SHUTDOWN, SHUTTING_DOWN))

    async def _run(self) -> None:
        try:
            await self._pump()
        except RpcError as error:
            self._decide(Verdict(Outcome.FAILED, self._name_the_limit(error)))
        except OSError:
            # An ASGI server's `send` raises it when the client is gone (ASGI 2.4).
            self._decide(Verdict(Outcome.LEFT))
        except asyncio.CancelledError:
            self.cut()
            raise
        except Exception:
            _log.exception("an error of our own", request_id=self._account.request_id)
            self._decide(Verdict(Outcome.FAILED, RpcError(Status.INTERNAL)))
        else:
            self._decide(Verdict(Outcome.FINISHED))
        finally:
            await self._end()

    async def _pump(self) -> None:
        self._state.retry_budget.add_call()
        await self._begin()
        while True:
            try:
                await self._deliver_all(self._open())
            except RpcError as error:
                if not await self._pause_before_retry(error):
                    raise
                self._account.retries += 1
            else:
                return

    def _open(self) -> CompletionCall:
        call = self._call = self._open_call(deadline=self._seconds_left())
        self._account.backend = call.backend
        if not self._ending.open:
            call.cancel()
        return call

    async def _deliver_all(self, call: CompletionCall) -> None:
        call.relay(self._relay)
        async for messages in call:
            self._delivering = True
            await self._deliver(messages)
            self._delivering = False

    async def _pause_before_retry(self, error: RpcError) -> bool:
        """Return True, after the pause that it takes, if the RPC is to be tried again."""
        if self._account.messages or not self._ending.open:
            return False
        pause = pause_before_retry(error, self._account.retries)
        if pause is None or pause >= self._seconds_left() or not self._may_retry(error):
            return False
        self._pause = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._pause.wait()
        return self._ending.open

    def _may_retry(self, error: RpcError) -> bool:
        if error.unprocessed and self._unseen_tries_left:
            self._unseen_tries_left -= 1
            return True
        self._tries_left -= 1
        return self._tries_left >= 0 and self._state.retry_budget.take()

    def _seconds_left(self) -> float:
        return self._deadlines.total - (time.monotonic() - self._account.started)

    def _name_the_limit(self, error: RpcError) -> RpcError:
        # The RPC's own deadline is our total, and the transport is the first to notice.
        if error.status is Status.DEADLINE_EXCEEDED and self._seconds_left() < 1e-2:
            return self._deadlines.total_passed()
        return error

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._decide(Verdict(Outcome.LEFT))

    def _decide(self, verdict: Verdict) -> None:
        if not self._ending.decide(verdict):
            return
        if self._call is not None:
            self._call.cancel()
        if self._pause is not None:
            self._pause.set()

    async def _end(self) -> None:
        verdict = self._ending.tell()
        try:
            with suppress(OSError):
                await self._tell(verdict)
        finally:
            publish(self._account.close(verdict), self._state.hook)

    async def _tell(self, verdict: Verdict) -> None:
        if verdict.error is not None:
            show = self._state.settings.show_error_details
            failure = describe(verdict.error, self._account.request_id, show_details=show)
            await self._fail(failure)
        elif verdict.outcome is Outcome.FINISHED:
            await self._finish()

    @abstractmethod
    async def _begin(self) -> None:
        """Send what comes before the first message."""

    @abstractmethod
    async def _deliver(self, messages: Sequence[StreamCompletionResponse]) -> None:
        """Send, or keep, the messages that have come together, and count them."""

    @abstractmethod
    def _relay(self, messages: Sequence[StreamCompletionResponse]) -> bool:
        """Send, or keep, and count messages if that can be done at once; return whether it was."""

    @abstractmethod
    async def _finish(self) -> None:
        """Send the ending of a finished stream."""

    @abstractmethod
    async def _fail(self, failure: Failure) -> None:
        """Send the ending of a stream that failed."""

    async def _send_failure(
        self, failure: Failure, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        advice = retry_advice(failure, paid=bool(self._account.messages))
        errors = self._dialect.errors
        response = Response(
            errors.content(failure),
            errors.http(failure.status),
            {**headers, **advice},
            errors.media_type,
        )
        await response(self._scope, self._receive, self._send)


class StreamResponse(CallResponse):
    """Answers with the stream itself, each message as soon as it has come.

    Args:
        state: See ``CallResponse``.
        open_call: See ``CallResponse``.
        dialect: See ``CallResponse``.
        account: See ``CallResponse``.
        deadlines: See ``CallResponse``.
        status_first: Whether an RPC that fails before its first message is an HTTP status. Then
            nothing is sent before that message.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        state: BridgeState,
        open_call: OpenCall,
        dialect: Dialect,
        account: StreamAccount,
        deadlines: Deadlines,
        *,
        status_first: bool,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(state, open_call, dialect, account, deadlines)
        self._status_first = status_first
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
        # While the client's socket is full, it has enough to read.
        if not self._started or not self._ending.open or self._delivering:
            return
        frame = self._dialect.heartbeat()
        if self._direct_send is not None:
            if self._direct_send.ready:
                self._direct_send(frame)
        elif self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(self._send_in_turn(frame))

    async def _send_in_turn(self, frame: bytes) -> None:
        with suppress(OSError):
            await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    def _stop_heartbeat(self) -> None:
        if self._beat is not None:
            self._beat.cancel()

    async def _pump(self) -> None:
        await super()._pump()
        self._closing = self._dialect.closing(self._account)

    async def _begin(self) -> None:
        if not self._status_first:
            await self._start()

    async def _start(self) -> None:
        self._started = True
        headers = [
            (b"content-type", self._dialect.media_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
        ]
        headers += [
            (name.encode(), value.encode()) for name, value in self._further_headers.items()
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        self._direct_send = direct_send(self._scope)

    async def _deliver(self, messages: Sequence[StreamCompletionResponse]) -> None:
        if not self._started:
            await self._start()
        self._raise_untellable()
        frames = self._frames(messages)
        body = b"".join(frames)
        if body:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._count(messages[: len(frames)], body)
        self._raise_untellable()

    def _relay(self, messages: Sequence[StreamCompletionResponse]) -> bool:
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

    def _frames(self, messages: Sequence[StreamCompletionResponse]) -> list[bytes]:
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

    def _count(self, messages: Sequence[StreamCompletionResponse], body: bytes) -> None:
        now = time.monotonic()
        if body:
            self._last_frame = now
        self._account.add(messages, now)

    async def _finish(self) -> None:
        if not self._started:
            await self._start()
        await self._send_last(self._closing)

    async def _fail(self, failure: Failure) -> None:
        if self._started:
            await self._send_last(self._dialect.error(failure))
        else:
            await self._send_failure(failure, self._further_headers)

    async def _send_last(self, frames: bytes) -> None:
        # One that still waits until the client reads must not come after this.
        self._stop_heartbeat()
        await self._send({"type": "http.response.body", "body": frames})


class WholeResponse(CallResponse):
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
        open_call: OpenCall,
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
