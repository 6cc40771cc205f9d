"""One call, from its request to its ending."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic

from google.protobuf.message import DecodeError

from bridge.status import Status
from bridge.upstream.call import (
    CallObserver,
    ChannelOptions,
    Metadata,
    Request,
    Response,
    RpcError,
)
from bridge.upstream.metadata import custom
from bridge.upstream.native.answer import Answer
from bridge.upstream.native.metadata import RequestHeaders
from bridge.upstream.native.socket import Socket

# What gRPC's own clients take, too.
MAX_SECTION_BYTES = 16 * 1024


class NativeCall(Generic[Request, Response]):
    """A call as a ``Call``.

    Args:
        headers: The headers of its request.
        body: Its requests, each with its prefix.
        parse: Reads one response.
        options: How large a response may be.
        deadline: Seconds that it has; None for any time.
        backend: Where the backend listens.
        observer: Sees it end.
        done: Called once, when it has ended.
    """

    def __init__(
        self,
        headers: RequestHeaders,
        body: bytes,
        parse: Callable[[bytes], Response],
        options: ChannelOptions,
        deadline: float | None,
        backend: str,
        observer: CallObserver,
        done: Callable[[NativeCall[Request, Response]], None],
    ) -> None:
        self.backend = backend
        self._headers = headers
        self._body = body
        self._parse = parse
        self._observer = observer
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._answer = Answer(options.max_message_bytes, MAX_SECTION_BYTES, self._closed)
        self._socket: Socket | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[Sequence[Response]], bool] | None = None
        self._held = 0
        # Those that were offered in vain, and whose bytes the answer still has.
        self._parsed: list[Response] = []
        self._expiry = None if deadline is None else self._loop.time() + deadline
        self._timer = None if deadline is None else self._loop.call_later(deadline, self._expire)

    @property
    def metadata(self) -> Metadata:
        """The initial metadata of the response."""
        return custom(self._answer.metadata)

    @property
    def trailers(self) -> Metadata:
        """The trailing metadata of an RPC that has ended with OK."""
        ending = self._answer.ending
        return custom(ending.trailers) if ending and ending.status is Status.OK else ()

    def start(self, socket: Socket) -> None:
        """Send the requests."""
        self._socket = socket
        self._answer.arrived = partial(socket.arrivals.append, self)
        section = self._headers.section(self._seconds_left())
        self._answer.stream = socket.connection.open(section, self._body, self._answer)
        socket.flush()

    def fail(self, error: RpcError) -> None:
        """End the call, which no backend has seen."""
        self._answer.end(error)

    def cancel(self) -> None:
        """Cancel the RPC at once."""
        if self._answer.ending is None:
            self._end(RpcError(Status.CANCELLED, "The call was cancelled."))
            self._answer.messages.clear()

    def relay(self, take: Callable[[Sequence[Response]], bool]) -> None:
        """Offer messages to ``take`` as soon as they have been read."""
        self._take = take

    def __aiter__(self) -> NativeCall[Request, Response]:
        return self

    async def __anext__(self) -> Sequence[Response]:
        self._give_back()
        while not (messages := self._next()):
            ending = self._answer.ending
            if ending is not None:
                if ending.status is Status.OK:
                    raise StopAsyncIteration
                raise ending
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return messages

    def deliver(self) -> None:
        """Hand over what has been read, to whoever waits for it."""
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not self._relayed():
            waiter.set_result(None)

    def _relayed(self) -> bool:
        answer = self._answer
        if self._take is None or answer.ending is not None or answer.reader.compressed:
            return False
        messages = self._parsed
        try:
            messages.extend(map(self._parse, answer.messages))
        except (DecodeError, RpcError):
            return False
        if not self._take(messages):
            return False
        self._parsed = []
        answer.release()
        return True

    def _next(self) -> list[Response]:
        # An error leaves those in the list that come before it.
        messages: list[Response] = []
        try:
            raw, self._held = self._answer.take()
            messages, self._parsed = self._parsed[: len(raw)], self._parsed[len(raw) :]
            messages.extend(map(self._parse, raw[len(messages) :]))
        except DecodeError as error:
            why = f"A message of the backend can't be read: {error}"
            self._end_unread(RpcError(Status.INTERNAL, why))
        except RpcError as error:
            self._end_unread(error)
        return messages

    def _end_unread(self, ending: RpcError) -> None:
        self._end(ending)
        self._answer.messages.clear()
        # The backend may have ended it otherwise by now.
        self._answer.ending = ending

    def _give_back(self) -> None:
        stream, socket, held = self._answer.stream, self._socket, self._held
        if held and stream is not None and socket is not None:
            self._held = 0
            if stream.credit(held):
                socket.flush()

    def _seconds_left(self) -> float | None:
        return None if self._expiry is None else self._expiry - self._loop.time()

    def _expire(self) -> None:
        self._end(RpcError(Status.DEADLINE_EXCEEDED))

    def _end(self, ending: RpcError) -> None:
        self._answer.end(ending)
        if self._socket is not None:
            self._socket.flush()

    def _closed(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        self._done(self)
        ending = self._answer.ending
        assert ending is not None
        left = self._seconds_left()
        if ending.status is Status.CANCELLED and left is not None and left <= 0:
            # The backend's clock was first: PROTOCOL-HTTP2.md, "Client Cancellation".
            ending = self._answer.ending = RpcError(Status.DEADLINE_EXCEEDED)
        if ending.status not in {Status.OK, Status.CANCELLED}:
            self._observer.call_failed(ending)
        self._observer.call_ended()
