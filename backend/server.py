"""The gRPC server: start, health, reflection, and a graceful end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection

from backend.engines.catalog import Catalog, open_catalog
from backend.service import SERVICE, CompletionService
from backend.settings import Settings
from protos.completion.v1.completion_pb2_grpc import add_CompletionServiceServicer_to_server

# Seconds for the last statuses to reach the clients, once no call is open.
FLUSH = 0.5

OPTIONS = (
    # Without this, a second server takes the same port with no error, and half of the calls.
    ("grpc.so_reuseport", 0),
    # A client that vanished without a word is noticed, and its calls are cancelled.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The core's own is a minute, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Clients may do the same while a stream is silent, or they have none.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    # grpc.aio takes in calls one by one. Of a burst of more than 1000, the core drops some.
    ("grpc.server.max_pending_requests", 50_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
)

logger = structlog.get_logger(__name__)


class CannotListenError(Exception):
    """The address can't be listened on; the text says what to change."""


class Server:
    """A server that accepts calls.

    Args:
        address: ``host:port`` for clients.
        port: The TCP port.
    """

    def __init__(
        self,
        address: str,
        port: int,
        server: grpc.aio.Server,
        service: CompletionService,
        health_servicer: health.aio.HealthServicer,
    ) -> None:
        self.address = address
        self.port = port
        self._server = server
        self._service = service
        self._health = health_servicer

    @property
    def open_calls(self) -> int:
        """How many calls of StreamCompletion have not ended."""
        return self._service.open_calls

    def end_calls(self) -> None:
        """End all open calls at once with UNAVAILABLE."""
        self._service.end_calls()

    async def shut_down(self, grace: float) -> None:
        """Refuse new calls, and end when the open ones have.

        Args:
            grace: Seconds that open calls may go on; then they end with UNAVAILABLE.
        """
        self._service.refuse_calls()
        await self._health.enter_graceful_shutdown()
        stopped = asyncio.create_task(self._server.stop(grace + 3 * FLUSH))
        try:
            async with asyncio.timeout(grace):
                await self._service.wait_until_idle()
        except TimeoutError:
            self.end_calls()
        finally:
            # Other calls than ours can be open: a health check that watches has no end.
            await self._server.stop(FLUSH)
            await stopped


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Server]:
    """Start a server; shut it down gracefully when the block is left.

    Args:
        settings: Where it listens, what answers, and how long its end may take.

    Raises:
        ConfigurationError: an engine can't start.
        CannotListenError: the address is taken, or is none of this machine's.
    """
    _check_address(settings)
    async with open_catalog(settings) as catalog:
        server = await _start(settings, catalog)
        logger.info(
            "listening",
            address=server.address,
            models=[model.id for model in catalog.models()],
            script="on" if settings.script_enabled else "off",
            script_reason=settings.script_reason,
        )
        try:
            yield server
        finally:
            logger.info("stopping", open_calls=server.open_calls)
            await server.shut_down(settings.shutdown_grace)


async def _start(settings: Settings, catalog: Catalog) -> Server:
    server = grpc.aio.server(options=OPTIONS)
    service = CompletionService(catalog)
    add_CompletionServiceServicer_to_server(service, server)
    health_servicer = health.aio.HealthServicer()
    await health_servicer.set(SERVICE, HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    host = settings.host.strip("[]")
    if ":" in host:
        host = f"[{host}]"
    try:
        port = server.add_insecure_port(f"{host}:{settings.port}")
    except RuntimeError as error:
        raise CannotListenError(_advice(settings, str(error))) from error
    await server.start()
    return Server(f"{host}:{port}", port, server, service, health_servicer)


def _check_address(settings: Settings) -> None:
    """Find out before a model is loaded, and with a reason, which gRPC does not give.

    Raises:
        CannotListenError: the name doesn't resolve, or an address is taken or not ours.
    """
    try:
        addresses = socket.getaddrinfo(
            settings.host.strip("[]"),
            settings.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
        for family, *_, address in addresses:
            socket.create_server((address[0], address[1]), family=family).close()
    except OSError as error:
        raise CannotListenError(_advice(settings, _reason(error))) from error


def _reason(error: OSError) -> str | None:
    # socket adds the address to the message of a failed bind.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror
    return os.strerror(error.errno)


def _advice(settings: Settings, reason: str | None) -> str:
    return (
        f"The backend can't listen on {settings.host}:{settings.port}: {reason}. "
        "Set BACKEND_HOST (--host) and BACKEND_PORT (--port) to a free address."
    )
