"""The plots of docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from bench import figures, loads, peers, programme
from bench.figures import Figure, overloaded, spread
from bench.loads import Load
from bench.results import Results
from bench.tables import growth_loads

# What each plot shows, by the name of the section that has it.
PLOTS: Mapping[str, str] = {
    "paced": "CPU a message, and how long messages take, at 200 streams of 50 messages a second",
    "idle": "Memory an open stream",
    "growth": "CPU a message and delay from 50 to 10,000 streams",
}

_OURS, _OTHERS = "#1f6f78", "#9aa5b1"
_LINES = ("#1f6f78", "#d1495b", "#edae49", "#66a182", "#5d4e6d", "#9aa5b1", "#2e4057", "#8d96a3")


def write_plots(results: Results, directory: Path) -> None:
    """Write all plots, as SVG, into ``directory``."""
    directory.mkdir(exist_ok=True)
    drawing: Mapping[str, Callable[[Results], Sheet]] = {
        "paced": _paced,
        "idle": _idle,
        "growth": _growth,
    }
    with mpl.rc_context():
        # The same bytes for the same data.
        mpl.rcParams["svg.hashsalt"] = "bench"
        mpl.rcParams["svg.fonttype"] = "none"
        for name, draw in drawing.items():
            sheet = draw(results)
            sheet.savefig(directory / f"{name}.svg", metadata={"Date": None})


def _sheet(columns: int) -> tuple[Sheet, Sequence[Axes]]:
    sheet = Sheet(figsize=(5 * columns, 3.6), layout="constrained")
    axes = [sheet.add_subplot(1, columns, 1 + column) for column in range(columns)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return sheet, axes


def _bars(axes: Axes, results: Results, figure: Figure, load: Load) -> None:
    found = {
        peer.title: values.median
        for name, peer in programme.every_peer().items()
        if (values := spread(results, figure, name, load)) is not None
    }
    names = list(found)
    colours = [_OURS if "this bridge" in name else _OTHERS for name in names]
    bars = axes.barh(names, list(found.values()), color=colours)
    axes.bar_label(bars, fmt=lambda value: figure.text(value), padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_title(f"{figure.title}\n{load.title}", fontsize=10, loc="left")


def _paced(results: Results) -> Sheet:
    sheet, (left, right) = _sheet(2)
    _bars(left, results, figures.CPU_PER_MESSAGE, loads.PACED_200)
    for name, peer in programme.every_peer().items():
        runs = [r for r in results.runs if (r.peer, r.load) == (name, loads.PACED_200.name)]
        if not runs or peer.role is not peers.Role.SERVER:
            continue
        if any(overloaded(run, loads.PACED_200) for run in runs):
            continue
        middle = sorted(runs, key=lambda run: run.delays["0.99"])[len(runs) // 2]
        parts = list(middle.delays)[:-1]
        right.plot(
            [f"{float(part) * 100:g}" for part in parts],
            [middle.delays[part] / 1e6 for part in parts],
            label=peer.title,
            marker=".",
            color=_LINES[len(right.lines) % len(_LINES)],
        )
    right.set_yscale("log")
    right.set_title(f"Delay, ms, by percentile\n{loads.PACED_200.title}", fontsize=10, loc="left")
    right.legend(fontsize=7, frameon=False)
    return sheet


def _idle(results: Results) -> Sheet:
    sheet, (left, right) = _sheet(2)
    _bars(left, results, figures.MEMORY, loads.IDLE_2000)
    _bars(right, results, figures.OPENING, loads.IDLE_2000)
    return sheet


def _growth(results: Results) -> Sheet:
    sheet, axes = _sheet(2)
    for one, figure in zip(axes, (figures.CPU_PER_MESSAGE, figures.DELAY_P99), strict=True):
        for peer, colour in ((programme.ours(), _OURS), (peers.ENVOY, _OTHERS)):
            points = [
                (load.streams, values.median)
                for load in growth_loads()
                if (values := spread(results, figure, peer.name, load)) is not None
            ]
            if points:
                one.plot(*zip(*points, strict=True), label=peer.title, marker="o", color=colour)
        one.set_xscale("log")
        one.margins(y=0.1)
        one.set_ylim(bottom=0)
        one.set_xlabel("streams")
        one.set_title(
            f"{figure.title}\n{loads.GROWTH_MESSAGES:,} messages a second in all",
            fontsize=10,
            loc="left",
        )
        one.legend(fontsize=8, frameon=False)
    return sheet
