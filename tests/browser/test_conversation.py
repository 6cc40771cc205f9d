"""A conversation on the page, in Chromium."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, Request, expect

import backend.server
from bridge.settings import Settings
from bridge.verdict import Outcome
from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat
from tests.browser.texts import HOSTILE
from tests.conftest import RunningBridge, eventually, script, serving_bridge
from tests.processes import server_process

HTML = "<img src=x onerror=alert(1)><script>alert(1)</script><b>bold</b>&amp;"
COMPLETIONS = re.compile("/v1/chat/completions$")


def is_completion(request: Request) -> bool:
    return COMPLETIONS.search(request.url) is not None


async def asked(page: Page, chat: Chat, text: str) -> object:
    async with page.expect_request(is_completion) as sent:
        await chat.answered(text)
    return (await sent.value).post_data_json


async def test_an_answer_appears_as_it_comes(chat: Chat) -> None:
    await chat.ask(text="word ", count=9, hang_after=3)
    await expect(chat.answers).to_have_text("word word word")
    await expect(chat.stop).to_be_visible()
    await expect(chat.send).to_be_hidden()


async def test_a_whole_answer_and_its_speed(chat: Chat) -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 21}
    await chat.answered(text="word ", count=5, interval_ms=100, usage=usage)
    assert await chat.text(chat.answers) == "word " * 5
    await expect(chat.timing).to_have_text(
        re.compile(r"^First token after 0\.\d\d s · 21 tokens · [\d.]+ tokens/s$")
    )
    await expect(chat.failure).to_have_count(0)
    await expect(chat.retry).to_be_hidden()
    await expect(chat.send).to_be_visible()
    rate = float((await chat.timing.inner_text()).split(" · ")[2].split()[0])
    assert 10 < rate < 200  # 20 in 0.4 s, give or take


async def test_messages_are_not_passed_off_as_tokens(chat: Chat) -> None:
    await chat.answered(text="word ", count=5, interval_ms=100)
    await expect(chat.timing).to_have_text(
        re.compile(r"^First message after 0\.\d\d s · 5 messages · [\d.]+ messages/s$")
    )


async def test_one_message_has_no_speed(chat: Chat) -> None:
    await chat.answered(text="Hello.", usage={"prompt_tokens": 2, "completion_tokens": 3})
    await expect(chat.timing).to_have_text(re.compile(r"^First token after 0\.\d\d s · 3 tokens$"))


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("length", "ended at the limit of tokens"),
        ("content_filter", "the provider withheld the rest"),
        ("tool_calls", "the model asked for a tool"),
    ],
)
async def test_why_an_answer_ended(chat: Chat, reason: str, words: str) -> None:
    await chat.answered(text="word", finish_reason=reason)
    await expect(chat.timing).to_contain_text(words)


async def test_no_character_is_lost(chat: Chat) -> None:
    await chat.answered(chunks=HOSTILE)
    assert await chat.text(chat.answers) == "".join(HOSTILE)


async def test_html_is_only_text(chat: Chat) -> None:
    await chat.answered(HTML)
    assert await chat.text(chat.questions) == HTML
    assert await chat.text(chat.answers) == HTML
    await chat.answered(fail={"code": "ABORTED", "message": HTML})
    await expect(chat.failure).to_contain_text(HTML)
    await expect(chat.log.locator("img, script, b")).to_have_count(0)


async def test_every_request_carries_the_conversation(chat: Chat) -> None:
    first = await asked(chat.page, chat, "one two")
    second = await asked(chat.page, chat, "three")
    model = {"model": "script", "stream": True}
    said = {"role": "user", "content": "one two"}
    assert first == {"messages": [said], **model}
    assert second == {
        "messages": [
            said,
            {"role": "assistant", "content": "one two"},
            {"role": "user", "content": "three"},
        ],
        **model,
    }
    await expect(chat.answers).to_have_text(["one two", "three"])


async def test_what_an_answer_left_out_is_left_out_of_the_conversation(chat: Chat) -> None:
    failing = script(text="half", fail={"code": "ABORTED", "after": 1})
    empty = script(fail={"code": "ABORTED"})
    await chat.answered(failing)
    await chat.answered(empty)
    request = await asked(chat.page, chat, "and now?")
    assert isinstance(request, dict)
    assert [message["content"] for message in request["messages"]] == [
        failing,
        "half",
        empty,
        "and now?",
    ]


@pytest.mark.parametrize("messages", [0, 3])
@pytest.mark.parametrize("way", ["button", "key", "new conversation", "page left"])
async def test_stopping_ends_the_rpc(
    chat: Chat,
    bridge_server: RunningBridge,
    backend_server: backend.server.Server,
    way: str,
    messages: int,
) -> None:
    async with chat.page.expect_response(COMPLETIONS) as began:
        await chat.ask(text="word ", count=9, hang_after=messages)
    request_id = (await began.value).headers["x-request-id"]
    await expect(chat.answers).to_have_text("word " * messages)
    await eventually(lambda: backend_server.open_calls == 1)
    if way == "button":
        await chat.stop.click()
    elif way == "key":
        await chat.page.keyboard.press("Escape")
    elif way == "new conversation":
        await chat.new.click()
    else:
        await chat.page.goto("about:blank")
    await eventually(lambda: backend_server.open_calls == 0)
    record = await bridge_server.record(request_id)
    assert (record.outcome, record.messages) == (Outcome.LEFT, messages)


async def test_a_stopped_answer_stays_and_can_be_asked_again(chat: Chat) -> None:
    await chat.ask(text="word ", count=9, hang_after=3)
    await expect(chat.answers).to_have_text("word word word")
    await chat.stop.click()
    await chat.ended()
    await expect(chat.answers).to_have_text("word word word")
    await expect(chat.timing).to_contain_text("stopped")
    await expect(chat.failure).to_have_count(0)
    await expect(chat.retry).to_be_visible()
    await chat.answered("thanks")
    await expect(chat.answers).to_have_text(["word word word", "thanks"])
    await expect(chat.retry).to_have_count(0)


async def test_the_backend_sees_a_stop_as_a_cancellation(open_chat: OpenChat) -> None:
    async with (
        server_process("backend", env={"BACKEND_MODEL": "script"}) as server,
        serving_bridge(Settings(backend=await server.address(), shutdown_grace=0)) as running,
    ):
        chat = await open_chat(running.url)
        await chat.ask(text="word ", count=9, hang_after=3)
        await expect(chat.answers).to_have_text("word word word")
        await chat.stop.click()
        record = await server.logged("call ended")
        assert (record["code"], record["messages"]) == ("CANCELLED", 3)


async def test_leaving_the_loop_ends_the_rpc(
    chat: Chat, backend_server: backend.server.Server
) -> None:
    body = {"messages": [{"role": "user", "content": script(text="a", hang_after=1)}]}
    first = await chat.page.evaluate(
        """async (body) => {
            const { streamCompletion } = await import("/web/stream.js");
            for await (const message of streamCompletion("/v1/chat/completions", body)) {
                return message;
            }
        }""",
        body,
    )
    assert first == {"content": "a"}
    await eventually(lambda: backend_server.open_calls == 0)


async def test_a_new_conversation_forgets_the_old_one(chat: Chat) -> None:
    await chat.answered("one")
    await chat.new.click()
    await expect(chat.answers).to_have_count(0)
    await expect(chat.page.get_by_role("heading", name="Ask something")).to_be_visible()
    await expect(chat.question).to_be_focused()
    await expect(chat.new).to_be_disabled()
    request = await asked(chat.page, chat, "two")
    assert isinstance(request, dict)
    assert request["messages"] == [{"role": "user", "content": "two"}]


async def test_an_example_is_asked(chat: Chat) -> None:
    await chat.page.get_by_role("button", name="Why is the sky blue?").click()
    await chat.ended()
    await expect(chat.questions).to_have_text("Why is the sky blue?")
    await expect(chat.answers).to_have_text("Why is the sky blue?")
    await expect(chat.question).to_be_focused()


async def test_an_empty_question_is_not_asked(chat: Chat) -> None:
    await chat.question.fill("  \n ")
    await chat.question.press("Enter")
    await chat.send.click()
    await expect(chat.log).to_be_empty()


async def test_a_question_written_while_an_answer_comes_is_kept(chat: Chat) -> None:
    await chat.ask(text="word", count=2, hang_after=1)
    await expect(chat.answers).to_have_text("word")
    await chat.ask("next")
    await expect(chat.question).to_have_value("next")
    await expect(chat.questions).to_have_count(1)
    await chat.page.keyboard.press("Escape")
    await chat.ended()
    await chat.question.press("Enter")
    await expect(chat.answers).to_have_text(["word", "next"])


class TestScrolling:
    async def test_the_page_follows_the_answer(self, chat: Chat) -> None:
        await chat.ask(text="line\n", count=100, interval_ms=5, hang_after=100)
        await expect(chat.answers).to_have_text(lines(100))
        await eventually_at_the_end(chat)
        await expect(chat.latest).to_be_hidden()

    async def test_a_reader_who_has_scrolled_up_stays_there(self, chat: Chat) -> None:
        await chat.ask(text="line\n", count=300, interval_ms=10, hang_after=300)
        await expect(chat.answers).to_have_text(lines(60))
        await chat.page.mouse.move(400, 200)
        await chat.page.mouse.wheel(0, -300)
        await expect(chat.latest).to_be_visible()
        position = await chat.page.evaluate("scrollY")
        await expect(chat.answers).to_have_text(lines(200))
        assert await chat.page.evaluate("scrollY") == position
        await chat.latest.click()
        await eventually_at_the_end(chat)
        await expect(chat.latest).to_be_hidden()

    async def test_settings_do_not_cover_the_end(self, chat: Chat) -> None:
        await chat.answered(text="line\n", count=100)
        await chat.settings.click()
        await expect(chat.temperature).to_be_visible()
        await eventually_at_the_end(chat)


def lines(count: int) -> re.Pattern[str]:
    return re.compile(rf"^(line\s+){{{count},}}$")


async def eventually_at_the_end(chat: Chat) -> None:
    await chat.page.wait_for_function(
        "() => { const { scrollHeight, scrollTop, clientHeight } = document.documentElement;"
        " return scrollHeight - scrollTop - clientHeight < 2 && scrollTop > 0; }"
    )


class TestKeyboard:
    async def test_the_question_has_the_focus(self, chat: Chat) -> None:
        await expect(chat.question).to_be_focused()

    async def test_shift_enter_starts_a_line_and_enter_sends(self, chat: Chat) -> None:
        await chat.question.press_sequentially("one")
        await chat.question.press("Shift+Enter")
        await chat.question.press_sequentially("two")
        await expect(chat.question).to_have_value("one\ntwo")
        await chat.question.press("Enter")
        await expect(chat.question).to_have_value("")
        await chat.ended()
        assert await chat.text(chat.questions) == "one\ntwo"
        await expect(chat.question).to_be_focused()

    async def test_the_enter_that_ends_a_composition_sends_nothing(self, chat: Chat) -> None:
        await chat.question.fill("にほん")
        enter = {"key": "Enter", "isComposing": True, "bubbles": True, "cancelable": True}
        await chat.question.dispatch_event("keydown", enter)
        await expect(chat.question).to_have_value("にほん")
        await expect(chat.log).to_be_empty()

    async def test_the_focus_survives_stop(self, chat: Chat) -> None:
        await chat.ask(text="word", count=2, hang_after=1)
        await chat.stop.focus()
        await chat.page.keyboard.press("Enter")
        await chat.ended()
        await expect(chat.question).to_be_focused()

    async def test_the_focus_survives_the_end_of_an_answer(self, chat: Chat) -> None:
        await chat.ask(text="word", count=2, interval_ms=500)
        await chat.stop.focus()
        await chat.ended()
        await expect(chat.question).to_be_focused()

    async def test_the_focus_survives_retry(self, chat: Chat) -> None:
        await chat.answered(fail={"code": "UNAVAILABLE"})
        await chat.retry.focus()
        await chat.page.keyboard.press("Enter")
        await expect(chat.question).to_be_focused()
        await chat.ended()
        await expect(chat.question).to_be_focused()

    async def test_the_focus_stays_where_a_reader_has_put_it(self, chat: Chat) -> None:
        await chat.ask(text="word", count=2, interval_ms=500)
        await chat.settings.focus()
        await chat.ended()
        await expect(chat.settings).to_be_focused()

    async def test_a_phone_shows_no_keyboard_over_the_answer(self, open_chat: OpenChat) -> None:
        chat = await open_chat(has_touch=True, is_mobile=True)
        await chat.question.fill(script(text="word", count=2, hang_after=1))
        await chat.send.tap()
        await expect(chat.stop).to_be_focused()
        await chat.stop.tap()
        await chat.ended()
        await expect(chat.send).to_be_focused()

    async def test_tab_goes_through_all_there_is(self, chat: Chat) -> None:
        await chat.answered(fail={"code": "UNAVAILABLE"})
        await chat.settings.click()
        await chat.page.get_by_role("link", name="API").focus()
        names = []
        for _ in range(10):
            await chat.page.keyboard.press("Tab")
            names.append(
                await chat.page.evaluate(
                    "document.activeElement.id || document.activeElement.textContent"
                )
            )
        order = "clear Retry question temperature max-tokens wire show-frames model"
        assert names == [*order.split(), "settings-toggle", "send"]
