"""Pictures of the pages, for people to look at: ``.cache/screenshots/``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from bridge.settings import Settings
from tests.browser.conftest import OpenChat
from tests.browser.demo import serving_demo
from tests.browser.explorer import Explorer
from tests.browser.orders import Orders
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


each_device = pytest.mark.parametrize(
    ("device", "context"), [("desktop", DESKTOP), ("phone", {"device_scale_factor": 2, **PHONE})]
)


async def take(page: Page, name: str) -> None:
    """Take a picture of a page in each scheme."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures = set()
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        path = FOLDER / f"{name.format(scheme)}.png"
        pictures.add(await page.screenshot(path=path, animations="disabled"))
    assert len(pictures) == len(SCHEMES)


@each_device
async def test_screenshots(
    open_chat: OpenChat, demo_url: str, device: str, context: dict[str, Any]
) -> None:
    chat = await open_chat(demo_url, **context)

    async def take_state(state: str) -> None:
        await take(chat.page, f"{device}-{{}}-{state}")

    await expect(chat.model).to_be_enabled()
    await take_state("1-empty")
    await chat.answered("Why is the sky blue?")
    await take_state("2-answer")
    await chat.ask("And at noon?")
    await expect(chat.answers.last).to_contain_text("everywhere in the sky.")
    await take_state("3-mid-stream")
    await chat.stop.click()
    await chat.ended()
    await take_state("4-stopped")
    await chat.answered("And on Mars?")
    await take_state("5-error")
    await chat.settings.click()
    await take_state("6-settings")
    await chat.wire.select_option("Anthropic Messages")
    await chat.show_frames.check()
    await chat.new.click()
    await chat.answered("Why is the sky blue?")
    await expect(chat.frames.last).to_contain_text("message_stop")
    await take_state("7-frames-and-settings")
    await chat.settings.click()
    await take_state("8-frames")


@each_device
async def test_screenshots_of_the_explorer(
    browser: Browser, orders: Orders, orders_url: str, device: str, context: dict[str, Any]
) -> None:
    page = await (await browser.new_context(**context)).new_page()
    explorer = Explorer(page, orders_url)

    async def take_state(state: str) -> None:
        await take(page, f"explorer-{device}-{{}}-{state}")

    await explorer.open()
    await take_state("1-list")
    await explorer.open("orders.v1.Orders/Create")
    await take_state("2-template")
    await explorer.sent()
    await take_state("3-answer")
    await explorer.open("orders.v1.Orders/Watch")
    await explorer.send.click()
    for number, customer in enumerate(("Ada", "Grace", "Edsger"), 1):
        orders.send(name=f"orders/{number}", customer=customer, price=4200 * number, state=1)
    await expect(explorer.rows).to_have_count(3)
    await explorer.rows.nth(1).locator("summary").click()
    await take_state("4-mid-stream")
    orders.end("UNAVAILABLE")
    await explorer.ended()
    await take_state("5-error")
    await page.context.close()
    assert explorer.problems == []
