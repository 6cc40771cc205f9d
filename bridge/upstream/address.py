"""Where backends listen: what a setting names, and the sockets that are behind it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import Protocol

_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One socket on which one backend listens.

    Attributes:
        target: ``10.0.0.1:50051``, ``[::1]:50051`` or ``unix:/run/backend.sock``.
        authority: What the backend is called in a request's ``:authority``, and in its certificate.
    """

    target: str
    authority: str


class Address(Protocol):
    """What a setting names: one or more backends."""

    async def resolve(self) -> list[Endpoint]:
        """Return the sockets that are behind it now.

        Raises:
            OSError: there are none, or the resolver can't tell.
        """
        ...


@dataclass(frozen=True, slots=True)
class HostAddress:
    """A host and a port, where each address of the host is a backend."""

    host: str
    port: int

    def __str__(self) -> str:
        return _join(self.host, self.port)

    async def resolve(self) -> list[Endpoint]:
        """Ask the system's resolver for all addresses of the host."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM
            )
        except UnicodeError as error:
            raise OSError(f"it is no name of a host: {error}") from error
        targets = dict.fromkeys(_join(str(where[0]), self.port) for *_, where in found)
        return [Endpoint(target, str(self)) for target in targets]


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """The path of a unix socket."""

    path: str

    def __str__(self) -> str:
        return _UNIX + self.path

    async def resolve(self) -> list[Endpoint]:
        """Return the socket itself."""
        # The authority that gRPC gives a unix socket, which has no name of its own:
        # https://github.com/grpc/grpc/blob/master/doc/naming.md
        return [Endpoint(str(self), "localhost")]


def parse(text: str) -> HostAddress | UnixAddress:
    """Read an address: ``host:port``, ``[::1]:port`` or ``unix:/path``.

    Raises:
        ValueError: it's none of these.
    """
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if not path.startswith("/"):
            raise ValueError(f"{text!r} must be unix: and a path from the root, as in unix:/a.sock")
        return UnixAddress(path)
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or "/" in bare or (":" in bare) != (bare != host):
        raise ValueError(f"{text!r} must be host:port, as in 127.0.0.1:50051")
    if not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} must be host:port, as in 127.0.0.1:50051")
    return HostAddress(bare, int(port))


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
