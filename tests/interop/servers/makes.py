"""The servers that a client has to get on with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.conftest import free_port
from tests.interop.servers.envoy import envoy
from tests.interop.servers.nginx import nginx
from tests.interop.servers.running import HOST, Files, Running
from tests.interop.servers.service import in_go, in_node, in_python

Starting = AbstractAsyncContextManager[Running]


@dataclass(frozen=True)
class Service:
    """A make of server for the service.

    Attributes:
        name: As people know it.
        start: Starts one.
    """

    name: str
    start: Callable[[Files], Starting]


@dataclass(frozen=True)
class Proxy:
    """A make of proxy.

    Attributes:
        name: As people know it.
        start: Starts one before a server, which has another upstream where nobody listens.
    """

    name: str
    start: Callable[[Files, Running, str], Starting]


Make = Service | Proxy

GRPC_AIO = Service("grpc.aio", partial(in_python, module="grpc_aio"))
GRPC_SYNC = Service("grpc.server", partial(in_python, module="grpc_sync"))
GRPCLIB = Service("grpclib", partial(in_python, module="grpclib_server"))
GRPC_JS = Service("grpc-js", partial(in_node, module="grpc_js.mjs"))
CONNECT_NODE = Service("connect-node", partial(in_node, module="connect_node.mjs"))
GRPC_GO = Service("grpc-go", in_go)
ENVOY = Proxy("Envoy", envoy)
NGINX = Proxy("nginx", nginx)

MAKES: tuple[Make, ...] = (
    GRPC_AIO,
    GRPC_SYNC,
    GRPCLIB,
    GRPC_JS,
    CONNECT_NODE,
    GRPC_GO,
    ENVOY,
    NGINX,
)


class Servers:
    """Starts servers: one of each make for all who ask, and more for those who end them.

    Args:
        folder: An empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.files = Files(folder)
        self._nowhere = f"{HOST}:{free_port()}"
        self._running: dict[str, Running] = {}
        self._stack = AsyncExitStack()

    async def shared(self, make: Make) -> Running:
        """Return the server of ``make`` that stays until the end."""
        if make.name not in self._running:
            starting = self._stack.enter_async_context(self.fresh(make))
            self._running[make.name] = await starting
        return self._running[make.name]

    @asynccontextmanager
    async def fresh(self, make: Make) -> AsyncIterator[Running]:
        """Run a server, or a proxy before the shared one of ``grpc.aio``."""
        if isinstance(make, Service):
            starting = make.start(self.files)
        else:
            starting = self.before(make, await self.shared(GRPC_AIO))
        async with starting as running:
            yield running

    def before(self, make: Proxy, server: Running) -> Starting:
        """Run a proxy before ``server``."""
        return make.start(self.files, server, self._nowhere)

    async def close(self) -> None:
        """End what is shared."""
        await self._stack.aclose()
