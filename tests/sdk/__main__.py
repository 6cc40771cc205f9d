"""``python -m tests.sdk``: asks with each client, and writes the table of docs/clients.md."""

from __future__ import annotations

import sys

import pytest

from tests.sdk import table


def main() -> int:
    """Return 0 when each client has seen what it should, and the table is written."""
    collector = table.Collector()
    code = pytest.main(["-q", str(table.TESTS)], plugins=[collector])
    if code == pytest.ExitCode.OK:
        table.write(table.table(collector.clients, collector.cells))
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
