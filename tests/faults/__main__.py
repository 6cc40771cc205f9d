"""``python -m tests.faults``: every fault with many streams, and the table of what came of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tests.faults.report import write
from tests.faults.run import HEADINGS, row, run_all, table


def main() -> None:
    """Run what the arguments say; exit with 1 if anything is not as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--streams", type=int, default=200, help="of each fault (200)")
    parser.add_argument("--only", default="", help="the faults whose name has this in it")
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    given = parser.parse_args()
    chosen = [fault for fault in FAULTS if given.only in fault.name]
    if not chosen:
        parser.error(f"no fault has {given.only!r} in its name")
    raise SystemExit(asyncio.run(faults(chosen, given.streams, into_document=given.write)))


async def faults(chosen: Sequence[Fault], streams: int, *, into_document: bool) -> int:
    """Run the faults and print their table; return the exit status."""
    rows, bad = [], 0
    _print(table(HEADINGS, []))
    async for result in run_all(chosen, streams):
        rows.append(row(result))
        _print(table(rows[-1], []).splitlines(keepends=True)[0])
        for complaint in result.complaints[:10]:
            print(f"  !! {complaint}", file=sys.stderr)  # noqa: T201
        bad += bool(result.complaints)
    _print(f"\n{len(rows)} faults, {bad} of them not as they have to be.\n")
    if into_document:
        write("faults", f"python -m tests.faults --streams {streams}", table(HEADINGS, rows))
    return 1 if bad else 0


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
