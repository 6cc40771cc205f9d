"""The link to one backend: its channel, what is open on it, and whether it serves."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from enum import IntEnum

import structlog

from bridge.status import Status
from bridge.upstream.address import Endpoint
from bridge.upstream.call import Channel, ChannelOptions, Connect, Metadata, RpcError
from bridge.upstream.credentials import Credentials
from bridge.upstream.health import watch

_log = structlog.get_logger("bridge.upstream")

# From one attempt to reach a backend to the next. The transport has pauses of its own, up to a
# second.
_PAUSE_SECONDS = 0.2

# A backend that refuses all it gets has the fewest open calls, and would get every new one.
_SUSPECT_SECONDS = 1.0

_NOT_ASKED = RpcError(Status.UNAVAILABLE, "The backend has not answered yet.")


class Health(IntEnum):
    """What is known of a backend; the lower, the better a call is placed there."""

    SERVING = 0
    UNKNOWN = 1
    NOT_SERVING = 2
    UNREACHABLE = 3


class _Unobserved:
    def call_began(self) -> None:
        pass

    def call_ended(self) -> None:
        pass

    def call_failed(self, error: RpcError) -> None:
        pass


class Link:
    """One backend, watched from its making until it is closed.

    Args:
        endpoint: Where the backend listens.
        credentials: What it is spoken to with.
        options: How the connection is made and kept.
        connect: The transport.
        lost: Set whenever the backend can't be reached.
        arrived: Set whenever it begins to serve, or does so again.
        health_service: Of which service it is asked whether it serves; empty for all.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        options: ChannelOptions,
        connect: Connect,
        *,
        lost: asyncio.Event,
        arrived: asyncio.Event,
        health_service: str,
    ) -> None:
        self.endpoint = endpoint
        self.credentials = credentials
        self.health = Health.UNKNOWN
        self.obstacle: RpcError | None = _NOT_ASKED
        self.open_calls = 0
        self.known = asyncio.Event()
        self.channel: Channel = connect(endpoint, options, credentials.tls, self)
        # A connection of its own: of a backend that allows one stream on a connection, the watch
        # would take it for ever.
        self._health_channel = connect(endpoint, options, credentials.tls, _Unobserved())
        self._lost = lost
        self._arrived = arrived
        self._health_service = health_service
        self._idle = asyncio.Event()
        self._idle.set()
        self._suspect_until = float("-inf")
        self._last_begun = float("-inf")
        self._told = Health.UNKNOWN
        self._watcher = asyncio.create_task(self._watch())

    @property
    def metadata(self) -> Metadata:
        """What is sent with each RPC to prove who the bridge is."""
        token = self.credentials.token
        return () if token is None else (("authorization", f"Bearer {token}"),)

    @property
    def load(self) -> tuple[int, int, float]:
        """What a new call is placed by: the least is the best place for it."""
        health = int(self.health)
        if self.health is Health.SERVING and time.monotonic() < self._suspect_until:
            health = int(Health.UNKNOWN)
        return health, self.open_calls, self._last_begun

    def call_began(self) -> None:
        """Count an RPC."""
        self.open_calls += 1
        self._last_begun = time.monotonic()
        self._idle.clear()

    def call_ended(self) -> None:
        """Count an RPC no more."""
        self.open_calls -= 1
        if not self.open_calls:
            self._idle.set()

    def call_failed(self, error: RpcError) -> None:
        """Place new calls elsewhere for a moment, if the backend is not available."""
        if error.status is Status.UNAVAILABLE:
            self._suspect_until = time.monotonic() + _SUSPECT_SECONDS

    async def drain(self) -> None:
        """Close the link once its calls have ended."""
        await self._stop_watching()
        await self._idle.wait()
        await self.channel.close()

    async def close(self) -> None:
        """Cancel what is open, and close the link."""
        await self._stop_watching()
        await self.channel.close()

    async def _stop_watching(self) -> None:
        self._watcher.cancel()
        with suppress(asyncio.CancelledError):
            await self._watcher
        await self._health_channel.close()

    async def _watch(self) -> None:
        failures = 0
        while True:
            next_attempt = time.monotonic() + _PAUSE_SECONDS
            try:
                async for obstacle in watch(
                    self._health_channel, self._health_service, self.metadata
                ):
                    failures = 0
                    self._learn(
                        Health.SERVING if obstacle is None else Health.NOT_SERVING, obstacle
                    )
            except RpcError as error:
                # The first loss of a connection may be a server's that closes old ones: whether
                # it can be reached is what the next attempt tells.
                self._learn(Health.UNREACHABLE if failures else Health.UNKNOWN, error)
                self._lost.set()
            except Exception as error:
                _log.exception("the watch of a backend failed", backend=self.endpoint.target)
                self._learn(Health.UNKNOWN, RpcError(Status.INTERNAL, str(error)))
            failures += 1
            # Also after an attempt that was answered: who answers may break off at once.
            await asyncio.sleep(next_attempt - time.monotonic())

    def _learn(self, health: Health, obstacle: RpcError | None) -> None:
        if health not in {self._told, Health.UNKNOWN}:
            self._told = health
            reason = None if obstacle is None else obstacle.reason
            log = _log.info if health is Health.SERVING else _log.warning
            log("backend health", backend=self.endpoint.target, health=health.name, reason=reason)
        if health is Health.SERVING:
            self.channel.reconnect()
            if self.health is not Health.SERVING:
                self._arrived.set()
        self.health, self.obstacle = health, obstacle
        if health is not Health.UNKNOWN:
            self.known.set()
