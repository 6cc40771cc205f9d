"""What has to be shown, as ratios, and whether it is.

A machine that is shared with others changes its speed. So two medians are not compared, but what
was measured in one round: a ratio is the median of the rounds'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from bench import figures, loads, peers, programme
from bench.figures import Figure, Spread, by_round
from bench.loads import Load
from bench.results import Results

# What a message may cost on a wire, beside the plain one.
_LIMITS_OF_WIRES = {"openai": 1.25}


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing to be shown.

    Attributes:
        text: What is compared.
        ours: The median of ours, as text.
        other: The median that it is compared with, as text.
        ratios: Ours through the other, in each round that has both.
        limit: The most that the ratio may be; None where it is only to be seen.
    """

    text: str
    ours: str
    other: str
    ratios: Spread
    limit: float | None

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return self.ratios.median

    @property
    def holds(self) -> bool:
        """Whether it is shown."""
        return self.limit is None or self.ratio <= self.limit

    @property
    def verdict(self) -> str:
        """What to say of it."""
        if self.limit is None:
            return ""
        return "yes" if self.holds else "**no**"


@dataclass(frozen=True, slots=True)
class _Side:
    peer: str
    load: Load


def claims(results: Results) -> list[Claim]:
    """Return all that can be said from ``results``."""
    return [claim for make in _all() if (claim := make(results)) is not None]


def _all() -> Iterator[Callable[[Results], Claim | None]]:
    ours, envoy = programme.ours().name, peers.ENVOY.name
    everybody = peers.STREAMING_RESPONSE.name
    first = peers.transports()[0]
    extras, bare = peers.with_all_extras(first).name, peers.bare_bridge(first).name
    p200, p2000, p50 = loads.PACED_200, loads.PACED_2000, loads.PACED_50
    for text, figure, load, other, limit in (
        ("CPU a message, beside Envoy", figures.CPU_PER_MESSAGE, p200, envoy, 1.0),
        ("CPU a message, beside StreamingResponse", figures.CPU_PER_MESSAGE, p200, everybody, 0.45),
        ("delay p99, beside Envoy", figures.DELAY_P99, p200, envoy, 1.0),
        ("delay p99, beside Envoy", figures.DELAY_P99, p2000, envoy, 1.0),
        ("memory a stream, beside Envoy", figures.MEMORY, loads.IDLE_2000, envoy, 0.6),
        ("memory a stream, beside Envoy", figures.MEMORY, loads.IDLE_10000, envoy, None),
        ("CPU to open a stream, beside Envoy", figures.OPENING, loads.IDLE_2000, envoy, None),
        ("CPU of a short stream, beside Envoy", figures.CPU_PER_STREAM, loads.SHORT, envoy, None),
        ("first message p50, beside Envoy", figures.FIRST_P50, loads.SHORT, envoy, None),
        ("first message p99, beside Envoy", figures.FIRST_P99, loads.SHORT, envoy, None),
        ("messages a second, beside Envoy", figures.THROUGHPUT, loads.FLOOD, envoy, None),
    ):
        yield _ratio(f"{load.title}: {text}", figure, _Side(ours, load), _Side(other, load), limit)
    for peer in peers.dialects(first):
        yield _ratio(
            f"{p200.title}: CPU a message, {peer.title.partition(', ')[2]} beside the plain wire",
            figures.CPU_PER_MESSAGE,
            _Side(peer.name, p200),
            _Side(ours, p200),
            _LIMITS_OF_WIRES.get(peer.wire),
        )
    trades = peers.of_trades(first).name
    for load in (p200, loads.FLOOD):
        yield _ratio(
            f"{load.title}: CPU a message of ten mixed fields, beside Envoy",
            figures.CPU_PER_MESSAGE,
            _Side(trades, load),
            _Side(peers.ENVOY_TRADES.name, load),
            1.3,
        )
    for fewer in (p50, loads.GROWTH[0]):
        yield _ratio(
            f"CPU a message, {p2000.title}, beside {fewer.title}",
            figures.CPU_PER_MESSAGE,
            _Side(ours, p2000),
            _Side(ours, fewer),
            1.15,
        )
    for figure, load, limit in (
        (figures.CPU_PER_MESSAGE, p200, 1.05),
        (figures.CPU_PER_STREAM, loads.SHORT, None),
        (figures.MEMORY, loads.IDLE_2000, None),
    ):
        text = f"{load.title}: {figure.title.partition(',')[0]}, all extras on beside off"
        yield _ratio(text, figure, _Side(extras, load), _Side(bare, load), limit)
    one, two = (peers.workers(first, count).name for count in (1, 2))
    yield _ratio(
        f"{loads.WORKERS.title}: streams a second, 2 workers beside 1",
        figures.STREAMS,
        _Side(two, loads.WORKERS),
        _Side(one, loads.WORKERS),
        None,
    )
    yield _balance(two)


def _ratio(
    text: str, figure: Figure, ours: _Side, other: _Side, limit: float | None
) -> Callable[[Results], Claim | None]:
    def make(results: Results) -> Claim | None:
        mine = by_round(results, figure, ours.peer, ours.load)
        theirs = by_round(results, figure, other.peer, other.load)
        ratios = [mine[number] / theirs[number] for number in mine if theirs.get(number)]
        if not ratios:
            return None
        our_median, their_median = median(mine.values()), median(theirs.values())
        shown = figure.text(our_median), figure.text(their_median)
        return Claim(text, *shown, Spread(ratios), limit)

    return make


def _balance(peer: str) -> Callable[[Results], Claim | None]:
    def make(results: Results) -> Claim | None:
        found = by_round(results, figures.IMBALANCE, peer, loads.BALANCE)
        if not found:
            return None
        runs = [run for run in results.runs if (run.peer, run.load) == (peer, loads.BALANCE.name)]
        busiest = median(max(run.connections) for run in runs)
        mean = median(sum(run.connections) / len(run.connections) for run in runs)
        text = f"{loads.BALANCE.title}: the busiest worker's, beside the mean"
        return Claim(text, f"{busiest:,.0f}", f"{mean:,.0f}", Spread([*found.values()]), 1.3)

    return make


def faults(results: Results) -> list[str]:
    """Return what peers have done wrong."""
    return [
        f"{run.peer} under {run.load}, round {run.round + 1}: {complaint}"
        for run in results.runs
        for complaint in run.complaints
    ]
