"""Has values judged by the types that packages of npm publish."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.sdk.clients.javascript import NODE

HERE = Path(__file__).resolve().parent
_TSC = str(HERE / "node_modules" / "typescript" / "bin" / "tsc")
_SECONDS = 60

_OPTIONS = [
    *("--noEmit", "--strict", "--pretty", "false", "--skipLibCheck", "--types", ""),
    *("--target", "es2023", "--lib", "es2023,dom,dom.asynciterable"),
    *("--module", "nodenext", "--moduleResolution", "nodenext", "--allowImportingTsExtensions"),
]

# An error of a value, with the lines that say more of it; and one that belongs to none.
_COMPLAINT = re.compile(r"^values\.ts\((\d+),\d+\): error (.*(?:\n .*)*)", re.MULTILINE)
_ERROR = re.compile(r"^(?!values\.ts)\S.*\berror TS.*", re.MULTILINE)


async def run_node(*arguments: str, given: str = "", cwd: Path = HERE) -> str:
    """Run Node, which reads ``given``, and return what it prints, whatever its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(str(NODE), *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            output, _ = await process.communicate(given.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode()


async def complaints(values: Sequence[tuple[str, object]]) -> list[str]:
    """Return what ``tsc`` has against each value, empty for nothing.

    Args:
        values: Each with the name of its type in ``published.ts``. As they are literals, they may
            have no excess fields.
    """
    prelude = f"import type * as t from {json.dumps(str(HERE / 'published.ts'))};"
    lines = [
        f"const v{number}: t.{name} = {json.dumps(value)};"
        for number, (name, value) in enumerate(values)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "values.ts").write_text("\n".join([prelude, *lines]))
        output = await run_node(_TSC, *_OPTIONS, "values.ts", cwd=Path(folder))
    assert not _ERROR.findall(output), output
    found = [""] * len(values)
    for line, complaint in _COMPLAINT.findall(output):
        found[int(line) - 2] += complaint
    return found
