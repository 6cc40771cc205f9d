"""The command line: ``backend serve``."""

from __future__ import annotations

import asyncio
import importlib.metadata
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSubCommand,
    SettingsConfigDict,
    get_subcommand,
)

from backend.log import configure_logging
from backend.server import CannotListenError, serving
from backend.settings import ConfigurationError, Settings, explain

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Serve(Settings):
    """Serve until SIGTERM or SIGINT. Each option is also a variable: --port is BACKEND_PORT."""


class Cli(BaseSettings):
    """A gRPC backend for the bridge."""

    model_config = SettingsConfigDict(
        cli_prog_name="backend",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
    )

    serve: CliSubCommand[Serve] = Field(description="serve completions over gRPC")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that ``arguments``, by default those of the process, name.

    Raises:
        SystemExit: with 0 after a clean end, 1 when the address can't be listened on, 2 when the
            settings or the arguments are wrong, or ask for something that isn't installed.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given in (["--version"], ["-V"]):
        print(f"backend {importlib.metadata.version('grpc-sse-bridge')}")  # noqa: T201
        return
    try:
        settings = get_subcommand(CliApp.run(Cli, cli_args=given or ["--help"]))
    except ValidationError as error:
        _refuse(f"These settings can't be used.\n{explain(error)}", 2)
    assert isinstance(settings, Serve)
    configure_logging(settings.log_format)
    try:
        asyncio.run(serve(settings))
    except ConfigurationError as error:
        _refuse(str(error), 2)
    except CannotListenError as error:
        _refuse(str(error), 1)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the open calls at once."""
    stop = asyncio.Event()
    _on_signals(stop.set)
    async with serving(settings) as server:

        def stop_or_end_calls() -> None:
            if stop.is_set():
                server.end_calls()
            stop.set()

        _on_signals(stop_or_end_calls)
        await stop.wait()
    _ignore_signals()


def _on_signals(act: Callable[[], None]) -> None:
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, act)


def _ignore_signals() -> None:
    for number in _SIGNALS:
        # The loop's end would restore the default, and one more signal would kill the process.
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


def _refuse(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(status)
