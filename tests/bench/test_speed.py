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


async def measured(waits: list[bool], runs: list[float], patience: Patience) -> Run:
    """Return the run that is kept, with its number; what happens is taken out of the lists.

    Args:
        waits: Whether the cores are slow, each time that somebody looks before a run.
        runs: For which part of each run they are.
        patience: How long to go on.
    """
    numbers = iter(range(len(runs)))

    async def measure() -> Run:
        return replace(run(OURS, PACED_200, next(numbers)), slow_part=runs.pop(0))

    return await undisturbed(measure, lambda: waits.pop(0), patience)


@pytest.mark.parametrize(
    ("waits", "runs", "kept"),
    [
        ([False], [0.05], 0),
        ([True, True, False], [0.0], 0),
        ([False, False], [0.5, 0.0], 1),
        ([False, True, False], [0.5, 0.05], 1),
        ([False, False], [0.3, 0.5], 0),
        ([True] * 6, [0.5, 0.3], 1),
    ],
    ids=["calm", "calm later", "again", "later again", "the better", "never"],
)
async def test_a_run_is_waited_for_and_measured_again(
    waits: list[bool], runs: list[float], kept: int
) -> None:
    slow_part = runs[kept]
    found = await measured(waits, runs, QUICKLY)
    assert (found.round, found.slow_part, waits, runs) == (kept, slow_part, [], [])
    assert found.disturbed == (slow_part > 0.1)


async def test_without_patience_there_is_one_run() -> None:
    waits, runs = [True], [0.5, 0.0]
    assert (await measured(waits, runs, NONE)).disturbed
    assert (waits, runs) == ([True], [0.0])


def test_a_core_is_compared_with_its_best() -> None:
    before = os.sched_getaffinity(0)
    speed = Speedometer([min(before)])
    assert not speed.slow()
    # As if it had once been so much faster.
    speed.best /= 10
    assert speed.slow()
    assert os.sched_getaffinity(0) == before


async def test_a_run_is_watched_until_its_end() -> None:
    until = time.monotonic_ns() + 300_000_000
    assert 0 <= await Speedometer(os.sched_getaffinity(0)).watch(until) <= 1
    assert time.monotonic_ns() >= until
