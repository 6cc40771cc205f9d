"""Each transport gets on with servers and proxies of other makes; docs/interop.md is the table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from bridge.upstream.transport import Transport
from tests.interop.cases.catalogue import CASES, Case, concerns, run
from tests.interop.client import Client, client
from tests.interop.report import SECTIONS, body, name
from tests.interop.servers.makes import MAKES, Make, Servers
from tests.interop.transports import TRANSPORTS
from tests.test_docs import section

CASES_OF_MAKES = [
    pytest.param(make, case, id=f"{make.name}-{name(case)}")
    for make in MAKES
    for case in CASES
    if concerns(make, case)
]


class Clients:
    """One client of each transport and server, for all tests."""

    def __init__(self, servers: Servers) -> None:
        self.stack = AsyncExitStack()
        self._servers = servers
        self._clients: dict[tuple[Transport, str], Client] = {}

    async def of(self, transport: Transport, make: Make) -> Client:
        """Return the client of a transport and a server."""
        key = transport, make.name
        if key not in self._clients:
            starting = client(TRANSPORTS[transport], make, self._servers)
            self._clients[key] = await self.stack.enter_async_context(starting)
        return self._clients[key]


@pytest.fixture(scope="module")
async def clients(servers: Servers) -> AsyncIterator[Clients]:
    running = Clients(servers)
    yield running
    await running.stack.aclose()


@pytest.mark.parametrize(("make", "case"), CASES_OF_MAKES)
async def test_a_client_and_a_server_of_another_make_get_on(
    make: Make, case: Case, transport: Transport, clients: Clients
) -> None:
    await run(await clients.of(transport, make), case)


@pytest.mark.parametrize("title", SECTIONS)
def test_the_document_has_every_case_and_what_differs(title: str) -> None:
    assert section("docs/interop.md", title) == body(SECTIONS[title])
