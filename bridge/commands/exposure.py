"""What ``bridge serve`` would expose."""

from __future__ import annotations

from bridge.commands.refusal import RefusalError
from bridge.transcoding.catalog import Catalog
from bridge.transcoding.exposed import Exposed
from bridge.upstream import Backends


async def exposed_by(catalog: Catalog, backends: Backends) -> Exposed:
    """Return what is exposed, for which ``backends`` are asked if it isn't known without them.

    Raises:
        RefusalError: they can't be asked, or what they have can't be exposed.
    """
    if catalog.exposed is None:
        await catalog.read(backends)
    if catalog.exposed is None:
        raise RefusalError(f"The services can't be exposed.\n{catalog.obstacle.reason}", 1)
    return catalog.exposed
