"""What the tests of faults share: a hostile backend, and a bridge in front of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from bridge.settings import Settings
from bridge.upstream.transport import Transport
from tests.conftest import RunningBridge, http_client, serving_bridge
from tests.faults.hostile_backend import HostileBackend, serving_hostile


@pytest.fixture(scope="module")
async def hostile(transport: Transport) -> AsyncIterator[HostileBackend]:
    async with serving_hostile() as backend:
        yield backend


@pytest.fixture(scope="module")
async def running(hostile: HostileBackend, transport: Transport) -> AsyncIterator[RunningBridge]:
    async with serving_bridge(Settings(backend=hostile.address, retries=0)) as bridge:
        yield bridge


@pytest.fixture(scope="module")
async def client(running: RunningBridge) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(running.url, timeout=30) as http:
        yield http
