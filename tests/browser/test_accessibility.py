"""The page for everybody: screen readers, contrast, phones, less motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.chat import Chat
from tests.browser.conftest import OpenChat

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 720},
    "has_touch": True,
    "is_mobile": True,
}
FAIL = {"code": "UNAVAILABLE", "message": "The model is being replaced.", "after": 2}

# Notes all that live regions have said: they say what changes in them.
LISTEN = """() => {
    window.heard = [];
    const live = ":is([role=status], [role=alert], [role=log], [aria-live])"
        + ":not([aria-live=off])";
    new MutationObserver((records) => {
        const said = new Set(records.map(({ target }) => {
            const element = target.nodeType === 1 ? target : target.parentElement;
            return element?.closest("[role], [aria-live]");
        }));
        for (const { addedNodes } of records) {
            for (const node of addedNodes) {
                if (node.matches?.(live)) said.add(node);
            }
        }
        for (const element of said) {
            if (element?.matches(live) && element.textContent) {
                heard.push(element.textContent);
            }
        }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


async def violations(page: Page) -> list[str]:
    result: dict[str, Any] = await page.evaluate("axe.run()")
    assert len(result["passes"]) > 20
    return [
        f"{violation['impact']}: {violation['help']}: {node['target']} {node['failureSummary']}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


class TestAxe:
    @pytest.fixture(params=SCHEMES)
    async def chat(self, chat: Chat, request: pytest.FixtureRequest) -> Chat:
        assert AXE.exists(), "these tests need axe-core: npm ci --prefix tests/browser"
        await chat.page.emulate_media(color_scheme=request.param)
        await chat.page.evaluate(AXE.read_text())
        return chat

    async def test_no_state_of_the_page_has_a_violation(self, chat: Chat) -> None:
        assert await violations(chat.page) == []
        await chat.answered("A whole one.")
        await chat.answered(text="word ", count=3, fail={"code": "NOT_FOUND"})
        await chat.answered(text="word ", count=3, fail=FAIL)
        await chat.settings.click()
        assert await violations(chat.page) == []
        await chat.show_frames.check()
        await expect(chat.frames.last).to_be_visible()
        assert await violations(chat.page) == []
        await chat.ask(text="word ", count=3, hang_after=2)
        await expect(chat.answers.last).to_have_text("word word")
        assert await violations(chat.page) == []

    async def test_a_violation_is_found(self, chat: Chat) -> None:
        await chat.page.evaluate("document.documentElement.removeAttribute('lang')")
        (violation,) = await violations(chat.page)
        assert violation.startswith("serious: <html> element must have a lang attribute")


class TestScreenReader:
    @pytest.fixture
    async def heard(self, chat: Chat) -> Chat:
        """Note all that live regions have said: they say what changes in them."""
        await chat.page.evaluate(LISTEN)
        return chat

    async def test_an_answer_is_said_once_and_whole(self, heard: Chat) -> None:
        await heard.answered(text="word ", count=10, interval_ms=40)
        assert await heard.page.evaluate("heard") == ["The answer is on its way.", "word " * 10]

    async def test_frames_are_not_said(self, heard: Chat) -> None:
        await heard.speak("Plain", show_frames=True)
        await heard.answered(text="word ", count=10, interval_ms=40)
        await expect(heard.frames.last).to_have_text("data: [DONE]")
        assert await heard.page.evaluate("heard") == ["The answer is on its way.", "word " * 10]

    async def test_an_error_is_said_at_once(self, heard: Chat) -> None:
        await heard.answered(text="word ", count=2, interval_ms=40, fail=FAIL)
        first, *rest = await heard.page.evaluate("heard")
        assert first == "The answer is on its way."
        assert len(rest) == 1
        assert "isn't available" in rest[0]
        assert "The model is being replaced." in rest[0]

    async def test_a_stop_is_said(self, heard: Chat) -> None:
        await heard.ask(text="word ", count=3, hang_after=2)
        await expect(heard.answers).to_have_text("word word")
        await heard.stop.click()
        await heard.ended()
        assert await heard.page.evaluate("heard") == ["The answer is on its way.", "Stopped."]

    async def test_the_log_is_busy_while_an_answer_comes(self, chat: Chat) -> None:
        await expect(chat.log).to_have_attribute("aria-busy", "false")
        await chat.ask(text="word ", count=3, hang_after=2)
        await expect(chat.log).to_have_attribute("aria-busy", "true")
        await expect(chat.log).to_have_attribute("aria-live", "off")
        await chat.stop.click()
        await expect(chat.log).to_have_attribute("aria-busy", "false")

    async def test_roles_and_names(self, chat: Chat) -> None:
        await chat.speak("Ollama", show_frames=True)
        await chat.answered("Hello.")
        await expect(chat.page.locator("body")).to_match_aria_snapshot(
            """
            - banner:
              - heading "gRPC-to-SSE bridge" [level=1]
              - navigation "Pages":
                - link "Explorer"
                - link "API"
              - button "New conversation"
            - main:
              - log "Conversation":
                - article:
                  - heading "You" [level=2]
                  - paragraph: Hello.
                - article:
                  - heading "script" [level=2]
                  - paragraph: Hello.
                  - paragraph: /First message after/
                  - region "Raw frames of answer 1":
                    - list:
                      - listitem: "0 ms POST /ollama/api/chat"
                      - listitem: /200 OK/
                      - listitem: /Hello/
                      - listitem: /"done":true/
            - form "Question":
              - textbox "Question"
              - group "Settings":
                - spinbutton "Temperature"
                - spinbutton "Max tokens"
                - combobox "Wire"
                - checkbox "Show the raw frames" [checked]
              - combobox "Model"
              - button "Settings" [expanded]
              - button "Send"
            - status: Hello.
            """
        )


class TestPhone:
    @pytest.fixture(params=[360, 320])
    async def phone(self, open_chat: OpenChat, request: pytest.FixtureRequest) -> Chat:
        return await open_chat(**{**PHONE, "viewport": {"width": request.param, "height": 640}})

    @staticmethod
    async def assert_fits(chat: Chat, *further: Locator) -> None:
        width, visible = await chat.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert width <= visible
        viewport = chat.page.viewport_size
        assert viewport
        assert visible == viewport["width"]
        controls = (chat.question, chat.send, chat.model, chat.settings, chat.new)
        for button in (*controls, *further):
            box = await button.bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= viewport["width"]
            assert box["height"] >= 24

    async def test_nothing_sticks_out(self, phone: Chat) -> None:
        await expect(phone.model).to_be_enabled()
        await phone.page.evaluate(
            "document.querySelector('#model option').textContent = 'a-long-name'.repeat(6)"
        )
        await self.assert_fits(phone)
        await phone.answered("unbroken" * 50)
        await phone.answered(fail={"code": "UNAVAILABLE", "message": "unbroken" * 50})
        await phone.speak("OpenAI Responses", show_frames=True)
        await phone.answered("unbroken" * 50)
        await expect(phone.frames.last).to_contain_text("[DONE]")
        label = phone.page.get_by_text("Show the raw frames")
        await self.assert_fits(phone, phone.wire, label, phone.inspectors.last)


async def test_dark_and_light_differ(chat: Chat) -> None:
    colors = []
    for scheme in SCHEMES:
        await chat.page.emulate_media(color_scheme=scheme)
        colors.append(
            await chat.page.evaluate(
                "() => { const { backgroundColor, color } = getComputedStyle(document.body);"
                " return [backgroundColor, color].map((rgb) =>"
                " rgb.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)); }"
            )
        )
    (light_background, light_text), (dark_background, dark_text) = colors
    assert light_background > 700 > 120 > light_text
    assert dark_background < 120 < 700 < dark_text


@pytest.mark.parametrize(("motion", "animation"), [("reduce", "none"), ("no-preference", "blink")])
async def test_less_motion(
    chat: Chat, motion: Literal["reduce", "no-preference"], animation: str
) -> None:
    await chat.page.emulate_media(reduced_motion=motion)
    await chat.ask(text="word ", count=3, hang_after=2)
    await expect(chat.answers).to_have_text("word word")
    name = await chat.answers.evaluate("(text) => getComputedStyle(text, '::after').animationName")
    assert name == animation


async def test_forced_colors_leave_the_frames_their_edge(chat: Chat) -> None:
    await chat.page.emulate_media(forced_colors="active")
    await chat.speak("Plain", show_frames=True)
    await chat.answered("Hello.")
    await expect(chat.frames.last).to_be_visible()
    edge, text, background = await chat.inspectors.evaluate(
        "(element) => { const style = getComputedStyle(element);"
        " return [style.borderTopColor, style.color, style.backgroundColor]; }"
    )
    assert background not in {edge, text}
    await chat.page.emulate_media(forced_colors="null")


async def test_what_has_the_focus_is_seen(chat: Chat) -> None:
    await chat.answered(fail={"code": "UNAVAILABLE"})
    await chat.settings.click()
    await chat.show_frames.check()
    beginning = (chat.new, chat.retry, chat.inspectors, chat.temperature, chat.wire)
    for control in (*beginning, chat.show_frames, chat.model, chat.settings, chat.send):
        await control.focus()
        await chat.page.keyboard.press("Shift+Tab")
        await chat.page.keyboard.press("Tab")
        await expect(control).to_be_focused()
        await expect(control).to_have_css("outline-style", "solid")
    await chat.question.focus()
    await expect(chat.page.locator(".card")).to_have_css("outline-style", "solid")
