"""The command line: ``bridge serve``, ``check``, ``routes`` and ``call``."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

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
from bridge.commands.call.settings import Call, as_parsed
from bridge.commands.check import check
from bridge.commands.refusal import RefusalError
from bridge.commands.routes import print_routes
from bridge.commands.serve import serve
from bridge.commands.visible import visible
from bridge.settings import Settings, explain
from bridge.transcoding.exposure_error import ExposureError


class Serve(Settings):
    """Serve until SIGTERM or SIGINT. Each option is also a variable: --port is BRIDGE_PORT."""


class Check(Settings):
    """Check the settings, ask the backend whether it serves, and read what is exposed of it."""


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
    call: CliSubCommand[Call] = Field(description="ask a method of the backend")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that ``arguments``, by default those of the process, name.

    Raises:
        SystemExit: with 0 after a clean end, 1 when the address can't be listened on, the
            backend does not serve or an RPC has failed, 2 when the settings or the arguments are
            wrong, 130 after Ctrl-C.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given in (["--version"], ["-V"]):
        sys.stdout.write(f"bridge {__version__}\n")
        return
    try:
        _run(given or ["--help"])
    except RefusalError as refusal:
        raise SystemExit(_told(refusal.message, refusal.status)) from None
    except ExposureError as error:
        raise SystemExit(_told(f"The services can't be exposed.\n{error}", 2)) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def _run(arguments: list[str]) -> None:
    name, *others = arguments
    given = [name, *as_parsed(others)] if name == "call" else arguments
    try:
        command = get_subcommand(CliApp.run(Cli, cli_args=given))
    except ValidationError as error:
        raise RefusalError(f"These settings can't be used.\n{explain(error)}", 2) from None
    match command:
        case Check():
            _log_nothing()
            asyncio.run(check(command))
        case Routes():
            _log_nothing()
            asyncio.run(print_routes(command))
        case Call():
            # Serving needs none of it.
            from bridge.commands.call.command import call

            _log_nothing()
            raise SystemExit(call(command))
        case Serve():
            serve(command)


def _log_nothing() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _told(message: str, status: int) -> int:
    sys.stderr.write(f"{visible(message)}\n")
    return status
