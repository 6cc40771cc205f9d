"""The application and its factory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Set
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from bridge import __version__, request_id, web
from bridge.access.counts import Counts, OwnCounts
from bridge.access.head import HeadAsGetMiddleware, HeadMiddleware
from bridge.access.limits import BodyLimitMiddleware, StreamLimitMiddleware
from bridge.http_errors import add_error_handlers
from bridge.open_streams import OpenStreams
from bridge.request_id import RequestIdMiddleware
from bridge.retry import ADVICE
from bridge.routes import (
    anthropic,
    completions,
    event_source,
    health,
    models,
    ollama,
    openai,
    ui_message,
)
from bridge.routes.openapi import Description
from bridge.routes.transcoding import TranscodedRoutes
from bridge.routes.wires import WireMiddleware, unprefixed
from bridge.settings import Settings
from bridge.state import BridgeState
from bridge.telemetry.record import StreamHook
from bridge.transcoding import service_config
from bridge.transcoding.catalog import Catalog
from bridge.transcoding.completions import services as services_of
from bridge.transcoding.exposed import expose
from bridge.transcoding.schema import read
from bridge.upstream import Backends
from bridge.upstream.completion import SERVICE
from bridge.upstream.transport import transport

_WIRES = (completions, event_source, openai, anthropic, ui_message, ollama)
_ROOMS = (*_WIRES, models, health, web)
_OPENAPI = "/openapi.json"
_DOCS = ("/docs", "/docs/oauth2-redirect", _OPENAPI)

_DESCRIPTION = """\
Streams a gRPC backend's completions to browsers as Server-Sent Events, and tells them the truth
about how each stream ended."""


def open_backends(settings: Settings) -> Backends:
    """Return the backends that ``settings`` name, to be entered as a context manager."""
    return Backends(
        settings.addresses,
        settings.credential_files,
        settings.channel_options,
        connect=transport(settings.transport),
        refresh=settings.backend_refresh,
        health_service="" if settings.needs_schema else SERVICE,
    )


def open_catalog(settings: Settings) -> Catalog:
    """Return what ``settings`` expose.

    Raises:
        ExposureError: the descriptor sets, or the HTTP rules, can't be used.
    """
    rules, completions = settings.http_rules, settings.completions
    mapped = () if completions is None else services_of(completions)
    return Catalog(
        [*settings.services, *mapped],
        list(read(settings.descriptors)),
        partial(
            expose,
            services=settings.services,
            config=None if rules is None else service_config.read(rules),
            completions=completions,
            options=settings.json_options,
            ignore_unknown=settings.json_ignore_unknown,
            own_paths=_own_paths(),
        ),
        reflection=settings.asks_for_schema,
    )


def create_app(
    settings: Settings | None = None,
    on_stream_end: StreamHook | None = None,
    counts: Counts | None = None,
) -> FastAPI:
    """Return a bridge as an ASGI application.

    Args:
        settings: What ``Settings()`` reads from the environment, unless given.
        on_stream_end: Called with the record of each stream when it has ended, whatever the end
            was, on the event loop's thread: it must not block. With a hook the bridge keeps the
            text of every open stream in memory, and the record has it.
        counts: What is open in all processes that share the limits, unless this is the only one.

    Raises:
        pydantic.ValidationError: the environment has a setting that can't be used.
        ExposureError: the descriptor sets, or the HTTP rules, can't be used.
    """
    chosen = settings or Settings()
    streams = OpenStreams()
    counted = counts or OwnCounts()
    catalog = open_catalog(chosen)
    transcoded = TranscodedRoutes(catalog)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_backends(chosen) as backends:
            app.state.bridge = BridgeState(
                chosen, backends, streams, on_stream_end, catalog.completions
            )
            async with catalog.follow(backends, chosen.backend_refresh):
                try:
                    yield
                finally:
                    streams.cut_all()

    app = FastAPIOffline(
        title="gRPC-to-SSE bridge",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.streams = streams
    app.state.counts = counted
    app.add_middleware(
        StreamLimitMiddleware,
        total=chosen.max_streams,
        per_client=chosen.max_streams_per_client,
        counts=counted,
        gets=lambda scope: scope["path"] == event_source.PATH or transcoded.serve(scope),
    )
    app.add_middleware(
        BodyLimitMiddleware, max_bytes=chosen.max_body_bytes, seconds=chosen.request_timeout
    )
    app.add_middleware(HeadAsGetMiddleware, but=[event_source.PATH])
    app.add_middleware(HeadMiddleware, max_bytes=chosen.max_header_bytes)
    app.add_middleware(WireMiddleware, default=chosen.wire, api_chat=chosen.api_chat)
    app.add_middleware(RequestIdMiddleware)
    if chosen.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=chosen.cors_origins,
            allow_methods=["*"] if chosen.services else ["GET", "POST"],
            # An SDK sends a dozen of its own.
            allow_headers=["*"],
            expose_headers=[request_id.HEADER, *ADVICE, *chosen.return_metadata],
        )
    add_error_handlers(app)
    for room in _ROOMS:
        app.include_router(room.router)
    app.router.routes.append(transcoded)
    description = Description(app.openapi, catalog, chosen.json_options)
    app.openapi = description  # type: ignore[method-assign]
    # Before FastAPI's own, which would make the document on the event loop.
    app.router.routes.insert(0, Route(_OPENAPI, description.answer, include_in_schema=False))
    return app


def _own_paths() -> Mapping[str, Set[str]]:
    """Return the paths that the bridge has itself, those of a wire also without its prefix."""
    own = {path: {"GET"} for path in _DOCS}
    for room in _ROOMS:
        for route in room.router.routes:
            if isinstance(route, Route):
                for path in {route.path, unprefixed(route.path)}:
                    own.setdefault(path, set()).update(route.methods or ())
    return own
