"""What the tests of all rooms share: a running backend, a running bridge, and clients of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from playwright.async_api import Browser

import backend.server
import backend.settings
import bridge.listeners
import bridge.server
from bridge.access.connections import limited_protocol
from bridge.app import create_app
from bridge.open_streams import OpenStreams
from bridge.settings import PREFIX, Settings
from bridge.telemetry.record import StreamRecord
from bridge.upstream import Backends
from bridge.upstream.transport import Transport
from tests.browser.chromium import chromium

TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

# To read those of the system takes a client longer than all its requests.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

on_each_transport = pytest.mark.usefixtures("transport")

DONE = b"data: [DONE]\n\n"
CUT = (
    b'data: {"error":"The server is shutting down.","code":"UNAVAILABLE","retryable":true}\n\n'
    + DONE
)


async def eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until ``holds()``; fail when it does not within ``seconds``."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)


def beside_the_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that begins when the event loop, which runs now, has turned."""
    loop, turned = asyncio.get_running_loop(), threading.Event()

    def begin(*args: Any, **kwargs: Any) -> Any:
        loop.call_soon_threadsafe(turned.set)
        assert turned.wait(10), "the event loop stands still meanwhile"
        return function(*args, **kwargs)

    return begin


def free_port() -> int:
    """Return a port of the loopback address on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port


def http_client(url: str, **options: Any) -> httpx.AsyncClient:
    """Return a client of the bridge at ``url``, which speaks no TLS; ``options`` are httpx's."""
    return httpx.AsyncClient(base_url=url, verify=_NO_AUTHORITIES, **options)


def script(**directives: Any) -> str:
    """Return what a user says to the script engine to make it do ``directives``."""
    return json.dumps(directives)


def ask(content: str, **fields: Any) -> dict[str, Any]:
    """Return the body of a request in which a user says ``content`` to the script engine."""
    return {"model": "script", "messages": [{"role": "user", "content": content}], **fields}


@dataclass
class RunningBridge:
    """A bridge that serves in this process, and the records of its streams."""

    url: str
    server: bridge.server.Server
    streams: OpenStreams
    backends: Backends
    records: list[StreamRecord] = field(default_factory=list)

    async def record(self, request_id: str) -> StreamRecord:
        """Wait for the record of a request."""
        found: list[StreamRecord] = []

        def has_ended() -> bool:
            found[:] = [r for r in self.records if r.request_id == request_id]
            return bool(found)

        await eventually(has_ended)
        assert len(found) == 1
        return found[0]


@asynccontextmanager
async def serving_bridge(
    settings: Settings, protocol: type[asyncio.Protocol] | None = None
) -> AsyncIterator[RunningBridge]:
    """Serve a bridge on the running event loop and a free port.

    Args:
        settings: The bridge's.
        protocol: One of uvicorn's for HTTP, if not the one that uvicorn chooses.
    """
    assert "transport" in settings.model_fields_set, "a test with a bridge needs `transport`"
    records: list[StreamRecord] = []
    app = create_app(settings, on_stream_end=records.append)
    server = bridge.server.Server(app, settings)
    if protocol is not None:
        limits = bridge.server.connection_limits(settings, app.state.counts)
        server.config.http = limited_protocol(limits, protocol)
    sockets = bridge.listeners.bind("127.0.0.1", 0, write_timeout=settings.write_timeout)
    url = f"http://{bridge.listeners.addresses(sockets)}"
    serving = asyncio.create_task(server._serve(sockets))  # noqa: SLF001 - serve() takes the signals
    try:
        await eventually(lambda: server.started or serving.done())
        yield RunningBridge(url, server, app.state.streams, app.state.bridge.backends, records)
    finally:
        server.should_exit = True
        await serving


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what has a bridge on each transport, and what people's clients see on the default one."""
    if "transport" in metafunc.fixturenames:
        by_a_person = metafunc.definition.get_closest_marker("on_default_transport")
        chosen = TRANSPORTS[:1] if by_a_person or "browser" in metafunc.fixturenames else TRANSPORTS
        metafunc.parametrize("transport", chosen, indirect=True, scope="session")


@pytest.fixture(scope="session")
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    """Make the bridges of a test use a transport, also those in processes of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(f"{PREFIX}TRANSPORT", request.param)
        yield request.param


@pytest.fixture
def signalled_at_exit(tmp_path: Path) -> dict[str, str]:
    """Return the variables with which a process of Python gets both signals when it exits."""
    tmp_path.joinpath("sitecustomize.py").write_text(
        "import atexit, os, signal\n"
        "for number in (signal.SIGTERM, signal.SIGINT):\n"
        "    atexit.register(os.kill, os.getpid(), number)\n"
    )
    return {"PYTHONPATH": str(tmp_path)}


@pytest.fixture(scope="session")
async def backend_server() -> AsyncIterator[backend.server.Server]:
    settings = backend.settings.Settings(port=0, model="script", shutdown_grace=0)
    async with backend.server.serving(settings) as server:
        yield server


@pytest.fixture(scope="session")
async def bridge_server(
    backend_server: backend.server.Server, transport: Transport
) -> AsyncIterator[RunningBridge]:
    settings = Settings(backend=backend_server.address, shutdown_grace=0)
    async with serving_bridge(settings) as running:
        yield running


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def http(bridge_server: RunningBridge) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(bridge_server.url, timeout=30) as client:
        yield client


@pytest.fixture
def no_error_is_logged(
    caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> Iterator[None]:
    """Fail a test in which uvicorn or asyncio logs an error, unless it is marked `logs_errors`."""
    yield
    if request.node.get_closest_marker("logs_errors") is None:
        logged = [*caplog.get_records("setup"), *caplog.get_records("call")]
        assert [record.getMessage() for record in logged if record.levelname == "ERROR"] == []
