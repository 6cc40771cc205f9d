"""Streams that come and go: as one ends, the next begins."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.client import Client, Request, scripted
from tests.faults.endings import FINISHED, LEFT, Ending, failed
from tests.faults.fault import BOUND


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream to come.

    Attributes:
        request: What is asked for.
        expected: How it ends if nothing goes wrong.
        leave_after: After how many messages its client leaves; None: never.
    """

    request: Request
    expected: Ending
    leave_after: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream that has ended.

    Attributes:
        request_id: Its ``x-request-id``.
        expected: How it should have ended.
        ending: How it did.
        sent: When its request was sent, in seconds since the epoch.
        ended: When it ended.
    """

    request_id: str
    expected: Ending
    ending: Ending
    sent: float
    ended: float


def slow_stream(shortest: int, longest: int, interval: float) -> Wanted:
    """Return a stream of a random length; one in ten fails in the middle, one in ten leaves.

    Args:
        shortest: The fewest messages.
        longest: The most messages.
        interval: Seconds between two.
    """
    count = random.randint(shortest, longest)
    script = {"text": "some words ", "count": count, "interval_ms": interval * 1000}
    chance = random.random()
    middle = random.randint(0, count - 1)
    if chance < 0.1:
        fail = {"code": "ABORTED", "after": middle}
        return Wanted(scripted({**script, "fail": fail}), failed("ABORTED"))
    if chance < 0.2:
        return Wanted(scripted(script), LEFT, middle)
    return Wanted(scripted(script), FINISHED)


@dataclass
class Traffic:
    """Keeps so many streams open.

    Args:
        address: The bridge's ``host:port``.
        wanted: Makes a stream to come.

    Attributes:
        ended: The streams that have ended.
        open: How many are open.
    """

    address: str
    wanted: Callable[[], Wanted]
    ended: list[Ended] = field(default_factory=list)
    open: int = 0
    _stopping: bool = False

    async def run(self, streams: int, start_within: float) -> None:
        """Keep ``streams`` open until ``stop``, the first of which start within so many seconds."""
        async with asyncio.TaskGroup() as group:
            for index in range(streams):
                group.create_task(self._one_after_the_other(index * start_within / streams))

    def stop(self) -> None:
        """Begin no more streams; those that are open go on to their ends."""
        self._stopping = True

    async def _one_after_the_other(self, wait: float) -> None:
        await asyncio.sleep(wait)
        while not self._stopping:
            await self._stream(self.wanted())

    async def _stream(self, wanted: Wanted) -> None:
        self.open += 1
        client = await Client.ask(self.address, wanted.request)
        if wanted.leave_after is None:
            ending = await client.ending(BOUND)
        else:
            ending = await client.ending_by_leaving(wanted.leave_after)
        self.open -= 1
        self.ended.append(
            Ended(client.request_id, wanted.expected, ending, client.sent, client.ended)
        )
