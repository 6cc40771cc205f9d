"""What several faults do: bring streams to a point, strike, and read what follows."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.faults.client import Client, Request, scripted
from tests.faults.endings import Ending
from tests.faults.fault import Outcome, Play, outcomes
from tests.faults.world import World

Strike = Callable[[World], Awaitable[None]]


def hanging(messages: int, text: str = "a", **fields: Any) -> Request:
    """Return a request whose answer is so many messages, and then silence."""
    return scripted({"text": text, "count": messages, "hang_after": messages}, **fields)


async def underway(world: World, request: Request, messages: int, streams: int) -> list[Client]:
    """Ask, and wait until each stream has shown so many messages, or at least its call is open.

    Without a message to wait for, the answer must not end by itself.
    """
    clients = await world.ask_all([request] * streams)
    if not messages:
        await world.reached(streams)
    for client in clients:
        await client.messages(messages)
    return clients


def struck(strike: Strike, messages: int, request: Request | None = None) -> Play:
    """Return a play that strikes when each stream has shown so many messages.

    Args:
        strike: What happens then.
        messages: How many messages come before.
        request: What is asked for; by default an answer that is silent after ``messages``.
    """
    asked = request or hanging(messages)

    async def play(world: World, streams: int) -> Sequence[Outcome]:
        clients = await underway(world, asked, messages, streams)
        moment = time.time()
        await strike(world)
        return await outcomes(clients, moment)

    return play


def instead(told: Sequence[Outcome], ending: Ending) -> list[Outcome]:
    """Return the outcomes of streams that all share what is wrong."""
    return [Outcome(o.request_id, ending, o.seconds) for o in told]
