"""How fast the cores are just now.

On a machine that is shared, whoever else is on a core makes it slower: by half, for half a minute,
and the kernel says nothing of it. Two runs can be compared if neither fell into such a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from bench.measure import on_cores
from bench.results import DISTURBED, Run

_STEPS = 50_000
_REPEATS = 3


class Cores:
    """Cores, whose speed is compared with the best that any of them has shown.

    Args:
        numbers: Which they are.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = [*numbers]
        self._best = float("inf")

    def slowness(self) -> float:
        """Return how many times as long as at best the slowest core takes for the same work."""
        took = []
        for number in self._numbers:
            with on_cores([number]):
                took.append(min(_work() for _ in range(_REPEATS)))
        self._best = min(self._best, *took)
        return max(took) / self._best


def _work() -> int:
    """Return the nanoseconds of the processor's time that some work takes."""
    start = time.thread_time_ns()
    total = 0
    for number in range(_STEPS):
        total += number * number
    return time.thread_time_ns() - start


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is done for a run that nobody disturbs.

    Attributes:
        waits: How often to wait, before a run, for cores that are slow.
        tries: How often to measure.
        pause: Seconds of each wait.
    """

    waits: int
    tries: int
    pause: float = 1


MUCH = Patience(waits=60, tries=4)
NONE = Patience(waits=0, tries=1)


async def undisturbed(
    measure: Callable[[], Awaitable[Run]], slowness: Callable[[], float], patience: Patience
) -> Run:
    """Return a run before and after which the cores were fast; the last one if there is none.

    Args:
        measure: Measures once.
        slowness: Says how slow the cores are.
        patience: How long to go on.
    """
    for _ in range(patience.tries):
        before = await _wait_until_fast(slowness, patience)
        run = await measure()
        run = replace(run, slowness=max(before, slowness()))
        if not run.disturbed:
            break
    return run


async def _wait_until_fast(slowness: Callable[[], float], patience: Patience) -> float:
    """Return how slow the cores are in the end."""
    found = slowness()
    for _ in range(patience.waits):
        if found <= DISTURBED:
            break
        await asyncio.sleep(patience.pause)
        found = slowness()
    return found
