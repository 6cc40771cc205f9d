"""A run into which somebody else's work has fallen is measured again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench.loads import PACED_200
from bench.results import Run
from bench.speed import NONE, Cores, Patience, undisturbed
from tests.bench.measured import OURS, run

QUICKLY = Patience(waits=3, tries=2, pause=0)


async def measured(readings: list[float], patience: Patience) -> tuple[Run, int, list[float]]:
    """Return the run, how many there were, and which readings of the speed are left."""
    left: Iterator[float] = iter(readings)
    runs: list[Run] = []

    async def measure() -> Run:
        runs.append(run(OURS, PACED_200, len(runs)))
        return runs[-1]

    found = await undisturbed(measure, lambda: next(left), patience)
    return found, len(runs), [*left]


@pytest.mark.parametrize(
    ("readings", "runs", "slowness"),
    [
        ([1.0, 1.1], 1, 1.1),
        ([1.8, 1.7, 1.0, 1.0], 1, 1.0),
        ([1.0, 1.8, 1.0, 1.0], 2, 1.0),
        ([1.0, 1.8, 1.8, 1.0, 1.02], 2, 1.02),
        ([1.0, 1.8, 1.0, 1.6], 2, 1.6),
        ([1.8, 1.8, 1.8, 1.8, 1.0, 1.7, 1.7, 1.7, 1.7, 1.0], 2, 1.7),
    ],
    ids=["calm", "calm later", "again", "later again", "never", "never calm"],
)
async def test_a_run_is_waited_for_and_measured_again(
    readings: list[float], runs: int, slowness: float
) -> None:
    found, number, left = await measured(readings, QUICKLY)
    assert (found.slowness, found.round, number, left) == (slowness, runs - 1, runs, [])
    assert found.disturbed == (slowness > 1.15)


async def test_without_patience_there_is_one_run() -> None:
    found, number, left = await measured([1.9, 1.0], NONE)
    assert (found.slowness, number, left) == (1.9, 1, [])


def test_cores_are_compared_with_their_best() -> None:
    cores = Cores(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    readings = [cores.slowness() for _ in range(5)]
    assert min(readings) >= 1
    assert os.sched_getaffinity(0) == before
