"""A gRPC backend that breaks the protocol as each request tells it to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from grpc_health.v1.health_pb2 import HealthCheckResponse
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

from bridge.upstream.completion import CHECK_HEALTH, LIST_MODELS, STREAM_COMPLETION
from protos.completion.v1.completion_pb2 import ListModelsResponse, StreamCompletionRequest
from tests.conftest import eventually
from tests.faults.listening import stop_listening
from tests.faults.misbehaviour import TEXTS, Act, Misbehaviour
from tests.faults.raw_http2 import HostileCall, HostileConnection, length_prefixed
from tests.faults.wrong_connections import GOAWAY_OF_NO_KNOWN_CODE, WRONG_CONNECTIONS
from tests.faults.wrong_messages import COMPRESSED, WRONG_MESSAGES
from tests.faults.wrong_statuses import WRONG_STATUSES

WATCH_HEALTH = "/grpc.health.v1.Health/Watch"

ANY_NUMBER_OF_STREAMS: Mapping[SettingCodes | int, int] = MappingProxyType(
    {SettingCodes.MAX_CONCURRENT_STREAMS: 2**31 - 1}
)


MISBEHAVIOURS: Mapping[str, Misbehaviour] = {
    misbehaviour.name: misbehaviour
    for misbehaviour in (*WRONG_STATUSES, *WRONG_MESSAGES, *COMPRESSED, *WRONG_CONNECTIONS)
}


def saying(name: str, after: int = 0, *, held: bool = False) -> str:
    """Return what a user says to have a misbehaviour.

    Args:
        name: The misbehaviour's; ``"good"`` is none.
        after: How many good messages come before.
        held: Whether it waits, after these, until ``go_on`` is called. Otherwise a client may see
            the misbehaviour before it has handed on the messages, and a transport may drop them.
    """
    return f"{name} {after} {'held' if held else ''}"


class HostileBackend:
    """Serves the health service as it should be, and StreamCompletion as the user says.

    Args:
        settings: What its connections announce to their clients.

    Attributes:
        greeting: What a new connection says instead of HTTP/2, if anything.
        most_connections: A new connection beyond these is closed at once.
        refused_connections: How many were.
        address: ``host:port``.
        open_calls: How many StreamCompletions are being answered.
        acts: What a user can ask for, by name.
        refusals: How many of the next ListModels are refused, as by a server that is full.
    """

    def __init__(self, settings: Mapping[SettingCodes | int, int] = ANY_NUMBER_OF_STREAMS) -> None:
        self.greeting: bytes | None = None
        self.most_connections = float("inf")
        self.refused_connections = 0
        self.address = ""
        self.open_calls = 0
        self.refusals = 0
        self.acts: dict[str, Act] = {"good": HostileCall.trailers}
        self.acts |= {name: misbehaviour.act for name, misbehaviour in MISBEHAVIOURS.items()}
        self.acts[GOAWAY_OF_NO_KNOWN_CODE.name] = GOAWAY_OF_NO_KNOWN_CODE.act
        self._settings = settings
        self._gates: dict[str, asyncio.Event] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def open_connections(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    async def answer(self, call: HostileCall) -> None:
        """Answer a call whose request is whole."""
        if call.request_headers[":path"] == STREAM_COMPLETION.path:
            self.open_calls += 1
            try:
                await self._complete(call)
            finally:
                self.open_calls -= 1
        elif call.request_headers[":path"] in {CHECK_HEALTH.path, WATCH_HEALTH}:
            await self._tell_health(call)
        elif call.request_headers[":path"] == LIST_MODELS.path:
            await self._list_models(call)
        else:
            await call.trailers("12")

    async def _complete(self, call: HostileCall) -> None:
        request = StreamCompletionRequest.FromString(call.request[5:])
        name, after, held = request.messages[-1].content.split(" ")
        for text in TEXTS[: int(after)]:
            await call.message(text)
        if held:
            await self._gate(call.request_headers["x-request-id"]).wait()
        await self.acts[name](call)

    async def _list_models(self, call: HostileCall) -> None:
        if self.refusals:
            self.refusals -= 1
            await call.reset(ErrorCodes.REFUSED_STREAM)
        else:
            await call.open()
            await call.data(length_prefixed(ListModelsResponse().SerializeToString()))
            await call.trailers()

    def go_on(self, request_id: str) -> None:
        """Let a call that is held misbehave."""
        self._gate(request_id).set()

    def _gate(self, request_id: str) -> asyncio.Event:
        return self._gates.setdefault(request_id, asyncio.Event())

    async def _tell_health(self, call: HostileCall) -> None:
        serving = HealthCheckResponse(status=HealthCheckResponse.SERVING)
        await call.open()
        await call.data(length_prefixed(serving.SerializeToString()))
        if call.request_headers[":path"] == WATCH_HEALTH:
            await asyncio.Event().wait()
        await call.trailers()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection."""
        if self._closed:
            # The listener had taken it already when it was closed.
            writer.close()
            return
        if self.open_connections >= self.most_connections:
            self.refused_connections += 1
            writer.close()
            return
        serving = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(serving)
        serving.add_done_callback(self._connections.discard)
        # A task that is cancelled before its first step closes nothing.
        serving.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.greeting is None:
            await HostileConnection(reader, writer, self.answer, self._settings).serve()
            return
        try:
            writer.write(self.greeting)
            while await reader.read(65536):
                pass
        except OSError:
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        """End every connection, and those that are still to come."""
        self._closed = True
        await self.disconnect()

    async def disconnect(self) -> None:
        """End every connection that there is, and every call on it."""
        ending = tuple(self._connections)
        for serving in ending:
            serving.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


@asynccontextmanager
async def serving_hostile(
    settings: Mapping[SettingCodes | int, int] = ANY_NUMBER_OF_STREAMS,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[HostileBackend]:
    """Serve a hostile backend on a free port, which announces ``settings`` to its clients."""
    backend = HostileBackend(settings)
    async with await asyncio.start_server(backend.accept, "127.0.0.1", 0, ssl=tls) as server:
        host, port = server.sockets[0].getsockname()
        backend.address = f"{host}:{port}"
        try:
            yield backend
        finally:
            await stop_listening(server)
            await backend.close()
            await eventually(lambda: backend.open_calls == 0)
