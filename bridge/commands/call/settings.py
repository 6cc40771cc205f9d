"""What ``bridge call`` is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Self
from urllib.parse import quote, unquote

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import (
    BaseSettings,
    CliPositionalArg,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
)

from bridge.settings import Settings


class Call(Settings):
    """Ask a method of the backend, whether it is exposed or not, and print what it answers."""

    name: CliPositionalArg[str] = Field(
        "",
        description="package.Service/Method; without a method those of the service are listed, "
        "without a service all services.",
    )
    request: CliPositionalArg[str] = Field(
        "",
        description="The request in JSON, @ and a file that has it, or - for standard input; "
        "several for a method that takes a stream; default: an empty message, or no message.",
    )
    metadata: list[Annotated[str, AfterValidator(unquote)]] = Field(
        [],
        description="Metadata to send, as in 'x-tenant: acme', in base64 if its name ends with "
        "-bin; may be given again.",
    )

    @property
    def needs_schema(self) -> bool:
        """Whether other services are called than ``completion.v1``: always."""
        return True

    @model_validator(mode="after")
    def _services_have_a_schema(self) -> Self:
        if not self.descriptors and not self.asks_for_schema:
            raise ValueError("set BRIDGE_DESCRIPTORS (--descriptors), or leave reflection on")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take from the environment only what is a setting of the bridge, too."""
        return super().settings_customise_sources(
            settings_cls,
            init_settings,
            EnvSettingsSource(Settings),
            dotenv_settings,
            file_secret_settings,
        )


_SWITCHES = {"--help", "-h"} | {
    f"--{no}{name.replace('_', '-')}"
    for name, field in Call.model_fields.items()
    if field.annotation is bool
    for no in ("", "no-")
}


def as_parsed(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of ``bridge call`` as the parsers of the command line take them.

    argparse takes only such positional arguments as stand together, and pydantic-settings takes
    metadata apart at its commas, unless they are percent-encoded.
    """
    positional: list[str] = []
    flags: list[str] = []
    left = iter(arguments)
    for argument in left:
        flag, equals, value = argument.partition("=")
        if argument == "--":
            positional += left
        elif argument in _SWITCHES:
            flags.append(argument)
        elif not argument.startswith("--"):
            positional.append(argument)
        else:
            values = [value] if equals else [*islice(left, 1)]
            flags += [flag, *(_encoded(flag, value) for value in values)]
    return [*positional, *flags]


def _encoded(flag: str, value: str) -> str:
    return quote(value, safe="") if flag == "--metadata" else value
