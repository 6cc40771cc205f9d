"""The command line: ``bridge serve``, ``bridge check`` and ``bridge routes``."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Iterable, Sequence

import structlog
from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSubCommand,
    SettingsConfigDict,
    get_subcommand,
)

from bridge import __version__
from bridge.access.descriptors import provide
from bridge.app import create_app, open_backends, open_catalog
from bridge.listeners import CannotListenError, bind, spread
from bridge.server import Server
from bridge.settings import Settings, explain
from bridge.telemetry.log import configure_logging
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.routes import Route
from bridge.transcoding.schema import RpcMethod
from bridge.workers import Workers

# To a worker the first process has two pipes, beside the worker's sockets.
_PIPES_OF_A_WORKER = 2


class Serve(Settings):
    """Serve until SIGTERM or SIGINT. Each option is also a variable: --port is BRIDGE_PORT."""


class Check(Settings):
    """Check the settings, and ask the backend whether it serves."""


class Routes(Settings):
    """Print the routes of the services that are exposed."""


class Cli(BaseSettings):
    """A gRPC-to-SSE bridge."""

    model_config = SettingsConfigDict(
        cli_prog_name="bridge",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
    )

    serve: CliSubCommand[Serve] = Field(description="serve the bridge")
    check: CliSubCommand[Check] = Field(description="check the settings and the backend")
    routes: CliSubCommand[Routes] = Field(description="print the routes of exposed services")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that ``arguments``, by default those of the process, name.

    Raises:
        SystemExit: with 0 after a clean end, 1 when the address can't be listened on or the
            backend does not serve, 2 when the settings or the arguments are wrong.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given in (["--version"], ["-V"]):
        print(f"bridge {__version__}")  # noqa: T201
        return
    try:
        command = get_subcommand(CliApp.run(Cli, cli_args=given or ["--help"]))
    except ValidationError as error:
        raise SystemExit(_refuse(f"These settings can't be used.\n{explain(error)}", 2)) from None
    try:
        match command:
            case Check():
                raise SystemExit(asyncio.run(check(command)))
            case Routes():
                raise SystemExit(asyncio.run(print_routes(command)))
            case Serve():
                serve(command)
    except ExposureError as error:
        raise SystemExit(_refuse(f"The services can't be exposed.\n{error}", 2)) from None


def serve(settings: Settings) -> None:
    """Serve until a signal ends it.

    Raises:
        SystemExit: with 1 when the address can't be listened on or the application can't start,
            and with the exit status of the workers when there are several.
        ExposureError: what is to be exposed can't be.
    """
    configure_logging(settings.log_format)
    try:
        sockets = bind(settings.host, settings.port, write_timeout=settings.write_timeout)
        each = [sockets] if settings.workers == 1 else _spread(sockets, settings)
    except CannotListenError as error:
        raise SystemExit(_refuse(str(error), 1)) from None
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


async def check(settings: Settings) -> int:
    """Say of each backend whether it serves; return 0 if one does, else 1.

    Raises:
        ExposureError: what is to be exposed can't be.
    """
    open_catalog(settings)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    async with open_backends(settings) as backends:
        await backends.answers(of_all=True)
        found = {link.endpoint.target: link.obstacle for link in backends.links}
        obstacles = found or {settings.backend: backends.obstacle()}
    for target, obstacle in obstacles.items():
        if obstacle is not None:
            _refuse(f"The backend at {target} does not serve: {obstacle.reason}", 1)
    serving = ", ".join(target for target, obstacle in obstacles.items() if obstacle is None)
    if not serving:
        return 1
    print(f"The settings are good, and the backend at {serving} serves.")  # noqa: T201
    return 0


async def print_routes(settings: Settings) -> int:
    """Print the routes of what is exposed; return 1 if nothing is, else 0.

    Raises:
        ExposureError: what is to be exposed can't be.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    catalog = open_catalog(settings)
    if catalog.exposed is None:
        async with open_backends(settings) as backends:
            await catalog.read(backends)
    if catalog.exposed is None:
        return _refuse(f"The services can't be exposed.\n{catalog.obstacle.reason}", 1)
    if not catalog.exposed.services:
        return _refuse("No service is exposed: name some with --services, or * for all.", 1)
    print(table(catalog.exposed.table), end="")  # noqa: T201
    return 0


def table(routes: Iterable[Route]) -> str:
    """Return a line for each route: its HTTP method, its path, what streams, and the RPC."""
    rows = [("METHOD", "PATH", "STREAMS", "RPC")]
    rows += [
        (route.http_method, str(route.template), _streams(route.rpc), route.rpc.path[1:])
        for route in routes
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _streams(rpc: RpcMethod) -> str:
    both = {"request": rpc.client_streaming, "response": rpc.server_streaming}
    return ", ".join(name for name, streams in both.items() if streams) or "-"


def _refuse(message: str, status: int) -> int:
    sys.stderr.write(f"{message}\n")
    return status
