"""How the page tells of what went wrong, in Chromium."""

from __future__ import annotations

import signal

import grpc
import pytest
from playwright.async_api import expect

import backend.server
import backend.settings
from bridge.settings import Settings
from bridge.status import Status
from protos.completion.v1.completion_pb2 import StreamCompletionResponse
from tests.bridge.stepped import serving_stepped
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.test_conversation import is_completion
from tests.conftest import free_port, serving_bridge
from tests.processes import server_process

AGAIN = "Trying again may help."
NO_USE = "The same request would fail again: change the question or the settings first."
CUT = "The answer was cut on its way here, so it isn't whole."


@pytest.mark.parametrize("messages", [0, 1, 5])
async def test_an_error_after(chat: Chat, messages: int) -> None:
    fail = {"code": "UNAVAILABLE", "message": "The model is being replaced.", "after": messages}
    await chat.answered(text="word ", count=5, fail=fail)
    assert await chat.text(chat.answers) == "word " * messages
    await expect(chat.failure.locator("p")).to_have_text(
        [
            "The model's server isn't available at the moment.",
            "The server says: The model is being replaced.",
            AGAIN,
        ]
    )
    await expect(chat.retry).to_have_class("retry primary")


async def test_an_error_that_would_come_again_is_told_so(chat: Chat) -> None:
    await chat.answered(fail={"code": "PERMISSION_DENIED", "message": "Not yours."})
    await expect(chat.failure.locator("p")).to_have_text(
        ["You aren't allowed to ask this.", "The server says: Not yours.", NO_USE]
    )
    await expect(chat.retry).to_have_class("retry")


async def test_every_code_has_words_of_its_own(chat: Chat) -> None:
    titles = {}
    for status in Status:
        if status is Status.OK:
            continue
        await chat.answered(fail={"code": status.name, "message": "Because."})
        failure = chat.failure.last
        titles[status] = await failure.locator(".title").inner_text()
        advice = AGAIN if status.retryable else NO_USE
        await expect(failure.locator(".advice")).to_have_text(advice)
        await expect(failure.locator("q")).not_to_be_empty()
    assert len(titles) == 16
    assert len(set(titles.values())) == 16
    assert not [title for status, title in titles.items() if status.name in title]


async def test_retry_asks_the_same_again(open_chat: OpenChat) -> None:
    async with (
        serving_stepped() as stepped,
        serving_bridge(Settings(backend=stepped.address, shutdown_grace=0)) as running,
    ):
        chat = await open_chat(running.url)
        async with chat.page.expect_request(is_completion) as first:
            await chat.ask("Hello?")
        await stepped.send(StreamCompletionResponse(text="Hel"))
        await stepped.end(grpc.StatusCode.UNAVAILABLE, "Gone.")
        await chat.ended()
        await expect(chat.answers).to_have_text("Hel")

        async with chat.page.expect_request(is_completion) as second:
            await chat.retry.click()
        await expect(chat.failure).to_have_count(0)
        await stepped.send(StreamCompletionResponse(text="Hello."))
        await stepped.end()
        await chat.ended()
        await expect(chat.questions).to_have_text("Hello?")
        await expect(chat.answers).to_have_text("Hello.")
        await expect(chat.retry).to_be_hidden()
        assert (await first.value).post_data == (await second.value).post_data
        chat.problems.clear()  # that backend has no list of models


async def test_a_backend_that_comes_late(open_chat: OpenChat) -> None:
    port = free_port()
    settings = Settings(backend=f"127.0.0.1:{port}", shutdown_grace=0)
    async with serving_bridge(settings) as running:
        chat = await open_chat(running.url)
        alert = chat.page.get_by_role("alert")
        await expect(alert).to_contain_text("The list of models can't be had: ")
        await expect(chat.model).to_be_disabled()
        await chat.answered("Hello?")
        await expect(chat.failure).to_contain_text(
            "The model's server isn't available at the moment."
        )
        assert len(chat.problems) == 1
        assert "503" in chat.problems.pop()

        late = backend.settings.Settings(port=port, model="script", shutdown_grace=0)
        async with backend.server.serving(late):
            while await chat.failure.count():
                await chat.retry.click()
                await chat.ended()
            await expect(chat.answers).to_have_text("Hello?")
            await chat.page.get_by_role("button", name="Try again").click()
            await expect(chat.model).to_be_focused()
            await expect(chat.model).to_have_value("script")
            await expect(alert).to_be_hidden()


async def test_a_bridge_that_dies(
    open_chat: OpenChat, backend_server: backend.server.Server
) -> None:
    async with server_process("bridge", env={"BRIDGE_BACKEND": backend_server.address}) as bridge:
        chat = await open_chat(f"http://{await bridge.address()}")
        await chat.ask(text="word ", count=5, hang_after=3)
        await expect(chat.answers).to_have_text("word word word")
        await bridge.stop(signal.SIGKILL)
        await chat.ended()
        await expect(chat.answers).to_have_text("word word word")
        await expect(chat.failure).to_contain_text(CUT)
        await expect(chat.failure.locator(".said")).to_be_hidden()
        await expect(chat.failure).to_contain_text(AGAIN)

        await chat.retry.click()
        await chat.ended()
        await expect(chat.failure).to_contain_text("The bridge can't be reached.")
        await expect(chat.retry).to_have_class("retry primary")
        chat.problems.clear()  # Chromium tells of both on the console


async def test_a_request_that_is_refused(chat: Chat) -> None:
    await expect(chat.model).to_be_enabled()
    await chat.settings.click()
    await chat.temperature.evaluate("input => input.removeAttribute('max')")
    await chat.temperature.fill("9")
    await chat.answered("Hello?")
    await expect(chat.failure).to_contain_text(
        "The server can't use this question with these settings."
    )
    await expect(chat.failure).to_contain_text("temperature: Input should be less than or equal")
    await expect(chat.failure).to_contain_text(NO_USE)
    assert len(chat.problems) == 1
    assert "422" in chat.problems.pop()

    await chat.temperature.fill("1")
    await chat.retry.click()
    await chat.ended()
    await expect(chat.answers).to_have_text("Hello?")
    await expect(chat.failure).to_have_count(0)
