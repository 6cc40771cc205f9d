"""A real Chromium, and the page in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.async_api import Browser, Page

from bridge.settings import Settings
from tests.browser.chat import Chat
from tests.browser.explorer import Explorer
from tests.browser.orders import PROTO, Orders
from tests.conftest import RunningBridge, serving_bridge
from tests.transcoding.backend import schema_of, serving
from tests.transcoding.conftest import Compile
from tests.transcoding.conftest import compile_protos as compile_protos


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


@pytest.fixture(scope="session")
def orders_proto(compile_protos: Compile) -> Path:
    return compile_protos(orders=PROTO, comments=True)


@pytest.fixture
async def orders(orders_proto: Path) -> AsyncIterator[Orders]:
    orders = Orders()
    async with serving(schema_of(orders_proto), orders.behaviour()) as address:
        orders.address = address
        yield orders


@pytest.fixture
async def orders_url(orders: Orders, orders_proto: Path, transport: str) -> AsyncIterator[str]:
    """Serve a bridge that exposes the orders, and yield its URL."""
    chosen = Settings(
        backend=orders.address,
        services=["orders.v1.Orders"],
        descriptors=[orders_proto],
        forward_headers=["x-tenant"],
        return_metadata=["x-cost"],
        shutdown_grace=0,
    )
    async with serving_bridge(chosen) as running:
        yield running.url


@pytest.fixture
async def explorer(tab: Page, orders_url: str) -> AsyncIterator[Explorer]:
    """Load the explorer, with no method chosen."""
    explorer = Explorer(tab, orders_url)
    await explorer.open()
    yield explorer
    explorer.close()
    await tab.goto("about:blank")
    await tab.emulate_media(color_scheme="null", reduced_motion="null")
    assert explorer.problems == []
