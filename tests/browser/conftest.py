"""A real Chromium, and the page in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from playwright.async_api import Browser, Page

from tests.browser.chat import Chat
from tests.conftest import RunningBridge


class OpenChat(Protocol):
    """Opens the page of a bridge in a browser context of its own."""

    async def __call__(self, url: str | None = None, **context: Any) -> Chat: ...


@pytest.fixture
async def open_chat(browser: Browser, bridge_server: RunningBridge) -> AsyncIterator[OpenChat]:
    chats: list[Chat] = []

    async def open_chat(url: str | None = None, **context: Any) -> Chat:
        page = await (await browser.new_context(**context)).new_page()
        chat = Chat(page)
        chats.append(chat)
        await chat.open(url or bridge_server.url)
        return chat

    yield open_chat
    for chat in chats:
        await chat.page.context.close()
    assert [chat.problems for chat in chats if chat.problems] == []


@pytest.fixture(scope="session")
async def tab(browser: Browser) -> Page:
    return await browser.new_page()


@pytest.fixture
async def chat(tab: Page, bridge_server: RunningBridge) -> AsyncIterator[Chat]:
    """Load the page anew, in a tab that is kept: a new one takes much longer."""
    chat = Chat(tab)
    await chat.open(bridge_server.url)
    yield chat
    chat.close()
    await tab.emulate_media(color_scheme="null", reduced_motion="null")
    assert chat.problems == []
