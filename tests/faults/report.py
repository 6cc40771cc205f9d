"""What was found, and how it gets into docs/reliability.md: each section is from a command."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from bridge.settings import Settings

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "reliability.md"


@dataclass
class Findings:
    """What a scenario showed.

    Attributes:
        headings: Those of its table.
        rows: The rows of its table.
        sentences: What to say below it.
        complaints: What was not as it has to be.
    """

    headings: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table, and the sentences below it."""
        sentences = "".join(f"\n{sentence}\n" for sentence in self.sentences)
        return table(self.headings, self.rows) + sentences


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "".join(map(table_row, [headings, ["---"] * len(headings), *rows]))


def table_row(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |\n"


def write(section: str, command: str, body: str) -> None:
    """Put ``body`` between the markers of ``section``, with what it was measured by.

    Args:
        section: The name in the markers.
        command: The command that measured it.
        body: Markdown.
    """
    write_section(DOCUMENT, section, f"{_measured_by(command)}\n\n{body}")


def write_section(document: Path, section: str, body: str) -> None:
    """Put ``body`` between the markers of ``section`` in ``document``."""
    text = document.read_text()
    markers = rf"(<!-- {re.escape(section)} -->\n).*?(<!-- end -->)"
    written, found = re.subn(markers, lambda m: m[1] + body + m[2], text, flags=re.DOTALL)
    if not found:
        raise LookupError(f"{document.name} has no section {section!r}")
    document.write_text(written)


def _measured_by(command: str) -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    packages = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "uvicorn", "fastapi"))
    return (
        f"`{command}`, {today}, transport {Settings().transport}, "
        f"Python {platform.python_version()}, {packages}, "
        f"{platform.system()}, {os.cpu_count()} cores for everything."
    )
