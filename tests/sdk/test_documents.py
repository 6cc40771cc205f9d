"""The snippets in the documents do what is said of them."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys

import pytest

from tests.conftest import RunningBridge
from tests.sdk import test_clients
from tests.sdk.clients.all import CLIENTS
from tests.sdk.table import FEATURES
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


def test_the_table_has_every_client_and_leads_to_the_tests() -> None:
    head, _, *rows = section("docs/clients.md", "clients").splitlines()
    assert head.split(" | ")[1:] == [*list(FEATURES.values())[:-1], f"{[*FEATURES.values()][-1]} |"]
    assert [row.split(" | ")[0] for row in rows] == [f"| {client.name}" for client in CLIENTS]
    lines = {test: inspect.getsourcelines(getattr(test_clients, test))[1] for test in FEATURES}
    for row in rows:
        cells = row.split(" | ")[1:]
        assert len(cells) == len(FEATURES)
        for cell, line in zip(cells, lines.values(), strict=True):
            linked = re.search(r"test_clients\.py#L(\d+)\)", cell)
            assert linked is None or int(linked[1]) == line, "run: make clients"
            assert linked or cell.startswith("no: "), "run: make clients"
