"""Model, temperature and max tokens on the page, in Chromium."""

from __future__ import annotations

from playwright.async_api import expect

from bridge.settings import Settings
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.demo import BLUE, serving_demo
from tests.browser.test_conversation import asked
from tests.conftest import serving_bridge


async def test_the_models_are_those_of_the_backend(chat: Chat) -> None:
    await expect(chat.model).to_be_enabled()
    models = await chat.page.evaluate("fetch('/v1/models').then((r) => r.json())")
    ids = [model["id"] for model in models["data"]]
    await expect(chat.model.locator("option")).to_have_text(ids)
    await expect(chat.model).to_have_value(ids[0])
    await chat.settings.click()
    await expect(chat.page.locator("#model-description")).to_have_text(
        models["data"][0]["description"]
    )


async def test_another_model_is_chosen(open_chat: OpenChat) -> None:
    async with (
        serving_demo() as (demo, address),
        serving_bridge(Settings(backend=address, shutdown_grace=0)) as running,
    ):
        chat = await open_chat(running.url)
        await expect(chat.model).to_have_value("small")
        await chat.settings.click()
        description = chat.page.locator("#model-description")
        await expect(description).to_have_text(
            "Short answers, at once. Room for 8192 tokens, question and answer together."
        )
        await chat.model.select_option("large")
        await expect(description).to_have_text("Better answers, later.")
        await chat.temperature.fill("0.5")
        await chat.max_tokens.fill("7")
        await chat.answered("Why is the sky blue?")
        await expect(chat.log.get_by_role("heading", name="large")).to_be_visible()
        assert await chat.text(chat.answers) == "".join(BLUE)
        (asked,) = demo.asked
        assert (asked.model, asked.temperature, asked.max_tokens) == ("large", 0.5, 7)


async def test_settings_are_sent(chat: Chat) -> None:
    await chat.settings.click()
    await chat.temperature.fill("0.35")
    await chat.max_tokens.fill("77")
    request = await asked(chat.page, chat, "Hello?")
    assert isinstance(request, dict)
    assert (request["temperature"], request["max_tokens"]) == (0.35, 77)


async def test_zero_is_a_temperature(chat: Chat) -> None:
    await chat.settings.click()
    await chat.temperature.fill("0")
    request = await asked(chat.page, chat, "Hello?")
    assert isinstance(request, dict)
    assert request["temperature"] == 0


async def test_settings_left_empty_are_left_to_the_server(chat: Chat) -> None:
    request = await asked(chat.page, chat, "Hello?")
    assert isinstance(request, dict)
    assert request.keys() == {"messages", "model", "stream"}


async def test_a_wrong_setting_is_shown_and_not_sent(chat: Chat) -> None:
    await chat.settings.click()
    await chat.temperature.fill("3")
    await chat.settings.click()
    await expect(chat.temperature).to_be_hidden()
    await chat.ask("Hello?")
    await expect(chat.temperature).to_be_visible()
    await expect(chat.temperature).to_be_focused()
    await expect(chat.settings).to_have_attribute("aria-expanded", "true")
    await expect(chat.log).to_be_empty()
    await expect(chat.question).to_have_value("Hello?")
    await chat.temperature.fill("2")
    await chat.temperature.press("Enter")
    await expect(chat.answers).to_have_text("Hello?")


async def test_the_panel_opens_and_closes(chat: Chat) -> None:
    await expect(chat.settings).to_have_attribute("aria-expanded", "false")
    await expect(chat.temperature).to_be_hidden()
    await chat.settings.click()
    await expect(chat.settings).to_have_attribute("aria-expanded", "true")
    await expect(chat.temperature).to_be_visible()
