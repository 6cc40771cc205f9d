"""The snippets in the documents do what is said of them."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import sys
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.conftest import script
from tests.sdk import test_clients
from tests.sdk.clients.all import CLIENTS
from tests.sdk.clients.browser import bundle
from tests.sdk.clients.javascript import NODE
from tests.sdk.table import FEATURES
from tests.test_docs import section

pytestmark = pytest.mark.on_default_transport

DOCUMENT = "docs/clients.md"
HERE = Path(__file__).parent
BRIDGE = "http://127.0.0.1:8000"
QUESTION = '"Name the capital of France."'

SNIPPETS = [
    *("openai", "openai async", "openai javascript", "responses", "responses javascript"),
    *("langchain", "litellm", "llm", "ai", "anthropic", "anthropic javascript", "ollama"),
    *("httpx-sse", "eventsource-parser"),
]
SHELL = {
    "python": [sys.executable, "-"],
    "js": [str(NODE), "--input-type=module", "-"],
    "bash": ["bash", "-eu"],
}


def snippet(name: str) -> tuple[str, str]:
    """Return its language and its source."""
    found = re.fullmatch(r"```(\w+)\n(.*)```\n", section(DOCUMENT, name), re.DOTALL)
    assert found
    return found[1], found[2]


def saying(source: str, content: str) -> str:
    """Return a snippet that asks something else."""
    assert QUESTION in source
    return source.replace(QUESTION, json.dumps(content))


async def run(language: str, source: str, home: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *SHELL[language],
        cwd=HERE,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "LLM_USER_PATH": str(home),
            # See tests/sdk/clients/command_line.py.
            "LLM_LOAD_PLUGINS": "",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(source.encode())
    return process.returncode, out.decode()


@pytest.mark.parametrize("name", SNIPPETS)
async def test_a_snippet_prints_the_answer_or_how_it_ended(
    patient_url: str, name: str, tmp_path: Path
) -> None:
    language, source = snippet(name)
    assert BRIDGE in source
    source = source.replace(BRIDGE, patient_url).replace("smollm2-135m-instruct", "script")
    # Without directives, the script engine repeats what it was asked.
    code, printed = await run(language, source, tmp_path)
    assert (code, printed.rstrip("\n")) == (0, json.loads(QUESTION))

    failure = {"code": "NOT_FOUND", "message": "gone today", "after": 1}
    failing = saying(source, script(chunks=["Paris", "!"], fail=failure))
    code, printed = await run(language, failing, tmp_path)
    assert printed.startswith("Paris")
    assert "!" not in printed
    assert "gone today" in printed
    # Only a command can tell it so.
    assert code == (1 if language == "bash" else 0)


MOUNT = """
import { createRoot } from "react-dom/client";
createRoot(document.body.appendChild(document.createElement("main"))).render(<Chat />);
"""


async def test_the_snippet_of_use_chat_shows_the_answer_or_how_it_ended(
    browser: Browser, patient_url: str
) -> None:
    language, source = snippet("useChat")
    assert language == "jsx"
    page = await browser.new_page()
    await page.goto(f"{patient_url}/healthz")
    await page.evaluate(await bundle(source + MOUNT))
    paragraphs = page.locator("p")
    for content in ("hello", script(text="a", fail={"code": "NOT_FOUND", "message": "gone"})):
        await page.locator("input").fill(content)
        await page.get_by_role("button", name="Ask").click()
        shown = "hello" if content == "hello" else "The answer was cut: gone"
        await expect(paragraphs.last).to_have_text(shown)
    await page.close()


def test_the_table_has_every_client_and_leads_to_the_tests() -> None:
    head, _, *rows = section(DOCUMENT, "clients").splitlines()
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
