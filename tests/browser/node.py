"""Runs a module of ours in Node."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


async def node(module: str, argument: object, seconds: float = 60) -> Any:
    """Run ``module`` with ``argument`` as JSON, and return the JSON that it prints."""
    executable = shutil.which("node")
    assert executable, "these tests need Node 18 or newer: apt-get install nodejs"
    process = await asyncio.create_subprocess_exec(
        executable,
        str(HERE / module),
        json.dumps(argument),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return json.loads(output)
