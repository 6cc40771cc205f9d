"""Tables of what was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench import figures, loads, programme
from bench.claims import claims, faults
from bench.figures import FIGURES, GROWING, Figure, overloaded, spread
from bench.loads import Load
from bench.peers import ENVOY
from bench.results import STRAINED, Results, Run

_STRAINED_MARK = " †"
_STRAINED = (
    f"† The backend and the load generator took more than {STRAINED:.0%} of what they have in one "
    "of the runs, and the peer had time left: it may be faster than that.\n"
)
_OVERLOADED = "more and more"
_WHAT_IS_OVERLOADED = (
    f"*{_OVERLOADED.capitalize()}*: the peer carried less than it was given, and what waits for it "
    "grows for as long as the load lasts.\n"
)
_BUFFERED = (
    "What a peer has taken in of a flood when it ends, and still has to hand on after three "
    "seconds, is not waited for: {}.\n"
)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def load_table(results: Results, load: Load, extra: Sequence[Figure] = ()) -> str:
    """Return the figures of all peers under ``load``, or nothing if there are none."""
    titles = {name: peer.title for name, peer in programme.every_peer().items()}
    runs = [run for run in results.runs if run.load == load.name]
    measured = {run.peer for run in runs}
    present = [peer for peer in titles if peer in measured] + sorted(measured - titles.keys())
    if not present:
        return ""
    shown = [*FIGURES[load.kind], *extra]
    kept = [f for f in shown if any(spread(results, f, peer, load) for peer in present)]
    rows, notes = [], {}
    for peer in present:
        of_peer = [run for run in runs if run.peer == peer]
        title = titles.get(peer, peer)
        too_much = any(overloaded(run, load) for run in of_peer)
        cells = [
            _OVERLOADED if too_much and figure in GROWING else _cell(results, figure, peer, load)
            for figure in kept
        ]
        if too_much:
            notes[_WHAT_IS_OVERLOADED] = ""
        if any(run.strained for run in of_peer):
            title += _STRAINED_MARK
            notes[_STRAINED] = ""
        rows.append([title, *cells])
    if buffering := [titles.get(peer, peer) for peer in present if _has_buffered(runs, peer)]:
        notes[_BUFFERED.format("; ".join(buffering))] = ""
    written = f"{load.title}:\n\n" + table(["", *(figure.title for figure in kept)], rows)
    return "\n".join([written, *notes])


def _has_buffered(runs: Iterable[Run], peer: str) -> bool:
    return any(run.not_awaited for run in runs if run.peer == peer)


def _cell(results: Results, figure: Figure, peer: str, load: Load) -> str:
    found = spread(results, figure, peer, load)
    return found.text(figure.text) if found else ""


def claims_table(results: Results) -> str:
    """Return what has to be shown, and whether it is."""
    rows = [
        [
            claim.text,
            claim.ours,
            claim.other,
            claim.ratios.text("{:.2f}".format),
            "" if claim.limit is None else f"{claim.limit:.2f}",
            claim.verdict,
        ]
        for claim in claims(results)
    ]
    headings = ["", "this bridge", "the other", "ratio in a round", "at most", "shown"]
    return table(headings, rows) + "\n" + faults_list(results)


def faults_list(results: Results) -> str:
    """Return what peers have done wrong, or that they have done nothing wrong."""
    whole = sum(run.whole for run in results.runs)
    found = faults(results)
    if not found:
        return (
            f"{whole:,} streams came through with every byte, in order, and with their ending. "
            "None was refused, cut, or wrong.\n"
        )
    return "Not every stream came through whole:\n\n" + "".join(f"- {fault}\n" for fault in found)


def growth_loads() -> list[Load]:
    """Return the loads that differ in the number of streams alone."""
    same = (loads.PACED_200, loads.PACED_2000, *loads.GROWTH)
    return sorted(same, key=lambda load: load.streams)


def growth_table(results: Results) -> str:
    """Return what a message costs while the number of streams grows."""
    beside = (programme.ours(), ENVOY)
    headings = ["streams"]
    for peer in beside:
        headings += [f"{peer.title}: CPU a message, µs", "p99, ms"]
    rows = []
    for load in growth_loads():
        cells = [
            _cell(results, figure, peer.name, load)
            for peer in beside
            for figure in (figures.CPU_PER_MESSAGE, figures.DELAY_P99)
        ]
        if any(cells):
            rows.append([f"{load.streams:,}", *cells])
    return table(headings, rows) if rows else ""


def profile_tables(results: Results) -> str:
    """Return where the time of a message goes."""
    written = ""
    for profile in results.profiles:
        title = programme.every_peer()[profile.peer].title
        rows = [
            [
                f"`{function}`",
                f"{microseconds:.2f}",
                f"{microseconds / profile.cpu_per_message:.1%}",
            ]
            for function, microseconds in profile.functions.items()
        ]
        written += (
            f"{title[0].upper()}{title[1:]}, {programme.every_load()[profile.load].title}, "
            f"{profile.cpu_per_message:.1f} µs of CPU a message, {profile.samples:,} samples:\n\n"
            + table(["function, itself", "µs a message", "part"], rows)
            + "\n"
        )
    return written.rstrip("\n") + "\n" if written else ""


# What a core is planned for: the rest is for bursts, and for streams that open and close.
_PLANNED = 0.7
_RATES = (5, 20, 50)


def sizing_table(results: Results) -> str:
    """Return how many streams a core carries, and what memory they take."""
    ours = programme.ours().name
    cpu = spread(results, figures.CPU_PER_MESSAGE, ours, loads.PACED_2000)
    memory = spread(results, figures.MEMORY, ours, loads.IDLE_10000)
    opening = spread(results, figures.CPU_PER_STREAM, ours, loads.SHORT)
    if cpu is None or memory is None or opening is None:
        return ""
    rows = [[f"{rate}", f"{_PLANNED * 1e6 / cpu.median / rate:,.0f}"] for rate in _RATES]
    per_core = table(["messages a second of a stream", "streams a core"], rows)
    return (
        f"With {_PLANNED:.0%} of a core of this machine, at {cpu.median:.1f} µs a message:\n\n"
        f"{per_core}\n"
        f"Of 10,000 open streams each takes {memory.median:.0f} KB, and all "
        f"{memory.median * 10_000 / 1024:,.0f} MB. A stream of 20 messages on a connection of its "
        f"own takes {opening.median / 1000:.2f} ms of CPU from its opening to its end.\n"
    )
