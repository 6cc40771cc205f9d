"""Writes docs/reliability.md: each section is what a command measured."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "reliability.md"


def write(section: str, command: str, body: str) -> None:
    """Put ``body`` between the markers of ``section``, with what it was measured by.

    Args:
        section: The name in the markers.
        command: The command that measured it.
        body: Markdown.
    """
    text = DOCUMENT.read_text()
    markers = rf"(<!-- {re.escape(section)} -->\n).*?(<!-- end -->)"
    new = f"{_measured_by(command)}\n\n{body}"
    written, found = re.subn(markers, lambda m: m[1] + new + m[2], text, flags=re.DOTALL)
    if not found:
        raise LookupError(f"{DOCUMENT.name} has no section {section!r}")
    DOCUMENT.write_text(written)


def _measured_by(command: str) -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    packages = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "uvicorn", "fastapi"))
    return (
        f"`{command}`, {today}, Python {platform.python_version()}, {packages}, "
        f"{platform.system()}, {os.cpu_count()} cores for everything."
    )
