"""``python -m tests.faults``: breaks things on purpose, and prints what came of it.

Without a scenario: every fault with many streams. Exits with 1 if anything is not as it has to be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Sequence

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tests.faults.report import Findings, table, table_row, write
from tests.faults.run import HEADINGS, row, rows, run_all
from tests.faults.scenarios.backends import backends
from tests.faults.scenarios.shutdown import shutdown
from tests.faults.scenarios.soak import soak
from tests.faults.scenarios.stalled import stalled
from tests.faults.scenarios.workers import workers

MOST_COMPLAINTS = 10


def main() -> None:
    """Run what the arguments say."""
    given = _parser().parse_args()
    if given.scenario is None:
        findings = asyncio.run(faults([f for f in FAULTS if given.only in f.name], given.streams))
    else:
        findings = asyncio.run(_scenario(given))
        _print(findings.markdown())
        _complain(findings.complaints)
    if given.write:
        arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
        command = " ".join(["python -m tests.faults", *arguments])
        write(given.scenario or "faults", command, findings.markdown())
    raise SystemExit(bool(findings.complaints))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--streams", type=int, default=200, help="of each fault")
    parser.add_argument("--only", default="", help="the faults that have this in their name")
    scenarios = parser.add_subparsers(dest="scenario", required=False)
    _add(scenarios, "soak", streams=1000, minutes=10)
    _add(scenarios, "stalled", streams=200, rate=20, seconds=60)
    _add(scenarios, "shutdown", streams=500, workers=[1, 4])
    _add(scenarios, "workers", streams=1000, workers=[2, 4])
    _add(scenarios, "backends", streams=300, seconds=60)
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    return parser


def _add(
    scenarios: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    **defaults: int | list[int],
) -> None:
    parser = scenarios.add_parser(name)
    for option, default in defaults.items():
        nargs = "+" if isinstance(default, list) else None
        parser.add_argument(f"--{option}", type=int, default=default, nargs=nargs)
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")


async def _scenario(given: argparse.Namespace) -> Findings:
    match given.scenario:
        case "soak":
            return await soak(given.streams, given.minutes)
        case "stalled":
            return await stalled(given.streams, given.rate, given.seconds)
        case "shutdown":
            return await shutdown(given.streams, given.workers)
        case "workers":
            return await workers(given.streams, given.workers)
        case _:
            return await backends(given.streams, given.seconds)


async def faults(chosen: Sequence[Fault], streams: int) -> Findings:
    """Run the faults, and print the row of each as soon as it is there."""
    findings = Findings(HEADINGS)
    _print(table(HEADINGS, []))
    results = []
    async for result in run_all(chosen, streams):
        results.append(result)
        findings.complaints += [f"{result.fault.name}: {why}" for why in result.complaints]
        _print(table_row(row(result.fault.name, [result])))
        _complain([f"{result.fault.name}: {why}" for why in result.complaints])
    findings.rows = rows(results)
    return findings


def _complain(complaints: Iterable[str]) -> None:
    for number, complaint in enumerate(complaints):
        if number < MOST_COMPLAINTS:
            print(f"!! {complaint}", file=sys.stderr)  # noqa: T201


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
