"""The connection between bridge and backend is cut, silent, slow, or refused."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.faults.catalogue.backends import PATIENT
from tests.faults.client import scripted
from tests.faults.endings import failed
from tests.faults.fault import Fault, Outcome, Play, Side, outcomes
from tests.faults.proxy import Cut
from tests.faults.world import World

UNAVAILABLE = frozenset({failed("UNAVAILABLE")})


def _cut(how: Cut, messages: int) -> Play:
    async def play(world: World, streams: int) -> Sequence[Outcome]:
        request = scripted({"text": "a", "count": messages, "hang_after": messages})
        clients = await world.ask_all([request] * streams)
        await world.reached(streams)
        for client in clients:
            await client.messages(messages)
        struck = time.time()
        world.upstream.cut(how)
        return await outcomes(clients, struck)

    return play


FAULTS = tuple(
    Fault(
        f"connection to the backend cut by {how.value} after {messages} messages",
        Side.NETWORK,
        UNAVAILABLE,
        _cut(how, messages),
        PATIENT,
    )
    for how in Cut
    for messages in (0, 3)
)
