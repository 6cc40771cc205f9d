"""The figures that a run has, and what several runs say of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.loads import Kind, Load
from bench.results import Results, Run


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that was measured.

    Attributes:
        title: What it is, with its unit.
        of: Reads it from a run; None when the run has none.
        digits: How many digits stand behind the point.
    """

    title: str
    of: Callable[[Run, Load], float | None]
    digits: int = 1

    def text(self, value: float) -> str:
        """Return a value of it as text."""
        return f"{value:,.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Spread:
    """What several runs say."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return median(self.values)

    def text(self, show: Callable[[float], str]) -> str:
        """Return the median, and the least and the most where there are several."""
        if len(self.values) == 1:
            return show(self.median)
        return f"{show(self.median)} ({show(min(self.values))} to {show(max(self.values))})"


def by_round(results: Results, figure: Figure, peer: str, load: Load) -> dict[int, float]:
    """Return what each round says of ``figure``, with ``peer`` under ``load``."""
    runs = [run for run in results.runs if (run.peer, run.load) == (peer, load.name)]
    return {run.round: value for run in runs if (value := figure.of(run, load)) is not None}


def spread(results: Results, figure: Figure, peer: str, load: Load) -> Spread | None:
    """Return what all rounds say of ``figure``, with ``peer`` under ``load``."""
    values = [*by_round(results, figure, peer, load).values()]
    return Spread(values) if values else None


def _quantile(name: str, where: str) -> Callable[[Run, Load], float | None]:
    def of(run: Run, load: Load) -> float | None:
        found: dict[str, int] = getattr(run, where)
        return found[name] / 1e6 if name in found else None

    return of


def _per_message(run: Run, load: Load) -> float | None:
    return run.cpu / run.messages * 1e6 if run.messages else None


def _per_stream(run: Run, load: Load) -> float | None:
    return run.cpu / run.whole_while_measured * 1e6 if run.whole_while_measured else None


def _streams_a_second(run: Run, load: Load) -> float | None:
    return run.whole_while_measured / run.seconds


def _memory(run: Run, load: Load) -> float | None:
    streams = load.stalled or load.streams
    return (run.memory - run.memory_before) / streams / 1024


def _imbalance(run: Run, load: Load) -> float | None:
    counts = run.connections
    return max(counts) / (sum(counts) / len(counts)) if counts else None


CPU_PER_MESSAGE = Figure("CPU a message, µs", _per_message)
CPU_PER_STREAM = Figure("CPU a stream, µs", _per_stream, 0)
STREAMS = Figure("streams a second", _streams_a_second, 0)
CORE = Figure("of a core, %", lambda run, _: run.cpu / run.seconds * 100, 0)
WAITED = Figure("waited for it, %", lambda run, _: run.waited / run.seconds * 100, 0)
THROUGHPUT = Figure("messages a second", lambda run, _: run.messages / run.seconds, 0)
DELAY_P50 = Figure("delay p50, ms", _quantile("0.5", "delays"), 2)
DELAY_P99 = Figure("p99, ms", _quantile("0.99", "delays"), 2)
DELAY_MAX = Figure("max, ms", _quantile("1", "delays"), 2)
FIRST_P50 = Figure("first message p50, ms", _quantile("0.5", "firsts"), 2)
FIRST_P99 = Figure("p99, ms", _quantile("0.99", "firsts"), 2)
MEMORY = Figure("memory a stream, KB", _memory)
OPENING = Figure("CPU to open one, µs", lambda run, load: run.opening_cpu / load.streams * 1e6, 0)
START_UP = Figure("start-up, s", lambda run, _: run.start_up or None, 2)
OPEN = Figure("held open", lambda run, load: load.streams - run.refused - run.lost, 0)
IMBALANCE = Figure("busiest worker / mean", _imbalance, 2)
BACKEND = Figure("backend, % of a core", lambda run, _: run.backend_cpu / run.seconds * 100, 0)
GENERATOR = Figure("generator, %", lambda run, _: run.generator_cpu / run.seconds * 100, 0)
LATE = Figure("backend late p99, ms", lambda run, _: run.late_p99 / 1e6, 2)

# What grows for as long as the load lasts when a peer carries less than it is given.
GROWING = (DELAY_P50, DELAY_P99, DELAY_MAX, FIRST_P50, FIRST_P99)

_SHARES = (CORE, WAITED, BACKEND, GENERATOR)

FIGURES = {
    Kind.PACED: (CPU_PER_MESSAGE, DELAY_P50, DELAY_P99, DELAY_MAX, *_SHARES, LATE),
    Kind.FLOOD: (THROUGHPUT, CPU_PER_MESSAGE, *_SHARES, START_UP),
    Kind.SHORT: (STREAMS, CPU_PER_STREAM, FIRST_P50, FIRST_P99, *_SHARES),
    Kind.IDLE: (MEMORY, OPEN, OPENING, CORE),
    Kind.SLOW: (MEMORY, DELAY_P50, DELAY_P99, DELAY_MAX, *_SHARES),
}


def overloaded(run: Run, load: Load) -> bool:
    """Return whether a peer has carried clearly less than it was given."""
    match load.kind:
        case Kind.PACED:
            carried, given = run.messages, load.streams * load.rate
        case Kind.SHORT:
            carried, given = run.whole_while_measured, load.streams
        case _:
            return False
    return carried < 0.95 * given * run.seconds
