"""``bridge serve``."""

from __future__ import annotations

import asyncio
import socket

from bridge.access.descriptors import provide
from bridge.app import create_app, open_catalog
from bridge.commands.refusal import RefusalError
from bridge.listeners import CannotListenError, bind, spread
from bridge.server import Server
from bridge.settings import Settings
from bridge.telemetry.log import configure_logging
from bridge.workers import Workers

# To a worker the first process has two pipes, beside the worker's sockets.
_PIPES_OF_A_WORKER = 2


def serve(settings: Settings) -> None:
    """Serve until a signal ends it.

    Raises:
        SystemExit: with 1 when the application can't start, and with the exit status of the
            workers when there are several.
        RefusalError: the address can't be listened on.
        ExposureError: what is to be exposed can't be.
    """
    configure_logging(settings.log_format)
    try:
        sockets = bind(settings.host, settings.port, write_timeout=settings.write_timeout)
        each = [sockets] if settings.workers == 1 else _spread(sockets, settings)
    except CannotListenError as error:
        raise RefusalError(str(error), 1) from None
    if len(each) > 1:
        # Each worker would find the same mistakes, and be started again.
        open_catalog(settings)
        raise SystemExit(asyncio.run(Workers(settings, each).serve()))
    server = Server(create_app(settings), settings)
    server.run(sockets)
    if not server.started:
        raise SystemExit(1)


def _spread(sockets: list[socket.socket], settings: Settings) -> list[list[socket.socket]]:
    provide(settings.workers * (len(sockets) + _PIPES_OF_A_WORKER))
    return spread(sockets, settings.workers, write_timeout=settings.write_timeout)
