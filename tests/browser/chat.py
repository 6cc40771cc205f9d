"""The page, as a person finds their way about it."""

from __future__ import annotations

from typing import Any

from playwright.async_api import ConsoleMessage, Error, Locator, Page, expect

from tests.conftest import script


class Chat:
    """The page in a tab.

    Attributes:
        page: The tab.
        problems: What the browser complained of: errors of scripts, and of the security policy.
            A test that provokes one clears it.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        self.question = page.get_by_role("textbox", name="Question")
        self.send = page.get_by_role("button", name="Send")
        self.stop = page.get_by_role("button", name="Stop")
        self.retry = page.get_by_role("button", name="Retry")
        self.settings = page.get_by_role("button", name="Settings")
        self.new = page.get_by_role("button", name="New conversation")
        self.latest = page.get_by_role("button", name="Go to the latest")
        self.model = page.get_by_role("combobox", name="Model")
        self.temperature = page.get_by_role("spinbutton", name="Temperature")
        self.max_tokens = page.get_by_role("spinbutton", name="Max tokens")
        self.wire = page.get_by_role("combobox", name="Wire")
        self.show_frames = page.get_by_role("checkbox", name="Show the raw frames")
        self.log = page.get_by_role("log")
        self.questions = page.locator(".question .text")
        self.answers = page.locator(".answer .text")
        self.timing = page.locator(".timing")
        self.failure = page.locator(".failure")
        self.status = page.get_by_role("status")
        self.inspectors = page.locator(".frames")
        self.frames = page.locator(".frames li:not(.request, .response)")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def _on_error(self, error: Error) -> None:
        self.problems.append(str(error))

    async def open(self, url: str) -> None:
        """Load the page, and wait until it has a list of models or knows that there is none."""
        await self.page.goto(url)
        await expect(self.model).not_to_have_text("Loading models …")

    async def speak(self, wire: str, *, show_frames: bool = False) -> None:
        """Choose a wire and perhaps to see its frames, with the panel of settings left open."""
        await self.settings.click()
        await self.wire.select_option(wire)
        await self.show_frames.set_checked(show_frames)

    async def ask(self, question: str = "", /, **directives: Any) -> None:
        """Ask ``question``, or let the script engine follow ``directives``; don't wait."""
        await self.question.fill(question or script(**directives))
        await self.question.press("Enter")

    async def ended(self) -> None:
        """Wait until the answer has ended, in whatever way."""
        await expect(self.log).to_have_attribute("aria-busy", "false")

    async def answered(self, question: str = "", /, **directives: Any) -> None:
        """Ask, and wait until the answer has ended."""
        await self.ask(question, **directives)
        await self.ended()

    def close(self) -> None:
        """Listen no more to the tab."""
        self.page.remove_listener("console", self._on_console)
        self.page.remove_listener("pageerror", self._on_error)

    async def text(self, locator: Locator) -> str:
        """Return the text in the DOM, with no white space or control character changed."""
        text = await locator.evaluate("element => element.textContent")
        assert isinstance(text, str)
        return text
