"""What docs/interop.md says: made of the cases and of what differs from them."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from tests.faults.report import table, write_section
from tests.interop.cases.catalogue import (
    DEVIATIONS,
    FURTHER,
    PROXIED,
    PUBLISHED,
    Case,
    concerns,
    deviation,
)
from tests.interop.servers.makes import MAKES, Make

DOCUMENT = Path(__file__).parents[2] / "docs" / "interop.md"

SECTIONS: dict[str, Sequence[Case]] = {
    "published cases": PUBLISHED,
    "further cases": (*FURTHER, *PROXIED),
}


def name(case: Case) -> str:
    """Return what a case is called."""
    return case.__name__


def body(cases: Sequence[Case]) -> str:
    """Return the table of ``cases``, the notes of what differs, and what the cases do."""
    reasons = list(dict.fromkeys(each.reason for each in DEVIATIONS if each.case in cases))
    rows = [[name(case), *(_cell(make, case, reasons) for make in MAKES)] for case in cases]
    notes = "".join(f"{number}. {reason}\n" for number, reason in enumerate(reasons, 1))
    described = "".join(f"- `{name(case)}`: {_description(case)}\n" for case in cases)
    return "\n".join([table(["", *(make.name for make in MAKES)], rows), notes, described])


def _description(case: Case) -> str:
    return (case.__doc__ or "").replace("``", "`")


def _cell(make: Make, case: Case, reasons: Sequence[str]) -> str:
    if not concerns(make, case):
        return ""
    differs = deviation(make, case)
    return "yes" if differs is None else f"({reasons.index(differs.reason) + 1})"


def write(command: str, versions: dict[str, str]) -> None:
    """Write all sections.

    Args:
        command: The one that has run the cases.
        versions: Those of the servers, by their names.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    servers = ", ".join(f"{server} {version}" for server, version in versions.items())
    write_section(DOCUMENT, "run", f"`{command}`, {today}: {servers}.\n")
    for section, cases in SECTIONS.items():
        write_section(DOCUMENT, section, body(cases))
