"""The sockets that are listened on: one for each address, and in front of workers one for each."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress

import structlog

_log = structlog.get_logger("bridge.listeners")

# What the kernel holds of a stream whose client doesn't read. It would grow to megabytes.
_SEND_BUFFER_BYTES = 128 * 1024

# How many connections may wait to be accepted.
BACKLOG = 2048

# Elsewhere the option lets sockets have the same address, but gives all connections to one of them.
_SPREADS = sys.platform == "linux"

# What the system says of an address that it doesn't have, such as ::1 where there is no IPv6.
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListenError(Exception):
    """The address can't be listened on; the text says what to change."""


def bind(host: str, port: int, *, write_timeout: int) -> list[socket.socket]:
    """Return a listening socket for each address of ``host``, all on the same port.

    Of a name with several addresses, those that this machine doesn't have are left out.

    Args:
        host: An address or a name.
        port: 0 takes a free port.
        write_timeout: Seconds that a client may read nothing while there is something to read;
            then the kernel ends the connection, where it can (Linux).

    Raises:
        CannotListenError: the name doesn't resolve, an address is taken, or none is ours.
    """
    sockets: list[socket.socket] = []
    left_out: dict[str, OSError] = {}
    try:
        for family, ip in _resolve(host, port):
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            try:
                opened = socket.create_server((ip, chosen), family=family, backlog=BACKLOG)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                left_out[ip] = error
                continue
            sockets.append(opened)
            _tune(opened, write_timeout)
        if not sockets:
            raise next(iter(left_out.values()))
    except OSError as error:
        for opened in sockets:
            opened.close()
        raise CannotListenError(
            f"The bridge can't listen on {host}:{port}: {_reason(error)}. "
            "Set BRIDGE_HOST (--host) and BRIDGE_PORT (--port) to a free address."
        ) from error
    for ip, obstacle in left_out.items():
        _log.warning("an address is not listened on", address=ip, reason=_reason(obstacle))
    return sockets


def _resolve(host: str, port: int) -> Iterable[tuple[int, str]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError(f"it is no name of a host: {error}") from error
    # A hosts file may have the same address of a name twice.
    return dict.fromkeys((family, str(where[0])) for family, *_, where in found)


def spread(
    first: Sequence[socket.socket], workers: int, *, write_timeout: int
) -> list[list[socket.socket]]:
    """Return the listening sockets of each worker, over which the kernel spreads connections.

    Where the kernel doesn't do that, all workers have the same ones.

    Args:
        first: What ``bind`` has returned: those of the first worker. Having been bound without
            SO_REUSEPORT (socket(7)), they are refused where anybody else listens, also somebody
            with that option. They are given it after that, for the others to join them.
        workers: How many there are.
        write_timeout: As for ``bind``.

    Raises:
        CannotListenError: the system has no descriptors or memory for so many.
    """
    if not _SPREADS:
        return [list(first)] * workers
    with ExitStack() as unless_all_listen:

        def join(listener: socket.socket) -> socket.socket:
            joined = unless_all_listen.enter_context(_joined(listener))
            _tune(joined, write_timeout)
            return joined

        try:
            for listener in first:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            others = [[join(listener) for listener in first] for _ in range(workers - 1)]
        except OSError as error:
            raise CannotListenError(
                f"The bridge can't listen for {workers} workers: {_reason(error)}. "
                "Set BRIDGE_WORKERS (--workers) to fewer, or raise the limit of open files "
                "(ulimit -Hn)."
            ) from error
        unless_all_listen.pop_all()
    return [list(first), *others]


def _joined(listener: socket.socket) -> socket.socket:
    return socket.create_server(
        listener.getsockname(), family=listener.family, backlog=BACKLOG, reuse_port=True
    )


def accept_all(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that wait in ``listener``, which doesn't block, to be accepted."""
    accepted: list[socket.socket] = []
    with suppress(OSError):
        while len(accepted) < BACKLOG:
            accepted.append(listener.accept()[0])
    return accepted


def withdraw(sockets: Sequence[socket.socket]) -> None:
    """Make the kernel spread connections over the others only, until these listen again.

    To close them isn't enough while another process has them, too. What waits in them to be
    accepted is reset. Does nothing where workers share their sockets.
    """
    if _SPREADS:
        for listener in sockets:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RD)


def _tune(listener: socket.socket, write_timeout: int) -> None:
    # A connection has what its listener has.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    # Otherwise a frame waits for the acknowledgement of the one before it (RFC 896). asyncio sees
    # to that only for sockets that it has made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # RFC 5482; tcp(7): also while the peer's window is closed.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, write_timeout * 1000)


def _reason(error: OSError) -> str:
    # asyncio and socket add the address to the message of a failed bind.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def addresses(sockets: Sequence[socket.socket]) -> str:
    """Return ``host:port`` of each of ``sockets``, separated by commas."""
    return ",".join(_address(listener) for listener in sockets)


def _address(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
