"""``bridge routes``."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from bridge.app import open_backends, open_catalog
from bridge.commands.columns import aligned
from bridge.commands.exposure import exposed_by
from bridge.commands.refusal import RefusalError
from bridge.settings import Settings
from bridge.transcoding.routes import Route
from bridge.transcoding.schema import RpcMethod


async def print_routes(settings: Settings) -> None:
    """Print the routes of what is exposed.

    Raises:
        RefusalError: nothing is exposed.
        ExposureError: what is to be exposed can't be.
    """
    catalog = open_catalog(settings)
    exposed = catalog.exposed
    if exposed is None:
        async with open_backends(settings) as backends:
            exposed = await exposed_by(catalog, backends)
    if not exposed.services:
        raise RefusalError("No service is exposed: name some with --services, or * for all.", 1)
    sys.stdout.write(table(exposed.table))


def table(routes: Iterable[Route]) -> str:
    """Return a line for each route: its HTTP method, its path, what streams, and the RPC."""
    rows = [("METHOD", "PATH", "STREAMS", "RPC")]
    rows += [
        (route.http_method, str(route.template), _streams(route.rpc), route.rpc.path[1:])
        for route in routes
    ]
    return aligned(rows)


def _streams(rpc: RpcMethod) -> str:
    both = {"request": rpc.client_streaming, "response": rpc.server_streaming}
    return ", ".join(name for name, streams in both.items() if streams) or "-"
