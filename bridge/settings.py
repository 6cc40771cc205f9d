"""What can be set, where it is read from, and how a wrong value is told."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from bridge.deadlines import Deadlines
from bridge.dialects.wires import Wire
from bridge.transcoding.formats import ArrayFailure, StreamFormat
from bridge.transcoding.json.writer import JsonOptions
from bridge.upstream.address import Address, parse
from bridge.upstream.call import ChannelOptions
from bridge.upstream.credentials import CredentialFiles, CredentialsError
from bridge.upstream.metadata import is_custom
from bridge.upstream.transport import Transport

PREFIX = "BRIDGE_"

# RFC 3986, section 3.2, less what no certificate can name.
_LABEL = r"[0-9A-Za-z_]([0-9A-Za-z_-]*[0-9A-Za-z_])?"
_AUTHORITY = re.compile(rf"({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(:[0-9]{{1,5}})?")


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _split_text(value: object) -> object:
    return _split(value) if isinstance(value, str) else value


def _is_metadata(name: str) -> str:
    if not is_custom(name):
        raise ValueError(f"{name!r} can't be metadata of an application")
    return name


CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(_split_text)]
Paths = Annotated[list[FilePath], NoDecode, BeforeValidator(_split_text)]
HeaderNames = Annotated[
    list[Annotated[str, StringConstraints(to_lower=True), AfterValidator(_is_metadata)]],
    NoDecode,
    BeforeValidator(_split_text),
]


class Settings(BaseSettings):
    """The settings of a bridge.

    Each comes from a flag (``--port``), else from an environment variable (``BRIDGE_PORT``),
    else from the TOML file that ``--config`` or ``BRIDGE_CONFIG`` names (``port = 8000``),
    else it has the default below.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    config: Path | None = Field(None, description="TOML file with settings.")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on, or a name: then all its addresses that this machine "
        "has.",
    )
    port: int = Field(
        8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one."
    )
    backend: str = Field(
        "127.0.0.1:50051",
        description="Where the gRPC backends listen: host:port or unix:/path, separated by "
        "commas. Each address of a host is a backend.",
    )
    transport: Transport = Field(
        "native",
        description="What speaks gRPC to the backends: native, which is part of the bridge, or "
        "grpcio.",
    )
    backend_tls: bool = Field(False, description="Talk to the backends over TLS.")
    backend_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that sign the backends' certificates; default: "
        "those of the system, or gRPC's own list with grpcio.",
    )
    backend_certificate: Path | None = Field(
        None, description="PEM file of the bridge's certificate, for backends that ask for one."
    )
    backend_key: Path | None = Field(None, description="PEM file of its key.")
    backend_authority: str = Field(
        "",
        description="Name that the backends' certificates have, and that requests are for; "
        "default: that of BRIDGE_BACKEND.",
    )
    backend_token: SecretStr | None = Field(
        None,
        description="Token sent to the backends as 'authorization: Bearer ...'; better set by "
        "the environment than by a flag.",
    )
    backend_token_file: Path | None = Field(None, description="File that has the token.")
    backend_refresh: float = Field(
        30,
        gt=0,
        le=86400,
        description="Seconds after which names are resolved and the files above are read again.",
    )
    keepalive: float = Field(
        30,
        ge=0,
        le=86400,
        description="Seconds of silence after which a backend is pinged; 0: never.",
    )
    keepalive_timeout: float = Field(
        10,
        gt=0,
        le=3600,
        description="Seconds to the answer of a ping, without which the connection is lost.",
    )
    services: CommaSeparated = Field(
        [],
        description="Full names of the gRPC services that are exposed as HTTP and JSON, separated "
        "by commas; * for all.",
    )
    descriptors: Paths = Field(
        [],
        description="Files of descriptor sets that have these services, separated by commas, as "
        "buf build makes them.",
    )
    reflection: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Ask the backends what services they have; auto: if there are no descriptors.",
    )
    http_rules: FilePath | None = Field(
        None,
        description="YAML file of a google.api.Service, whose HTTP rules replace those of the "
        "protos.",
    )
    completions: FilePath | None = Field(
        None,
        description="YAML file that says which method of the backends' own services completes a "
        "conversation; docs/completions.md has its form.",
    )
    stream_format: StreamFormat = Field(
        StreamFormat.SSE,
        description="Form of a stream of these services for a client whose Accept leaves it open: "
        "sse, ndjson or array.",
    )
    array_failure: ArrayFailure = Field(
        ArrayFailure.ELEMENT,
        description="How an array tells that its stream failed: element, a last one; or cut, no "
        "end.",
    )
    json_defaults: bool = Field(
        False, description="Write fields that have their default value, too."
    )
    json_proto_names: bool = Field(
        False, description="Write fields with the names of the proto, not in lowerCamelCase."
    )
    json_enum_numbers: bool = Field(False, description="Write enums as numbers, not as names.")
    json_ignore_unknown: bool = Field(
        False, description="Ignore fields that a request has and its message hasn't."
    )
    forward_headers: HeaderNames = Field(
        [],
        description="Headers that go to the backends as metadata with calls of these services, "
        "separated by commas.",
    )
    return_metadata: HeaderNames = Field(
        [],
        description="Metadata of the backends that their answers have as headers, or as an event "
        "at the end, separated by commas.",
    )
    cors_origins: CommaSeparated = Field(
        [],
        description="Origins of other sites whose pages may call the bridge, separated by commas; "
        "* for any.",
    )
    wire: Literal[Wire.PLAIN, Wire.OPENAI] = Field(
        Wire.PLAIN,
        description="API of a request to /v1/chat/completions that names none, and that is not "
        "from an SDK: plain or openai.",
    )
    api_chat: Literal[Wire.UI_MESSAGE, Wire.OLLAMA] | None = Field(
        None,
        description="API of /api/chat: ui-message, as the AI SDK's useChat has it, or ollama, with "
        "which /api/generate and /api/tags are there, too; default: none.",
    )
    prefer_status: bool = Field(
        False,
        description="Answer an RPC that fails before its first message with an HTTP status, "
        "also when the request has no 'Prefer: status'.",
    )
    show_error_details: bool = Field(
        False,
        description="Tell browsers the status messages of UNKNOWN, INTERNAL and DATA_LOSS, "
        "and of failures to reach the backend, instead of a plain sentence.",
    )
    deadline: float = Field(
        600, gt=0, le=86400, description="Seconds that an answer may take in all."
    )
    first_message_deadline: float = Field(
        120, gt=0, le=86400, description="Seconds to an answer's first message."
    )
    message_deadline: float = Field(
        60, gt=0, le=86400, description="Seconds from one message of an answer to the next."
    )
    retries: int = Field(
        2,
        ge=0,
        le=10,
        description="How many times an RPC that is UNAVAILABLE before its first message is tried "
        "again.",
    )
    heartbeat: float = Field(
        15,
        ge=0,
        description="Seconds of silence, or a tenth less, before a heartbeat; 0: never.",
    )
    max_body_bytes: int = Field(
        1 << 20, ge=1, description="The most bytes of a request's body; more are 413."
    )
    max_header_bytes: int = Field(
        16 << 10,
        ge=1 << 10,
        description="The most bytes of a request line and its headers; more are 431.",
    )
    request_timeout: float = Field(
        30,
        gt=0,
        le=86400,
        description="Seconds that the head of a request may take to come, and then its body; "
        "more are 408.",
    )
    max_message_bytes: int = Field(
        4 << 20,
        ge=1,
        le=(1 << 31) - 1,
        description="The most bytes of a message of the backend; more are RESOURCE_EXHAUSTED.",
    )
    max_streams: int = Field(
        10_000,
        ge=1,
        description="The most answers on their way at a time, of all workers together; more are "
        "503.",
    )
    max_streams_per_client: int = Field(
        0, ge=0, description="The most of them for one client address; more are 429; 0: any number."
    )
    max_connections: int = Field(
        12_000,
        ge=1,
        description="The most connections of clients at a time, of all workers together; more are "
        "503.",
    )
    trusted_proxies: CommaSeparated = Field(
        ["127.0.0.1"],
        description="Addresses or networks of proxies whose X-Forwarded-For names the client, "
        "separated by commas; * for any.",
    )
    write_timeout: int = Field(
        60,
        ge=1,
        le=86400,
        description="Seconds that a client may read nothing while there is something to read.",
    )
    shutdown_delay: int = Field(
        0,
        ge=0,
        description="Seconds after SIGTERM or SIGINT in which new requests are still taken, while "
        "/readyz tells load balancers to send no more.",
    )
    shutdown_grace: int = Field(
        10, ge=0, description="Seconds that open streams may go on after that."
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that serve. Each uses one core.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="Log lines as json or text; auto: text on a terminal."
    )

    @property
    def deadlines(self) -> Deadlines:
        """The limits of a stream whose client asks for no shorter ones."""
        return Deadlines(self.deadline, self.first_message_deadline, self.message_deadline)

    @property
    def addresses(self) -> list[Address]:
        """Where the backends are looked for."""
        return [parse(text) for text in _split(self.backend)]

    @property
    def credential_files(self) -> CredentialFiles:
        """What the backends are spoken to with."""
        return CredentialFiles(
            self.backend_tls,
            self.backend_ca,
            self.backend_certificate,
            self.backend_key,
            self.backend_token.get_secret_value() if self.backend_token else "",
            self.backend_token_file,
        )

    @property
    def needs_schema(self) -> bool:
        """Whether other services are called than ``completion.v1``."""
        return bool(self.services) or self.completions is not None

    @property
    def asks_for_schema(self) -> bool:
        """Whether the backends are asked what services they have."""
        return self.needs_schema and (
            self.reflection == "on" or (self.reflection == "auto" and not self.descriptors)
        )

    @property
    def json_options(self) -> JsonOptions:
        """How messages are written as JSON."""
        return JsonOptions(self.json_defaults, self.json_proto_names, self.json_enum_numbers)

    @property
    def channel_options(self) -> ChannelOptions:
        """How a connection to a backend is made and kept."""
        return ChannelOptions(
            self.max_message_bytes, self.keepalive, self.keepalive_timeout, self.backend_authority
        )

    @field_validator("config")
    @classmethod
    def _config_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    @field_validator("backend")
    @classmethod
    def _backends_are_addresses(cls, value: str) -> str:
        texts = _split(value)
        if not texts:
            raise ValueError("must name at least one backend, as in 127.0.0.1:50051")
        for text in texts:
            parse(text)
        return ",".join(texts)

    @field_validator("backend_authority")
    @classmethod
    def _authority_is_a_host(cls, value: str) -> str:
        if value and not _AUTHORITY.fullmatch(value):
            raise ValueError("must be the name of a host, as in backend.internal")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            scheme, separator, authority = origin.partition("://")
            if origin != "*" and (not separator or not scheme or not authority or "/" in authority):
                raise ValueError(f"{origin!r} is not an origin, as in https://example.com")
        return value

    @model_validator(mode="after")
    def _credentials_can_be_used(self) -> Self:
        files = {"backend_ca", "backend_certificate", "backend_key"} & self.model_fields_set
        if files and not self.backend_tls:
            raise ValueError(f"{_variable(min(files))} is for TLS: set {_variable('backend_tls')}")
        if (self.backend_certificate is None) != (self.backend_key is None):
            raise ValueError(
                f"{_variable('backend_certificate')} and {_variable('backend_key')} need each other"
            )
        if self.backend_token and self.backend_token_file:
            raise ValueError(
                f"set {_variable('backend_token')} or {_variable('backend_token_file')}, not both"
            )
        try:
            self.credential_files.read()
        except CredentialsError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _services_have_a_schema(self) -> Self:
        if self.descriptors and not self.needs_schema:
            raise ValueError(f"set {_variable('services')} to what is exposed of the descriptors")
        if self.needs_schema and not self.descriptors and self.reflection == "off":
            needy = "services" if self.services else "completions"
            raise ValueError(f"{_variable(needy)} needs {_variable('descriptors')}, or reflection")
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
        """Put flags before the environment, and the environment before the file."""
        given = init_settings().get("config") or os.environ.get(f"{PREFIX}CONFIG")
        try:
            file = TomlConfigSettingsSource(settings_cls, toml_file=given)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{given} can't be read as TOML: {error}") from error
        return init_settings, env_settings, file


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()} (--{name.replace('_', '-')})"


def explain(error: ValidationError) -> str:
    """Say for each wrong value which variable and flag set it, why it's wrong, and what it was."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        name = next((str(p) for p in problem["loc"] if p in Settings.model_fields), None)
        reason = problem["msg"].removeprefix("Value error, ")
        if name is not None:
            reason = f"{_variable(name)}: {reason}, got {problem['input']!r}"
        elif problem["type"] == "extra_forbidden":
            reason = f"{problem['loc'][-1]}: there is no such setting"
        lines.append(reason)
    return "\n".join(lines)
