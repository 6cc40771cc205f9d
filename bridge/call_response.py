"""The one place where an RPC starts for a request, and where it ends once, with a verdict."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

import structlog
from google.protobuf import message
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bridge.deadlines import Deadlines
from bridge.dialects import Dialect
from bridge.failure import Failure, describe
from bridge.retry import pause_before_retry, retry_advice
from bridge.state import BridgeState
from bridge.status import Status
from bridge.telemetry.record import CallAccount, publish
from bridge.upstream import UNSEEN_TRIES, Call, Metadata, RpcError
from bridge.verdict import SHUTTING_DOWN, Ending, Outcome, Verdict

_log = structlog.get_logger("bridge.stream")

Message = TypeVar("Message", bound=message.Message)
Message_co = TypeVar("Message_co", bound=message.Message, covariant=True)
Account = TypeVar("Account", bound=CallAccount[Any])


class OpenCall(Protocol[Message_co]):
    """Starts the RPC of a stream."""

    def __call__(self, *, deadline: float) -> Call[Message_co]:
        """Start it, with ``deadline`` seconds."""
        ...


# Timers may be a millisecond early, and then there is nothing yet to be seen.
_SHORTEST_PAUSE_SECONDS = 1e-3

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

Returned = Callable[[Metadata], Mapping[str, str]]


def return_nothing(_: Metadata) -> Mapping[str, str]:
    """Return no headers, whatever metadata there is."""
    return NO_HEADERS


class CallResponse(Response, ABC, Generic[Message, Account]):
    """An ASGI response that runs one RPC for one HTTP request, from its start to its verdict.

    Whatever happens first decides the verdict: the RPC's status, the client that leaves, a
    deadline, the shutdown of the bridge, an exception in our own code.

    Args:
        state: The application's: its open streams, its hook, its settings.
        open_call: Starts the RPC.
        dialect: Writes the answer.
        account: Counts what is sent.
        deadlines: How long it may take.
        idempotent: Whether the RPC may be tried again when a backend may have served it.
        returned: Makes headers of the answer from the metadata of the backend.
    """

    def __init__(
        self,
        state: BridgeState,
        open_call: OpenCall[Message],
        dialect: Dialect[Message, Account],
        account: Account,
        deadlines: Deadlines,
        *,
        idempotent: bool = True,
        returned: Returned = return_nothing,
    ) -> None:
        super().__init__()
        self._state = state
        self._open_call = open_call
        self._dialect = dialect
        self._account = account
        self._deadlines = deadlines
        self._ending = Ending()
        self._call: Call[Message] | None = None
        self._pause: asyncio.Event | None = None
        self._returned = returned
        self._tries_left = state.settings.retries if idempotent else 0
        self._unseen_tries_left = UNSEEN_TRIES
        self._delivering = False
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the RPC and answer the request."""
        self._scope, self._receive, self._send = scope, receive, send
        watcher = self._watcher = asyncio.create_task(self._watch(receive))
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

    def _open(self) -> Call[Message]:
        call = self._call = self._open_call(deadline=self._seconds_left())
        self._account.backend = call.backend
        if not self._ending.open:
            call.cancel()
        return call

    async def _deliver_all(self, call: Call[Message]) -> None:
        call.relay(self._relay)
        async for messages in call:
            self._delivering = True
            await self._deliver(messages)
            self._delivering = False
        self._account.trailers = call.trailers

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
            self._account.trailers = verdict.error.trailers
            await self._fail(failure)
        elif verdict.outcome is Outcome.FINISHED:
            await self._finish()

    def _backend_headers(self, trailers: Metadata = ()) -> Mapping[str, str]:
        sent = () if self._call is None else self._call.metadata
        return self._returned((*sent, *trailers))

    @abstractmethod
    async def _begin(self) -> None:
        """Send what comes before the first message."""

    @abstractmethod
    async def _deliver(self, messages: Sequence[Message]) -> None:
        """Send, or keep, the messages that have come together, and count them."""

    @abstractmethod
    def _relay(self, messages: Sequence[Message]) -> bool:
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
            {**self._backend_headers(self._account.trailers), **headers, **advice},
            errors.media_type,
        )
        await response(self._scope, self._receive, self._send)
