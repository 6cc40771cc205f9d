"""Runs the application on uvicorn, and ends its streams with a verdict when it stops."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from bridge.access.connections import ConnectionLimits, limited_protocol
from bridge.access.descriptors import provide
from bridge.direct_send import DirectSendServer
from bridge.open_streams import OpenStreams
from bridge.settings import Settings

_log = structlog.get_logger("bridge.server")

# What the kernel holds of a stream whose client doesn't read. It would grow to megabytes.
_SEND_BUFFER_BYTES = 128 * 1024

# What a stream that is cut needs to hand its verdict to a client that reads.
_LAST_WORDS_SECONDS = 1

# How many connections may wait to be accepted, and how many asyncio accepts in one go. It takes the
# backlog for both, and when no descriptor is left tries as often
# (https://github.com/python/cpython/issues/151615).
_BACKLOG = 2048
_ACCEPTED_AT_ONCE = 16


class CannotListenError(Exception):
    """The address can't be listened on; the text says what to change."""


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
                http=limited_protocol(connection_limits(settings)),
                # The largest event that isn't whole: the head, or the rest of a chunk's.
                h11_max_incomplete_event_size=settings.max_header_bytes,
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and log the address once connections are accepted."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_BACKLOG)
        _log.info("listening", address=address(sockets or []), backend=self._settings.backend)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at the second signal, cut what is open."""
        # uvicorn's own handler would raise the signal again after a clean end, and the process
        # would not exit with 0.
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
            await super().shutdown(sockets)
        finally:
            cut.cancel()


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return what ``settings``, and the process's limit of descriptors, say of connections."""
    connections = provide(settings.max_connections)
    if connections < settings.max_connections and "max_connections" in settings.model_fields_set:
        _log.warning(
            "the limit of file descriptors lets fewer connections in",
            connections=connections,
            max_connections=settings.max_connections,
        )
    return ConnectionLimits(
        connections=connections,
        head_bytes=settings.max_header_bytes,
        body_bytes=settings.max_body_bytes,
        request_seconds=settings.request_timeout,
    )


def bind(host: str, port: int, *, write_timeout: int) -> list[socket.socket]:
    """Return a listening socket for each address of ``host``, all on the same port.

    Args:
        host: An address or a name.
        port: 0 takes a free port.
        write_timeout: Seconds that a client may read nothing while there is something to read;
            then the kernel ends the connection, where it can (Linux).

    Raises:
        CannotListenError: the name doesn't resolve, or an address is taken or not ours.
    """
    sockets: list[socket.socket] = []
    try:
        for family, *_, where in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            opened = socket.create_server((where[0], chosen), family=family, backlog=_BACKLOG)
            sockets.append(opened)
            _tune(opened, write_timeout)
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise CannotListenError(
            f"The bridge can't listen on {host}:{port}: {_reason(error)}. "
            "Set BRIDGE_HOST (--host) and BRIDGE_PORT (--port) to a free address."
        ) from error
    return sockets


def _tune(listener: socket.socket, write_timeout: int) -> None:
    # A connection has what its listener has.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # Otherwise a frame waits for the acknowledgement of the one before it (RFC 896). asyncio sees
    # to that only for sockets that it has made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # RFC 5482; tcp(7): also while the peer's window is closed.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, write_timeout * 1000)


def _reason(error: OSError) -> str | None:
    # asyncio and socket add the address to the message of a failed bind.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror
    return os.strerror(error.errno)


def address(sockets: list[socket.socket]) -> str:
    """Return ``host:port`` of the first of ``sockets``."""
    host, port, *_ = sockets[0].getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
