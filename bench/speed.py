"""How fast the cores are just now.

On a machine that is shared, whoever else is on a core makes it slower: by half, for half a minute,
and the kernel says nothing of it. Two runs can be compared if neither fell into such a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from statistics import mean

from bench.measure import on_cores
from bench.results import DISTURBED, Run

# A reading takes half a millisecond of each core, so that it can be taken during a run.
_STEPS = 4000
_REPEATS = 5
_PAUSE_SECONDS = 0.25


class Speedometer:
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

    async def watch(self, until: int) -> float:
        """Return the mean slowness up to a moment, in nanoseconds of CLOCK_MONOTONIC."""
        readings = [self.slowness()]
        while (left := (until - time.monotonic_ns()) / 1e9) > 0:
            await asyncio.sleep(min(left, _PAUSE_SECONDS))
            readings.append(self.slowness())
        return mean(readings)


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
    pause: float = 0.5


MUCH = Patience(waits=40, tries=4)
NONE = Patience(waits=0, tries=1)


async def undisturbed(
    measure: Callable[[], Awaitable[Run]], slowness: Callable[[], float], patience: Patience
) -> Run:
    """Return a run in which the cores were fast; the one with the fastest if there is none.

    Args:
        measure: Measures once.
        slowness: Says how slow the cores are.
        patience: How long to go on.
    """
    runs: list[Run] = []
    for _ in range(patience.tries):
        await _wait_until_fast(slowness, patience)
        runs.append(await measure())
        if not runs[-1].disturbed:
            break
    return min(runs, key=lambda run: run.slowness)


async def _wait_until_fast(slowness: Callable[[], float], patience: Patience) -> None:
    for _ in range(patience.waits):
        if slowness() <= DISTURBED:
            break
        await asyncio.sleep(patience.pause)
