"""The bridge and its peers, each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import get_args

from bench import trades
from bench.descriptors import TRADES, write_descriptors
from bench.peers.envoy import ANY_NUMBER, write_config
from bridge.settings import Settings
from bridge.upstream.transport import Transport


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer runs.

    Attributes:
        directory: For its files.
        port: Where it shall listen, on the loopback address.
        backend: ``host:port``.
        cores: How many cores it may use.
    """

    directory: Path
    port: int
    backend: str
    cores: int


Command = Callable[[Place], list[str]]


class Role(StrEnum):
    """What a peer does."""

    SERVER = "server"
    # It makes its messages itself, and reads the ``Go`` from stdin.
    SOURCE = "source"
    # It only receives, and does what the load generator does for others.
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer.

    Attributes:
        name: A word for it.
        title: What it is, in a line.
        command: What starts it.
        wire: The name of its wire.
        env: Variables to set.
        role: What it does.
        all_cores: Whether it may use all cores, and not one.
        workers: How many processes serve.
        buffers: Whether it takes what the backend sends, however slowly its clients read.
    """

    name: str
    title: str
    command: Command
    wire: str = "bridge"
    env: Mapping[str, str] = field(default_factory=dict)
    role: Role = Role.SERVER
    all_cores: bool = False
    workers: int = 1
    buffers: bool = False


def _module(name: str) -> Command:
    def command(place: Place) -> list[str]:
        listen = ["--port", str(place.port), "--backend", place.backend]
        return [sys.executable, "-m", f"bench.peers.{name}", *listen]

    return command


def _bridge(place: Place) -> list[str]:
    listen = ["--port", str(place.port), "--backend", place.backend]
    return [sys.executable, "-m", "bridge", "serve", *listen]


def _bridge_of_trades(place: Place) -> list[str]:
    descriptors = place.directory / "trades.pb"
    write_descriptors(descriptors, TRADES)
    exposed = ["--services", trades.SERVICE, "--descriptors", str(descriptors)]
    return [*_bridge(place), *exposed, "--stream-format", "sse"]


def _receive(place: Place) -> list[str]:
    return [sys.executable, "-m", "bench.peers.receive"]


def _envoy(place: Place) -> list[str]:
    config = write_config(place.directory, place.port, place.backend)
    executable = Path(sys.executable).parent / "envoy"
    return [
        *(str(executable), "-c", str(config), "--concurrency", str(place.cores)),
        *("--disable-hot-restart", "--log-level", "error"),
    ]


ENVOY = Peer("envoy", "Envoy, one worker", _envoy, "envoy")
ENVOY_ALL = Peer("envoy-all", "Envoy, a worker for each core", _envoy, "envoy", all_cores=True)
ENVOY_TRADES = replace(
    ENVOY, name="envoy-trades", title="Envoy, ten mixed fields", wire="envoy-trades"
)
STREAMING_RESPONSE = Peer(
    "streaming-response",
    "StreamingResponse and json.dumps",
    _module("streaming_response"),
    "spaced",
    buffers=True,
)
EVENT_SOURCE = Peer(
    "fastapi-sse",
    "FastAPI's EventSourceResponse",
    _module("event_source_response"),
    "compact",
    buffers=True,
)
SSE_STARLETTE = Peer(
    "sse-starlette",
    "sse-starlette",
    _module("sse_starlette_response"),
    "sse-starlette",
    buffers=True,
)
PLAIN_UVICORN = Peer(
    "uvicorn",
    "floor: uvicorn sends SSE, no gRPC",
    _module("plain_uvicorn"),
    "compact",
    role=Role.SOURCE,
)


def transports() -> list[Transport]:
    """Return the transports that the bridge has, the one it takes by itself first."""
    default: Transport = Settings.model_fields["transport"].default
    return [default, *(name for name in get_args(Transport) if name != default)]


def _with(transport: str, **env: str) -> dict[str, str]:
    return {"BRIDGE_TRANSPORT": transport, "BRIDGE_LOG_FORMAT": "json", **env}


def bridge(transport: str) -> Peer:
    """Return the bridge with a transport."""
    title = f"this bridge, {transport}"
    return Peer(f"bridge-{transport}", title, _bridge, env=_with(transport))


def of_trades(transport: str) -> Peer:
    """Return the bridge with a transport, and messages of a proto that isn't its own."""
    title = f"this bridge, {transport}, ten mixed fields"
    name = f"bridge-{transport}-trades"
    return Peer(name, title, _bridge_of_trades, "trades", _with(transport))


def dialects(transport: str) -> list[Peer]:
    """Return the bridge with a transport, once for each wire beside the plain one."""
    titles = {
        "openai": "OpenAI's Chat Completions",
        "openai-responses": "OpenAI's Responses",
        "anthropic": "Anthropic's Messages",
        "ui-message": "UI messages",
    }
    env = _with(transport)
    return [
        Peer(f"bridge-{transport}-{wire}", f"this bridge, {title}", _bridge, wire, env)
        for wire, title in titles.items()
    ]


def bare_bridge(transport: str) -> Peer:
    """Return the bridge with a transport, and without its extras."""
    title = f"this bridge, {transport}, extras off"
    return Peer(f"bare-{transport}", title, _module("bare_bridge"), env=_with(transport))


def with_all_extras(transport: str) -> Peer:
    """Return the bridge with a transport, a limit for each client, and a heartbeat a second."""
    return Peer(
        f"extras-{transport}",
        f"this bridge, {transport}, all extras on",
        _bridge,
        env=_with(transport, BRIDGE_HEARTBEAT="1", BRIDGE_MAX_STREAMS_PER_CLIENT=str(ANY_NUMBER)),
    )


def workers(transport: str, count: int) -> Peer:
    """Return the bridge with so many workers, on all cores."""
    return Peer(
        f"bridge-{transport}-{count}w",
        f"this bridge, {transport}, {count} worker{'s' if count > 1 else ''}, all cores",
        _bridge,
        env=_with(transport, BRIDGE_WORKERS=str(count)),
        all_cores=True,
        workers=count,
    )


def receiver(transport: str) -> Peer:
    """Return what receives with a transport, and sends nothing on."""
    return Peer(
        f"receive-{transport}",
        f"floor: receive with {transport}, no HTTP",
        _receive,
        env=_with(transport),
        role=Role.RECEIVER,
    )
