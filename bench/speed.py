"""How fast the cores are just now.

On a machine that is shared, whoever else is on a core makes it half as fast, for seconds or for
minutes, and the kernel says nothing of it. Two runs can be compared if neither fell into that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bench.measure import on_cores
from bench.results import Run

# A reading takes half a millisecond of each core, so that it can be taken during a run.
_STEPS = 4000
_REPEATS = 5
_PAUSE_SECONDS = 0.25

# A core on which somebody else works, too, takes about twice as long; one that has much to do for
# us, at most 1.3 times.
_SLOW = 1.5


class Speedometer:
    """Cores, whose speed is compared with the best that any of them has shown.

    Args:
        numbers: Which they are.

    Attributes:
        best: The shortest time that the work has taken, in nanoseconds.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = [*numbers]
        self.best = float("inf")

    def slow(self) -> bool:
        """Return whether a core takes much longer than at best for the same work."""
        took = []
        for number in self._numbers:
            with on_cores([number]):
                took.append(min(_work() for _ in range(_REPEATS)))
        self.best = min(self.best, *took)
        return max(took) > _SLOW * self.best

    async def watch(self, until: int) -> float:
        """Return the part of the time in which a core is slow.

        Args:
            until: When that time ends, in nanoseconds of CLOCK_MONOTONIC.
        """
        readings = [self.slow()]
        while (left := (until - time.monotonic_ns()) / 1e9) > 0:
            await asyncio.sleep(min(left, _PAUSE_SECONDS))
            readings.append(self.slow())
        return sum(readings) / len(readings)


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


MUCH = Patience(waits=10, tries=3)
NONE = Patience(waits=0, tries=1)


async def undisturbed(
    measure: Callable[[], Awaitable[Run]], slow: Callable[[], bool], patience: Patience
) -> Run:
    """Return a run in which the cores were fast; the least disturbed one if there is none.

    Args:
        measure: Measures once.
        slow: Says whether a core is slow.
        patience: How long to go on.
    """
    runs: list[Run] = []
    for _ in range(patience.tries):
        await _wait_until_fast(slow, patience)
        runs.append(await measure())
        if not runs[-1].disturbed:
            break
    return min(runs, key=lambda run: run.slow_part)


async def _wait_until_fast(slow: Callable[[], bool], patience: Patience) -> None:
    for _ in range(patience.waits):
        if not slow():
            break
        await asyncio.sleep(patience.pause)
