"""``scripts/run-tests``, which ``make test`` calls: what it says of a run, and how it exits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PASSES = "def test_a(): pass\n"
FAILS = "def test_a(): assert False\n"
SKIPPED = "import pytest\n@pytest.mark.skip(reason='no reason')\ndef test_a(): pass\n"
KEEPS_BYTECODE = "import sys\ndef test_a(): assert not sys.dont_write_bytecode\n"


def run_tests(test: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    file = folder / "test_it.py"
    file.write_text(test)
    return subprocess.run(
        ["scripts/run-tests", "--rootdir", folder, "-p", "no:cacheprovider", file],
        cwd=ROOT,
        env={**os.environ, **env},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("test", "ci", "status", "summary"),
    [
        (PASSES, "true", 0, "1 passed in"),
        (FAILS, "", 1, "1 failed in"),
        (SKIPPED, "", 0, "1 skipped in"),
        (SKIPPED, "true", 1, "1 skipped in"),
        ("", "", 5, "no tests ran in"),
    ],
    ids=["passes", "fails", "skipped", "skipped in CI", "no tests"],
)
def test_the_last_line_is_the_summary_and_the_status_fits_it(
    tmp_path: Path, test: str, ci: str, status: int, summary: str
) -> None:
    process = run_tests(test, tmp_path, CI=ci)
    assert process.returncode == status
    assert summary in process.stdout.splitlines()[-1]


def test_what_the_tests_import_is_compiled_once(tmp_path: Path) -> None:
    process = run_tests(KEEPS_BYTECODE, tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert process.returncode == 0, process.stdout
