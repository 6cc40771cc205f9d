"""``python -m tests.interop``: runs every case with every transport, and prints what came of it.

Exits with 1 if anything failed. ``--write`` puts it into docs/interop.md if nothing did.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

from tests.interop.cases.catalogue import CASES, Case, concerns, deviation, run
from tests.interop.client import Client, client
from tests.interop.report import name, write
from tests.interop.servers.makes import MAKES, Servers
from tests.interop.transports import TRANSPORTS

_CASE_SECONDS = 60


def main() -> None:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    parser.add_argument("--only", default="", help="what has this in 'transport server case'")
    parser.add_argument("--write", action="store_true", help="into docs/interop.md")
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("a part can't be written")
    raise SystemExit(asyncio.run(_run_all(given.only, to_be_written=given.write)))


async def _run_all(only: str, *, to_be_written: bool) -> bool:
    failed = False
    versions = {}
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder))
        try:
            async for label, caller, case in _selected(only, servers):
                versions[caller.make.name] = caller.server.version
                failed |= not await _passes(label, caller, case)
        finally:
            await servers.close()
    if to_be_written and not failed:
        write("python -m tests.interop", versions)
    return failed


async def _selected(only: str, servers: Servers) -> AsyncIterator[tuple[str, Client, Case]]:
    for transport, connect in TRANSPORTS.items():
        for make in MAKES:
            labels = {f"{transport} {make.name} {name(case)}": case for case in CASES}
            selected = {
                label: case
                for label, case in labels.items()
                if concerns(make, case) and only in label
            }
            if selected:
                async with client(connect, make, servers) as caller:
                    for label, case in selected.items():
                        yield label, caller, case


async def _passes(label: str, caller: Client, case: Case) -> bool:
    try:
        async with asyncio.timeout(_CASE_SECONDS):
            await run(caller, case)
    except Exception:
        sys.stdout.write(f"{label}: FAILS\n{traceback.format_exc()}\n")
        return False
    differs = deviation(caller.make, case)
    sys.stdout.write(f"{label}: {'passes' if differs is None else differs.reason}\n")
    return True


if __name__ == "__main__":
    main()
