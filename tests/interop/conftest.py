"""What the tests here share: the servers."""

from collections.abc import AsyncIterator

import pytest

from tests.interop.servers.makes import Servers


@pytest.fixture(scope="package")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    running = Servers(tmp_path_factory.mktemp("interop"))
    yield running
    await running.close()
