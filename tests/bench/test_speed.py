"""A run into which somebody else's work has fallen is measured again."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from bench.loads import PACED_200
from bench.results import Run
from bench.speed import NONE, Patience, Speedometer, undisturbed
from tests.bench.measured import OURS, run

QUICKLY = Patience(waits=3, tries=2, pause=0)
CALM, SLOW = 1.05, 1.8


async def measured(waits: list[float], runs: list[float], patience: Patience) -> Run:
    """Return the run that is kept, with its number; what happens is taken out of the lists.

    Args:
        waits: What the cores' slowness is before runs.
        runs: What it is during each of them.
        patience: How long to go on.
    """
    numbers = iter(range(len(runs)))

    async def measure() -> Run:
        return replace(run(OURS, PACED_200, next(numbers)), slowness=runs.pop(0))

    return await undisturbed(measure, lambda: waits.pop(0), patience)


@pytest.mark.parametrize(
    ("waits", "runs", "kept"),
    [
        ([CALM], [1.1], 0),
        ([SLOW, SLOW, CALM], [CALM], 0),
        ([CALM, CALM], [SLOW, CALM], 1),
        ([CALM, SLOW, CALM], [SLOW, 1.1], 1),
        ([CALM, CALM], [1.6, SLOW], 0),
        ([SLOW] * 6, [SLOW, 1.7], 1),
    ],
    ids=["calm", "calm later", "again", "later again", "the better", "never"],
)
async def test_a_run_is_waited_for_and_measured_again(
    waits: list[float], runs: list[float], kept: int
) -> None:
    slowness = runs[kept]
    found = await measured(waits, runs, QUICKLY)
    assert (found.round, found.slowness, waits, runs) == (kept, slowness, [], [])
    assert found.disturbed == (slowness > 1.2)


async def test_without_patience_there_is_one_run() -> None:
    waits, runs = [SLOW], [SLOW, CALM]
    assert (await measured(waits, runs, NONE)).disturbed
    assert (waits, runs) == ([SLOW], [CALM])


def test_cores_are_compared_with_their_best() -> None:
    speed = Speedometer(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    readings = [speed.slowness() for _ in range(5)]
    assert min(readings) >= 1
    assert os.sched_getaffinity(0) == before


async def test_a_run_is_watched_until_its_end() -> None:
    until = time.monotonic_ns() + 300_000_000
    assert await Speedometer(os.sched_getaffinity(0)).watch(until) >= 1
    assert time.monotonic_ns() >= until
