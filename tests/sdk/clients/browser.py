"""Clients in a browser, on a page of the bridge's own origin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from playwright.async_api import Page

from tests.browser.chromium import chromium
from tests.sdk.clients.client import Client, Question, Seen

_HERE = Path(__file__).parent
_SDK = _HERE.parent
_ESBUILD = _SDK / "node_modules" / ".bin" / "esbuild"


class _InChromium(Client):
    _tab: Page
    _question: Question

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            browser = await stack.enter_async_context(chromium())
            self._tab = await browser.new_page()
            await self._tab.expose_function("hasText", lambda: self._question.has_text())
            self._end = stack.pop_all().aclose
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    @asynccontextmanager
    async def _page(self, bridge: str, question: Question) -> AsyncIterator[Page]:
        self._question = question
        await self._tab.goto(f"{bridge}/healthz")
        await self._tab.evaluate("document.body.replaceChildren()")
        yield self._tab
        # Whatever is left of it ends.
        await self._tab.goto("about:blank")


class EventSource(_InChromium):
    """``EventSource``, which can only GET, and only stream."""

    name = "EventSource (Chromium)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        async with self._page(bridge, question) as page:
            ask = (_HERE / "event_source.js").read_text()
            return Seen.from_json(await page.evaluate(ask, question.as_json()))


class UseChat(_InChromium):
    """``useChat`` of ``@ai-sdk/react``, rendered by React."""

    name = "useChat (Chromium)"

    async def __aenter__(self) -> Self:
        self._script = await bundle((_HERE / "use_chat.jsx").read_text())
        return await super().__aenter__()

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        async with self._page(bridge, question) as page:
            await page.evaluate(self._script)
            found = await page.evaluate("(question) => ask(question)", question.as_json())
            return Seen.from_json(found)


async def bundle(source: str) -> str:
    """Return a script for a browser that has in it what ``source``, in JSX, imports."""
    process = await asyncio.create_subprocess_exec(
        *(str(_ESBUILD), "--bundle", "--format=iife", "--loader=jsx", "--log-level=error"),
        *("--jsx=automatic", '--define:process.env.NODE_ENV="production"'),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_SDK,
    )
    output, _ = await process.communicate(source.encode())
    assert process.returncode == 0
    return output.decode()
