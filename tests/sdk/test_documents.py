"""The snippets in the documents do what is said of them."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.conftest import RunningBridge
from tests.test_docs import section


async def run(source: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", source),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert err.decode() == ""
    return out.decode()


@pytest.mark.parametrize("name", ["openai", "anthropic"])
async def test_a_snippet_prints_the_answer(bridge_server: RunningBridge, name: str) -> None:
    source = section("docs/clients.md", name).removeprefix("```python\n").removesuffix("```\n")
    assert "http://127.0.0.1:8000" in source
    printed = await run(source.replace("http://127.0.0.1:8000", bridge_server.url))
    # Without directives, the script engine repeats what it was asked.
    assert printed == "Name the capital of France."
