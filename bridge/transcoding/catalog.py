"""Keeps what is exposed, and reads it anew when a backend comes back changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from bridge.status import Status
from bridge.transcoding.completions import Completions
from bridge.transcoding.exposed import ALL, Exposed
from bridge.transcoding.exposure_error import ExposureError
from bridge.transcoding.schema import Schema, build
from bridge.upstream import Backends, RpcError
from bridge.upstream.reflection import Reflected, reflect

_log = structlog.get_logger("bridge.transcoding")

# A backend that restarts while it is read may tell the one half before, the other after.
_MOST_READINGS = 6

_FIRST_ANSWER_SECONDS = 2.0

_NOT_READ = RpcError(Status.UNAVAILABLE, "The backends' schema has not been read yet.")

# A backend without a health service, or behind a proxy, may be another one without a word.
_LONGEST_PAUSE_SECONDS = 5.0


class Catalog:
    """What is exposed, as the newest schema has it.

    Args:
        services: The full names of the services that are needed; ``ALL`` for all.
        files: What is known of them without asking the backends.
        expose: Makes of a schema what is exposed of it.
        reflection: Whether the backends are asked.

    Attributes:
        exposed: What is exposed; None until a schema has been read.

    Raises:
        ExposureError: the backends are not asked, and the files make no schema, or lack a
            service, or have rules that are wrong.
    """

    def __init__(
        self,
        services: Sequence[str],
        files: Sequence[FileDescriptorProto],
        expose: Callable[[Schema], Exposed],
        *,
        reflection: bool,
    ) -> None:
        self.exposed: Exposed | None = None
        self._services = services
        self._files = {file.name: file for file in files}
        self._expose = expose
        self._reflection = reflection
        self._reflected: Reflected | None = None
        self._obstacle = _NOT_READ
        if not self._reflection:
            self.exposed = expose(build(files))

    @property
    def obstacle(self) -> RpcError:
        """Why nothing is exposed."""
        return self._obstacle

    def completions(self) -> Completions | None:
        """Return what completes conversations, if it isn't ``completion.v1``.

        Raises:
            RpcError: no schema has been read yet that it could be in.
        """
        if self.exposed is None:
            raise self._obstacle
        return self.exposed.completions

    @asynccontextmanager
    async def follow(self, backends: Backends, seconds: float) -> AsyncIterator[None]:
        """Read the schema of ``backends``, if they are asked, until this is left.

        Args:
            backends: Those that are asked, when one has come, and at intervals.
            seconds: The longest interval.
        """
        if not self._reflection:
            self._tell()
            yield
            return
        first = asyncio.Event()
        reader = asyncio.create_task(self._keep_reading(backends, seconds, first))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_ANSWER_SECONDS):
                    await first.wait()
            yield
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    async def _keep_reading(self, backends: Backends, seconds: float, first: asyncio.Event) -> None:
        while True:
            backends.arrived.clear()
            try:
                await self.read(backends)
            except Exception:
                _log.exception("the schema stays as it was")
            first.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, _LONGEST_PAUSE_SECONDS)):
                    await backends.arrived.wait()

    async def read(self, backends: Backends) -> None:
        """Ask a backend for its schema, and expose that if it is new."""
        try:
            reflected = await self._read_alike(backends)
            exposed = self.exposed
            if exposed is None or reflected != self._reflected:
                # Meanwhile requests are served as before.
                exposed = await asyncio.to_thread(self._made_of, reflected)
        except (RpcError, ExposureError) as error:
            self._refuse(error)
            return
        self._obstacle = _NOT_READ
        if exposed is self.exposed:
            return
        self._reflected, self.exposed = reflected, exposed
        self._tell()
        if reflected.undescribed:
            _log.warning("a backend can't describe services", services=reflected.undescribed)

    def _tell(self) -> None:
        services = self.exposed.services if self.exposed is not None else ()
        if ALL in self._services:
            _log.warning("all services are exposed", services=services)
        elif services:
            _log.info("services are exposed", services=services)

    async def _read_alike(self, backends: Backends) -> Reflected:
        """Return what two readings agree on, or one with what is exposed."""
        before = self._reflected
        for _ in range(_MOST_READINGS):
            after = await self._ask(backends)
            if after == before:
                return after
            before = after
        raise RpcError(Status.UNAVAILABLE, "The backends' schema changes all the time.")

    async def _ask(self, backends: Backends) -> Reflected:
        link = backends.place()
        return await reflect(link.channel, link.metadata, self._wanted)

    def _wanted(self, there: Sequence[str]) -> Iterable[str]:
        if ALL in self._services:
            return there
        return [name for name in self._services if name in there]

    def _made_of(self, reflected: Reflected) -> Exposed:
        files = {file.name: file for file in reflected.files} | self._files
        return self._expose(build(files.values(), reflected.services))

    def _refuse(self, error: RpcError | ExposureError) -> None:
        reason = error.reason if isinstance(error, RpcError) else str(error)
        if isinstance(error, RpcError) and error.status is Status.UNIMPLEMENTED:
            reason += " Set BRIDGE_DESCRIPTORS to descriptor sets of its protos."
        if reason != self._obstacle.cause:
            # A backend that isn't there yet is no mistake.
            log = _log.warning if isinstance(error, RpcError) else _log.error
            log("the schema of the backends can't be used", reason=reason)
        self._obstacle = RpcError(
            Status.UNAVAILABLE, "The backends' schema can't be read.", cause=reason
        )
