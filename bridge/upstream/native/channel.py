"""A channel: connections to one backend, as many as its calls need."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog

from bridge.status import Status
from bridge.upstream.address import Endpoint, UnixAddress, parse
from bridge.upstream.call import (
    Call,
    CallObserver,
    Channel,
    ChannelOptions,
    Metadata,
    Method,
    Request,
    Response,
    RpcError,
    only,
)
from bridge.upstream.credentials import Tls
from bridge.upstream.http2 import Connection
from bridge.upstream.native import tls as native_tls
from bridge.upstream.native.call import MAX_SECTION_BYTES, NativeCall
from bridge.upstream.native.messages import prefixed
from bridge.upstream.native.metadata import Target, request_headers
from bridge.upstream.native.socket import Socket

_log = structlog.get_logger("bridge.upstream")

# The pauses after connections that could not be made. A call in such a pause fails at once, unless
# it can wait for a place on a connection that there is.
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0

# https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md, MIN_CONNECT_TIMEOUT.
_CONNECT_SECONDS = 20.0

# Of a backend that allows few streams on each; more calls wait until others end.
_MOST_CONNECTIONS = 100


def connect(
    endpoint: Endpoint, options: ChannelOptions, tls: Tls | None, observer: CallObserver
) -> Channel:
    """Return a channel to ``endpoint``, which connects with its first RPC."""
    return NativeChannel(endpoint, options, tls, observer)


class NativeChannel:
    """Connections to one backend, as a ``Channel``.

    A call goes on the first connection that has room for it. When none has, another one is made.
    """

    def __init__(
        self, endpoint: Endpoint, options: ChannelOptions, tls: Tls | None, observer: CallObserver
    ) -> None:
        authority = options.authority or endpoint.authority
        self._endpoint = endpoint
        self._options = options
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._target = Target("http" if tls is None else "https", authority)
        self._ssl = None if tls is None else native_tls.context(tls)
        self._server_name = re.sub(r":\d+$", "", authority).strip("[]")
        self._sockets: list[Socket] = []
        self._calls: set[NativeCall[Any, Any]] = set()
        self._waiting: dict[NativeCall[Any, Any], None] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0
        self._pausing: asyncio.TimerHandle | None = None
        self._obstacle = RpcError(Status.UNAVAILABLE)

    def stream(
        self,
        method: Method[Request, Response],
        requests: Sequence[Request],
        metadata: Metadata = (),
        *,
        deadline: float | None,
    ) -> Call[Response]:
        """Start an RPC of any kind that has ``deadline`` seconds.

        Raises:
            EncodeError: a request can't be sent.
            ValueError: the metadata can't be sent.
        """
        return self._start(method, requests, metadata, deadline)

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        metadata: Metadata = (),
        *,
        deadline: float,
    ) -> Response:
        """Run a unary RPC that has ``deadline`` seconds.

        Raises:
            RpcError: the RPC ended with another status than OK.
            ValueError: the metadata can't be sent.
        """
        call = self._start(method, (request,), metadata, deadline)
        found: list[Response] = []
        try:
            async for messages in call:
                found += messages
                if len(found) > 1:
                    break
        finally:
            call.cancel()
        return only(found)

    def reconnect(self) -> None:
        """Let the next RPC connect at once, with no pause after an attempt that has failed."""
        self._failures = 0
        self._resume()

    async def close(self) -> None:
        """Cancel what is open and close the connections."""
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError):
                await self._connecting
        self._stop_pausing()
        for call in tuple(self._calls):
            call.cancel()
        await asyncio.gather(*(socket.close() for socket in self._sockets))

    def _start(
        self,
        method: Method[Request, Response],
        requests: Sequence[Request],
        metadata: Metadata,
        deadline: float | None,
    ) -> NativeCall[Request, Response]:
        call: NativeCall[Request, Response] = NativeCall(
            request_headers(self._target, method.path, metadata),
            b"".join([prefixed(request.SerializeToString()) for request in requests]),
            method.parse,
            self._options,
            deadline,
            self._endpoint.target,
            self._observer,
            self._forget,
        )
        self._calls.add(call)
        self._observer.call_began()
        self._waiting[call] = None
        self._place()
        return call

    def _forget(self, call: NativeCall[Any, Any]) -> None:
        self._calls.discard(call)
        self._waiting.pop(call, None)

    def changed(self) -> None:
        """See ``Owner``."""
        if self._waiting:
            self._place()

    def idle(self, socket: Socket) -> None:
        """See ``Owner``."""
        if len(self._taking()) > 1:
            socket.leave()

    def lost(self, socket: Socket) -> None:
        """See ``Owner``."""
        if socket in self._sockets:
            self._sockets.remove(socket)
            if self._waiting and not socket.connection.used:
                # One that took no call, such as the next would be.
                self._pause(socket.connection.failure)
        self.changed()

    def _place(self) -> None:
        for socket in self._sockets:
            while self._waiting and socket.connection.room > 0:
                call = next(iter(self._waiting))
                del self._waiting[call]
                call.start(socket)
        if self._waiting and self._connecting is None:
            self._make_room()

    def _taking(self) -> list[Connection]:
        return [s.connection for s in self._sockets if not s.connection.draining]

    def _make_room(self) -> None:
        taking = self._taking()
        if len(taking) >= _MOST_CONNECTIONS or any(not c.open_streams for c in taking):
            # A backend that takes no call on this connection takes none on another.
            return
        if self._pausing is None:
            self._connecting = asyncio.create_task(self._connect())
        elif not taking:
            self._fail_waiting()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                socket = await self._open()
        except (OSError, TimeoutError) as error:
            self._pause(_reason(error))
        except Exception as error:
            _log.exception("a connection failed to be made", backend=self._endpoint.target)
            self._pause(repr(error))
        else:
            self._failures = 0
            self._sockets.append(socket)
        self._connecting = None
        self._place()

    async def _open(self) -> Socket:
        def make() -> Socket:
            return Socket(self._options, MAX_SECTION_BYTES, self)

        address = parse(self._endpoint.target)
        name = None if self._ssl is None else self._server_name
        if isinstance(address, UnixAddress):
            _, socket = await self._loop.create_unix_connection(
                make, address.path, ssl=self._ssl, server_hostname=name
            )
        else:
            _, socket = await self._loop.create_connection(
                make, address.host, address.port, ssl=self._ssl, server_hostname=name
            )
        await socket.greeted()
        return socket

    def _pause(self, reason: str) -> None:
        pause = min(_FIRST_PAUSE_SECONDS * 2.0**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._stop_pausing()
        self._pausing = self._loop.call_later(pause, self._resume)
        self._obstacle = RpcError(Status.UNAVAILABLE, cause=f"{self._endpoint.target}: {reason}")

    def _resume(self) -> None:
        self._stop_pausing()
        self.changed()

    def _stop_pausing(self) -> None:
        if self._pausing is not None:
            self._pausing.cancel()
            self._pausing = None

    def _fail_waiting(self) -> None:
        for call in tuple(self._waiting):
            call.fail(self._obstacle)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return f"no connection could be made in {_CONNECT_SECONDS:g} s"
    # asyncio's own text for an error of the system tells the address instead of what happened.
    if error.errno is None or isinstance(error, ssl.SSLError):
        return str(error)
    return os.strerror(error.errno)
