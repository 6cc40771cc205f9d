"""``python -m bench``: the bridge and its peers, side by side.

Without --write it prints what it measures. Exits with 1 if a stream was refused or not whole.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace

from bench import programme
from bench.claims import faults
from bench.figures import FIGURES, spread
from bench.loads import PACED_200, Load
from bench.peers import Peer
from bench.plots import PLOTS, write_plots
from bench.profile import profile
from bench.report import DATA, DOCUMENT, REPORT, document, machine, markdown, today, versions
from bench.report import PLOTS as PLOTS_DIRECTORY
from bench.results import Profile, Results, Run
from bench.run import Bench, bench

# What docs/performance.md says is the median of no fewer.
LEAST_ROUNDS = 5


def main() -> None:
    """Do what the arguments say."""
    parser = _parser()
    given = parser.parse_args()
    if given.write and (given.quick or given.only or given.rounds < LEAST_ROUNDS):
        parser.error(f"--write is for the whole bench, with {LEAST_ROUNDS} rounds or more")
    if given.render:
        write(Results.read(DATA))
        return
    _raise_descriptors()
    results = asyncio.run(_measure(given))
    print(f"\n{markdown(results)}")
    if given.write:
        write(results)
    raise SystemExit(bool(faults(results)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="what takes two minutes")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS)
    parser.add_argument("--only", default="", help="those that have this in peer/load")
    parser.add_argument("--no-profile", action="store_true", help="leave py-spy out")
    parser.add_argument(
        "--write", action="store_true", help="bench/report.*, docs/performance.md and its plots"
    )
    parser.add_argument("--render", action="store_true", help="write anew from bench/report.json")
    return parser


def _raise_descriptors() -> None:
    # What is started from here has the same limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _measure(given: argparse.Namespace) -> Results:
    trials = programme.quick() if given.quick else programme.full()
    rounds = 1 if given.quick else given.rounds
    steps = list(programme.course(trials, rounds, given.only))
    runs: list[Run] = []
    results = Results(today(), _command(), machine(), versions(), runs)
    async with bench() as running:
        for at, (number, trial, peer) in enumerate(steps, 1):
            run = await running.run(peer, trial.load, number)
            runs.append(run)
            print(f"{at}/{len(steps)} {_line(results, run, trial.load, peer)}", flush=True)
        profiles = [] if given.quick or given.no_profile else await _profile(running, results)
    return replace(results, profiles=profiles)


async def _profile(running: Bench, results: Results) -> list[Profile]:
    ours = programme.ours()
    measured = {run.peer for run in results.runs if run.load == PACED_200.name}
    return [await profile(running, ours, results)] if ours.name in measured else []


def _line(results: Results, run: Run, load: Load, peer: Peer) -> str:
    """Return what to say of one run in one line."""
    alone = replace(results, runs=[run])
    found = (
        f"{figure.title} {values.text(figure.text)}"
        for figure in FIGURES[load.kind]
        if (values := spread(alone, figure, peer.name, load)) is not None
    )
    wrong = "".join(f"; !! {complaint}" for complaint in run.complaints)
    return f"{load.name}, {peer.name}: {'; '.join(found)}{wrong}"


def _command(arguments: Sequence[str] = sys.argv[1:]) -> str:
    return " ".join(["python -m bench", *(a for a in arguments if a != "--write")])


def write(results: Results) -> None:
    """Write the report, its data, and what of it stands in the documents."""
    results.write(DATA)
    REPORT.write_text(markdown(results))
    write_plots(results, PLOTS_DIRECTORY)
    DOCUMENT.write_text(document(DOCUMENT.read_text(), results, PLOTS))


if __name__ == "__main__":
    main()
