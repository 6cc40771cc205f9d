"""All backends: found, watched, and each call placed with one of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from itertools import chain
from types import TracebackType
from typing import Self

import structlog

from bridge.status import Status
from bridge.upstream.address import Address, Endpoint
from bridge.upstream.call import (
    Call,
    ChannelOptions,
    Connect,
    Metadata,
    Method,
    Request,
    Response,
    RpcError,
)
from bridge.upstream.completion import SERVICE
from bridge.upstream.credentials import CredentialFiles, Credentials, CredentialsError
from bridge.upstream.link import Link

_log = structlog.get_logger("bridge.upstream")

# Between two looks at names and files when a backend is lost again and again.
_LEAST_REFRESH_SECONDS = 1.0

_FIRST_ANSWER_SECONDS = 2.0

# How often an RPC is tried again that no backend has begun to serve: gRFC A6, "Transparent
# Retries". That costs no backend anything.
UNSEEN_TRIES = 5


class Backends:
    """The backends behind some addresses, as an asynchronous context manager.

    A call goes to the serving backend with the fewest open calls; among equals, to the one that
    has waited longest. When none says that it serves, one that may is tried all the same: a
    wrong health check must not become an outage.

    Names are resolved and files are read again at intervals, and when a backend is lost. A
    backend that has gone from its name, or whose credentials have changed, keeps the calls that
    it has, and gets no new ones.

    Args:
        addresses: Where to look for backends.
        files: The credentials for them.
        options: How each connection is made and kept.
        connect: The transport.
        refresh: Seconds between two looks at names and files.
        health_service: Of which service backends are asked whether they serve; empty for all.

    Attributes:
        arrived: Set when a backend begins to serve, or does so again.
        refreshed: How many of these looks there were.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        files: CredentialFiles,
        options: ChannelOptions,
        *,
        connect: Connect,
        refresh: float,
        health_service: str = SERVICE,
    ) -> None:
        self._files = files
        self._options = options
        self._connect = connect
        self._refresh_seconds = refresh
        self._found: dict[Address, list[Endpoint]] = {address: [] for address in addresses}
        self._credentials = Credentials()
        self._links: dict[Endpoint, Link] = {}
        self._draining: set[asyncio.Task[None]] = set()
        self._lost = asyncio.Event()
        self._health_service = health_service
        self.arrived = asyncio.Event()
        self._unresolved: dict[Address, str] = {}
        self.refreshed = 0

    async def __aenter__(self) -> Self:
        """Find the backends, and give them a moment to say that they serve.

        Raises:
            CredentialsError: a file of the credentials can't be used.
        """
        self._credentials = await asyncio.to_thread(self._files.read)
        await self._refresh()
        self._refresher = asyncio.create_task(self._keep_fresh())
        await self.answers(of_all=False)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what is open, and close all connections."""
        self._refresher.cancel()
        with suppress(asyncio.CancelledError):
            await self._refresher
        for task in self._draining:
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.values()))

    async def answers(self, *, of_all: bool) -> None:
        """Wait for the backends to say whether they serve, but not for long.

        Args:
            of_all: Whether to wait for each; else the first that serves is enough.
        """
        until = time.monotonic() + _FIRST_ANSWER_SECONDS
        waiting = {asyncio.create_task(link.known.wait()) for link in self.links}
        try:
            while waiting and (of_all or self.obstacle()) and time.monotonic() < until:
                _, waiting = await asyncio.wait(
                    waiting,
                    timeout=until - time.monotonic(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
        finally:
            for answer in waiting:
                answer.cancel()

    @property
    def links(self) -> Sequence[Link]:
        """The link of each backend that gets new calls."""
        return tuple(self._links.values())

    def obstacle(self) -> RpcError | None:
        """Return why no backend can serve, or None when one can."""
        if not self._links:
            return self._not_found()
        return min(self.links, key=lambda link: link.health).obstacle

    def stream(
        self,
        method: Method[Request, Response],
        requests: Sequence[Request],
        metadata: Metadata = (),
        *,
        deadline: float,
    ) -> Call[Response]:
        """Start an RPC of any kind that has ``deadline`` seconds; see ``Channel.stream``.

        Raises:
            RpcError: no backend has been found, with UNAVAILABLE.
            EncodeError: a request can't be sent.
            ValueError: the metadata can't be sent.
        """
        link = self.place()
        return link.channel.stream(method, requests, (*metadata, *link.metadata), deadline=deadline)

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        metadata: Metadata = (),
        *,
        deadline: float,
    ) -> Response:
        """Run a unary RPC that has ``deadline`` seconds.

        Raises:
            RpcError: the RPC ended with another status than OK, or no backend has been found.
            ValueError: the metadata can't be sent; see ``Channel.stream``.
        """
        tries_left = UNSEEN_TRIES
        while True:
            link = self.place()
            sent = (*metadata, *link.metadata)
            try:
                return await link.channel.unary(method, request, sent, deadline=deadline)
            except RpcError as error:
                if not error.unprocessed or not tries_left:
                    raise
                tries_left -= 1

    def place(self) -> Link:
        """Return the link that gets the next call.

        Raises:
            RpcError: no backend has been found, with UNAVAILABLE.
        """
        if not self._links:
            raise self._not_found()
        return min(self.links, key=lambda link: link.load)

    def _not_found(self) -> RpcError:
        causes = (f"{address}: {reason}" for address, reason in self._unresolved.items())
        return RpcError(Status.UNAVAILABLE, cause="No backend is found: " + ", ".join(causes))

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(min(_LEAST_REFRESH_SECONDS, self._refresh_seconds))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_seconds - _LEAST_REFRESH_SECONDS):
                    await self._lost.wait()
            self._lost.clear()
            try:
                self._credentials = await asyncio.to_thread(self._files.read)
            except CredentialsError as error:
                _log.warning("the credentials stay as they were", reason=str(error))
            try:
                await self._refresh()
            except Exception:
                _log.exception("the backends stay as they were")

    async def _refresh(self) -> None:
        self.refreshed += 1
        await asyncio.gather(*(self._resolve(address) for address in self._found))
        wanted = dict.fromkeys(chain.from_iterable(self._found.values()))
        kept = {
            endpoint: link
            for endpoint, link in self._links.items()
            if endpoint in wanted and link.credentials == self._credentials
        }
        made = await self._make(endpoint for endpoint in wanted if endpoint not in kept)
        left = [link for endpoint, link in self._links.items() if endpoint not in kept]
        self._links = kept | made
        for link in left:
            self._drain(link)

    async def _make(self, endpoints: Iterable[Endpoint]) -> dict[Endpoint, Link]:
        made: dict[Endpoint, Link] = {}
        async with AsyncExitStack() as unless_all_are_made:
            for endpoint in endpoints:
                link = Link(
                    endpoint,
                    self._credentials,
                    self._options,
                    self._connect,
                    lost=self._lost,
                    arrived=self.arrived,
                    health_service=self._health_service,
                )
                unless_all_are_made.push_async_callback(link.close)
                made[endpoint] = link
            unless_all_are_made.pop_all()
        return made

    async def _resolve(self, address: Address) -> None:
        try:
            self._found[address] = await address.resolve()
        except OSError as error:
            # What was found before may serve still.
            reason = error.strerror or str(error)
            if self._unresolved.get(address) != reason:
                _log.warning("a name can't be resolved", address=str(address), reason=reason)
            self._unresolved[address] = reason
            self._lost.set()
        else:
            self._unresolved.pop(address, None)

    def _drain(self, link: Link) -> None:
        _log.info("backend health", backend=link.endpoint.target, health="DRAINING", reason=None)
        task = asyncio.create_task(self._close_when_idle(link))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _close_when_idle(self, link: Link) -> None:
        try:
            await link.drain()
        except asyncio.CancelledError:
            await link.close()
            raise
