"""Which engine answers for which model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from backend.engines.engine import Engine
from backend.engines.local import local_engine
from backend.engines.openai import openai_engine
from backend.engines.script import ScriptEngine
from backend.settings import ConfigurationError, Settings
from backend.status import RpcError
from protos.completion.v1.completion_pb2 import Model


class Catalog:
    """The engines of a server.

    Args:
        engines: In the order in which they are asked.
        default: The model that answers a request that names none.
    """

    def __init__(self, engines: Sequence[Engine], default: str) -> None:
        self._engines = engines
        self.default = default

    def find(self, model: str) -> Engine:
        """Find the engine that answers for ``model``.

        Raises:
            RpcError: NOT_FOUND, as no engine does.
        """
        for engine in self._engines:
            if engine.serves(model):
                return engine
        listed = ", ".join(known.id for known in self.models()) or "none"
        raise RpcError(
            grpc.StatusCode.NOT_FOUND, f"there is no model {model!r}; the models are: {listed}"
        )

    def models(self) -> list[Model]:
        """List the models of all engines, the default one first."""
        models = [model for engine in self._engines for model in engine.models()]
        return sorted(models, key=lambda model: model.id != self.default)


@asynccontextmanager
async def open_catalog(settings: Settings) -> AsyncIterator[Catalog]:
    """Start the engines that ``settings`` ask for, and end them afterwards.

    Raises:
        ConfigurationError: an engine can't start, or none answers for the default model.
    """
    async with AsyncExitStack() as stack:
        engines: list[Engine] = []
        if settings.local_enabled:
            engines.append(await stack.enter_async_context(local_engine(settings)))
        if settings.script_enabled:
            engines.append(ScriptEngine(allow_crash=settings.allow_crash))
        if settings.openai_base_url is not None:
            engines.append(await stack.enter_async_context(openai_engine(settings)))
        catalog = Catalog(engines, settings.default_model)
        if not any(engine.serves(catalog.default) for engine in engines):
            listed = ", ".join(model.id for model in catalog.models()) or "none"
            script = "on" if settings.script_enabled else "off"
            raise ConfigurationError(
                f"BACKEND_MODEL (--model): nothing answers for {catalog.default!r}. "
                f"The models are: {listed}. The script model is {script}, "
                f"as {settings.script_reason}."
            )
        yield catalog
