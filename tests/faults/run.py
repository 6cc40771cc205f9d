"""Runs faults with many streams, and makes the table of what they did."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from statistics import quantiles
from types import TracebackType

from tests.faults.fault import Fault, Result, run
from tests.faults.world import Setup, World, standing

HEADINGS = (
    "fault",
    "streams",
    "verdicts",
    "without a verdict",
    "RPCs left",
    "tasks left",
    "descriptors",
    "memory, MB",
    "to the verdict, s: p50",
    "max",
)


class Worlds:
    """The world of the last fault, which the next one can use when it needs the same."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._setup: Setup | None = None
        self._world: World | None = None

    async def __aenter__(self) -> Worlds:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def world(self, setup: Setup) -> World:
        """Return a world that is set so."""
        if self._world is None or setup != self._setup:
            await self._stack.aclose()
            self._world = await self._stack.enter_async_context(standing(setup))
            self._setup = setup
        return self._world


async def run_all(faults: Iterable[Fault], streams: int) -> AsyncIterator[Result]:
    """Run one fault after the other."""
    async with Worlds() as worlds:
        for fault in faults:
            yield await run(fault, await worlds.world(fault.setup), streams)


def row(name: str, results: Sequence[Result]) -> Sequence[str]:
    """Return the cells of results that belong together, in the order of ``HEADINGS``."""
    told = [outcome for result in results for outcome in result.outcomes]
    endings = Counter(str(outcome.ending) for outcome in told)
    if len(results) > 1 and all(not result.unexpected for result in results):
        endings = Counter(f"{outcome.ending.kind}, each as it should" for outcome in told)
    times = sorted(time for result in results for time in result.times())
    before, after = results[0].before, results[-1].after
    return (
        name,
        str(len(told)),
        ", ".join(f"{ending}: {count}" for ending, count in sorted(endings.items())),
        str(sum(result.without_verdict for result in results)),
        str(sum(result.after.calls for result in results)),
        str(sum(result.tasks_left for result in results)),
        f"{before.descriptors} → {after.descriptors}",
        f"{before.memory / 1e6:.0f} → {after.memory / 1e6:.0f}",
        f"{percentile(times, 50):.3f}" if times else "",
        f"{times[-1]:.3f}" if times else "",
    )


def rows(results: Iterable[Result]) -> list[Sequence[str]]:
    """Return a row for each fault, or for each group of faults."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.fault.group or result.fault.name, []).append(result)
    return [row(name, group) for name, group in groups.items()]


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which ``percent`` of ``values`` are; one value is its own."""
    return quantiles(values, n=100)[percent - 1] if len(values) > 1 else values[0]
