"""Clients in a browser, on a page of the bridge's own origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.browser.chromium import chromium
from tests.sdk.clients.client import Question, Seen

_HERE = Path(__file__).parent
_ESBUILD = _HERE.parent / "node_modules" / ".bin" / "esbuild"


def _seen(found: dict[str, Any]) -> Seen:
    seen = Seen(**found)
    seen.usage = seen.usage and (seen.usage[0], seen.usage[1])
    seen.tool_calls = [(name, arguments) for name, arguments in seen.tool_calls]
    return seen


class EventSource:
    """``EventSource``, which can only GET, and only stream."""

    name = "EventSource (Chromium)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        async with _page(bridge, question) as page:
            ask = (_HERE / "event_source.js").read_text()
            return _seen(await page.evaluate(ask, question.as_json()))


class UseChat:
    """``useChat`` of ``@ai-sdk/react``, rendered by React."""

    name = "useChat (Chromium)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        script = await _bundle()
        async with _page(bridge, question) as page:
            await page.evaluate(script)
            return _seen(await page.evaluate("(question) => ask(question)", question.as_json()))


@asynccontextmanager
async def _page(bridge: str, question: Question) -> AsyncIterator[Page]:
    async with chromium() as browser:
        page = await browser.new_page()
        await page.expose_function("hasText", lambda: question.has_text())
        await page.goto(f"{bridge}/healthz")
        await page.evaluate("document.body.replaceChildren()")
        yield page


@cache
def _bundling() -> asyncio.Future[str]:
    return asyncio.ensure_future(_run_esbuild())


async def _bundle() -> str:
    return await _bundling()


async def _run_esbuild() -> str:
    process = await asyncio.create_subprocess_exec(
        *(str(_ESBUILD), str(_HERE / "use_chat.jsx"), "--bundle", "--format=iife"),
        *("--log-level=error", '--define:process.env.NODE_ENV="production"'),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()
