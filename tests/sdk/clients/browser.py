"""Clients in a browser."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from tests.browser.chromium import chromium
from tests.sdk.clients.client import Question, Seen

_ASK = Path(__file__).parent / "event_source.js"


class EventSource:
    """``EventSource``, which can only GET, and only stream."""

    name = "EventSource (Chromium)"

    async def ask(self, bridge: str, question: Question) -> Seen:
        """See ``Client``."""
        async with chromium() as browser:
            page = await browser.new_page()
            await page.goto(f"{bridge}/healthz")
            found = await page.evaluate(_ASK.read_text(), asdict(question))
        seen = Seen(**found)
        seen.usage = seen.usage and (seen.usage[0], seen.usage[1])
        return seen
