"""Pictures of the page, for people to look at: ``.cache/screenshots/``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from bridge.settings import Settings
from tests.browser.conftest import OpenChat
from tests.browser.demo import serving_demo
from tests.browser.test_accessibility import PHONE, SCHEMES
from tests.conftest import serving_bridge

FOLDER = Path(__file__).parents[2] / ".cache/screenshots"
DESKTOP = {"viewport": {"width": 1100, "height": 800}}


@pytest.fixture(scope="module")
async def demo_url() -> AsyncIterator[str]:
    async with (
        serving_demo() as (_, address),
        serving_bridge(Settings(backend=address, shutdown_grace=0)) as running,
    ):
        yield running.url


@pytest.mark.parametrize(
    ("device", "context"), [("desktop", DESKTOP), ("phone", {"device_scale_factor": 2, **PHONE})]
)
async def test_screenshots(
    open_chat: OpenChat, demo_url: str, device: str, context: dict[str, Any]
) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    chat = await open_chat(demo_url, **context)

    async def take(state: str) -> None:
        pictures = set()
        for scheme in SCHEMES:
            await chat.page.emulate_media(color_scheme=scheme)
            path = FOLDER / f"{device}-{scheme}-{state}.png"
            pictures.add(await chat.page.screenshot(path=path, animations="disabled"))
        assert len(pictures) == len(SCHEMES)

    await expect(chat.model).to_be_enabled()
    await take("1-empty")
    await chat.answered("Why is the sky blue?")
    await take("2-answer")
    await chat.ask("And at noon?")
    await expect(chat.answers.last).to_contain_text("everywhere in the sky.")
    await take("3-mid-stream")
    await chat.stop.click()
    await chat.ended()
    await take("4-stopped")
    await chat.answered("And on Mars?")
    await take("5-error")
    await chat.settings.click()
    await take("6-settings")
    await chat.wire.select_option("Anthropic Messages")
    await chat.show_frames.check()
    await chat.new.click()
    await chat.answered("Why is the sky blue?")
    await expect(chat.frames.last).to_contain_text("message_stop")
    await take("7-frames-and-settings")
    await chat.settings.click()
    await take("8-frames")
