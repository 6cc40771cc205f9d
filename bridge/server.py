"""Runs the application on uvicorn, and ends its streams with a verdict when it stops."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import HANDLED_SIGNALS

from bridge.access.connections import ConnectionLimits, limited_protocol
from bridge.access.counts import Counts
from bridge.access.descriptors import provide
from bridge.direct_send import DirectSendServer
from bridge.listeners import BACKLOG, accept_all, addresses, withdraw
from bridge.open_streams import OpenStreams
from bridge.settings import Settings

_log = structlog.get_logger("bridge.server")

# What a stream that is cut needs to hand its verdict to a client that reads.
_LAST_WORDS_SECONDS = 1

# How many connections asyncio accepts in one go. It takes the backlog for that, too, and when no
# descriptor is left tries as often (https://github.com/python/cpython/issues/151615).
_ACCEPTED_AT_ONCE = 16


class Server(uvicorn.Server):
    """A uvicorn server that knows the streams of its application.

    uvicorn waits for open responses with no end, or cancels them with no word to the client.
    This one says that it isn't ready, goes on listening for the delay, lets open streams run for
    the grace period and then cuts them, each with its verdict. A second signal cuts them at once.
    """

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                DirectSendServer(app),
                http=limited_protocol(connection_limits(settings, app.state.counts)),
                # The largest event that isn't whole: the head, or the rest of a chunk's.
                h11_max_incomplete_event_size=settings.max_header_bytes,
                # Otherwise it depends on what else is installed what becomes of an upgrade.
                ws="none",
                backlog=_ACCEPTED_AT_ONCE,
                access_log=False,
                log_config=None,
                # uvicorn's warnings are about what clients send: with them a client could fill
                # the log.
                log_level="error",
                lifespan="on",
                server_header=False,
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_graceful_shutdown=settings.shutdown_grace + _LAST_WORDS_SECONDS,
            )
        )
        self._settings = settings
        self._streams: OpenStreams = app.state.streams
        self._hurried = asyncio.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in a process that does nothing else, until a signal ends it."""
        # What is loaded stays. For the collector to look at all of it again, now and then, held up
        # every stream for some 20 ms.
        gc.collect()
        gc.freeze()
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and log once connections are accepted where, and what does the work."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)
        _log.info(
            "listening",
            address=addresses(sockets or []),
            backend=self._settings.backend,
            transport=self._settings.transport,
            loop=type(self._loop).__module__.partition(".")[0],
            http="h11" if issubclass(self.config.http_protocol_class, H11Protocol) else "httptools",
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals to the end of the process, which exits with 0 after them."""
        # uvicorn's own raises them again in the end. It also gives back the handlers that it found,
        # and Python takes a while to exit, in which one more signal would kill it.
        for number in HANDLED_SIGNALS:
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number in HANDLED_SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at the second signal, cut what is open."""
        if self.should_exit:
            self._loop.call_soon_threadsafe(self._hurry)
        self._streams.draining = True
        self.should_exit = True

    def _hurry(self) -> None:
        self._hurried.set()
        self._streams.cut_all()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening after the delay, and wait for the open streams or the grace period."""
        _log.info("stopping", open_streams=len(self._streams))
        if self._settings.shutdown_delay:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.shutdown_delay):
                    await self._hurried.wait()
        cut = self._loop.call_later(self._settings.shutdown_grace, self._streams.cut_all)
        try:
            await self._stop_listening(sockets or [])
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    async def _stop_listening(self, sockets: list[socket.socket]) -> None:
        # A connection that is still to be accepted would be reset with its listener.
        waiting = [connection for listener in sockets for connection in accept_all(listener)]
        withdraw(sockets)
        for server in self.servers:
            server.close()
        for connection in waiting:
            await self._loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(
            config=self.config,  # type: ignore[call-arg]
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )


def connection_limits(settings: Settings, counts: Counts) -> ConnectionLimits:
    """Return what ``settings``, and the process's limit of descriptors, say of connections.

    Args:
        settings: The bridge's.
        counts: How many there are, where those of other processes are counted, too.
    """
    connections = provide(settings.max_connections)
    if connections < settings.max_connections and "max_connections" in settings.model_fields_set:
        _log.warning(
            "the limit of file descriptors lets fewer connections in",
            connections=connections,
            max_connections=settings.max_connections,
        )
    return ConnectionLimits(
        connections=connections,
        in_all=settings.max_connections,
        counts=counts,
        head_bytes=settings.max_header_bytes,
        body_bytes=settings.max_body_bytes,
        request_seconds=settings.request_timeout,
    )
