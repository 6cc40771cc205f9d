"""The raw frames under an answer, in Chromium."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Request, expect

import backend.server
from bridge.settings import Settings
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.texts import HOSTILE
from tests.browser.wires import Wire, each_wire
from tests.conftest import serving_bridge

# Ids and times, which differ from answer to answer.
DIFFERING = re.compile(r'[0-9a-f]{32}|(?<="created":)\d+|(?<="created_at":)(?:"[^"]*"|\d+)')
WHOLE = {"chunks": HOSTILE, "usage": {"prompt_tokens": 2, "completion_tokens": 3}}
FAILED = {"chunks": HOSTILE, "fail": {"code": "ABORTED", "message": "é\n\n🌉", "after": 5}}


async def asked(chat: Chat, **directives: Any) -> Request:
    async with chat.page.expect_request(lambda request: request.method == "POST") as sent:
        await chat.answered(**directives)
    return await sent.value


async def fetched(chat: Chat, request: Request) -> str:
    """Return what `fetch` gets for the same request."""
    body: str = await chat.page.evaluate(
        """async ([url, body]) => {
            const headers = { "Content-Type": "application/json" };
            const response = await fetch(url, { method: "POST", headers, body });
            return response.text();
        }""",
        [request.url, request.post_data],
    )
    return body


async def shown(chat: Chat) -> str:
    return "".join(await chat.frames.all_text_contents())


def comparable(body: str) -> str:
    return DIFFERING.sub("...", body)


async def eventually_at_the_end(chat: Chat) -> None:
    await chat.page.wait_for_function(
        "() => { const { scrollHeight, scrollTop, clientHeight } ="
        " document.querySelector('.frames');"
        " return scrollHeight - scrollTop - clientHeight < 2 && scrollTop > 0; }"
    )


@pytest.mark.parametrize("directives", [WHOLE, FAILED], ids=["whole", "failed"])
@each_wire
async def test_the_frames_are_what_fetch_gets(
    chat: Chat, wire: Wire, directives: dict[str, Any]
) -> None:
    await chat.speak(wire.name, show_frames=True)
    request = await asked(chat, **directives)
    body = await fetched(chat, request)
    await expect(chat.frames).to_have_count(body.count(wire.end))
    assert comparable(await shown(chat)) == comparable(body)


@each_wire
async def test_the_request_and_the_response_come_first(chat: Chat, wire: Wire) -> None:
    await chat.speak(wire.name, show_frames=True)
    async with chat.page.expect_response(lambda response: response.request.method == "POST") as got:
        await chat.answered("Hello.")
    response = await got.value
    await expect(chat.page.locator(".frames li").nth(0)).to_have_text(
        f"POST {urlsplit(response.url).path}"
    )
    await expect(chat.page.locator(".frames li").nth(1)).to_have_text(
        f"200 OK {response.headers['content-type']}"
    )


async def test_frames_appear_as_they_come_each_with_its_time(chat: Chat) -> None:
    await chat.speak("Plain", show_frames=True)
    await chat.ask(text="a", count=3, interval_ms=200, hang_after=2)
    await expect(chat.frames).to_have_text(['data: {"content":"a"}'] * 2)
    await expect(chat.stop).to_be_visible()
    items = chat.page.locator(".frames li")
    times = [str(await item.get_attribute("data-time")) for item in await items.all()]
    assert all(re.fullmatch(r"\d+ ms", time) for time in times)
    request, response, first, second = (int(time.split()[0]) for time in times)
    assert request <= response <= first
    assert 100 < second - first < 1000
    assert f'"{times[-1]}"' == await items.last.evaluate(
        "item => { const { content } = getComputedStyle(item, '::before'); return content; }"
    )


async def test_what_is_copied_is_the_frames_without_their_times(chat: Chat) -> None:
    await chat.speak("Anthropic Messages", show_frames=True)
    body = await fetched(chat, await asked(chat, text="word ", count=3))
    await expect(chat.frames.last).to_contain_text("message_stop")
    selected = await chat.inspectors.evaluate(
        "element => { getSelection().selectAllChildren(element); return `${getSelection()}`; }"
    )
    head = "POST /anthropic/v1/messages\n200 OK\ntext/event-stream; charset=utf-8\n"
    assert comparable(selected) == comparable(head + body.removesuffix("\n"))


async def test_heartbeats_are_shown(
    open_chat: OpenChat, backend_server: backend.server.Server
) -> None:
    settings = Settings(backend=backend_server.address, shutdown_grace=0, heartbeat=0.05)
    async with serving_bridge(settings) as running:
        chat = await open_chat(running.url)
        await chat.speak("OpenAI Chat Completions", show_frames=True)
        await chat.ask(text="a", count=2, hang_after=1)
        await expect(chat.frames.last).to_have_text(": ping")
        await expect(chat.answers).to_have_text("a")


async def test_nothing_is_written_while_the_box_is_not_ticked(chat: Chat) -> None:
    await chat.answered("one two")
    await expect(chat.inspectors).to_be_hidden()
    await expect(chat.page.locator(".frames li")).to_have_count(0)


async def test_the_frames_of_earlier_answers_are_shown_and_hidden(chat: Chat) -> None:
    await chat.answered("one two")
    await chat.answered("three")
    await chat.settings.click()
    await chat.show_frames.check()
    await expect(chat.inspectors).to_have_count(2)
    await expect(chat.inspectors.first).to_contain_text('data: {"content":" two"}')
    await expect(chat.inspectors.last).to_contain_text('data: {"content":"three"}')
    await chat.show_frames.uncheck()
    for inspector in await chat.inspectors.all():
        await expect(inspector).to_be_hidden()
    await chat.answered("four")
    await chat.show_frames.check()
    await expect(chat.inspectors.last).to_contain_text('data: {"content":"four"}')
    for inspector in await chat.inspectors.all():
        await expect(inspector).to_be_visible()


@pytest.mark.parametrize("wire", ["Plain", "AI SDK UI messages"])
async def test_a_refusal_is_shown(chat: Chat, wire: str) -> None:
    await chat.speak(wire, show_frames=True)
    await chat.temperature.evaluate("input => input.removeAttribute('max')")
    await chat.temperature.fill("9")
    request = await asked(chat)
    response = await request.response()
    assert response
    await expect(chat.page.locator(".frames .response")).to_have_text(
        f"{response.status} {response.status_text} {response.headers['content-type']}"
    )
    await expect(chat.frames).to_have_text(await response.text())
    chat.problems.clear()


async def test_a_bridge_that_is_away_leaves_the_request(chat: Chat) -> None:
    await chat.speak("Plain", show_frames=True)
    await chat.page.context.set_offline(True)
    try:
        await chat.answered("Hello?")
    finally:
        await chat.page.context.set_offline(False)
    await expect(chat.inspectors).to_have_text("POST /v1/chat/completions")
    chat.problems.clear()


async def test_retry_begins_anew(chat: Chat) -> None:
    await chat.speak("Plain", show_frames=True)
    await chat.answered(fail={"code": "UNAVAILABLE"})
    await chat.retry.click()
    await chat.ended()
    await expect(chat.frames.last).to_have_text("data: [DONE]")
    await expect(chat.frames).to_have_count(2)
    await expect(chat.page.get_by_role("region", name="Raw frames of answer 1")).to_be_visible()


class TestManyFrames:
    COUNT = 10_000

    async def test_they_are_written_once_an_animation_frame(self, chat: Chat) -> None:
        await chat.speak("Plain", show_frames=True)
        await chat.page.evaluate(
            """() => {
                window.painted = window.written = 0;
                const count = () => { painted += 1; requestAnimationFrame(count); };
                count();
                const log = document.querySelector("#log");
                new MutationObserver(() => { written += 1; })
                    .observe(log, { subtree: true, childList: true });
            }"""
        )
        await chat.answered(text="word ", count=self.COUNT)
        await expect(chat.frames).to_have_count(self.COUNT + 2)
        # The question and the answer's end are written at once.
        assert await chat.page.evaluate("written <= painted + 2")

    async def test_all_are_there_and_few_are_laid_out(self, chat: Chat) -> None:
        await chat.speak("Plain", show_frames=True)
        await chat.answered(text="word ", count=self.COUNT)
        await expect(chat.frames).to_have_count(self.COUNT + 2)
        assert await shown(chat) == (
            'data: {"content":"word "}\n\n' * self.COUNT
            + 'data: {"content":"","finish_reason":"stop"}\n\ndata: [DONE]\n\n'
        )
        await eventually_at_the_end(chat)
        laid_out = await chat.inspectors.evaluate(
            "element => [...element.querySelectorAll('li')].filter("
            "(item) => item.checkVisibility({ contentVisibilityAuto: true })).length"
        )
        assert 0 < laid_out < self.COUNT / 10

    async def test_they_can_be_shown_later(self, chat: Chat) -> None:
        await chat.answered(text="word ", count=self.COUNT)
        await chat.settings.click()
        await chat.show_frames.check()
        await expect(chat.frames).to_have_count(self.COUNT + 2)
        await eventually_at_the_end(chat)


class TestScrolling:
    async def test_the_box_follows_the_frames_and_the_page_the_box(self, chat: Chat) -> None:
        await chat.speak("Plain", show_frames=True)
        await chat.ask(text="word ", count=200, interval_ms=5, hang_after=200)
        await expect(chat.frames).to_have_count(200)
        await eventually_at_the_end(chat)
        await expect(chat.latest).to_be_hidden()
        await expect(chat.frames.last).to_be_in_viewport()

    async def test_a_reader_who_has_scrolled_up_stays_there(self, chat: Chat) -> None:
        await chat.speak("Plain", show_frames=True)
        await chat.ask(text="word ", count=400, interval_ms=10, hang_after=400)
        await expect(chat.frames.nth(60)).to_be_attached()
        await chat.inspectors.hover()
        await chat.page.mouse.wheel(0, -500)
        await chat.page.wait_for_function(SCROLLED_UP)
        position = await chat.inspectors.evaluate("element => element.scrollTop")
        await expect(chat.frames.nth(200)).to_be_attached()
        assert await chat.inspectors.evaluate("element => element.scrollTop") == position

    async def test_long_frames_wrap(self, chat: Chat) -> None:
        await chat.speak("Plain", show_frames=True)
        await chat.answered(text="unbroken" * 100)
        await expect(chat.frames.last).to_have_text("data: [DONE]")
        right, edge = await chat.frames.first.evaluate(
            """(item) => {
                const range = document.createRange();
                range.selectNodeContents(item);
                const box = item.closest(".frames");
                return [range, box].map((one) => one.getBoundingClientRect().right);
            }"""
        )
        assert 0 < right < edge


SCROLLED_UP = (
    "() => { const { scrollHeight, scrollTop, clientHeight } = document.querySelector('.frames');"
    " return scrollHeight - scrollTop - clientHeight > 200; }"
)


async def test_the_keyboard_scrolls_the_frames(chat: Chat) -> None:
    await chat.speak("Plain", show_frames=True)
    await chat.answered(text="word ", count=100)
    await eventually_at_the_end(chat)
    await chat.new.focus()
    await chat.page.keyboard.press("Tab")
    region = chat.page.get_by_role("region", name="Raw frames of answer 1")
    await expect(region).to_be_focused()
    await expect(region).to_have_css("outline-style", "solid")
    await chat.page.keyboard.press("Home")
    await expect(chat.page.locator(".frames .request")).to_be_in_viewport()


async def test_a_new_conversation_has_no_frames_of_the_old_one(chat: Chat) -> None:
    await chat.speak("Plain", show_frames=True)
    await chat.answered("one")
    await chat.new.click()
    await chat.answered("two")
    await expect(chat.inspectors).to_have_count(1)
    await expect(chat.page.get_by_role("region", name="Raw frames of answer 1")).to_be_visible()
