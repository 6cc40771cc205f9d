"""``bridge check``."""

from __future__ import annotations

import sys

from bridge.app import open_backends, open_catalog
from bridge.commands.exposure import exposed_by
from bridge.commands.refusal import RefusalError
from bridge.commands.visible import visible
from bridge.settings import Settings
from bridge.transcoding.exposed import Exposed
from bridge.upstream import Backends


async def check(settings: Settings) -> None:
    """Say of each backend whether it serves, and how much of them is exposed.

    Raises:
        RefusalError: no backend serves, or what they have can't be exposed.
        ExposureError: what is to be exposed can't be, whatever the backends have.
    """
    catalog = open_catalog(settings)
    async with open_backends(settings) as backends:
        serving = await _serving(settings, backends)
        exposed = await exposed_by(catalog, backends) if settings.needs_schema else None
    told = f"The settings are good, and the backend at {serving} serves.\n"
    if exposed is not None and exposed.services:
        told += f"{_size(exposed)}\n"
    sys.stdout.write(told)


async def _serving(settings: Settings, backends: Backends) -> str:
    await backends.answers(of_all=True)
    found = {link.endpoint.target: link.obstacle for link in backends.links}
    obstacles = found or {settings.backend: backends.obstacle()}
    told = "\n".join(
        f"The backend at {target} does not serve: {obstacle.reason}"
        for target, obstacle in obstacles.items()
        if obstacle is not None
    )
    serving = ", ".join(target for target, obstacle in obstacles.items() if obstacle is None)
    if not serving:
        raise RefusalError(told, 1)
    if told:
        sys.stderr.write(f"{visible(told)}\n")
    return serving


def _size(exposed: Exposed) -> str:
    services, routes = len(exposed.services), len([*exposed.table])
    return f"Exposed: {_count(services, 'service')} with {_count(routes, 'route')}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
