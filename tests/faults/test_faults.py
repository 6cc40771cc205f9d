"""Every fault of the catalogue, with a few streams each; ``make faults`` has many."""

from collections.abc import AsyncIterator

import pytest

from bridge.upstream.transport import Transport
from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault, run
from tests.faults.run import Worlds

STREAMS = 3


@pytest.fixture(scope="module")
async def worlds(transport: Transport) -> AsyncIterator[Worlds]:
    async with Worlds() as worlds:
        yield worlds


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_every_stream_ends_with_the_truth_and_leaves_nothing(
    fault: Fault, worlds: Worlds
) -> None:
    world = await worlds.world(fault.setup)
    result = await run(fault, world, STREAMS, warm_up=False)
    assert result.complaints == []
